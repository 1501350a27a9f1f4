// Package outside is what lies beyond an upstream and keeps books of its own: the
// billers of a campus, and the service that its holders pay by. In the end their
// books say what holders have paid, and what they have got for their money.
//
// A biller here is a small model of one. It is honest about what it has booked, and
// may tell it late, wrongly or not at all.
package outside

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/tools/sim/virtual"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/channel"
)

// Mishap is what may happen to a call to a biller. Its number dies with the process.
type Mishap int

// The mishaps. After NotReached the caller knows that nothing was done.
const (
	None       Mishap = iota
	NotReached        // the call has certainly not left
	Lost              // the request is lost
	Unheard           // the answer is
	Refused           // it says no
	Denied            // it says no, and has booked; only of a biller that can be asked
	Late              // it says nothing, and books some time later
)

// mishaps are what may happen, the more often the more often it is here.
var (
	mishaps      = []Mishap{NotReached, Lost, Unheard, Refused, Late}
	mishapsAsked = append([]Mishap{Denied, Denied, Denied}, mishaps...)
)

const (
	smoothOneIn = 3 // of so many calls that book: nothing happens
	lateOneIn   = 3 // of so many of these: what is booked after the money was let go is the worst that can be
	deafOneIn   = 8 // of so many questions that are not answered

	// After which a slow biller has booked: when the upstream does not expect it any
	// more, and still looks now and then.
	lateMin, lateMax = time.Hour, 6 * time.Hour
)

// errSilent is all that the upstream hears of a call without an answer.
var errSilent = errors.New("the biller does not answer")

// Biller is one that knows no order numbers: who pays twice has paid twice. [Asker]
// is one that does.
type Biller struct {
	World *virtual.World
	Dice  virtual.Dice
	Met   func(Mishap) // is told of each

	Calm bool // nothing goes wrong any more
	Down bool // nobody reaches it

	register
	byNumber bool
	told     map[string]int // calls that left, by order
	booked   map[string]money.Fen
	queue    []queued
}

// queued is a charge that will be booked.
type queued struct {
	charge vendor.Charge
	at     time.Time
}

// Asker is a biller that books an order number once, and can be asked about it.
type Asker struct{ *Biller }

// NewBiller returns a biller with empty books.
func NewBiller(w *virtual.World, d virtual.Dice, met func(Mishap)) *Biller {
	return &Biller{World: w, Dice: d, Met: met, told: map[string]int{}, booked: map[string]money.Fen{}}
}

// NewAsker returns a biller that can be asked, with empty books.
func NewAsker(w *virtual.World, d virtual.Dice, met func(Mishap)) Asker {
	b := NewBiller(w, d, met)
	b.byNumber = true
	return Asker{b}
}

// Booked returns what was put on a bill under an order number.
func (b *Biller) Booked(no string) money.Fen { return b.booked[no] }

// Owed returns what was put on all bills.
func (b *Biller) Owed() (sum money.Fen) {
	for _, f := range b.booked {
		sum += f
	}
	return sum
}

// Told returns how many calls with an order number have left the upstream.
func (b *Biller) Told(no string) int { return b.told[no] }

// Orders returns the numbers of all orders that were ever booked.
func (b *Biller) Orders() (all []string) {
	for no := range b.booked {
		all = append(all, no)
	}
	return all
}

// Decided reports whether the books will not change for an order any more.
func (b *Biller) Decided(no string) bool {
	b.work()
	for _, q := range b.queue {
		if q.charge.OrderNo == no {
			return false
		}
	}
	return true
}

// Mend ends all that goes wrong.
func (b *Biller) Mend() { b.Calm, b.Down = true, false }

// Finish books what waits, however late it is.
func (b *Biller) Finish() {
	for _, q := range b.queue {
		b.book(q.charge)
	}
	b.queue = nil
}

// work books what was to be booked by now.
func (b *Biller) work() {
	var left []queued
	for _, q := range b.queue {
		if q.at.After(b.World.Now) {
			left = append(left, q)
		} else {
			b.book(q.charge)
		}
	}
	b.queue = left
}

func (b *Biller) book(c vendor.Charge) vendor.Receipt {
	r := vendor.Receipt{RecordNo: "R" + c.OrderNo, At: b.World.Now}
	if b.booked[c.OrderNo] == 0 || !b.byNumber {
		b.booked[c.OrderNo] += c.Amount
		b.enter(channel.Line{
			OrderNo: c.OrderNo, TradeNo: r.RecordNo, Kind: channel.Payment, Amount: c.Amount, At: r.At,
		})
	}
	return r
}

// mishap draws what happens to a call.
func (b *Biller) mishap() Mishap {
	if b.Down {
		return NotReached
	}
	if b.Calm || b.Dice.OneIn(smoothOneIn) {
		return None
	}
	if b.byNumber && b.Dice.OneIn(lateOneIn) {
		return Late
	}
	if b.byNumber {
		return virtual.Pick(b.Dice, mishapsAsked)
	}
	return virtual.Pick(b.Dice, mishaps) // where nobody can ask, a no is all that there is
}

// Pay implements [vendor.Biller].
func (b *Biller) Pay(_ context.Context, c vendor.Charge) (vendor.Receipt, error) {
	b.work()
	m := b.mishap()
	b.Met(m)
	if m == NotReached {
		return vendor.Receipt{}, fmt.Errorf("%w: nobody is there", vendor.ErrNotSent)
	}
	b.told[c.OrderNo]++
	switch m {
	case Unheard, Denied:
		b.book(c)
	case Late:
		pause := lateMin + time.Duration(b.Dice.Int64N(int64(lateMax-lateMin)))
		b.queue = append(b.queue, queued{c, b.World.Now.Add(pause)})
	}
	switch m {
	case None:
		return b.book(c), nil
	case Refused, Denied:
		return vendor.Receipt{}, vendor.ErrRefused
	}
	return vendor.Receipt{}, errSilent
}

// Ask implements [vendor.Asker].
func (a Asker) Ask(_ context.Context, c vendor.Charge) (vendor.Receipt, error) {
	a.work()
	booked := a.booked[c.OrderNo]
	switch {
	case a.Down, !a.Calm && a.Dice.OneIn(deafOneIn):
		return vendor.Receipt{}, errSilent
	case booked == 0:
		return vendor.Receipt{}, vendor.ErrAbsent
	case booked != c.Amount:
		return vendor.Receipt{}, vendor.ErrMismatch
	}
	return vendor.Receipt{RecordNo: "R" + c.OrderNo, At: a.World.Now}, nil
}

// Places implements [electricity.Vendor]. Whoever pays here knows the room: nothing
// of a look at it is about money.
func (b *Biller) Places(context.Context, electricity.Path) ([]electricity.Place, error) {
	return nil, vendor.ErrNoTarget
}

// Meters implements [electricity.Vendor].
func (b *Biller) Meters(context.Context, electricity.Path) ([]electricity.Meter, error) {
	return nil, vendor.ErrNoTarget
}

var (
	_ electricity.Vendor = (*Biller)(nil)
	_ vendor.Asker       = Asker{}
)
