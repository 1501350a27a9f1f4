// Package biller has billers outside put on somebody's bill what a holder pays
// from the account: the network fee, electricity.
//
// A bill is written down under the terminal's number before the biller hears of
// it, and its amount is held on the account in the same moment. From then on its
// row is all that the [Desk] needs, so it goes on after a crash wherever it
// stood. The biller is told once. If it says that it has booked it, the account
// pays; if it says no, the hold is released. If it says nothing, nobody knows:
// it is asked, and never told again, until it says what became of the order. A
// biller that has not said so for an hour, or cannot be asked, leaves it to people
// too, and the amount stays held.
//
// A biller that is not reached has certainly not heard. It is tried again until
// the bill's deadline, and then the hold is released.
//
// What was released is watched for a day, since a biller may book late, and books that
// were restored may have forgotten that it was told. What it has booked is paid all the
// same, if the account has the money, and is shown as late. Otherwise people get to know
// of it.
//
// It keeps store's order of locks, with the bill where an order is.
package biller

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/server/due"
	"quancun/upstream/server/hub"
	"quancun/upstream/store"
)

// State says how far a bill has come. Stored: never renumbered.
type State int

// The states of a bill.
const (
	Held     State = 1 // the amount is; the biller has not heard of it
	Sent     State = 2 // the biller is being told
	Checking State = 3 // nobody knows; the biller is asked
	Paid     State = 4
	Released State = 5 // not paid, and the amount is not held any more
	Referred State = 6 // people have to find out; the amount stays held
)

// steps is the ratchet: where a bill can go from each state. One that was sent
// goes back only when it has certainly not left.
var steps = map[State][]State{
	Held:     {Sent, Released},
	Sent:     {Held, Checking, Paid, Released, Referred},
	Checking: {Paid, Released, Referred},
	Paid:     nil,
	Released: {Paid},
	Referred: {Paid, Released},
}

// CanBecome reports whether the ratchet lets s become to.
func (s State) CanBecome(to State) bool { return slices.Contains(steps[s], to) }

// Open reports whether the amount of a bill in s is held.
func (s State) Open() bool { return s != Paid && s != Released }

// Cause says why a bill was released. Stored: never renumbered.
type Cause int

// The causes.
const (
	NoCause      Cause = 0
	CauseRefused Cause = 1 // the biller says no
	CauseDown    Cause = 2 // it was not reached in time
	CauseEnded   Cause = 3 // by the holder, before it was sent
	CauseAbsent  Cause = 4 // nobody knew at first; the biller has not booked it
	CausePeople  Cause = 5 // people have found out that it was not booked
)

// Bill is a payment to a biller.
type Bill struct {
	No       string
	Terminal string
	Account  store.Account
	Biller   string // such as "network"
	Target   string // user name or room, in the adapter's words
	Title    string // the same for people
	Amount   money.Fen

	Created  time.Time
	Deadline time.Time // until when it may be sent

	State    State
	Cause    Cause
	SentAt   time.Time // when the biller may first have heard of it
	RecordNo string    // the biller's
	Entry    int64     // by which it was paid
	Late     bool      // paid after it was released
	Tries    int       // in this state
	Next     time.Time
	Refunded money.Fen
}

// AccountOf returns the ledger's account of a biller.
func AccountOf(biller string) store.Account { return store.Account("biller/" + biller) }

// Errors of an order that is not taken: nothing is held.
var (
	ErrNoBiller = errors.New("biller: no such biller")
	ErrEnded    = errors.New("biller: the holder's account is closed or over")
)

// NotEnoughError means that an account has less available than a bill comes to, or
// would have enough, if some of it were not kept for the card.
type NotEnoughError struct {
	Available money.Fen // for bills
	Kept      money.Fen // 0 where it would not be enough either
}

// Error tells what there is.
func (e *NotEnoughError) Error() string {
	return "biller: only " + e.Available.String() + " is available"
}

// Pace is how patient the desk is. Zero fields take the values given here.
type Pace struct {
	Send   time.Duration // 2 min: from the order to the deadline
	Call   time.Duration // 15 s: for one call to a biller
	Retry  time.Duration // 2 s: first pause before a biller is asked, or tried, again; doubles
	Settle time.Duration // 10 min: after which "no such order" is believed
	Watch  time.Duration // 5 min: first pause after a bill was released that had been sent; doubles
	Late   time.Duration // 25 h: after its creation, until when it is watched
}

func (p Pace) orDefault() Pace {
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{
		{&p.Send, 2 * time.Minute},
		{&p.Call, 15 * time.Second},
		{&p.Retry, 2 * time.Second},
		{&p.Settle, 10 * time.Minute},
		{&p.Watch, 5 * time.Minute},
		{&p.Late, 25 * time.Hour},
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
	Billers map[string]vendor.Biller // by name; those that are a [vendor.Asker] are asked
	Reserve money.Fen                // of each balance, that only the card may spend
	Pace    Pace
	Now     func() time.Time
	Log     *slog.Logger
}

// Desk moves bills on. It is safe for concurrent use, and several may work on the
// same books.
type Desk struct {
	books   *store.Books
	billers map[string]vendor.Biller
	reserve money.Fen
	pace    Pace
	now     func() time.Time
	log     *slog.Logger

	hub   hub.Hub
	locks hub.Locks
	clerk *due.Clerk[item]

	mu     sync.Mutex
	health map[string]Health // guarded by mu
}

// New returns a desk. It answers at once; bills that nobody asks about move only
// while [Desk.Run] runs.
func New(c Config) *Desk {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{
		books: c.Books, billers: c.Billers, reserve: c.Reserve, pace: c.Pace.orDefault(), now: c.Now, log: c.Log,
		health: map[string]Health{},
	}
	d.clerk = due.NewClerk(d.work())
	return d
}

// Health says whether a biller answers.
type Health struct {
	DownSince time.Time // zero while it answers
	Answered  time.Time // when it last did; zero if never since the start
}

// Health returns how a biller is, and whether there is one of that name.
func (d *Desk) Health(biller string) (h Health, ok bool) {
	_, ok = d.billers[biller]
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.health[biller], ok
}

// Note takes note of how a call to a biller has gone, also one that moves no
// money. An answer that says no is one that was given, and so is one that says nothing:
// one meter that is offline keeps nobody from all others.
func (d *Desk) Note(biller string, err error) {
	answered := err == nil || errors.Is(err, vendor.ErrRefused) || errors.Is(err, vendor.ErrAbsent) ||
		errors.Is(err, vendor.ErrNoTarget) || errors.Is(err, vendor.ErrMismatch) || errors.Is(err, vendor.ErrNotSaid)
	if errors.Is(err, context.Canceled) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.health[biller]
	switch {
	case answered:
		h = Health{Answered: d.now()}
	case h.DownSince.IsZero():
		h.DownSince = d.now()
	}
	d.health[biller] = h
}

// missing stands for a biller that is in the books and not in the configuration
// any more. Nobody is told anything, and nobody knows.
type missing struct{}

func (missing) Pay(context.Context, vendor.Charge) (vendor.Receipt, error) {
	return vendor.Receipt{}, errors.Join(vendor.ErrNotSent, ErrNoBiller)
}

func (missing) Ask(context.Context, vendor.Charge) (vendor.Receipt, error) {
	return vendor.Receipt{}, ErrNoBiller
}

func (d *Desk) biller(name string) vendor.Biller {
	if b := d.billers[name]; b != nil {
		return b
	}
	return missing{}
}

// Watch returns a function for the channel that closes at a bill's next move, from
// the call to Watch on, and one to stop watching.
func (d *Desk) Watch(no string) (moved func() <-chan struct{}, leave func()) { return d.hub.Watch(no) }

// Over is closed when Run has ended.
func (d *Desk) Over() <-chan struct{} { return d.clerk.Over() }
