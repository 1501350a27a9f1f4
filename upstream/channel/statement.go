package channel

import (
	"context"
	"errors"
	"time"

	"quancun/money"
)

// ErrNoStatement means that a service has no statement for a day: it is not
// made yet, or nothing moved on that day. The service does not say which.
var ErrNoStatement = errors.New("channel: no statement for this day")

// Kind is a direction in which money moved. Stored: never renumbered.
type Kind int

// The kinds of a line.
const (
	Payment Kind = 1 // to the service's side of the account: a payer paid
	Refund  Kind = 2 // and back
)

// String returns "payment" or "refund".
func (k Kind) String() string {
	switch k {
	case Payment:
		return "payment"
	case Refund:
		return "refund"
	}
	return "unknown"
}

// Line is one movement of money as a service has it in its books. Services
// other than payment channels hand over the same: for a biller a payment is
// what it has put on somebody's bill, and TradeNo is its own number for that.
type Line struct {
	OrderNo  string // ours, of the payment; a stranger's line has another, or none
	RefundNo string // ours, of a refund; "" for a payment, or if the service does not say
	TradeNo  string // the service's
	Kind     Kind
	Amount   money.Fen // more than zero, whatever the kind
	Fee      money.Fen // what the service keeps of it; below zero if it gives a fee back
	At       time.Time // by the service's clock
}

// Statement is all that a service has moved for us on a day, in its order.
type Statement struct {
	Day   Day
	Lines []Line
}

// Totals returns the sums of payments and refunds.
func (s Statement) Totals() (payments, refunds money.Fen) {
	for _, l := range s.Lines {
		if l.Kind == Refund {
			refunds += l.Amount
		} else {
			payments += l.Amount
		}
	}
	return payments, refunds
}

// Statements is a service that tells at the end of a day what it has moved.
type Statements interface {
	// Bill returns the statement of a day, whole or not at all. Its error is
	// ErrNoStatement if the service has none; every other one is "ask again".
	Bill(ctx context.Context, day Day) (Statement, error)
}
