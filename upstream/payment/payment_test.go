package payment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/payment"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

// TestPaid is a payer who pays at once, and gets back some of it, and then the
// rest, and never more.
func TestPaid(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		p := w.pay("S1", 20*yuan)
		if p.State != payment.Paid || p.TradeNo == "" || p.PaidAt.IsZero() {
			t.Fatalf("Pay = %+v, want it paid", p)
		}
		again, err := w.desk.Pay(t.Context(), sale("S1", 20*yuan), w.code())
		if err != nil || again.State != payment.Paid || len(w.gateway.Trades()) != 1 {
			t.Errorf("the same again = %+v, %v, with %d trades", again, err, len(w.gateway.Trades()))
		}
		for _, other := range []payment.Payment{
			sale("S1", 21*yuan), {No: "S1", Terminal: "T01", Merchant: "shop", Amount: 20 * yuan},
		} {
			if _, err := w.desk.Pay(t.Context(), other, w.code()); !errors.Is(err, store.ErrConflict) {
				t.Errorf("the number with other content: %v, want ErrConflict", err)
			}
		}
		refund := func(no string, amount int) (payment.Refund, error) {
			return w.desk.Refund(t.Context(), payment.Refund{OrderNo: "S1", No: no, Amount: money.Fen(amount) * yuan})
		}
		for range 2 {
			if r, err := refund("R1", 5); err != nil || r.State != payment.RefundDone || w.kept("S1") != 15*yuan {
				t.Fatalf("Refund = %+v, %v, and %s is kept", r, err, w.kept("S1"))
			}
		}
		var much *payment.TooMuchError
		if _, err := refund("R2", 16); !errors.As(err, &much) || much.Left != 15*yuan {
			t.Errorf("more than is left: %v", err)
		}
		if _, err := refund("R1", 6); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the number of another amount: %v, want ErrConflict", err)
		}
		if r, err := refund("R3", 15); err != nil || r.State != payment.RefundDone || w.kept("S1") != 0 {
			t.Errorf("the rest = %+v, %v, and %s is kept", r, err, w.kept("S1"))
		}
		if got := w.payment("S1"); got.State != payment.Paid || got.Refunded != 20*yuan {
			t.Errorf("at last %+v", got)
		}
		all, err := w.desk.Refunds(t.Context(), "S1")
		if err != nil || len(all) != 2 || all[0].Amount+all[1].Amount != 20*yuan || all[0].State != payment.RefundDone {
			t.Errorf("Refunds = %+v, %v", all, err)
		}
		w.whole()
	})
}

// TestTurnedDown is a code that is not good, and a payer who has too little: the
// cashier is told why, and nothing is left open.
func TestTurnedDown(t *testing.T) {
	w := newWorld(t)
	for i, tt := range []struct {
		kind lab.Kind
		want payment.Cause
	}{
		{lab.BadCode, payment.CauseCode}, {lab.Poor, payment.CausePayer}, {lab.Refuse, payment.CauseChannel},
	} {
		no := fmt.Sprintf("S%d", i)
		w.arm(lab.Fault{Method: "pay", Kind: tt.kind})
		if p := w.pay(no, yuan); p.State != payment.Closed || p.Cause != tt.want || w.kept(no) != 0 {
			t.Errorf("%s: %+v, want it closed for cause %d", tt.kind, p, tt.want)
		}
	}
	w.whole()
}

// TestPatience follows a payer who is asked and does not answer: a question each
// four seconds, the cancellation right after the last of them, and no word of
// failure before it is done.
func TestPatience(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.patience = 3 * time.Second
	w.restart()
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.arm(lab.Fault{Method: "cancel", Kind: lab.RetryFlag, Standing: true})
	start := w.now()
	if p := w.pay("S1", 20*yuan); p.State != payment.Waiting {
		t.Fatalf("Pay = %+v, want it waiting", p)
	}
	w.pass(44 * time.Second)
	if p := w.payment("S1"); p.State != payment.Waiting {
		t.Fatalf("after 44 s %+v, want it waiting", p)
	}
	w.pass(time.Second)
	if p := w.payment("S1"); p.State != payment.Checking {
		t.Fatalf("while the channel asks to repeat it %+v, want it checking", p)
	}
	w.gateway.Clear()
	w.pass(10 * time.Second)
	if p := w.payment("S1"); p.State != payment.Closed || p.Cause != payment.CauseTime {
		t.Fatalf("at last %+v, want it closed for time", p)
	}
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	last, first := time.Duration(0), slices.IndexFunc(w.line.calls, func(c call) bool { return c.method == "cancel" })
	for i, c := range w.line.calls[:first] {
		at := c.at.Sub(start)
		if c.method == "query" && (at-last < 1*time.Second || at-last > 5*time.Second) {
			t.Errorf("call %d, a question, came %v after the one before", i, at-last)
		}
		last = at
	}
	if before := w.line.calls[first-1]; before.method != "query" || !before.at.Equal(w.line.calls[first].at) ||
		last != 45*time.Second {
		t.Errorf("cancelled at %v after %+v, want right after a question at 45 s", w.line.calls[first].at.Sub(start), before)
	}
}

// TestPayBroken breaks a payment at each point where the way to the channel can
// break, in two kinds: without its effect, and with its effect and the answer
// lost. The campusd dies right after it, and another goes on.
//
// Wherever the break: in the end the payment is paid and the channel has the
// money, or it is not and the channel has nothing. In between it may be unknown,
// but nothing is called closed before the channel has said so.
func TestPayBroken(t *testing.T) {
	for _, payer := range []string{"pays", "agrees", "leaves", "agrees late"} {
		for _, method := range []string{"pay", "query", "cancel"} {
			for _, kind := range []lab.Kind{lab.Drop, lab.Delay, lab.BadSignature, lab.HTML, lab.Error} {
				for _, booked := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%s/booked=%t", payer, method, kind, booked), func(t *testing.T) {
						t.Parallel()
						breakOnce(t, payer, lab.Fault{Method: method, Kind: kind, Booked: booked, Delay: lab.Duration(late)})
					})
				}
			}
		}
	}
}

func breakOnce(t *testing.T, payer string, f lab.Fault) {
	w := newWorld(t)
	if f.Kind == lab.Delay {
		w.patience = lateMax
		w.restart()
	}
	w.arm(f)
	switch payer {
	case "agrees", "leaves":
		w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	case "agrees late":
		w.arm(lab.Fault{Method: "pay", Kind: lab.PayLate, Delay: lab.Duration(time.Minute)})
	}
	ctx, die := context.WithCancel(t.Context())
	_, err := w.desk.Pay(ctx, sale("S1", 20*yuan), w.code())
	w.must(err)
	die()
	w.restart()
	if payer == "agrees" {
		_, _ = w.gateway.Pay("S1", 0) // unless the request was lost
	}
	// A request that is still on its way may arrive once the channel has closed what
	// it did not know, at any time on a busy machine: that money goes back later.
	onItsWay := payer == "agrees late" || f.Method == "pay" && f.Kind == lab.Delay && !f.Booked
	for range 3 {
		w.pass(20 * time.Second)
		w.restart()
		if p := w.payment("S1"); p.State == payment.Closed && w.kept("S1") != 0 && !onItsWay {
			t.Fatalf("closed (%+v), and the channel has %s", p, w.kept("S1"))
		}
	}
	if f.Method == "pay" && f.Kind == lab.Delay {
		time.Sleep(late) // the request was on its way all the time
	}
	w.pass(5 * time.Minute)
	p := w.payment("S1")
	switch {
	case p.State == payment.Paid && w.kept("S1") == 20*yuan,
		(p.State == payment.Closed || p.State == payment.Returned) && w.kept("S1") == 0:
	default:
		t.Errorf("at last %+v, and the channel has %s", p, w.kept("S1"))
	}
	if alarms, err := w.books.Alarms(t.Context()); err != nil || len(alarms) > 0 {
		t.Errorf("alarms %+v, %v; want none", alarms, err)
	}
	w.whole()
}

// TestSilence has the channel fall silent for an hour while a payer has paid:
// nobody is told that it failed, people are told that it hangs, and it is paid
// when the channel comes back.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.patience = 500 * time.Millisecond // what is silent is not waited for
	w.restart()
	w.arm(lab.Fault{Method: "*", Kind: lab.Drop, Booked: true}) // of the payment, which is made
	w.arm(lab.Fault{Method: "query", Kind: lab.Drop, Standing: true})
	w.arm(lab.Fault{Method: "cancel", Kind: lab.Drop, Standing: true})
	if p := w.pay("S1", 20*yuan); p.State != payment.Waiting || w.kept("S1") != 20*yuan {
		t.Fatalf("Pay = %+v, want it waiting", p)
	}
	w.pass(time.Minute)
	if p := w.payment("S1"); p.State != payment.Checking {
		t.Fatalf("after a minute %+v, want it checking", p)
	}
	w.pass(2 * time.Hour)
	if p := w.payment("S1"); p.State != payment.Checking {
		t.Errorf("after two hours %+v, want it checking", p)
	}
	alarms, err := w.books.Alarms(t.Context())
	if err != nil || len(alarms) != 1 || alarms[0].Kind != payment.AlarmStuck {
		t.Errorf("alarms %+v, %v; want that it is stuck", alarms, err)
	}
	w.gateway.Clear()
	w.pass(10 * time.Minute)
	if p := w.payment("S1"); p.State != payment.Paid || w.kept("S1") != 20*yuan {
		t.Errorf("when the channel is back %+v, and it has %s", p, w.kept("S1"))
	}
}

// TestLate pays after the sale was closed: the money goes back, and the sale
// stays none, also where the channel does not cancel any more.
func TestLate(t *testing.T) {
	for _, tooLate := range []bool{false, true} {
		t.Run(fmt.Sprintf("tooLate=%t", tooLate), func(t *testing.T) {
			w := newWorld(t)
			w.arm(lab.Fault{Method: "pay", Kind: lab.PayLate, Delay: lab.Duration(55 * time.Minute)})
			w.pay("S1", 20*yuan)
			w.pass(time.Minute)
			if p := w.payment("S1"); p.State != payment.Closed {
				t.Fatalf("after a minute %+v, want it closed", p)
			}
			if tooLate {
				w.arm(lab.Fault{Method: "cancel", Kind: lab.Error, Code: "40004", SubCode: "ACQ.TRADE_CANCEL_TIME_OUT"})
			}
			w.pass(54 * time.Minute)
			_, err := w.gateway.Pay("S1", 0) // the lab's own clock for this is the real one
			if err != nil && !errors.Is(err, lab.ErrDead) {
				t.Fatal(err)
			}
			w.pass(3 * time.Hour)
			if p := w.payment("S1"); p.State != payment.Returned || w.kept("S1") != 0 {
				t.Errorf("at last %+v, and the channel has %s", p, w.kept("S1"))
			}
			w.whole()
		})
	}
}

// TestCancel gives a sale up in each state that it can be in.
func TestCancel(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		// The upstream has never heard of it: then the request comes too late.
		code := w.code()
		if p, err := w.desk.End(t.Context(), sale("S1", yuan)); err != nil || p.State != payment.Closed {
			t.Fatalf("End = %+v, %v; want it closed", p, err)
		}
		if p, err := w.desk.Pay(t.Context(), sale("S1", yuan), code); err != nil || p.State != payment.Closed {
			t.Errorf("Pay = %+v, %v; want it closed", p, err)
		}
		if p, err := w.desk.Pay(t.Context(), sale("S2", yuan), code); err != nil || p.State != payment.Paid {
			t.Errorf("with the same code = %+v, %v; want it paid: nobody had seen it", p, err)
		}
		if _, err := w.desk.End(t.Context(), sale("S1", 2*yuan)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("End of another amount: %v, want ErrConflict", err)
		}
		if p, err := w.desk.End(t.Context(), sale("S2", yuan)); err != nil || p.State != payment.Paid {
			t.Errorf("End of what is paid = %+v, %v; want it paid", p, err)
		}
		w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
		w.pay("S3", yuan)
		if p, err := w.desk.End(t.Context(), sale("S3", yuan)); err != nil || p.State != payment.Closed {
			t.Errorf("End of what waits = %+v, %v; want it closed", p, err)
		}
		w.whole()
	})
}

// TestRefundBroken breaks a refund in each way, and dies: it is made once.
func TestRefundBroken(t *testing.T) {
	for _, method := range []string{"refund", "fastpay.refund.query"} {
		for _, kind := range []lab.Kind{lab.Drop, lab.BadSignature, lab.HTML, lab.Error} {
			for _, booked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/booked=%t", method, kind, booked), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.pay("S1", 20*yuan)
					w.arm(lab.Fault{Method: method, Kind: kind, Booked: booked})
					r := payment.Refund{OrderNo: "S1", No: "R1", Amount: 5 * yuan}
					if got, err := w.desk.Refund(t.Context(), r); err != nil || got.State == payment.RefundRefused {
						t.Fatalf("Refund = %+v, %v; want done or asked", got, err)
					}
					w.restart()
					w.pass(time.Minute)
					got, err := w.desk.Refund(t.Context(), r)
					if err != nil || got.State != payment.RefundDone || w.kept("S1") != 15*yuan {
						t.Errorf("at last %+v, %v, and %s is kept", got, err, w.kept("S1"))
					}
					w.whole()
				})
			}
		}
	}
}

// TestRefundOfNothing asks for what was never paid.
func TestRefundOfNothing(t *testing.T) {
	w := newWorld(t)
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.pay("S1", yuan)
	for _, no := range []string{"S1", "S2"} {
		_, err := w.desk.Refund(t.Context(), payment.Refund{OrderNo: no, No: "R1", Amount: yuan})
		if !errors.Is(err, store.ErrNone) {
			t.Errorf("%s: %v, want ErrNone", no, err)
		}
	}
}

// TestPaidWhileCancelled: a payer agrees while the till's cancellation is on its way,
// which gives the money back. Another upstream on the same books does not take it for
// paid then, whether it begins to ask or was asking: a till would sell for it.
func TestPaidWhileCancelled(t *testing.T) {
	for name, tt := range map[string]struct{ asking, again bool }{
		"BeginsToAsk": {}, "WasAsking": {asking: true}, "CancelsAgain": {asking: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOn(t, pgtest.New(t).DSN)
			w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
			w.pay("S1", 20*yuan)
			if tt.again {
				w.must(w.books.Write(t.Context(), func(tx *sqldb.Tx) error { // as a cancellation without an answer leaves it
					_, err := tx.Exec(t.Context(), `UPDATE payments SET state = 3 WHERE order_no = 'S1'`)
					return err
				}))
				w.mu.Lock()
				w.clock = w.clock.Add(5 * time.Second) // to when it is due
				w.mu.Unlock()
			}
			agreed, arrive, done := make(chan bool), make(chan bool), make(chan bool)
			w.line.onWire = func(method string) {
				if method == "cancel" {
					_, err := w.gateway.Pay("S1", 0)
					if err != nil {
						t.Error(err)
					}
					close(agreed)
					<-arrive
				}
			}
			cancel := func() {
				go func() {
					defer close(done)
					if p, err := w.desk.End(t.Context(), sale("S1", 20*yuan)); err != nil || p.State != payment.Returned {
						t.Errorf("End = %+v, %v, want it returned", p, err)
					}
				}()
				<-agreed
			}
			way := slow{w.line.Codes, func() {}}
			if tt.asking {
				way.before = cancel
			}
			other := payment.New(payment.Config{
				Books: w.books, Channel: &way, Pace: payment.Pace{Call: w.patience}, Now: w.now,
			})
			if !tt.asking {
				cancel()
				w.must(other.Hasten(t.Context(), "S1"))
			}
			w.mu.Lock()
			w.clock = w.clock.Add(5 * time.Second)
			w.mu.Unlock()
			w.must(other.Attend(t.Context()))
			close(arrive)
			<-done
			if p := w.payment("S1"); p.State != payment.Returned || w.kept("S1") != 0 {
				t.Errorf("%+v, and %s is kept, want it returned", p, w.kept("S1"))
			}
			w.whole()
		})
	}
}

// TestReversed: a cancellation is under way for longer than anybody waits for it, and the
// till has sold meanwhile for what then goes back to the payer. People are told.
func TestReversed(t *testing.T) {
	w := newWorldOn(t, pgtest.New(t).DSN)
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.pay("S1", 20*yuan)
	w.line.onWire = func(method string) {
		if method != "cancel" {
			return
		}
		if _, err := w.gateway.Pay("S1", 0); err != nil {
			t.Error(err)
		}
		w.line.onWire = nil
		w.mu.Lock()
		w.clock = w.clock.Add(time.Minute)
		w.mu.Unlock()
		other := payment.New(payment.Config{
			Books: w.books, Channel: w.line.Codes, Pace: payment.Pace{Call: w.patience}, Now: w.now,
		})
		w.must(other.Attend(t.Context()))
	}
	if p, err := w.desk.End(t.Context(), sale("S1", 20*yuan)); !errors.Is(err, store.ErrBackward) {
		t.Errorf("End = %+v, %v, want ErrBackward", p, err)
	}
	if p := w.payment("S1"); p.State != payment.Paid {
		t.Errorf("%+v, want it paid", p)
	}
	alarms, err := w.books.Alarms(t.Context())
	if err != nil || len(alarms) != 1 || alarms[0].Kind != store.AlarmOrderReversed || alarms[0].Ref != "S1" {
		t.Errorf("alarms %+v, %v; want that S1 was reversed", alarms, err)
	}
}

// slow is a way to the channel on which something happens before a question arrives.
type slow struct {
	channel.Codes
	before func()
}

func (s *slow) Query(ctx context.Context, no string) (channel.Trade, error) {
	s.before()
	return s.Codes.Query(ctx, no)
}

// TestNotified has the channel's own word make a payment known before its turn.
func TestNotified(t *testing.T) {
	w := newWorld(t)
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.pay("S1", yuan)
	if _, err := w.gateway.Pay("S1", 0); err != nil {
		t.Fatal(err)
	}
	w.must(w.desk.Hasten(t.Context(), "S1"))
	w.must(w.desk.Attend(t.Context()))
	if p := w.payment("S1"); p.State != payment.Paid {
		t.Errorf("%+v, want it paid", p)
	}
	if err := w.desk.Hasten(t.Context(), "S2"); !errors.Is(err, store.ErrNone) {
		t.Errorf("an order that is not here: %v, want ErrNone", err)
	}
}

// TestMismatch has the channel name another amount: people look, and nothing is
// cancelled behind their backs.
func TestMismatch(t *testing.T) {
	w := newWorld(t)
	w.arm(lab.Fault{Method: "query", Kind: lab.Amount, Amount: 19 * yuan, Standing: true})
	if p := w.pay("S1", 20*yuan); p.State != payment.Checking || !p.Mismatch {
		t.Fatalf("Pay = %+v, want it checking", p)
	}
	w.pass(5 * time.Minute)
	if w.kept("S1") != 20*yuan {
		t.Errorf("%s is kept, want it all", w.kept("S1"))
	}
	alarms, err := w.books.Alarms(t.Context())
	if err != nil || len(alarms) == 0 || alarms[0].Kind != payment.AlarmMismatch {
		t.Errorf("alarms %+v, %v", alarms, err)
	}
	w.gateway.Clear()
	w.pass(10 * time.Minute)
	if p := w.payment("S1"); p.State != payment.Paid {
		t.Errorf("at last %+v, want it paid", p)
	}
}

// TestRun has the desk's own loop see a payment through, and end with its
// context.
func TestRun(t *testing.T) {
	w := newWorld(t)
	w.desk = payment.New(payment.Config{
		Books: w.books, Channel: w.line,
		Pace: payment.Pace{Pay: 500 * time.Millisecond, Wait: 50 * time.Millisecond, Retry: 20 * time.Millisecond},
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.desk.Run(ctx) }()
	w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
	w.pay("S1", yuan)
	for begin := time.Now(); w.payment("S1").State != payment.Closed; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%+v after 20 s, want it closed", w.payment("S1"))
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

// TestForgotten gives up a sale of which the books know nothing, because they are older
// than the payment: the payer, who has paid, has the money again.
func TestForgotten(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		o := channel.Order{No: "S1", Amount: 20 * yuan, Subject: "校园消费", Terminal: "T01", Life: 2 * time.Minute}
		w.must(w.line.PayByCode(t.Context(), o, w.code())) // as the upstream did before it was restored
		w.pass(10 * time.Minute)
		if p, err := w.desk.End(t.Context(), sale("S1", 20*yuan)); err != nil || p.State != payment.Closed {
			t.Fatalf("End = %+v, %v; want it closed", p, err)
		}
		w.pass(time.Minute)
		if p := w.payment("S1"); p.State != payment.Returned || w.kept("S1") != 0 {
			t.Errorf("at last %+v, and %s is kept", p, w.kept("S1"))
		}
		w.whole()
	})
}

// TestShownOnce has a till ask again, of another upstream on the same books, while the first
// is about to show the code: it is shown once.
func TestShownOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(lab.Fault{Method: "pay", Kind: lab.Wait})
		code := w.code()
		asks := 0
		first := payment.New(payment.Config{Books: w.books, Channel: w.line, Now: func() time.Time {
			if asks++; asks == 2 { // it has seen that nobody has shown it
				if p, err := w.desk.Pay(t.Context(), sale("S1", 20*yuan), code); err != nil || p.State != payment.Waiting {
					t.Errorf("Pay again = %+v, %v", p, err)
				}
			}
			return w.now()
		}})
		p, err := first.Pay(t.Context(), sale("S1", 20*yuan), code)
		if err != nil || p.State != payment.Waiting {
			t.Errorf("Pay = %+v, %v; want it waiting", p, err)
		}
		shown := 0
		for _, c := range w.line.calls {
			if c.method == "pay" {
				shown++
			}
		}
		if shown != 1 {
			t.Errorf("the code was shown %d times", shown)
		}
		w.whole()
	})
}
