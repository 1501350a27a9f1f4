// Package channel is what the upstream asks of a way to pay, such as Alipay:
// orders that a payer scans, and what became of them.
//
// It holds only words. The engine that credits accounts declares no other
// dependency on a payment service, and an adapter such as upstream/alipay
// knows nothing of accounts.
package channel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"quancun/money"
)

// ErrRefused means that the service understood and will not do it: nothing
// was moved, and asking again changes nothing. Every other error of a Channel
// is "unknown": the service may have done it.
var ErrRefused = errors.New("channel: refused")

// Why a payer's code was refused, where the service says it in a way that people
// can act upon. Each is an ErrRefused too.
var (
	// ErrCode means that the code is wrong, was used, or is too old.
	ErrCode = fmt.Errorf("%w: this code is not good", ErrRefused)
	// ErrPayer means that the payer cannot pay with it: there is too little, or
	// a limit is reached.
	ErrPayer = fmt.Errorf("%w: the payer cannot pay", ErrRefused)
)

// ErrForged means that a message claims to come from the service and does not.
var ErrForged = errors.New("channel: not signed by the service")

// Order is what a payer is asked to pay.
type Order struct {
	No       string // ours; 1 to 64 letters, digits and "_"
	Amount   money.Fen
	Subject  string        // what the payer reads
	Terminal string        // where it was ordered
	Life     time.Duration // after which the service closes it unpaid by itself
}

// Status is what a service says of an order. Stored: never renumbered.
type Status int

// The statuses of a trade.
const (
	Absent   Status = 1 // nobody has scanned it yet; it can still come to be
	Waiting  Status = 2 // scanned, not paid
	Paid     Status = 3
	Closed   Status = 4 // can not be paid any more
	Returned Status = 5 // was paid, and given back whole
)

// Trade is an order as the service knows it.
type Trade struct {
	OrderNo string
	TradeNo string // the service's own number, once there is a trade
	Status  Status
	Amount  money.Fen // as the service has it; the caller compares
	PaidAt  time.Time
}

// Channel is a payment service.
type Channel interface {
	// Precreate makes the order known and returns what the payer scans. The
	// same order again is harmless and returns a code for the same trade.
	Precreate(ctx context.Context, o Order) (qr string, err error)

	// Query asks what became of an order.
	Query(ctx context.Context, orderNo string) (Trade, error)

	// Cancel ends an order for good. If it was paid in the same moment, the
	// service gives the money back, and the status is Returned; otherwise it is
	// Closed. It repeats itself while the service asks for that.
	Cancel(ctx context.Context, orderNo string) (Status, error)

	// Refund gives back amount of a paid order, once for each refundNo.
	Refund(ctx context.Context, orderNo, refundNo string, amount money.Fen) error

	// Notice reads a notification that the service sent by itself. Its error
	// is ErrForged unless the service signed it. A notice is a reason to
	// Query, never a reason to credit.
	Notice(r *http.Request) (Trade, error)

	// Acknowledge answers a notification so that it is not sent again.
	Acknowledge(w http.ResponseWriter)
}

// Codes is a payment service that takes a code from the payer's phone (付款码)
// and asks the payer.
type Codes interface {
	// PayByCode asks for o from whoever shows code. No error means that the service
	// says it is paid, which counts when a Query has said so too. After
	// [ErrRefused] (perhaps [ErrCode] or [ErrPayer]) this call has moved nothing,
	// but the order still has to be cancelled before anybody is told so. Every
	// other error is unknown: the payer may have to agree, or have paid.
	PayByCode(ctx context.Context, o Order, code string) error

	// Query, Cancel and Refund are those of [Channel].
	Query(ctx context.Context, orderNo string) (Trade, error)
	Cancel(ctx context.Context, orderNo string) (Status, error)
	Refund(ctx context.Context, orderNo, refundNo string, amount money.Fen) error
}
