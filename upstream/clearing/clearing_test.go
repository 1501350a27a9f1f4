package clearing_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// TestDay plays a day of orders by dice, around both its midnights: all of it
// reconciles to zero, the first time and the second.
func TestDay(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		dice := rand.New(rand.NewPCG(seed, 0))
		for _, clock := range []string{
			"2026-02-28 23:59:59", "2026-03-01 00:00:00", "2026-03-01 08:00:00", "2026-03-01 12:00:00",
			"2026-03-01 23:59:59", "2026-03-02 00:00:00",
		} {
			for range 6 {
				w.set(clock)
				w.random(dice)
			}
		}
		w.set("2026-03-03 09:30:00")
		w.once(0)
		if got := w.inbox(); got != nil {
			t.Errorf("inbox: %q", got)
		}
		for _, d := range []int{-1, 0, 1} {
			o, err := w.house.Compare(t.Context(), source, day.Add(d))
			if err != nil || o.Open != 0 || o.Opened != 0 || o.Matched+o.Even == 0 || o.Waiting != 0 {
				t.Errorf("%s again: %+v, %v", day.Add(d), o, err)
			}
		}
		w.whole()
	})
}

// random is one order that ends somehow.
func (w *world) random(dice *rand.Rand) {
	w.t.Helper()
	no := w.order(money.Fen(1 + dice.IntN(20000)))
	switch dice.IntN(5) {
	case 0: // nobody pays
		w.cancel(no)
	case 1: // paid
		w.pay(no)
		w.ask(no)
	case 2: // paid while it is cancelled, and given back
		w.pay(no)
		w.cancel(no)
	case 3: // paid after it was closed
		_, err := w.books.Advance(w.t.Context(), no, store.OrderStep{To: store.OrderClosed})
		w.must(err)
		w.pay(no)
		w.ask(no)
	case 4: // paid in the last second, and heard of in the next day
		w.pay(no)
		w.set("2026-03-02 00:00:03")
		w.ask(no)
	}
}

// TestPlanted plants one difference of each kind in the bill, each on a day of
// its own: it is found once, with who has to do what, and a bill without it
// closes it again.
func TestPlanted(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		for i, tt := range []struct {
			kind   lab.Kind
			amount money.Fen
			theirs bool // under a number that is none of ours
			want   string
		}{
			{lab.Missing, 0, false, "payment only ours %s 20.00: operator, claim payment"},
			{lab.Amount, 1999, false, "payment amount differs %s 0.01: operator, correct amount"},
			{lab.Foreign, 777, true, "payment only theirs %s 7.77: operator, find payer"},
			{lab.Foreign, 2000, false, "payment paid twice %s 20.00: card centre, return second"},
			{lab.Doubled, 0, false, "payment line twice %s 20.00: operator, query line"},
		} {
			day := day.Add(i)
			w.set(string(day) + " 12:00:00")
			w.paid(10 * yuan)
			no := w.paid(20 * yuan)
			w.paid(20 * yuan)
			if tt.theirs {
				no = "FOREIGN"
			}
			w.set(string(day.Add(1)) + " 10:00:00")
			_, err := w.gateway.Arm(lab.Fault{Method: "bill.file", Kind: tt.kind, Order: no, Amount: tt.amount})
			w.must(err)
			want := fmt.Sprintf(tt.want, no)
			for range 3 { // again and again
				w.once(0)
				if got := w.inbox(); len(got) != i+1 || got[i] != want {
					t.Fatalf("%s: inbox %q, want %q at its end", tt.kind, got, want)
				}
			}
			w.inOrder(day)
			if got := w.inbox(); len(got) != i+1 || got[i] != "closed "+want {
				t.Errorf("%s: inbox %q, want it closed", tt.kind, got)
			}
		}
		w.whole()
	})
}

// inOrder has a day's bill anew, in which nothing is wrong any more.
func (w *world) inOrder(day channel.Day) {
	w.t.Helper()
	s, err := w.alipay.Bill(w.t.Context(), day)
	w.must(err)
	changed, err := w.house.SaveStatement(w.t.Context(), source, s)
	if err != nil || !changed {
		w.t.Fatalf("SaveStatement = %t, %v", changed, err)
	}
	o, err := w.house.Compare(w.t.Context(), source, day)
	if err != nil || o.Closed != 1 || o.Open != 0 {
		w.t.Errorf("Compare = %+v, %v; want one closed", o, err)
	}
}

// TestLateMoney pays an order that we have closed and not asked about again.
// The bill tells; the engine asks; the entry that credits it closes the line.
func TestLateMoney(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		no := w.lateMoney()
		w.once(0)
		const want = "payment only theirs A1 20.00: operator, credit payment"
		if got := w.inbox(); !slices.Equal(got, []string{want}) {
			t.Fatalf("inbox %q, want %q", got, want)
		}
		if due, _, err := w.books.DueOrders(t.Context(), w.now(), 10); err != nil || len(due) != 1 {
			t.Errorf("due orders %+v, %v; want the engine to ask", due, err)
		}
		w.set("2026-03-02 10:05:00")
		w.ask(no)
		w.once(0)
		if got := w.inbox(); !slices.Equal(got, []string{"closed " + want}) {
			t.Errorf("inbox %q, want it closed", got)
		}
		all, err := w.house.Exceptions(t.Context(), true)
		w.must(err)
		if x := all[0]; x.ClosingEntry == 0 || !strings.Contains(x.Evidence, "entry") || !strings.Contains(x.Evidence, "line 1") {
			t.Errorf("closed by entry %d, %q; want the entry and the line named", x.ClosingEntry, x.Evidence)
		}
		w.whole()
	})
}

// lateMoney is a payment in the bill that nothing is booked for.
func (w *world) lateMoney() (no string) {
	w.t.Helper()
	w.set("2026-03-01 12:00:00")
	no = w.order(20 * yuan)
	_, err := w.books.Advance(w.t.Context(), no, store.OrderStep{To: store.OrderClosed})
	w.must(err)
	w.pay(no)
	w.set("2026-03-02 10:00:00")
	return no
}

// TestReturnedOverMidnight gives money back on the day after: the line that is
// open meanwhile closes by itself, with the line that explains it.
func TestReturnedOverMidnight(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 23:59:59")
		no := w.order(20 * yuan)
		w.pay(no)
		w.set("2026-03-02 00:00:01")
		w.cancel(no)
		w.set("2026-03-02 10:00:00")
		w.once(0)
		const want = "payment only theirs A1 20.00: operator, await return"
		if got := w.inbox(); !slices.Equal(got, []string{want}) {
			t.Fatalf("inbox %q, want %q", got, want)
		}
		w.set("2026-03-03 10:00:00")
		w.once(0)
		if got := w.inbox(); !slices.Equal(got, []string{"closed " + want}) {
			t.Errorf("inbox %q, want it closed", got)
		}
		all, err := w.house.Exceptions(t.Context(), true)
		w.must(err)
		if got := all[0].Evidence; !strings.Contains(got, "2026-03-02 line 1: refund 20.00") {
			t.Errorf("evidence %q, want the line of the refund", got)
		}
		w.whole()
	})
}

func two(reason string) clearing.Signature {
	return clearing.Signature{Reason: reason, One: "王敏", Two: "李强"}
}

// TestAssign gives late money to who ordered it, and a stranger's payment to
// who turns out to have made it.
func TestAssign(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		no := w.lateMoney()
		if _, err := w.gateway.Arm(lab.Fault{Method: "bill.file", Kind: lab.Foreign, Amount: 777}); err != nil {
			t.Fatal(err)
		}
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		if err != nil || len(all) != 2 {
			t.Fatalf("inbox %+v, %v", all, err)
		}
		for _, x := range all {
			if _, err := w.house.Assign(t.Context(), x.ID, holder, clearing.Signature{One: "王敏"}); !errors.Is(err, clearing.ErrUnsigned) {
				t.Errorf("without a reason: %v", err)
			}
			if _, err := w.house.Assign(t.Context(), x.ID, "merchant/m1", two("x")); !errors.Is(err, clearing.ErrNotThat) {
				t.Errorf("to a merchant: %v", err)
			}
			entry, err := w.house.Assign(t.Context(), x.ID, holder, clearing.Signature{Reason: "付款截图", One: "王敏"})
			if err != nil || entry == 0 {
				t.Fatalf("Assign = %d, %v", entry, err)
			}
			if _, err := w.house.Assign(t.Context(), x.ID, holder, two("again")); !errors.Is(err, clearing.ErrClosed) {
				t.Errorf("credited twice: %v, want ErrClosed", err)
			}
		}
		if got, err := w.books.Balance(t.Context(), holder); err != nil || got != 100*yuan+20*yuan+777 {
			t.Errorf("balance %s, %v", got, err)
		}
		if o, err := w.books.Order(t.Context(), no); err != nil || o.State != store.OrderPaid || !o.Late {
			t.Errorf("order %+v, %v; want it paid, late", o, err)
		}
		w.rerun()
		w.whole()
	})
}

// rerun compares the day again, and wants nothing to be open or to move.
func (w *world) rerun() {
	w.t.Helper()
	before := w.inbox()
	o, err := w.house.Compare(w.t.Context(), source, day)
	if err != nil || o.Open != 0 || o.Opened != 0 || o.Closed != 0 {
		w.t.Errorf("again: %+v, %v; want nothing to be open", o, err)
	}
	if after := w.inbox(); !slices.Equal(before, after) {
		w.t.Errorf("inbox %q after it was %q", after, before)
	}
}

// TestWriteOff books each kind of difference as what it is, by two persons.
// Comparing again finds nothing, and a refund that comes after all is a
// difference of its own.
func TestWriteOff(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.paid(30 * yuan)
		w.lateMoney()
		for _, f := range []lab.Fault{
			{Method: "bill.file", Kind: lab.Missing, Order: "A1"},
		} {
			if _, err := w.gateway.Arm(f); err != nil {
				t.Fatal(err)
			}
		}
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		if err != nil || len(all) != 2 {
			t.Fatalf("inbox %+v, %v", all, err)
		}
		for _, x := range all {
			for _, s := range []clearing.Signature{
				{}, {Reason: "x", One: "王敏"}, {Reason: "x", One: "王敏", Two: " 王敏 "}, {Reason: " ", One: "a", Two: "b"},
			} {
				if _, err := w.house.WriteOff(t.Context(), x.ID, s); !errors.Is(err, clearing.ErrUnsigned) {
					t.Errorf("signed by %+v: %v, want ErrUnsigned", s, err)
				}
			}
			if _, err := w.house.WriteOff(t.Context(), x.ID, two("查无此款")); err != nil {
				t.Fatal(err)
			}
		}
		// One was 20 yuan too much with us, the other 20 yuan too little.
		if got, err := w.books.Balance(t.Context(), clearing.OverShort); err != nil || got != 0 {
			t.Errorf("over and short %s, %v; want 0.00", got, err)
		}
		w.rerun()
		w.whole()

		w.must(w.alipay.Refund(t.Context(), "A3", "W1", 20*yuan)) // somebody on Alipay's page
		w.set("2026-03-03 10:00:00")
		w.once(0)
		if got := w.inbox(); len(got) != 3 || got[2] != "refund only theirs A3 20.00: operator, book return" {
			t.Errorf("inbox %q, want the refund to be open", got)
		}
	})
}

// TestExplain closes a line by an entry that is there.
func TestExplain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 10:00:00")
		if _, err := w.gateway.Arm(lab.Fault{Method: "bill.file", Kind: lab.Doubled}); err != nil {
			t.Fatal(err)
		}
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		if err != nil || len(all) != 1 {
			t.Fatalf("inbox %+v, %v", all, err)
		}
		one := clearing.Signature{Reason: "支付宝答复：重复行", One: "王敏"}
		if err := w.house.Explain(t.Context(), all[0].ID, 999, one); !errors.Is(err, store.ErrNone) {
			t.Errorf("by an entry that is none: %v", err)
		}
		w.must(w.house.Explain(t.Context(), all[0].ID, 2, one))
		if err := w.house.Explain(t.Context(), 99, 2, one); !errors.Is(err, store.ErrNone) {
			t.Errorf("a line that is none: %v", err)
		}
		o, err := w.house.Compare(t.Context(), source, day)
		if err != nil || o.Opened != 0 || o.Open != 1 {
			t.Errorf("again: %+v, %v; want it known", o, err)
		}
		w.whole()
	})
}

// TestReturn gives late money back, over a channel that falls silent. While
// nobody knows, and ever after, nobody else gets it; the line closes when the
// bill shows it.
func TestReturn(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		no := w.lateMoney()
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		w.must(err)
		id := all[0].ID
		one := clearing.Signature{Reason: "付款人要求退款", One: "王敏"}
		if err := w.house.Return(t.Context(), id, w.alipay, clearing.Signature{}); !errors.Is(err, clearing.ErrUnsigned) {
			t.Errorf("by nobody: %v, want ErrUnsigned", err)
		}
		for _, f := range []lab.Fault{
			{Method: "refund", Kind: lab.Drop, Booked: true},
			{Method: "fastpay.refund.query", Kind: lab.Drop},
		} {
			if _, err := w.gateway.Arm(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.house.Return(t.Context(), id, w.alipay, one); err == nil || errors.Is(err, channel.ErrRefused) {
			t.Fatalf("with the answer lost: %v, want unknown", err)
		}
		for range 2 { // while nobody knows, and when it is done
			if _, err := w.house.Assign(t.Context(), id, holder, one); !errors.Is(err, clearing.ErrReturned) {
				t.Errorf("assigned as well: %v, want ErrReturned", err)
			}
			if _, err := w.house.WriteOff(t.Context(), id, two("x")); !errors.Is(err, clearing.ErrReturned) {
				t.Errorf("written off as well: %v, want ErrReturned", err)
			}
			if _, err := w.books.Advance(t.Context(), no, store.OrderStep{
				To: store.OrderPaid, PaidAt: w.now(),
			}); !errors.Is(err, store.ErrBackward) {
				t.Errorf("credited as well: %v, want ErrBackward", err)
			}
			w.gateway.Clear()
			w.must(w.house.Return(t.Context(), id, w.alipay, one))
		}
		if got := w.gateway.Trades()[0].Refunded(); got != 20*yuan {
			t.Errorf("given back %s, want 20.00, once", got)
		}
		if got := w.inbox(); !slices.Equal(got, []string{"payment only theirs A1 20.00: operator, await return"}) {
			t.Errorf("inbox %q", got)
		}
		w.set("2026-03-03 10:00:00")
		w.once(0)
		if got := w.inbox(); len(got) != 1 || !strings.HasPrefix(got[0], "closed ") {
			t.Errorf("inbox %q, want the line closed", got)
		}
		if got, err := w.books.Balance(t.Context(), holder); err != nil || got != 100*yuan {
			t.Errorf("balance %s, %v; want nothing credited", got, err)
		}
		w.whole()
	})
}

// TestReturnRefused asks for what the channel does not give back: a holder may
// have it then. What was credited meanwhile is not given back at all.
func TestReturnRefused(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.lateMoney()
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		w.must(err)
		one := clearing.Signature{Reason: "付款人要求退款", One: "王敏"}
		for range 2 {
			if err := w.house.Return(t.Context(), all[0].ID, refuses{}, one); !errors.Is(err, channel.ErrRefused) {
				t.Errorf("Return = %v, want ErrRefused", err)
			}
		}
		if _, err := w.house.Assign(t.Context(), all[0].ID, holder, one); err != nil {
			t.Errorf("Assign = %v", err)
		}
		w.rerun()

		no := w.order(5 * yuan)
		w.pay(no)
		w.set("2026-03-03 10:00:00")
		w.once(0)
		if all, err = w.house.Exceptions(t.Context(), false); err != nil || len(all) != 1 {
			t.Fatalf("inbox %+v, %v", all, err)
		}
		w.ask(no)
		if err := w.house.Return(t.Context(), all[0].ID, w.alipay, one); !errors.Is(err, clearing.ErrNotThat) {
			t.Errorf("a credited order given back: %v, want ErrNotThat", err)
		}
		w.once(0)
		if got := w.inbox(); !strings.HasPrefix(got[1], "closed ") {
			t.Errorf("inbox %q, want it closed by the entry", got)
		}
		w.whole()
	})
}

// refuses is a channel that gives nothing back.
type refuses struct{}

func (refuses) Refund(context.Context, string, string, money.Fen) error { return channel.ErrRefused }

// TestSuspense takes what a terminal has named nobody for out of suspense: to
// its holder, or into a loss.
func TestSuspense(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		const suspense = store.Account("suspense/K01")
		for i := range 2 {
			w.must(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
				merchant := clearing.MerchantAccount("canteen")
				held, err := w.books.LockAccounts(t.Context(), tx, []store.Account{suspense, merchant})
				if err != nil {
					return err
				}
				_, err = w.books.PostAll(t.Context(), tx, held, []store.Entry{{
					Kind: store.KindPurchase, Place: "canteen", Debit: suspense, Credit: merchant, Amount: 8 * yuan,
				}})
				if err != nil {
					return err
				}
				return w.books.Except(t.Context(), tx, []store.Exception{{
					Kind: "unknown card", Ref: fmt.Sprint("K01/", i), Account: suspense, Amount: -8 * yuan,
					Detail: "card 1", Owner: "card centre", NextStep: "find the holder",
				}})
			}))
		}
		_, err := w.house.Assign(t.Context(), 1, holder, clearing.Signature{Reason: "查到持卡人", One: "王敏"})
		w.must(err)
		_, err = w.house.WriteOff(t.Context(), 2, two("查无此卡"))
		w.must(err)
		for account, want := range map[store.Account]money.Fen{
			suspense: 0, holder: 92 * yuan, clearing.OverShort: -8 * yuan,
		} {
			if got, err := w.books.Balance(t.Context(), account); err != nil || got != want {
				t.Errorf("%s comes to %s, %v; want %s", account, got, err, want)
			}
		}
		w.whole()
	})
}

// TestCountNothing: a line about no cash at all has none to be counted.
func TestCountNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.must(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return w.books.Except(t.Context(), tx, []store.Exception{{
				Kind: store.DrawerDiffers, Ref: "K01/1", Account: "till/K01", Owner: "operator", NextStep: "count",
			}})
		}))
		for _, counted := range []money.Fen{0, yuan} {
			if _, err := w.house.Count(t.Context(), 1, counted, two("x")); !errors.Is(err, clearing.ErrNotThat) {
				t.Errorf("counted %s: %v, want ErrNotThat", counted, err)
			}
		}
		w.whole()
	})
}

// TestNotTwice closes lines about orders in every way: the engine, which may
// have heard at the same time that they were paid, can not credit them as well.
func TestNotTwice(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		const other = store.Account("holder/1002")
		w.must(w.books.AddHolder(t.Context(), store.Holder{Account: other, Name: "李四", Number: "1002"}, store.PIN{}, 0))
		orders := []string{w.lateMoney(), w.lateMoney(), w.lateMoney()}
		w.once(0)
		_, err1 := w.house.Assign(t.Context(), 1, other, two("x"))
		_, err2 := w.house.WriteOff(t.Context(), 2, two("x"))
		_, err3 := w.house.Assign(t.Context(), 3, holder, two("x"))
		w.must(errors.Join(err1, err2, err3))
		for i, no := range orders {
			_, err := w.books.Advance(t.Context(), no, store.OrderStep{To: store.OrderPaid, PaidAt: w.now()})
			if own := i == 2; (err == nil) != own || !own && !errors.Is(err, store.ErrBackward) {
				t.Errorf("order %s paid as well: %v", no, err)
			}
		}
		for account, want := range map[store.Account]money.Fen{
			other: 20 * yuan, clearing.OverShort: 20 * yuan, holder: 120 * yuan,
		} {
			if got, err := w.books.Balance(t.Context(), account); err != nil || got != want {
				t.Errorf("%s comes to %s, %v; want %s", account, got, err, want)
			}
		}
		w.rerun()
		w.whole()
	})
}
