// Package bath is a water controller (水控机) with no network: the box beside a
// shower that takes a reservation's code. Section numbers refer to the project's
// notes on services, chapter 5.
//
// Its panel follows the card guide: confirm, the eight digits, and the water runs;
// confirm pauses, confirm goes on, cancel ends. It knows the day's slots, the price
// and the keys of its place from a setup that somebody has brought, and says what
// was used in signed reports that somebody takes away.
//
// # What survives a power cut
//
// That a code was used is durable before the valve opens, and how much water has
// run is written down for every litre. Whoever stood under the shower goes on with
// confirm, for as long as a pause may last; water of less than a litre is given
// away. Wrong codes count over a power cut too. A controller that has lost its
// clock, or finds itself earlier than it was, takes no code until that is set.
package bath

import (
	"fmt"
	"slices"
	"time"

	"quancun/bathcode"
	"quancun/water"
)

// Clock is the controller's own. It is not good after its battery was empty.
type Clock func() (now time.Time, good bool)

// Limits of a panel (section 5.3).
const (
	enterMax     = 30 * time.Second // nobody types
	wrongMax     = 5                // codes before the panel locks
	hallWrongMax = 50               // in an hour, on all panels of the controller
	backMax      = 2 * time.Minute  // that a clock may be set back without being taken for lost
)

// lockOuts is how long a panel locks, after five wrong codes and after each one more.
var lockOuts = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}

// codeID is a code of this controller's place.
type codeID struct {
	day  bathcode.Day
	slot uint8
	n    uint8
}

type slotID struct {
	day  bathcode.Day
	slot uint8
}

// Controller is the box. It is not safe for concurrent use.
type Controller struct {
	setup water.Setup
	disk  Disk
	clock Clock

	born   time.Time
	latest time.Time // that the clock is known to have shown
	uses   map[codeID]*water.Use
	sealed map[slotID]string // the report's line
	order  []slotID          // in which they were sealed
	from   bathcode.Day      // all slots of the days before it are sealed
	wrongs []time.Time       // of all panels, in the last hour
	away   []span            // lately
	tried  map[codeID]bool   // typed when it was not their time
	stale  []slotID          // there may be more to say of them than was sealed
	lost   time.Time         // since when the clock is; zero: it is not
	dark   bool              // it is, and the power or the clock was away before: nobody knows since when
	seen   time.Time         // latest, when it was last noticed that the clock was set back
	panels map[uint16]*panel
	broken error // the disk is: nothing is done any more
}

// panel is what stands beside one shower.
type panel struct {
	stall  uint16
	step   Step
	since  time.Time // of the step, or of the last digit
	digits string
	notice string // what became of the last shower or code
	stub   bathcode.Code

	id      codeID     // of the shower under way
	use     *water.Use // likewise
	written int64      // pulses that are durable
	flowed  time.Time  // when water last ran
	power   bool       // it was interrupted by a power cut

	wrong  int // codes in a row
	locked time.Time
}

// New returns the controller of a setup and a disk, as it stands after the power has
// come on.
func New(s water.Setup, d Disk, c Clock) (*Controller, error) {
	all, err := load(d)
	if err != nil {
		return nil, err
	}
	b := &Controller{
		setup: s, disk: d, clock: c, uses: map[codeID]*water.Use{}, sealed: map[slotID]string{},
		tried: map[codeID]bool{}, panels: map[uint16]*panel{},
	}
	for _, n := range s.Stalls {
		b.panels[n] = &panel{stall: n, step: Idle}
	}
	open := map[codeID]bool{}
	for _, r := range all {
		b.replay(r, open)
	}
	now, good := b.now()
	if b.dark = !good; good {
		b.cameBack(b.latest, now)
	}
	return b, b.wake(open)
}

// replay takes a record into memory.
func (b *Controller) replay(r record, open map[codeID]bool) {
	at := time.Unix(r.At, 0)
	if at.After(b.latest) {
		b.latest = at
	}
	p := b.panels[r.Stall]
	switch r.Kind {
	case wasBorn:
		b.born, b.from = at, bathcode.DayOf(at)
	case wasUsed, hasRun, wasEnded:
		id := codeID{r.Slot.Day, r.Slot.No, r.Use.N}
		b.uses[id] = r.Use
		open[id] = r.Kind != wasEnded
		if p != nil && r.Kind == wasUsed {
			p.wrong = 0
		}
	case wasWrong:
		b.wrongs = append(b.wrongs, at)
		if p != nil {
			p.miss(at)
		}
		if r.Use != nil {
			b.cameTo(codeID{r.Slot.Day, r.Slot.No, r.Use.N})
		}
	case wasSealed:
		b.seal(slotID{r.Slot.Day, r.Slot.No}, r.Line)
	case wasAway:
		b.wasAway(span{time.Unix(r.Since, 0), at})
	case wasHere:
		if r.Since != 0 {
			b.seen = at
		}
	}
}

// wake puts showers that the power cut has interrupted on pause. Without a clock
// nobody could end that pause, so they are over.
func (b *Controller) wake(open map[codeID]bool) error {
	now, good := b.now()
	for id, is := range open {
		if !is {
			continue
		}
		u := b.uses[id]
		p := b.panels[u.Stall]
		here := p != nil
		if !here { // a stall that the setup has no more
			p = &panel{stall: u.Stall}
		}
		p.step, p.since, p.id, p.use, p.written, p.power = Paused, now, id, u, u.Pulses, true
		if !good || !here {
			b.end(p, Out)
		}
	}
	b.tick()
	return b.broken
}

// now returns the time, and whether it can be believed.
func (b *Controller) now() (time.Time, bool) {
	now, good := b.clock()
	if !good || now.Before(b.latest.Add(-backMax)) {
		return b.latest, false
	}
	return now, true
}

// write makes a record durable. Without a disk nothing is done any more.
func (b *Controller) write(r record) error {
	if b.broken != nil {
		return b.broken
	}
	if err := b.disk.Append(r.line()); err != nil {
		b.broken = fmt.Errorf("lab/bath: write journal: %w", err)
		for _, p := range b.panels { // all valves close
			p.step, p.notice = Idle, "故障，请到服务台"
		}
		return b.broken
	}
	if at := time.Unix(r.At, 0); at.After(b.latest) {
		b.latest = at
	}
	return nil
}

// Press is a key of a stall's panel: a digit, '#' for confirm, or '*' for cancel.
func (b *Controller) Press(stall uint16, key byte) error {
	p := b.panels[stall]
	if p == nil {
		return fmt.Errorf("lab/bath: no stall %d here", stall)
	}
	b.tick()
	now, good := b.now()
	switch {
	case b.broken != nil:
		return b.broken
	case !good:
		p.notice = "时钟故障，请到服务台"
		return nil
	case key == '#':
		b.move(p, Confirm, now)
	case key == '*':
		b.move(p, Cancel, now)
	case key >= '0' && key <= '9':
		if p.step == Entering {
			b.digit(p, key, now)
		}
	default:
		return fmt.Errorf("lab/bath: no key %q", key)
	}
	return b.broken
}

// move does what an event leads to.
func (b *Controller) move(p *panel, e Event, now time.Time) {
	next, ok := p.step.Next(e)
	if !ok {
		return
	}
	if p.step == Idle && b.lockedOut(p, now) {
		return
	}
	if p.step.Showering() && next == Idle {
		b.end(p, e)
		return
	}
	if p.step == Running && next == Paused {
		p.use.Pauses++
		b.flush(p, now)
	}
	if b.broken != nil {
		return
	}
	p.step, p.since, p.digits, p.flowed = next, now, "", now
	if next != Idle {
		p.notice, p.stub = "", ""
	}
}

// lockedOut reports whether too many wrong codes were typed, and says so.
func (b *Controller) lockedOut(p *panel, now time.Time) bool {
	b.wrongs = slices.DeleteFunc(b.wrongs, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	until := p.locked
	if len(b.wrongs) >= hallWrongMax {
		until = later(until, b.wrongs[0].Add(time.Hour))
	}
	if !now.Before(until) {
		return false
	}
	p.notice = fmt.Sprintf("错误次数过多，请等 %d 分钟", int((until.Sub(now)+time.Minute-1)/time.Minute))
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// digit takes a digit of the code. The eighth opens the valve, or not.
func (b *Controller) digit(p *panel, key byte, now time.Time) {
	p.digits += string(key)
	p.since = now
	if len(p.digits) < bathcode.Digits {
		return
	}
	id, found := b.find(bathcode.Code(p.digits), now)
	switch {
	case !found:
		r := record{Kind: wasWrong, At: now.Unix(), Stall: p.stall}
		out, is := b.outOfTime(bathcode.Code(p.digits))
		if is {
			r.Slot, r.Use = b.slot(slotID{out.day, out.slot}), &water.Use{N: out.n}
		}
		if b.write(r) != nil {
			return
		}
		if is {
			b.cameTo(out)
		}
		b.wrongs = append(b.wrongs, now)
		p.miss(now)
		b.move(p, Refused, now)
		p.notice = "预约码不对"
	case b.uses[id] != nil: // nobody guesses that: it is no wrong code
		b.move(p, Refused, now)
		p.notice = "预约码已用过"
	default:
		b.open(p, id, now)
	}
}

// miss counts a wrong code.
func (p *panel) miss(at time.Time) {
	if p.wrong++; p.wrong >= wrongMax {
		p.locked = at.Add(lockOuts[min(p.wrong-wrongMax, len(lockOuts)-1)])
	}
}

// find returns which code of a slot that is open now these digits are. All slots of
// now are tried, so that the time it takes says nothing.
func (b *Controller) find(c bathcode.Code, now time.Time) (id codeID, found bool) {
	day := bathcode.DayOf(now)
	for _, d := range []bathcode.Day{day - 1, day, day + 1} {
		k, ok := b.setup.Key(d)
		if !ok {
			continue
		}
		for _, t := range b.setup.Times {
			from, to := t.On(d)
			grace := b.setup.Grace.Duration()
			_, over := b.sealed[slotID{d, t.No}]
			if over || now.Before(from.Add(-grace)) || !now.Before(to.Add(grace)) {
				continue
			}
			if n, ok := k.Check(c, b.slot(slotID{d, t.No})); ok {
				id, found = codeID{d, t.No, n}, true
			}
		}
	}
	return id, found
}

func (b *Controller) slot(s slotID) bathcode.Slot {
	return bathcode.Slot{Place: b.setup.Place(), Day: s.day, No: s.slot}
}

// open begins a shower. The code is used before the valve opens.
func (b *Controller) open(p *panel, id codeID, now time.Time) {
	u := &water.Use{N: id.n, Stall: p.stall, Start: now.Unix(), End: now.Unix(), Ending: water.ByPower}
	if b.writeUse(wasUsed, id, u, now) != nil {
		return
	}
	b.uses[id] = u
	p.id, p.use, p.written, p.power, p.wrong = id, u, 0, false, 0
	b.move(p, Opened, now)
}

func (b *Controller) writeUse(k kind, id codeID, u *water.Use, now time.Time) error {
	return b.write(record{Kind: k, At: now.Unix(), Stall: u.Stall, Slot: b.slot(slotID{id.day, id.slot}), Use: u})
}

// flush makes durable how much water has run.
func (b *Controller) flush(p *panel, now time.Time) {
	p.use.Amount = min(b.setup.Tariff.Price(p.use.Pulses), b.setup.Cap)
	p.use.End = max(now.Unix(), p.use.Start)
	if b.writeUse(hasRun, p.id, p.use, now) == nil {
		p.written = p.use.Pulses
	}
}

// endings are what a use that an event has ended is called.
var endings = map[Event]water.Ending{
	Cancel: water.ByKey, Full: water.ByCap, Waited: water.ByPause, Late: water.ByTime, Out: water.ByPower,
}

// end closes the valve, and then writes down what was used.
func (b *Controller) end(p *panel, e Event) {
	now, _ := b.now()
	u := p.use
	p.step, p.since, p.use, p.digits = Idle, now, nil, ""
	u.Amount = min(b.setup.Tariff.Price(u.Pulses), b.setup.Cap)
	u.End, u.Ending = max(now.Unix(), u.Start), endings[e]
	if p.power && e == Waited {
		u.Ending = water.ByPower
	}
	p.notice = "结束，共 " + u.Amount.String() + " 元"
	if k, ok := b.setup.Key(p.id.day); ok {
		p.stub = k.Stub(b.slot(slotID{p.id.day, p.id.slot}), p.id.n, u.Amount)
		p.notice += "，结算码 " + p.stub.Grouped()
	}
	_ = b.writeUse(wasEnded, p.id, u, now) // else it is open at the next start, and ends then
}

// Flow is so many pulses of a stall's meter. It returns how many of them ran: the
// valve closes at the cap, and what runs through a closed valve is nobody's.
func (b *Controller) Flow(stall uint16, pulses int64) (ran int64, err error) {
	b.tick()
	p := b.panels[stall]
	if p == nil || p.step != Running || b.broken != nil {
		return 0, b.broken
	}
	now, _ := b.now()
	for ran < pulses && p.step == Running {
		p.use.Pulses++
		ran++
		p.flowed = now
		switch {
		case b.setup.Tariff.Price(p.use.Pulses) >= b.setup.Cap:
			b.move(p, Full, now)
		case p.use.Pulses-p.written >= b.setup.Tariff.PulsesPerLitre:
			b.flush(p, now)
		}
	}
	return ran, b.broken
}

// Tick lets time pass: it is to be called every second or so.
func (b *Controller) Tick() error {
	b.tick()
	return b.broken
}

func (b *Controller) tick() {
	now, good := b.now()
	if b.broken != nil {
		return
	}
	for _, n := range b.setup.Stalls {
		p := b.panels[n]
		if !good {
			b.move(p, Out, now)
			continue
		}
		b.age(p, now)
	}
	if !good {
		b.stopped()
		return
	}
	if b.born.IsZero() {
		if b.write(record{Kind: wasBorn, At: now.Unix()}) != nil {
			return
		}
		b.born, b.from = now, bathcode.DayOf(now)
	}
	b.here(now)
	b.sealAll(now)
	b.sealMore()
}

// age ends what has taken too long.
func (b *Controller) age(p *panel, now time.Time) {
	if p.step.Showering() {
		t, known := b.setup.Time(p.id.slot)
		_, to := t.On(p.id.day)
		if !known || !now.Before(to.Add(b.setup.Grace.Duration())) {
			b.move(p, Late, now)
			return
		}
	}
	switch {
	case p.step == Entering && now.Sub(p.since) >= enterMax:
		b.move(p, Left, now)
	case p.step == Running && now.Sub(p.flowed) >= b.setup.NoFlow.Duration():
		b.move(p, Dry, now)
	case p.step == Paused && now.Sub(p.since) >= b.setup.PauseMax.Duration():
		b.move(p, Waited, now)
	}
}
