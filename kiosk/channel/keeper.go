package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/upstream/client"
)

// Keeper brings to an end what nobody stands at the till for any more: sales by
// code, and their refunds, that were begun and left, by a cashier or by a power
// cut. A sale is cancelled unless it was paid; a refund goes on until the
// channel has made it, or never will.
//
// It never decides by the clock.
type Keeper struct {
	Book     Book
	Upstream Upstream
	InHand   InHand
	Every    time.Duration // between rounds
	Log      *slog.Logger

	// Ended, if not nil, hears of each that has come to an end: err is nil for a
	// sale that was paid or a refund that was made, and otherwise says why not.
	Ended func(intent journal.Entry, err error)
}

// Run keeps until ctx ends, and returns ctx's error.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		k.Round(ctx)
		sleep(ctx, k.Every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Round looks once, and ends what can be ended.
func (k *Keeper) Round(ctx context.Context) {
	open, err := k.Book.OpenItems(ctx)
	if err != nil && ctx.Err() == nil {
		k.Log.Error("open items not read", "err", err)
	}
	for _, intent := range open {
		if ctx.Err() != nil || k.InHand.Has(intent.Ref) {
			continue
		}
		var err error
		switch intent.Kind {
		case journal.PaymentIntent:
			err = k.endPayment(ctx, intent)
		case journal.ReturnIntent:
			_, err = giveBack(ctx, k.Book, k.Upstream, intent)
		default:
			continue
		}
		if errors.Is(err, tender.ErrUnknown) {
			k.Log.Warn("payment by code stays open", "ref", refOf(intent), "err", err)
			continue // asked again in the next round
		}
		k.Log.Info("left payment by code ended", "ref", refOf(intent), "kind", intent.Kind.String(), "err", err)
		if k.Ended != nil {
			k.Ended(intent, err)
		}
	}
}

func (k *Keeper) endPayment(ctx context.Context, intent journal.Entry) error {
	p, err := k.Upstream.CancelCodePayment(ctx, requestOf(intent))
	if err != nil {
		return fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	_, err = settle(ctx, k.Book, intent, p)
	return err
}

// giveBack has the channel make a refund whose intent is written down, and
// writes down what it says: the refund, and then its end.
func giveBack(ctx context.Context, b Book, u Upstream, intent journal.Entry) (refund journal.Entry, err error) {
	sale, err := saleOf(intent)
	if err != nil {
		return refund, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	state, err := u.RefundCodePayment(ctx, sale, refOf(intent), intent.Amount)
	ctx = context.WithoutCancel(ctx)
	no := (*client.Refusal)(nil)
	switch {
	case errors.As(err, &no) && aboutRefund(no):
		return refund, errors.Join(refusalOf(no), end(ctx, b, intent, journal.Refused))
	case err != nil:
		return refund, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	case state == client.RefundRefused:
		return refund, errors.Join(ErrChannel, end(ctx, b, intent, journal.Refused))
	case state != client.RefundDone:
		return refund, tender.ErrUnknown
	}
	refund, err = b.Append(ctx, journal.Entry{
		Kind: journal.Refund, Ref: refOf(intent), Merchant: intent.Merchant, Operator: intent.Operator,
		Amount: intent.Amount, Origin: intent.Origin, Details: intent.Details,
	})
	if err != nil {
		return refund, fmt.Errorf("%w: given back, and the journal has not taken it: %w", tender.ErrUnknown, err)
	}
	if err := end(ctx, b, intent, journal.Paid); err != nil {
		return refund, fmt.Errorf("%w: %w", tender.ErrUnknown, err)
	}
	return refund, nil
}
