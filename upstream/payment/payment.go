// Package payment has a channel such as Alipay collect what tills sell by the
// payer's own code (付款码), and give it back.
//
// A payment is written down before the channel hears of it. From then on its
// row is all that the [Desk] needs, so it goes on after a crash wherever it
// stood. What the channel says when the code is shown is never believed: a
// question follows, and while nobody knows it is repeated every few seconds.
// When nobody waits any more the payment is cancelled right after the last
// question, again and again until the channel has said that it did. Before that
// nobody is told that it failed.
//
// A payment books nothing. The sale is an entry of the till's journal, under the
// payment's number; upstream/ingest posts it, and upstream/clearing compares it
// with the channel's bill. What was closed is never a sale again: money that
// comes all the same goes back.
package payment

import (
	"log/slog"
	"slices"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/server/due"
	"quancun/upstream/server/hub"
	"quancun/upstream/store"
)

// State says how far a payment has come. Stored: never renumbered.
type State int

// The states of a payment.
const (
	Created  State = 1 // written down; the channel may not know it
	Waiting  State = 2 // for the payer, or for the channel to say
	Checking State = 3 // nobody waits, and nobody knows what it came to
	Paid     State = 4
	Closed   State = 5 // unpaid; if money comes all the same, it goes back
	Returned State = 6 // was paid, and given back whole
)

// steps is the ratchet: where a payment can go from each state.
var steps = map[State][]State{
	Created:  {Waiting, Checking, Paid, Closed, Returned},
	Waiting:  {Checking, Paid, Closed, Returned},
	Checking: {Paid, Closed, Returned},
	Paid:     nil,
	Closed:   {Returned},
	Returned: nil,
}

// CanBecome reports whether the ratchet lets s become to.
func (s State) CanBecome(to State) bool { return slices.Contains(steps[s], to) }

// Cause says why a payment was closed. Stored: never renumbered.
type Cause int

// The causes.
const (
	NoCause      Cause = 0
	CauseCode    Cause = 1 // the code is wrong, used, or too old
	CausePayer   Cause = 2 // the payer cannot pay with it
	CauseChannel Cause = 3 // the channel does not do it
	CauseTime    Cause = 4 // the payer has not agreed in time
)

// Payment is a sale by code, as the channel knows it.
type Payment struct {
	No       string // the sale's, in the till's journal and at the channel
	Terminal string
	Merchant string
	Amount   money.Fen
	Created  time.Time
	Expires  time.Time // when nobody waits any more

	State    State
	Cause    Cause
	TradeNo  string // the channel's
	PaidAt   time.Time
	Mismatch bool // the channel has another amount: people have to look
	Tries    int  // times that the channel was asked in this state
	Next     time.Time

	Refunded money.Fen // done
}

// Pace is how patient the desk is. Zero fields take the values given here.
type Pace struct {
	Pay   time.Duration // 45 s: from the code to the cancellation
	Wait  time.Duration // 4 s: between questions about a payment that is waited for
	Retry time.Duration // 2 s: first pause while an outcome is unknown; doubles
	Watch time.Duration // 1 min: first pause after a payment was closed; doubles
	Late  time.Duration // 25 h: after its creation, until when a closed payment is watched
	Call  time.Duration // 5 s: for one question to the channel
}

func (p Pace) orDefault() Pace {
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{
		{&p.Pay, 45 * time.Second},
		{&p.Wait, 4 * time.Second},
		{&p.Retry, 2 * time.Second},
		{&p.Watch, time.Minute},
		{&p.Late, 25 * time.Hour},
		{&p.Call, 5 * time.Second},
	} {
		if *d.of == 0 {
			*d.of = d.is
		}
	}
	return p
}

// Config is what a desk is made of. Pace, Now and Log may be left out.
type Config struct {
	Books   *store.Books
	Channel channel.Codes
	Pace    Pace
	Now     func() time.Time
	Log     *slog.Logger
}

// Desk moves payments on. It is safe for concurrent use, and several may work on
// the same books.
type Desk struct {
	books *store.Books
	ch    channel.Codes
	pace  Pace
	now   func() time.Time
	log   *slog.Logger

	hub   hub.Hub
	locks hub.Locks
	clerk *due.Clerk[item]
}

// New returns a desk. It answers at once; payments that nobody asks about move
// only while [Desk.Run] runs.
func New(c Config) *Desk {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{books: c.Books, ch: c.Channel, pace: c.Pace.orDefault(), now: c.Now, log: c.Log}
	d.clerk = due.NewClerk(d.work())
	return d
}
