// Package bathhouse is the baths of a campus and the people in them: real water
// controllers, which have no network, on memory that a power cut tears and with clocks
// that are lost; and holders who come or do not, who type codes right and wrong, and who
// read off a stub what they owe.
//
// It keeps what nobody else sees: how much water has run for which code. In the end
// that is what a shower costs.
package bathhouse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"quancun/bathcode"
	lab "quancun/lab/bath"
	"quancun/money"
	"quancun/tools/sim/virtual"
	"quancun/water"
)

// Event is something that happens at a panel. Its number dies with the process.
type Event int

// The events.
const (
	Opened     Event = iota // a code that is right has opened a stall
	Wrong                   // a code is none
	LockedOut               // too many were wrong
	OtherHall               // a code of another hall is refused
	OtherSlot               // it is not its time
	Twice                   // it was used
	GivenUp                 // it was given up, and opens: no controller can hear of that
	PowerCut                // within a shower
	ClockLost               // the same
	Left                    // somebody goes and does not end it
	ClockAhead              // a clock begins to run ahead
	Early                   // a code opens by it before its time
	InVain                  // somebody comes in time, and it is too late by it
)

// Ticket is a reservation as its holder knows it.
type Ticket struct {
	Ref, Account string
	At           string // terminal
	Slot         bathcode.Slot
	Code         string
	From, To     time.Time
	CancelTill   time.Time

	Over bool   // given up, or settled, or it has cost as many tries as there are
	Stub string // as the panel has shown it
	away bool   // the holder will not come any more
}

// ran is what has happened behind a code.
type ran struct {
	box    *box
	pulses int64
	cuts   int // of the box's power, since it was opened
}

// Baths are all baths of a campus.
type Baths struct {
	World *virtual.World
	Dice  virtual.Dice
	Met   func(Event)
	Note  func(format string, args ...any)
	Wrong func(format string, args ...any)

	Calm       bool // nothing goes wrong any more, and nobody comes
	Complained bool // somebody has, that their time is not over
	Tickets    []*Ticket

	boxes []*box
	ran   map[string]*ran // by slot and code
	vain  map[string]bool // likewise, typed out of its time, and refused
}

// Open switches the controllers of b on, one for each setup.
func (b *Baths) Open(setups []water.Setup) {
	b.ran, b.vain = map[string]*ran{}, map[string]bool{}
	for _, s := range setups {
		x := &box{baths: b, setup: s}
		x.start()
		b.boxes = append(b.boxes, x)
	}
}

// Mend ends all that goes wrong.
func (b *Baths) Mend() {
	b.Calm = true
	for _, x := range b.boxes {
		x.lost, x.ahead = false, 0
	}
}

// grace is how long before and after its slot a code opens.
func (x *box) grace() time.Duration { return x.setup.Grace.Duration() }

// at returns the box of a place.
func (b *Baths) at(p bathcode.Place) *box {
	i := slices.IndexFunc(b.boxes, func(x *box) bool { return x.setup.Place() == p })
	return b.boxes[i]
}

func key(s bathcode.Slot, code string) string {
	return fmt.Sprintf("%d/%d/%d/%d/%s", s.Place.Hall, s.Place.Stall, s.Day, s.No, code)
}

// Hold gives a holder a ticket, unless they have it.
func (b *Baths) Hold(t Ticket) {
	if !slices.ContainsFunc(b.Tickets, func(o *Ticket) bool { return o.Ref == t.Ref }) {
		t.away = b.Dice.OneIn(4)
		b.Tickets = append(b.Tickets, &t)
	}
}

// Live has controllers and people do what they do by now.
func (b *Baths) Live() {
	for _, x := range b.boxes {
		if x.lost && b.Dice.OneIn(4) {
			x.lost = false
		}
		if b.Dice.OneIn(4) {
			x.ahead = 0
		}
		x.done(x.Tick())
	}
	for _, t := range b.Tickets {
		x := b.at(t.Slot.Place)
		switch from := t.From.Add(-x.grace()); {
		case b.Calm || t.away || x.lost || !b.World.Now.Before(t.To.Add(x.grace())):
		case b.World.Now.Before(from):
			b.early(x, t)
		case b.Dice.OneIn(2):
			b.come(x, t)
		}
	}
}

// early now and then has somebody try before it is time.
func (b *Baths) early(x *box, t *Ticket) {
	if !b.Dice.OneIn(10) {
		return
	}
	stall := b.stall(x)
	if x.view(stall).Step.Showering() {
		return
	}
	if b.Dice.OneIn(8) {
		x.stray(t.From)
	}
	switch opens := b.enter(x, stall, t); {
	case opens && x.now().Before(t.From.Add(-x.grace())):
		b.Wrong("code of %s opens at another time", t.Ref)
	case opens:
		b.Met(Early)
		b.opened(x, stall, t)
	default:
		b.Met(OtherSlot)
	}
}

// stall returns one that x works.
func (b *Baths) stall(x *box) uint16 { return virtual.Pick(b.Dice, x.Stalls()) }

// come has a holder come to the bath, make mistakes, and shower.
func (b *Baths) come(x *box, t *Ticket) {
	stall := b.stall(x)
	switch b.Dice.IntN(8) {
	case 0:
		b.guess(x, stall, b.Dice.Between(5, 6))
	case 1:
		b.guess(x, stall, 1)
	case 2, 3:
		b.elsewhere(t)
	}
	if x.view(stall).Step.Showering() { // somebody has left it on
		x.press(stall, "*")
	}
	if b.Dice.OneIn(12) {
		x.stray(t.To.Add(x.grace()))
	}
	if !b.enter(x, stall, t) {
		t.away = b.Dice.OneIn(3)
		if now := b.World.Now; !x.lost && !x.latest.Before(t.To.Add(x.grace())) && now.Before(t.To) {
			b.Met(InVain)
			b.Complained = true
		}
		return
	}
	b.opened(x, stall, t)
}

// enter has a holder type their code.
func (b *Baths) enter(x *box, stall uint16, t *Ticket) (opens bool) {
	opens = x.enter(stall, t.Code)
	if !opens && x.view(stall).Text == "预约码不对" {
		b.vain[key(t.Slot, t.Code)] = true
	}
	return opens
}

// Refused reports whether somebody has typed a code, and it was not its time by the
// controller's clock, right or wrong.
func (b *Baths) Refused(s bathcode.Slot, code string) bool { return b.vain[key(s, code)] }

// opened has a holder shower whose code has opened a stall.
func (b *Baths) opened(x *box, stall uint16, t *Ticket) {
	k := key(t.Slot, t.Code)
	if b.ran[k] != nil {
		b.Wrong("code of %s has opened twice", t.Ref)
	}
	b.ran[k], t.away = &ran{box: x}, true
	if b.Met(Opened); t.Over {
		b.Met(GivenUp)
	}
	b.shower(x, stall, t)
	if b.Dice.OneIn(4) && !x.lost && !x.view(stall).Step.Showering() {
		if x.enter(stall, t.Code) {
			b.Wrong("code of %s opens again", t.Ref)
		}
		b.Met(Twice)
	}
}

// guess types codes that are none, until the panel takes no more.
func (b *Baths) guess(x *box, stall uint16, n int) {
	for range n {
		if x.view(stall).Step.Showering() {
			return
		}
		if x.press(stall, "*#").Step != lab.Entering {
			b.Met(LockedOut)
			return
		}
		if x.press(stall, fmt.Sprintf("%08d", b.Dice.IntN(100_000_000))).Step == lab.Running {
			b.Wrong("a guess has opened hall %d", x.setup.Hall)
		}
		b.Met(Wrong)
	}
}

// elsewhere types a code at another hall.
func (b *Baths) elsewhere(t *Ticket) {
	x := virtual.Pick(b.Dice, b.boxes)
	stall := b.stall(x)
	if x.setup.Hall == t.Slot.Place.Hall || x.lost || x.view(stall).Step.Showering() {
		return
	}
	if x.enter(stall, t.Code) {
		b.Wrong("code of %s opens another hall", t.Ref)
	}
	b.Met(OtherHall)
}

// shower lets water run, with whatever may happen meanwhile, and has the holder read
// the stub off the panel.
func (b *Baths) shower(x *box, stall uint16, t *Ticket) {
	most := int64(x.setup.Cap) * x.setup.Tariff.PulsesPerLitre / int64(x.setup.Tariff.PerLitre)
	b.flow(x, stall, t, 1+b.Dice.Int64N(most))
	switch b.Dice.IntN(9) {
	case 0:
		b.Met(PowerCut)
		x.cut()
		x.press(stall, "#")
	case 1:
		b.Met(PowerCut)
		x.disk.left = b.Dice.Between(1, 400)
	case 2:
		b.Met(ClockLost)
		x.lost = true
		x.done(x.Tick())
	case 3:
		x.press(stall, "##")
	case 4:
		b.Met(Left)
		return
	}
	b.World.Pass(time.Duration(b.Dice.Between(1, 80)) * time.Second)
	b.flow(x, stall, t, b.Dice.Int64N(most/2))
	x.press(stall, "*")
	t.Stub = string(x.view(stall).Stub)
	ran := b.ran[key(t.Slot, t.Code)]
	b.Note("bath %d: %s has showered, %d pulses, stub %s", x.setup.Hall, t.Ref, ran.pulses, t.Stub)
}

// flow opens the tap.
func (b *Baths) flow(x *box, stall uint16, t *Ticket, pulses int64) {
	n, err := x.Flow(stall, pulses)
	b.ran[key(t.Slot, t.Code)].pulses += n
	x.done(err)
}

// Cost returns between what a shower has cost by the water that has run behind a code:
// a controller gives less than a litre away at each power cut. opened says whether
// there was one.
func (b *Baths) Cost(s bathcode.Slot, code string) (least, most money.Fen, opened bool) {
	r := b.ran[key(s, code)]
	if r == nil {
		return 0, 0, false
	}
	tariff := r.box.setup.Tariff
	price := func(pulses int64) money.Fen {
		return min(money.Fen(max(pulses, 0))*tariff.PerLitre/money.Fen(tariff.PulsesPerLitre), r.box.setup.Cap)
	}
	return price(r.pulses - int64(r.cuts)*tariff.PulsesPerLitre), price(r.pulses), true
}

// Line is a line of a controller's log.
type Line struct {
	Text  []byte
	Slot  bathcode.Slot
	Final bool      // no code of the slot will be used any more
	To    time.Time // when it ends
}

// Lines returns what the controllers have to say of slots, for somebody to carry.
func (b *Baths) Lines(wanted func(bathcode.Slot) bool) (all []Line) {
	for _, x := range b.boxes {
		for text := range bytes.Lines(x.Log()) {
			_, body, _ := strings.Cut(string(text), " ")
			var r water.Report
			if err := json.Unmarshal([]byte(body), &r); err != nil {
				b.Wrong("a line of hall %d is none: %v", x.setup.Hall, err)
			}
			if wanted(r.Slot) {
				at, _ := x.setup.Time(r.Slot.No)
				_, to := at.On(r.Slot.Day)
				all = append(all, Line{bytes.TrimSpace(text), r.Slot, r.Final, to})
			}
		}
	}
	return all
}

// Last is when the last of the clocks is right again, all of which are set right: until
// then a controller that was ahead says nothing.
func (b *Baths) Last() (last time.Time) {
	for _, x := range b.boxes {
		if x.latest.After(last) {
			last = x.latest
		}
	}
	return last
}

// Known reports whether somebody has a ticket for a slot.
func (b *Baths) Known(s bathcode.Slot) bool {
	return slices.ContainsFunc(b.Tickets, func(t *Ticket) bool { return t.Slot == s })
}
