// Package channel sells for the code of a wallet such as Alipay's, which the
// payer's phone shows (付款码), and gives back what was sold so. It needs the
// upstream, which has the channel collect the money.
//
// What the channel is about to be asked for is in the journal before anybody is
// asked, and its end after the channel has said what came of it. In between
// nobody knows, whatever happens: then [Keeper] goes on, from the journal alone,
// until it is known. A sale's own reference is its number at the channel.
package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
)

// What stops a sale by code. Nothing has moved, or nothing is left moved; each
// is one of package tender's errors too.
var (
	// ErrCode means that the code is wrong, was used, or is too old: the payer
	// shows a new one.
	ErrCode = fmt.Errorf("%w: the wallet does not know this code", tender.ErrInvalid)
	// ErrPayer means that the payer cannot pay with it.
	ErrPayer = fmt.Errorf("%w: not enough, or a limit is reached", tender.ErrRefused)
	// ErrLate means that the payer has not agreed in time.
	ErrLate = fmt.Errorf("%w: the payer did not agree in time", tender.ErrRefused)
	// ErrCancelled means that the cashier has given the sale up in time.
	ErrCancelled = fmt.Errorf("%w: the sale was given up", tender.ErrRefused)
	// ErrChannel means that the channel does not do it.
	ErrChannel = fmt.Errorf("%w: the wallet does not do it", tender.ErrRefused)
	// ErrNotFound means that this journal has no sale by code of that reference.
	ErrNotFound = errors.New("channel: no such sale by code")
)

// Upstream is what the upstream does for a payment by code. A *[client.Refusal]
// is "refused"; any other error is "unknown". [client.Client] is one.
type Upstream interface {
	PayByCode(ctx context.Context, q client.CodeRequest) (client.CodePayment, error)
	GetCodePayment(ctx context.Context, orderNo string, known client.CodePaymentState, wait time.Duration) (
		client.CodePayment, error)
	CancelCodePayment(ctx context.Context, q client.CodeRequest) (client.CodePayment, error)
	RefundCodePayment(ctx context.Context, orderNo, refundNo string, amount money.Fen) (client.RefundState, error)
}

// Book is the part of the journal that is written and read here. [ledger.Book]
// is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	Get(ctx context.Context, ref string) (ledger.Item, error)
	OpenItems(ctx context.Context) ([]journal.Entry, error)
	Room(ctx context.Context) error
}

// InHand keeps the [Keeper] off what somebody at the till is waiting for. The
// kiosk's own is one.
type InHand interface {
	Take(ref string)
	Drop(ref string)
	Has(ref string) bool
}

// Open reports whether the refund or the sale of a reference is still being
// asked for.
func Open(ctx context.Context, b Book, ref string) (bool, error) {
	item, err := b.Get(ctx, intentRef(ref))
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil && item.Open(), err
}

// IntentPrefix stands before the reference of a sale or a refund in that of its
// intent: they cannot share one, since each says something by itself.
const IntentPrefix = "pay_"

func intentRef(ref string) string { return IntentPrefix + ref }

// refOf is the sale or the refund that an intent is of.
func refOf(intent journal.Entry) string { return intent.Ref[len(IntentPrefix):] }

// requestOf describes a payment to the upstream as its intent has it.
func requestOf(intent journal.Entry) client.CodeRequest {
	return client.CodeRequest{OrderNo: refOf(intent), Merchant: intent.Merchant, Amount: intent.Amount}
}

// settle writes down what has become of a payment, and returns the sale, or why
// there is none; tender.ErrUnknown while nobody knows.
func settle(ctx context.Context, b Book, intent journal.Entry, p client.CodePayment) (tender.Sold, error) {
	ctx = context.WithoutCancel(ctx)
	switch p.State {
	case client.CodePaymentPaid:
		return paid(ctx, b, intent, p)
	case client.CodePaymentClosed, client.CodePaymentReturned:
		if err := end(ctx, b, intent, journal.Closed); err != nil {
			return tender.Sold{}, err // what came of it is known, and told again after the next start
		}
		return tender.Sold{}, whyClosed(p)
	}
	return tender.Sold{}, tender.ErrUnknown
}

// said is what the entry of a sale says besides.
type said struct {
	Trade string        `json:"trade"` // its number at the channel
	Items []tender.Item `json:"items,omitempty"`
}

// paid writes the sale down, and then the end of its intent. A crash between the
// two says the same again.
func paid(ctx context.Context, b Book, intent journal.Entry, p client.CodePayment) (tender.Sold, error) {
	sale, err := b.Append(ctx, journal.Entry{
		Kind: journal.ChannelSale, Ref: refOf(intent), Merchant: intent.Merchant, Operator: intent.Operator,
		Amount: intent.Amount, Details: details(said{p.TradeNo, tender.DetailsOf(intent.Details).Items}),
	})
	sold := tender.Sold{Ref: refOf(intent), Entry: sale.Seq, Online: true}
	if err != nil {
		return sold, fmt.Errorf("%w: paid, and the journal has not taken it: %w", tender.ErrUnknown, err)
	}
	if err := end(ctx, b, intent, journal.Paid); err != nil {
		return sold, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	return sold, nil
}

func end(ctx context.Context, b Book, intent journal.Entry, o journal.Outcome) error {
	kind := journal.PaymentEnd
	if intent.Kind == journal.ReturnIntent {
		kind = journal.ReturnEnd
	}
	if _, err := b.Append(ctx, journal.Entry{Kind: kind, Ref: intent.Ref, Outcome: o}); err != nil {
		return fmt.Errorf("end %s: %w", intent.Kind, err)
	}
	return nil
}

func whyClosed(p client.CodePayment) error {
	if p.State == client.CodePaymentReturned {
		return tender.ErrReturned
	}
	switch p.Cause {
	case client.CauseCode:
		return ErrCode
	case client.CausePayer:
		return ErrPayer
	case client.CauseChannel:
		return ErrChannel
	case client.CauseTime:
		return ErrLate
	}
	return ErrCancelled
}

// details encodes what cannot fail to be encoded.
func details(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("channel: internal error: " + err.Error())
	}
	return b
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
