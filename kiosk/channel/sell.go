package channel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/upstream/client"
)

// Patience is how long somebody at the till waits. Zero fields take the values
// given here.
type Patience struct {
	Pay    time.Duration // 60 s: for the payer; the upstream gives up before that
	Cancel time.Duration // 15 s: for the word that it is over
	Retry  time.Duration // 500 ms: first pause while the upstream does not answer; doubles
}

func (p Patience) orDefault() Patience {
	if p.Pay == 0 {
		p.Pay = time.Minute
	}
	if p.Cancel == 0 {
		p.Cancel = 15 * time.Second
	}
	if p.Retry == 0 {
		p.Retry = 500 * time.Millisecond
	}
	return p
}

// retryMax is the longest pause while somebody stands at the till.
const retryMax = 4 * time.Second

// Seller sells by code. It is safe for concurrent use.
type Seller struct {
	Book     Book
	Upstream Upstream
	InHand   InHand
	Patience Patience
	Log      *slog.Logger

	// Waiting, if not nil, is called when the payer has to agree on the phone
	// first, or when nobody has said anything yet.
	Waiting func(ref string)
}

// Sell has whoever shows code pay for sale. No error is "sold"; tender.ErrUnknown
// is "being checked, do not pay again", and [Seller.Query] or the [Keeper] will
// know; after every other error nothing is left moved.
//
// It takes as long as the payer takes to agree. A ctx that ends is a cashier who
// gives the sale up: it is then cancelled, and may turn out to be paid.
func (s *Seller) Sell(ctx context.Context, code string, sale tender.Sale) (tender.Sold, error) {
	if sale.Alone {
		return tender.Sold{}, tender.ErrOffline
	}
	if err := s.Book.Room(ctx); err != nil {
		return tender.Sold{}, fmt.Errorf("sell by code: %w", err)
	}
	intent := journal.Entry{
		Kind: journal.PaymentIntent, Ref: intentRef(sale.Ref), Merchant: sale.Merchant, Operator: sale.Operator,
		Amount: sale.Amount, Details: tender.Details{Items: sale.Items}.JSON(),
	}
	s.InHand.Take(intent.Ref)
	defer s.InHand.Drop(intent.Ref)
	if _, err := s.Book.Append(ctx, intent); err != nil {
		return tender.Sold{}, fmt.Errorf("sell by code: %w", err) // nobody was asked
	}
	q := requestOf(intent)
	q.Code = code
	p, err := s.Upstream.PayByCode(ctx, q) // from here on the payer may have paid
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		return tender.Sold{}, s.refused(ctx, intent, no)
	}
	if err != nil {
		s.Log.Warn("payment by code not answered", "ref", sale.Ref, "err", err)
		p = client.CodePayment{}
	}
	p = s.await(ctx, intent, p)
	if !final(p.State) {
		p = s.cancel(ctx, intent)
	}
	return settle(ctx, s.Book, intent, p)
}

// refused ends a sale that the upstream has turned down before it asked anybody.
func (s *Seller) refused(ctx context.Context, intent journal.Entry, no *client.Refusal) error {
	if no.Reason == client.OrderConflict { // another payment has this number: nobody here knows what became of it
		return errors.Join(tender.ErrUnknown, no)
	}
	if err := end(context.WithoutCancel(ctx), s.Book, intent, journal.Refused); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", tender.ErrRefused, no)
}

// await waits until the payment has come to something, or for as long as a payer
// may take. An upstream that is away for a while is not an answer.
func (s *Seller) await(ctx context.Context, intent journal.Entry, p client.CodePayment) client.CodePayment {
	patience := s.Patience.orDefault()
	ctx, stop := context.WithTimeout(ctx, patience.Pay)
	defer stop()
	if !final(p.State) && s.Waiting != nil {
		s.Waiting(refOf(intent))
	}
	pause := time.Duration(0)
	for !final(p.State) && ctx.Err() == nil && p.State != client.CodePaymentChecking {
		next, err := s.Upstream.GetCodePayment(ctx, refOf(intent), p.State, 10*time.Second)
		if err == nil {
			p, pause = next, 0
			continue
		}
		if no := (*client.Refusal)(nil); errors.As(err, &no) {
			return p // it has not heard of it: it is told that it is over
		}
		pause = min(max(2*pause, patience.Retry), retryMax)
		sleep(ctx, pause)
	}
	return p
}

// cancel ends a payment that nobody waits for any more, and finds out whether it
// was paid in the last moment. It gives up in time for the cashier to be told
// that nobody knows yet; the [Keeper] goes on.
func (s *Seller) cancel(ctx context.Context, intent journal.Entry) client.CodePayment {
	patience := s.Patience.orDefault()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience.Cancel)
	defer stop()
	pause := patience.Retry
	for {
		p, err := s.Upstream.CancelCodePayment(ctx, requestOf(intent))
		if err == nil && final(p.State) {
			return p
		}
		if err != nil {
			s.Log.Warn("payment by code not cancelled", "ref", refOf(intent), "err", err)
		}
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return client.CodePayment{State: client.CodePaymentChecking}
		}
		pause = min(2*pause, retryMax)
	}
}

func final(s client.CodePaymentState) bool {
	return s == client.CodePaymentPaid || s == client.CodePaymentClosed || s == client.CodePaymentReturned
}

// Query says what has become of a sale by code of this journal, for a cashier
// who asks. It asks the upstream if need be, and ends the sale in the journal as
// Sell would. Its errors are those of Sell, and [ErrNotFound].
func (s *Seller) Query(ctx context.Context, ref string) (tender.Sold, error) {
	item, err := s.Book.Get(ctx, intentRef(ref))
	if errors.Is(err, ledger.ErrNotFound) || err == nil && item.First.Kind != journal.PaymentIntent {
		return tender.Sold{}, ErrNotFound
	}
	if err != nil {
		return tender.Sold{}, fmt.Errorf("query sale by code: %w", err)
	}
	switch {
	case item.Open():
		return s.queryOpen(ctx, item.First)
	case item.End.Outcome != journal.Paid:
		return tender.Sold{}, s.whyNot(ctx, ref)
	}
	sale, err := s.Book.Get(ctx, ref)
	if err != nil {
		return tender.Sold{}, fmt.Errorf("query sale by code: %w", err)
	}
	return tender.Sold{Ref: ref, Entry: sale.First.Seq, Online: true}, nil
}

// whyNot says why a payment has come to nothing: what was paid too late the payer has seen
// to be paid, even where the till had ended it before.
func (s *Seller) whyNot(ctx context.Context, ref string) error {
	p, err := s.Upstream.GetCodePayment(ctx, ref, 0, 0)
	if err == nil && p.State == client.CodePaymentReturned {
		return tender.ErrReturned
	}
	return ErrCancelled
}

func (s *Seller) queryOpen(ctx context.Context, intent journal.Entry) (tender.Sold, error) {
	p, err := s.Upstream.GetCodePayment(ctx, refOf(intent), 0, 0)
	if err != nil {
		return tender.Sold{}, errors.Join(tender.ErrUnknown, err)
	}
	return settle(ctx, s.Book, intent, p)
}
