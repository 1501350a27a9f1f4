package biller_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/upstream/biller"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

func TestPaid(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		b := w.order("N1", 10*yuan)
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
		again := w.order("N1", 10*yuan)
		if again.Entry != b.Entry || b.Entry == 0 {
			t.Errorf("the same order again is paid by entry %d, and was by %d", again.Entry, b.Entry)
		}
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
		if _, err := w.desk.Order(t.Context(), bill("N1", 20*yuan)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same number for 20 yuan: %v", err)
		}
		history, _, err := w.books.History(t.Context(), holder, 0, 10)
		if err != nil || len(history) != 2 || history[0].Ref != "N1" || history[0].Kind != store.KindBill {
			t.Errorf("history = %+v, %v", history, err)
		}
		if h, ok := w.desk.Health("network"); !ok || h.Answered.IsZero() || !h.DownSince.IsZero() {
			t.Errorf("health = %+v, %t", h, ok)
		}
	})
}

// TestHealth: a biller is away if it does not answer, whatever its answers say.
func TestHealth(t *testing.T) {
	w := newWorld(t, t.TempDir()+"/books.db")
	for _, c := range []struct {
		err  error
		away bool
	}{
		{nil, false}, {errDied, true}, {vendor.ErrNotSent, true}, {context.DeadlineExceeded, true},
		{vendor.ErrRefused, false}, {vendor.ErrAbsent, false}, {vendor.ErrNoTarget, false}, {vendor.ErrMismatch, false},
		{fmt.Errorf("%w: the order is under way", vendor.ErrNotSaid), false},
	} {
		w.desk.Note("network", nil)
		w.desk.Note("network", c.err)
		if h, _ := w.desk.Health("network"); h.DownSince.IsZero() == c.away {
			t.Errorf("%v: %+v; away %t", c.err, h, c.away)
		}
	}
}

// TestReserve: what only the card may spend pays no bill.
func TestReserve(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		desk := biller.New(biller.Config{
			Books: w.books, Reserve: 20 * yuan, Billers: map[string]vendor.Biller{"network": w.network}, Now: w.now,
		})
		var little *biller.NotEnoughError
		if _, err := desk.Order(t.Context(), bill("N1", 30*yuan+1)); !errors.As(err, &little) ||
			little.Available != 30*yuan || little.Kept != 20*yuan {
			t.Errorf("out of the reserve: %v", err)
		}
		if _, err := desk.Order(t.Context(), bill("N1", 50*yuan+1)); !errors.As(err, &little) || little.Kept != 0 {
			t.Errorf("more than there is: %v, and %s is kept", err, little.Kept)
		}
		if _, err := desk.Order(t.Context(), bill("N2", 30*yuan)); err != nil {
			t.Errorf("all but the reserve: %v", err)
		}
	})
}

func TestNotTaken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		var little *biller.NotEnoughError
		if _, err := w.desk.Order(t.Context(), bill("N1", 50*yuan+1)); !errors.As(err, &little) ||
			little.Available != 50*yuan {
			t.Errorf("more than there is: %v", err)
		}
		if _, err := w.desk.Bill(t.Context(), "N1"); !errors.Is(err, store.ErrNone) {
			t.Errorf("a bill that was not taken is there: %v", err)
		}
		other := bill("N2", yuan)
		other.Biller = "gas"
		if _, err := w.desk.Order(t.Context(), other); !errors.Is(err, biller.ErrNoBiller) {
			t.Errorf("a biller that is not there: %v", err)
		}
		until := w.now()
		w.must(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return w.books.SetUntil(t.Context(), tx, holder, until)
		}))
		if _, err := w.desk.Order(t.Context(), bill("N3", yuan)); !errors.Is(err, biller.ErrEnded) {
			t.Errorf("a holder whose time is over: %v", err)
		}
		w.whole()
	})
}

// TestOutcomes is the matrix of what a vendor can do to a charge: with and
// without effect, with an answer and without. What comes of it first is what the
// holder sees; what it ends in is true.
func TestOutcomes(t *testing.T) {
	recharge := func(k breaker.Kind, booked bool) []breaker.Fault {
		return []breaker.Fault{{Method: "recharge", Kind: k, Booked: booked}}
	}
	for name, c := range map[string]struct {
		faults     []breaker.Fault
		first, end biller.State
	}{
		"Refused":       {recharge(breaker.Refuse, false), biller.Released, biller.Released},
		"DropBooked":    {recharge(breaker.Drop, true), biller.Checking, biller.Paid},
		"Drop":          {recharge(breaker.Drop, false), biller.Checking, biller.Released},
		"HTMLBooked":    {recharge(breaker.HTML, true), biller.Checking, biller.Paid},
		"HTML":          {recharge(breaker.HTML, false), biller.Checking, biller.Released},
		"HTTP500Booked": {recharge(breaker.HTTP500, true), biller.Checking, biller.Paid},
		"Half":          {recharge(breaker.Half, true), biller.Checking, biller.Paid},
		"NoToken":       {[]breaker.Fault{{Method: "token", Kind: breaker.HTML}}, biller.Held, biller.Paid},
		"RefusedInTheDark": {append(recharge(breaker.Refuse, false),
			breaker.Fault{Method: "records", Kind: breaker.Drop}), biller.Checking, biller.Released},
		"AnswersLostForMinutes": {append(recharge(breaker.Drop, true), records(5)...), biller.Checking, biller.Paid},
	} {
		t.Run(name, func(t *testing.T) {
			engines := onBothEngines
			if name != "DropBooked" && name != "Drop" {
				engines = onFile // what differs is the vendor, and not the books
			}
			engines(t, func(t *testing.T, w *world) {
				for _, f := range c.faults {
					w.arm(f)
				}
				if b := w.order("N1", 10*yuan); b.State != c.first {
					t.Errorf("at first state %d, want %d", b.State, c.first)
				}
				w.whole()
				w.pass(settled)
				if c.end == biller.Paid {
					w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
				} else {
					w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
				}
			})
		})
	}
}

// settled is longer than it takes to believe that there is no order, with the
// longest pause before the question.
const settled = 20 * time.Minute

// records breaks so many questions.
func records(n int) (all []breaker.Fault) {
	for range n {
		all = append(all, breaker.Fault{Method: "records", Kind: breaker.HTML})
	}
	return all
}

// TestAbsentIsNotBelievedAtOnce: what was sent a moment ago may be in a queue.
func TestAbsentIsNotBelievedAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop})
		w.order("N1", 10*yuan)
		w.pass(9 * time.Minute)
		w.want("N1", biller.Checking, moneys{50 * yuan, 10 * yuan, 0, 0})
	})
}

// TestLate: a queue on the vendor's side books after the hold was released.
func TestLate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop})
		w.order("N1", 10*yuan)
		w.pass(settled)
		w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
		w.bookLate("N1")
		w.pass(time.Hour)
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
		if b := w.bill("N1"); !b.Late {
			t.Error("it is not shown as late")
		}
	})
}

func (w *world) bookLate(no string) {
	w.t.Helper()
	_, err := w.network.Pay(w.t.Context(), vendor.Charge{OrderNo: no, Target: "2026000101", Amount: 10 * yuan})
	w.must(err)
}

// TestLateAndSpent: it books late, and the holder has spent the money meanwhile.
// The account does not go below zero; people decide.
func TestLateAndSpent(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop})
		w.order("N1", 10*yuan)
		w.pass(settled)
		w.order("N2", 45*yuan)
		w.bookLate("N1")
		w.pass(time.Hour)
		w.want("N1", biller.Released, moneys{5 * yuan, 0, 45 * yuan, 55 * yuan})
		if x := w.inbox(); len(x) != 1 || x[0].Ref != "N1" || x[0].Amount != 10*yuan {
			t.Fatalf("inbox = %+v", x)
		}
		yes := biller.Decision{OrderNo: "N1", Booked: true, Evidence: "their page", ByOne: "w1"}
		var little *biller.NotEnoughError
		if _, err := w.desk.Decide(t.Context(), yes); !errors.As(err, &little) {
			t.Errorf("Decide with 5 yuan = %v", err)
		}
		w.must(w.desk.Refund(t.Context(), biller.Refund{
			OrderNo: "N2", No: "R1", Amount: 45 * yuan, Reason: "they took it back", ByOne: "w1", ByTwo: "w2",
		}))
		if b, err := w.desk.Decide(t.Context(), yes); err != nil || b.State != biller.Paid || !b.Late {
			t.Errorf("Decide = %+v, %v", b, err)
		}
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 55 * yuan})
		if x := w.inbox(); len(x) != 0 {
			t.Errorf("inbox = %+v", x)
		}
	})
}

// TestDown: a vendor that is not reached has not heard. It is tried until the
// deadline, and then the money is free again.
func TestDown(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		dead := w.network
		w.openVendor() // the one before is never reached again
		w.server.Close()
		if b := w.order("N1", 10*yuan); b.State != biller.Paid {
			t.Fatalf("the first vendor still serves: state %d", b.State)
		}
		w.restart(w.network)
		b := w.order("N2", 10*yuan)
		w.want("N2", biller.Held, moneys{40 * yuan, 10 * yuan, 10 * yuan, 0})
		if h, _ := w.desk.Health("network"); h.DownSince.IsZero() {
			t.Error("it is not down")
		}
		w.pass(90 * time.Second)
		w.want("N2", biller.Held, moneys{40 * yuan, 10 * yuan, 10 * yuan, 0})
		w.pass(b.Deadline.Sub(w.now()) + time.Second)
		w.want("N2", biller.Released, moneys{40 * yuan, 0, 10 * yuan, 0})
		if b := w.bill("N2"); b.Cause != biller.CauseDown || !b.SentAt.IsZero() {
			t.Errorf("cause %d, sent %s", b.Cause, b.SentAt)
		}
		w.order("N3", 10*yuan)
		w.restart(dead) // and is there again
		w.pass(20 * time.Second)
		if b := w.bill("N3"); b.State != biller.Paid {
			t.Errorf("state %d after it came back", b.State)
		}
		w.whole()
	})
}

// TestCrash kills campusd while it tells the vendor, on either side of the
// booking. The next one asks, and never tells again.
func TestCrash(t *testing.T) {
	for name, after := range map[string]bool{"BeforeTheBooking": false, "AfterTheBooking": true} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) {
				w.restart(dying{w.network, after})
				w.die(bill("N1", 10*yuan))
				w.restart(w.network)
				if b := w.order("N1", 10*yuan); b.State != biller.Sent {
					t.Errorf("state %d after the crash", b.State)
				}
				w.pass(settled)
				if after {
					w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
				} else {
					w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
				}
			})
		})
	}
}

// TestWorkList: a vendor that cannot be asked leaves what nobody knows to people,
// and the money stays held until they have found out.
func TestWorkList(t *testing.T) {
	for name, booked := range map[string]bool{"Booked": true, "NotBooked": false} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) {
				w.restart(mute{w.network})
				w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: booked})
				w.order("N1", 10*yuan)
				w.pass(26 * time.Hour)
				there := moneys{50 * yuan, 10 * yuan, 0, 0}
				if booked {
					there.booked = 10 * yuan
				}
				w.want("N1", biller.Referred, there)
				if x := w.inbox(); len(x) != 1 || x[0].Ref != "N1" || x[0].NextStep == "" {
					t.Fatalf("inbox = %+v", x)
				}
				d := biller.Decision{OrderNo: "N1", Booked: booked, Evidence: "telephone", ByOne: "w1", ByTwo: "w1"}
				if !booked {
					if _, err := w.desk.Decide(t.Context(), d); !errors.Is(err, biller.ErrDecision) {
						t.Errorf("one person alone gives money back: %v", err)
					}
				}
				d.ByTwo = "w2"
				if _, err := w.desk.Decide(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				if booked {
					w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
				} else {
					w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
				}
				if _, err := w.desk.Decide(t.Context(), d); !errors.Is(err, biller.ErrDecision) {
					t.Errorf("it is decided twice: %v", err)
				}
			})
		})
	}
}

func TestMuteDiesAndIsReferred(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.restart(struct{ vendor.Biller }{dying{w.network, true}})
		w.die(bill("N1", 10*yuan))
		w.restart(mute{w.network})
		w.pass(5 * time.Minute)
		w.want("N1", biller.Referred, moneys{50 * yuan, 10 * yuan, 0, 10 * yuan})
	})
}

func TestEnd(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		b, err := w.desk.End(t.Context(), bill("N1", 10*yuan)) // before the request for it
		if err != nil || b.State != biller.Released || b.Cause != biller.CauseEnded {
			t.Fatalf("End = %+v, %v", b, err)
		}
		w.order("N1", 10*yuan)
		w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
		w.arm(breaker.Fault{Method: "token", Kind: breaker.HTML})
		w.order("N2", 10*yuan)
		if b, err = w.desk.End(t.Context(), bill("N2", 10*yuan)); err != nil || b.State != biller.Released {
			t.Errorf("End of one that is not sent = %+v, %v", b, err)
		}
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: true})
		w.order("N3", 10*yuan)
		if b, err = w.desk.End(t.Context(), bill("N3", 10*yuan)); err != nil || b.State != biller.Checking {
			t.Errorf("End of one that was sent = %+v, %v", b, err)
		}
		w.pass(time.Minute)
		w.want("N3", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
	})
}

// TestForgotten ends a bill of which the books know nothing, because they are older than
// it: it is paid late if the biller has booked it.
func TestForgotten(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.bookLate("N1") // as the upstream had it done before it was restored
		w.pass(10 * time.Minute)
		if b, err := w.desk.End(t.Context(), bill("N1", 10*yuan)); err != nil || b.State != biller.Released {
			t.Fatalf("End = %+v, %v", b, err)
		}
		w.pass(10 * time.Minute)
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
		if b := w.bill("N1"); !b.Late {
			t.Error("it is not shown as late")
		}
	})
}

// TestForgottenSending ends a bill of which the books do not know any more that it was
// sent, because they are older than that: it is paid late if the biller has booked it.
func TestForgottenSending(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"AtItsDeadline": func(w *world) { w.jump(26 * time.Hour) },
		"ByItsHolder": func(w *world) {
			if b, err := w.desk.End(w.t.Context(), bill("N1", 10*yuan)); err != nil || b.Cause != biller.CauseEnded {
				w.t.Fatalf("End = %+v, %v", b, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onFile(t, func(t *testing.T, w *world) {
				w.arm(breaker.Fault{Method: "token", Kind: breaker.HTML})
				w.order("N1", 10*yuan)
				w.want("N1", biller.Held, moneys{50 * yuan, 10 * yuan, 0, 0})
				w.bookLate("N1") // as the upstream had it done before it was restored
				end(w)
				w.pass(time.Minute)
				w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
			})
		})
	}
}

// jump lets time go by while campusd is stopped.
func (w *world) jump(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// TestTakenBack: what was booked after its release is taken back by the biller, so that
// there is nothing to pay.
func TestTakenBack(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop})
		w.order("N1", 10*yuan)
		w.pass(settled)
		w.order("N2", 45*yuan)
		w.bookLate("N1")
		w.pass(time.Hour)
		w.openLine("bill booked after its release")
		w.decide(w.desk, "N1", false)
		w.want("N1", biller.Released, moneys{5 * yuan, 0, 45 * yuan, 55 * yuan})
		w.closedLine(w.bill("N1"))
	})
}

func TestRefund(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.order("N1", 10*yuan)
		r := biller.Refund{
			OrderNo: "N1", No: "R1", Amount: 4 * yuan, Reason: "wrong account", ByOne: "w1", ByTwo: "w2",
		}
		for range 2 {
			w.must(w.desk.Refund(t.Context(), r))
		}
		w.want("N1", biller.Paid, moneys{44 * yuan, 0, 6 * yuan, 10 * yuan})
		r.Amount = 5 * yuan
		if err := w.desk.Refund(t.Context(), r); !errors.Is(err, store.ErrConflict) {
			t.Errorf("another amount: %v", err)
		}
		r.No, r.Amount = "R2", 7*yuan
		var much *biller.TooMuchError
		if err := w.desk.Refund(t.Context(), r); !errors.As(err, &much) || much.Left != 6*yuan {
			t.Errorf("more than is left: %v", err)
		}
	})
}

// TestTogether: orders that come at once through two upstreams on the same books
// never take more than there is, and none is booked twice.
func TestTogether(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		other := biller.New(biller.Config{
			Books: w.books, Billers: map[string]vendor.Biller{"network": w.network}, Now: w.now,
		})
		var work sync.WaitGroup
		for i, no := range []string{"N1", "N1", "N2", "N2", "N3", "N3"} {
			desk := []*biller.Desk{w.desk, other}[i%2]
			work.Go(func() {
				_, err := desk.Order(t.Context(), bill(no, 20*yuan))
				if little := (*biller.NotEnoughError)(nil); err != nil && !errors.As(err, &little) {
					t.Error(err)
				}
			})
		}
		work.Wait()
		w.pass(time.Minute)
		n := len(w.box.Records())
		if n != 2 {
			t.Errorf("%d are booked; want the 2 that 50 yuan pay for", n)
		}
		if f, err := w.books.Balance(t.Context(), holder); err != nil || f != 10*yuan {
			t.Errorf("balance = %s, %v", f, err)
		}
		w.whole()
	})
}
