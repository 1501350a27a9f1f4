// Package bath reserves places in the campus's baths (洗浴预约), holds what a shower
// may cost, and settles it by what the water controllers say. Section numbers refer
// to the project's notes on services, chapter 5.
//
// A reservation is one transaction: the place in its slot, the hold on the account,
// and the serial number of a code. The code itself is computed from the campus's
// key whenever somebody may see it, and is kept nowhere. The controller that takes
// it has no network, so nobody can be asked whether it was used, and no code can be
// taken back: what a reservation holds is let go only when the controller has said
// of the whole slot which codes were used, or a day has passed without a word, or
// its holder has reserved the same slot again (section 5.3).
//
// A report of a controller moves money once for each code, however often and by
// whomever it is brought. The holder pays what was used, never more than was held
// and never more than the price that was shown. What does not fit goes to the inbox
// of exceptions and is not lost.
//
// It keeps store's order of locks; halls and reservations come before accounts.
package bath

import (
	"fmt"
	"log/slog"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/water"
)

// State says how far a reservation has come. Stored and on the wire: never
// renumbered.
type State int

// The states of a reservation.
const (
	Reserved  State = 1
	Cancelled State = 2 // in time; its code still opens
	Used      State = 3 // and paid
	NotUsed   State = 4 // the controller has said so
	Unknown   State = 5 // the controller has said nothing for a day, or was away itself
)

// Hold says what has become of the money that a reservation holds. Stored and on
// the wire: never renumbered.
type Hold int

// The states of a hold.
const (
	Held     Hold = 1
	Captured Hold = 2 // what was used of it; the rest is free
	Released Hold = 3
)

// Reservation is a place in a slot.
type Reservation struct {
	Ref      string // the terminal's, written down before it is asked for
	Terminal string
	Account  store.Account
	Slot     bathcode.Slot // of a stall, or of the whole hall
	N        uint8         // the code's serial number in it
	Cap      money.Fen     // that is held for it
	Tariff   water.Tariff  // as it was shown

	From, To   time.Time
	CancelTill time.Time
	Made       time.Time

	State    State
	Moved    time.Time // when it came to its state
	Hold     Hold
	Captured money.Fen // that was paid
	Use      *water.Use
	Stub     *money.Fen // that it has cost by its stub; nil: its holder has shown none
	wrong    int        // stubs that were none of it
	HallName string
}

// Reason says why something is not done. On the wire: never renumbered.
type Reason int

// The reasons.
const (
	Malformed     Reason = 1
	HallUnknown   Reason = 2
	HallClosed    Reason = 3
	SlotUnknown   Reason = 4  // or it is closed
	SlotOver      Reason = 5  // it has ended
	TooFar        Reason = 6  // so many days ahead nothing is reserved yet
	SlotFull      Reason = 7  // or the stall that was asked for is taken
	AlreadyYours  Reason = 8  // the holder has a place in this slot
	TooMany       Reason = 9  // the holder has as many reservations as anybody may
	NoShows       Reason = 10 // the holder has not come too often, and may reserve again at Until
	NotEnough     Reason = 11 // Limit is needed
	Conflict      Reason = 12 // the reference is of another reservation
	RefUnknown    Reason = 13 // there is no such reservation of this holder
	TooLate       Reason = 14 // to cancel
	Over          Reason = 15 // it was used, or its slot has passed
	AccountEnded  Reason = 16
	ReportUnknown Reason = 17 // no controller of ours has made this report
	StubWrong     Reason = 18 // it is of another shower, or of none; Tries are left
	StubLocked    Reason = 19 // too many were wrong: the controller's log will tell
	Ended         Reason = 20 // the terminal has given it up before it came
	GivenUp       Reason = 21 // the holder has given places of this slot up as often as anybody may
)

// Refusal means "no, and nothing was changed". Every other error of this package
// leaves open whether it was done.
type Refusal struct {
	Reason Reason
	Limit  money.Fen // with NotEnough: that has to be available
	Kept   money.Fen // with NotEnough: that would be enough, and only the card may spend
	Until  time.Time // with NoShows
	Tries  int       // with StubWrong
}

// Error names the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("bath: refused, reason %d", int(r.Reason)) }

func refuse(r Reason) error { return &Refusal{Reason: r} }

// Policy is what the school has decided.
type Policy struct {
	DaysAhead  int           // today, and so many days after it, can be reserved
	OpenMax    int           // reservations that a holder may have before their slots are over
	NoShows    int           // so often a holder may not come within Span; then no reservation until
	Span       time.Duration // the oldest of them is so long ago
	Grace      time.Duration // a code opens so long before its slot and after it
	ReleasedIn time.Duration // after its slot, if no controller says anything
}

// Usual returns the policy of a school that has decided nothing else.
func Usual() Policy {
	return Policy{
		DaysAhead: 2, OpenMax: 2, NoShows: 3, Span: 30 * 24 * time.Hour, Grace: 10 * time.Minute,
		ReleasedIn: 24 * time.Hour,
	}
}

// Hearing is how long after a start terminals have had no time yet to say that the books
// are older than what they were told: far more than the few seconds in which they call.
const Hearing = 5 * time.Minute

// Config is what a desk is made of. Policy, Hearing and Log may be left out.
type Config struct {
	Books   *store.Books
	Master  bathcode.Master
	Policy  Policy        // [Usual] if it is zero
	Reserve money.Fen     // of each balance, that only the card may spend
	Hearing time.Duration // so long from now on the books may have been restored, and nobody has said so
	Log     *slog.Logger
}

// Desk reserves and settles. It is safe for concurrent use, and several may work on
// the same books with the same key.
type Desk struct {
	books   *store.Books
	master  bathcode.Master
	policy  Policy
	reserve money.Fen
	heard   time.Time // from then on terminals have said whether the books were restored
	log     *slog.Logger
}

// New returns a desk. It answers at once; holds of which no controller says
// anything end only while [Desk.Run] runs.
func New(c Config) *Desk {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Policy == (Policy{}) {
		c.Policy = Usual()
	}
	d := &Desk{books: c.Books, master: c.Master, policy: c.Policy, reserve: c.Reserve, log: c.Log}
	if c.Hearing > 0 {
		d.heard = c.Books.Now().Add(c.Hearing)
	}
	return d
}

// Code returns the digits of a reservation. They are a secret of its holder.
func (d *Desk) Code(r Reservation) bathcode.Code {
	return d.master.Key(r.Slot.Place, r.Slot.Day).Code(r.Slot, r.N)
}

// opens reports whether a reservation's code is one to show. That of a cancelled
// one still opens, and is none: it was given up.
func (r Reservation) opens(now time.Time, grace time.Duration) bool {
	return r.State == Reserved && now.Before(r.To.Add(grace))
}
