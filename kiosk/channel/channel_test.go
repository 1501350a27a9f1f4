package channel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/refund"
	"quancun/kiosk/tender"
	lab "quancun/lab/alipay"
	"quancun/money"
)

// TestSell sells to a payer who pays at once, to one who has to agree first, and
// to those who do not.
func TestSell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(8*yuan))
	if err != nil || !sold.Online || sold.Entry == 0 {
		t.Fatalf("Sell = %+v, %v", sold, err)
	}
	if again, err := w.seller().Query(t.Context(), sold.Ref); err != nil || again != sold {
		t.Errorf("Query = %+v, %v; want %+v", again, err, sold)
	}

	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	s, asked := w.seller(), make(chan string, 1)
	s.Waiting = func(ref string) {
		asked <- ref
		_, _ = w.gateway.Pay(ref, 0)
	}
	sale := w.sale(12 * yuan)
	if sold, err := s.Sell(t.Context(), w.code(), sale); err != nil || sold.Ref != sale.Ref || <-asked != sale.Ref {
		t.Errorf("to one who is asked first: %+v, %v", sold, err)
	}
	for _, tt := range []struct {
		kind lab.Kind
		want error
	}{
		{lab.BadCode, channel.ErrCode}, {lab.Poor, channel.ErrPayer}, {lab.Refuse, channel.ErrChannel},
		{lab.Wait, channel.ErrLate},
	} {
		w.arm(lab.Fault{Method: "pay", Kind: tt.kind})
		if sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(yuan)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v; want %v", tt.kind, sold, err, tt.want)
		}
	}
	w.agree(20 * yuan)
}

// TestSellAlone does not begin what cannot be done without the upstream.
func TestSellAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sale := w.sale(yuan)
	sale.Alone = true
	if _, err := w.seller().Sell(t.Context(), w.code(), sale); !errors.Is(err, tender.ErrOffline) {
		t.Errorf("Sell: %v, want ErrOffline", err)
	}
	if open, err := w.book.OpenItems(t.Context()); err != nil || len(open) > 0 || w.book.n > 0 {
		t.Errorf("%d entries are written, %+v is open, %v; want nothing begun", w.book.n, open, err)
	}
	if _, err := w.seller().Query(t.Context(), sale.Ref); !errors.Is(err, channel.ErrNotFound) {
		t.Errorf("Query: %v, want ErrNotFound", err)
	}
}

// TestUpstreamSlow has an upstream that takes its time, and one that is gone and
// comes back in the middle: neither is an answer.
func TestUpstreamSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.slow = 300 * time.Millisecond
	if sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(8*yuan)); err != nil {
		t.Errorf("slow: %+v, %v", sold, err)
	}
	w.up.set(func() { w.up.slow, w.up.down, w.up.back = 0, true, w.up.n+4 })
	sale := w.sale(12 * yuan)
	if sold, err := w.seller().Sell(t.Context(), w.code(), sale); !errors.Is(err, channel.ErrCancelled) {
		t.Errorf("the request was lost, and it comes back: %+v, %v; want it closed", sold, err)
	}
	w.up.set(func() { w.up.down = true })
	sale = w.sale(12 * yuan)
	s := w.seller()
	s.Patience.Pay, s.Patience.Cancel = time.Second, 500*time.Millisecond
	if _, err := s.Sell(t.Context(), w.code(), sale); !errors.Is(err, tender.ErrUnknown) {
		t.Errorf("gone for good: %v, want unknown", err)
	}
	if _, err := w.seller().Query(t.Context(), sale.Ref); !errors.Is(err, tender.ErrUnknown) {
		t.Errorf("Query: %v, want unknown", err)
	}
	w.up.set(func() { w.up.down = false })
	w.keep()
	if _, err := w.seller().Query(t.Context(), sale.Ref); !errors.Is(err, channel.ErrCancelled) {
		t.Errorf("Query after all: %v, want it cancelled", err)
	}
	w.agree(8 * yuan)
}

// TestGivenUp is a cashier who gives the sale up while the payer thinks.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, agrees := range []bool{false, true} {
		w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
		ctx, stop := context.WithCancel(t.Context())
		s := w.seller()
		s.Waiting = func(ref string) {
			if agrees {
				_, _ = w.gateway.Pay(ref, 0)
			}
			stop()
		}
		_, err := s.Sell(ctx, w.code(), w.sale(8*yuan))
		if want := channel.ErrCancelled; !agrees && !errors.Is(err, want) || agrees && err != nil {
			t.Errorf("agrees = %t: %v", agrees, err)
		}
		stop()
	}
	w.agree(8 * yuan)
}

// TestPaidTooLate is a payer who agrees while the sale is being cancelled, so that the money
// goes back. Nobody is told that the payer has refused, then or when the payment is looked
// up: the payer's phone says that it was paid.
func TestPaidTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.arm(lab.Fault{Method: "query", Kind: lab.HTTP500, Standing: true})
	ctx, stop := context.WithCancel(t.Context())
	s, sale := w.seller(), w.sale(8*yuan)
	s.Waiting = func(ref string) {
		_, err := w.gateway.Pay(ref, 0)
		w.ok(err)
		stop()
	}
	_, err := s.Sell(ctx, w.code(), sale)
	if code := kiosk.Explain(err); !errors.Is(err, tender.ErrReturned) || code != kiosk.CodePayReturned {
		t.Errorf("Sell: %v, code %d", err, code)
	}
	_, err = w.seller().Query(t.Context(), sale.Ref)
	if code := kiosk.Explain(err); code != kiosk.CodePayReturned {
		t.Errorf("Query: %v, code %d", err, code)
	}
	w.agree(0)
}

// TestKilled kills the till at each write and at each call of a sale, in two
// kinds: without its effect, and with its effect and the answer lost. A keeper
// goes on from the journal alone.
//
// In the end nothing is open, and the till, the books and the channel have the
// same: one sale, or none. No sale that Sell has called made is missing, and
// none that it has called not made is there.
func TestKilled(t *testing.T) {
	for _, payer := range []string{"pays", "asked"} {
		for _, what := range []string{"disk", "line"} {
			for n := 1; n <= 3; n++ {
				for _, kept := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%d/kept=%t", payer, what, n, kept), func(t *testing.T) {
						t.Parallel()
						killOnce(t, payer, func(w *world) {
							if what == "disk" {
								w.book.bad, w.book.kept = n, kept
							} else {
								w.up.lost, w.up.kept = n, kept
							}
						})
					})
				}
			}
		}
	}
}

func killOnce(t *testing.T, payer string, breakIt func(*world)) {
	w := newWorld(t)
	if payer == "asked" {
		w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	}
	breakIt(w)
	s := w.seller()
	s.Waiting = func(ref string) { _, _ = w.gateway.Pay(ref, 0) } // unless nobody has asked
	sale := w.sale(8 * yuan)
	_, err := s.Sell(t.Context(), w.code(), sale)
	w.restart()
	w.keep()
	item, missing := w.book.Get(t.Context(), sale.Ref)
	made := missing == nil && item.First.Kind == journal.ChannelSale
	switch {
	case err == nil && !made:
		t.Errorf("called sold, and there is no sale")
	case made && !slices.Equal(tender.DetailsOf(item.First.Details).Items, sale.Items):
		t.Errorf("the sale is of %s, want %v", item.First.Details, sale.Items)
	case err != nil && !errors.Is(err, tender.ErrUnknown) && made:
		t.Errorf("called not sold (%v), and there is a sale", err)
	}
	want := money.Fen(0)
	if made {
		want = sale.Amount
	}
	w.agree(want)
	w.keep() // a crash right after it
	w.agree(want)
}

func (w *world) refunds() *refund.Desk {
	return &refund.Desk{
		Book: w.book, Limit: 10 * yuan,
		Channel: &channel.Refunder{Book: w.book, Upstream: w.up, InHand: w.hand, Log: w.seller().Log},
	}
}

// TestRefund gives back in parts, at the channel and then in the journal, never
// more than was paid, and above the limit by two persons.
func TestRefund(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(20*yuan))
	w.ok(err)
	q := refund.Request{Ref: kiosk.NewRef(), Sale: sold.Ref, Amount: 5 * yuan, Operator: "c1", Reason: "cold"}
	for range 2 { // the second time because the answer was lost
		done, err := w.refunds().Refund(t.Context(), q)
		if err != nil || done.Left != 15*yuan || done.Source != refund.FromChannel || w.kept() != 15*yuan {
			t.Fatalf("Refund = %+v, %v, and %s is kept", done, err, w.kept())
		}
	}
	if open, err := channel.Open(t.Context(), w.book, q.Ref); err != nil || open {
		t.Errorf("still open, %v", err)
	}
	errTooMuch := errors.New("too much")
	for _, tt := range []struct {
		change func(*refund.Request)
		want   error
	}{
		{func(q *refund.Request) { q.Amount = 15*yuan + 1 }, errTooMuch},
		{func(q *refund.Request) { q.Amount = 15 * yuan }, refund.ErrRelease},
		{func(q *refund.Request) { q.Amount, q.Released = 15*yuan, "c1" }, refund.ErrRelease},
		{func(q *refund.Request) { q.Alone = true }, tender.ErrOffline},
		{func(q *refund.Request) { q.Void = true }, refund.ErrVoid},
		{func(q *refund.Request) { q.Sale = "nothing" }, refund.ErrNotFound},
	} {
		q := refund.Request{Ref: kiosk.NewRef(), Sale: sold.Ref, Amount: yuan, Operator: "c1"}
		tt.change(&q)
		_, err := w.refunds().Refund(t.Context(), q)
		if much := (*refund.TooMuchError)(nil); errors.As(err, &much) && much.Left == 15*yuan {
			err = errTooMuch
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, want %v", q, err, tt.want)
		}
	}
	q = refund.Request{Ref: kiosk.NewRef(), Sale: sold.Ref, Operator: "c1", Released: "s1"}
	if done, err := w.refunds().Refund(t.Context(), q); err != nil || done.Left != 0 || w.kept() != 0 {
		t.Errorf("the rest = %+v, %v, and %s is kept", done, err, w.kept())
	}
	w.agree(0)
}

// TestRefundKilled kills the till at each write and call of a refund: it is made
// once, and the journal says so only after the channel has.
func TestRefundKilled(t *testing.T) {
	for _, what := range []string{"disk", "line"} {
		for n := 1; n <= 3; n++ {
			for _, kept := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/kept=%t", what, n, kept), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(20*yuan))
					w.ok(err)
					if what == "disk" {
						w.book.bad, w.book.kept = w.book.n+n, kept
					} else {
						w.up.lost, w.up.kept = w.up.n+n, kept
					}
					q := refund.Request{Ref: kiosk.NewRef(), Sale: sold.Ref, Amount: 5 * yuan, Operator: "c1"}
					_, err = w.refunds().Refund(t.Context(), q)
					w.restart()
					w.keep()
					_, missing := w.book.Get(t.Context(), q.Ref)
					if made := missing == nil; err == nil && !made || err != nil && !errors.Is(err, tender.ErrUnknown) &&
						made && !errors.Is(err, errDisk) {
						t.Errorf("Refund: %v, and it is made: %t", err, made)
					}
					w.agree(20*yuan - given(w, sold.Ref))
					if done, err := w.refunds().Refund(t.Context(), q); err != nil || done.Left != 15*yuan {
						t.Errorf("again: %+v, %v", done, err)
					}
					w.agree(15 * yuan)
				})
			}
		}
	}
}

// TestRefundAtTheDoor loses the answer to a refund that was made, and then is not let in
// for a while, as an upstream does that knows another certificate: that is no word about
// the refund, which stays open until there is one.
func TestRefundAtTheDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sold, err := w.seller().Sell(t.Context(), w.code(), w.sale(20*yuan))
	w.ok(err)
	w.up.lost, w.up.kept = w.up.n+1, true
	q := refund.Request{Ref: kiosk.NewRef(), Sale: sold.Ref, Amount: 5 * yuan, Operator: "c1"}
	if _, err := w.refunds().Refund(t.Context(), q); !errors.Is(err, tender.ErrUnknown) || w.kept() != 15*yuan {
		t.Fatalf("Refund: %v, and %s is kept", err, w.kept())
	}
	w.ok(w.books.RevokeTerminal(t.Context(), "T01"))
	w.keeper().Round(t.Context())
	if open, err := channel.Open(t.Context(), w.book, q.Ref); err != nil || !open {
		t.Errorf("after the door was shut it is open: %t, %v", open, err)
	}
	if s, err := w.refunds().Look(t.Context(), sold.Ref); err != nil || s.Left != 15*yuan {
		t.Errorf("left is %s, %v", s.Left, err)
	}
	w.enrolAgain()
	w.keep()
	w.agree(15 * yuan)
}

// given is what of a sale was given back, as the journal says.
func given(w *world, ref string) money.Fen {
	w.t.Helper()
	s, err := w.refunds().Look(w.t.Context(), ref)
	w.ok(err)
	return s.Given
}

// TestInHand leaves alone what somebody at the till waits for.
func TestInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	s := w.seller()
	s.Waiting = func(ref string) {
		w.keeper().Round(t.Context())
		_, _ = w.gateway.Pay(ref, 0)
	}
	if _, err := s.Sell(t.Context(), w.code(), w.sale(8*yuan)); err != nil {
		t.Errorf("Sell: %v", err)
	}
	if slices.Contains(w.up.calls, "cancel") {
		t.Errorf("calls %q, want no cancellation", w.up.calls)
	}
}
