// Package vendor is what the upstream asks of a biller, such as the campus
// network or an electricity meter, and what the wires of all billers' vendors
// have in common: certificates of their own making, texts that are numbers and
// numbers that are texts, and answers that are none.
//
// It knows nothing of accounts, and no vendor. References such as (1.1) in the
// packages below it are to the notes on wire formats.
//
// # What an answer is worth
//
// Only an answer that has the form which the wire gives it says anything. A page
// of HTML, a broken connection, half an answer and a timeout are all "unknown":
// the vendor may have done what it was asked.
package vendor

import (
	"context"
	"errors"
	"time"

	"quancun/money"
)

// Errors that callers act upon. Every other error of a [Biller] is "unknown":
// it may have been done.
var (
	// ErrRefused means that the vendor understood and says no: nothing was moved.
	ErrRefused = errors.New("biller: refused")
	// ErrNotSent means that the request has certainly not left this machine, or
	// was turned away at the door. It may be sent again.
	ErrNotSent = errors.New("biller: not sent")
	// ErrAbsent means that the vendor has no such order. One that was sent a
	// moment ago may still be on its way.
	ErrAbsent = errors.New("biller: no such order")
	// ErrNoTarget means that there is no such user, room or meter.
	ErrNoTarget = errors.New("biller: no such user or room")
	// ErrNotSaid means that the vendor has answered, and does not say what was asked:
	// the meter is offline, or the order is under way there. The vendor itself is well.
	ErrNotSaid = errors.New("biller: an answer that does not say")
	// ErrMismatch means that the vendor has the order with other content: people
	// have to look.
	ErrMismatch = errors.New("biller: the order has other content there")
)

// Unclear is an answer with a code that is neither what was asked for nor a no that is
// known. It is [ErrNotSaid].
type Unclear struct {
	Code string // the vendor's, to be told to its people; "" if it is none to be shown
	Err  error
}

// Error tells what the vendor said.
func (u *Unclear) Error() string { return u.Err.Error() }

// Unwrap returns what it is, and the cause.
func (u *Unclear) Unwrap() []error { return []error{ErrNotSaid, u.Err} }

// Charge is what a biller is asked to put on somebody's bill.
type Charge struct {
	OrderNo string    // ours; 1 to 64 letters, digits and "_"
	Target  string    // user name or room, in the adapter's own words
	Amount  money.Fen // more than zero
	Created time.Time // when it was ordered
}

// Receipt is what a biller says of a charge that it has booked.
type Receipt struct {
	RecordNo string    // its own number; "" if it gives none
	At       time.Time // by its clock; zero if it does not say
}

// Biller puts money that a holder has paid on a bill.
type Biller interface {
	// Pay has the charge booked, once. No error means that it is. After
	// [ErrRefused] and [ErrNotSent] it certainly is not; after every other error
	// nobody knows, and Pay is never called again for this order.
	Pay(ctx context.Context, c Charge) (Receipt, error)
}

// Asker is a biller that knows our order numbers.
type Asker interface {
	Biller
	// Ask returns what has become of a charge, or [ErrAbsent], or [ErrMismatch].
	// Every other error says nothing.
	Ask(ctx context.Context, c Charge) (Receipt, error)
}
