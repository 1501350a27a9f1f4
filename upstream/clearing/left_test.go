package clearing_test

import (
	"errors"
	"strings"
	"testing"

	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/clearing"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// leaves closes the account of the holder, of which all was paid out.
func (w *world) leaves() {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.books.Write(ctx, func(tx *sqldb.Tx) error {
		at, err := w.books.LockAccounts(ctx, tx, []store.Account{holder, "till/K01"})
		if err != nil {
			return err
		}
		_, err = w.books.PostAll(ctx, tx, at, []store.Entry{{
			Kind: store.KindPayOut, Place: "K01", Debit: holder, Credit: "till/K01", Amount: at[holder].Balance,
		}})
		return err
	}))
	_, err := centre.New(w.books).Do(ctx, centre.Act{
		Ref: "r1", Place: "K01", Clerk: "k7", Document: centre.IDCard, Kind: centre.Retired, Account: holder,
	})
	w.must(err)
}

// TestPaidAfterLeaving: somebody cancels a top-up, leaves the school, and the payment
// comes all the same. It is on an account that nobody looks at any more, and people are
// told of it, until it has gone to where it belongs.
func TestPaidAfterLeaving(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx, no := t.Context(), w.order(20*yuan)
		_, err := w.books.Advance(ctx, no, store.OrderStep{To: store.OrderClosed})
		w.must(err)
		w.leaves()
		w.once(0)
		if got := w.inbox(); len(got) > 0 {
			t.Fatalf("inbox before: %q", got)
		}
		w.pay(no)
		w.ask(no)
		for range 2 {
			w.once(0)
		}
		lines, err := w.house.Exceptions(ctx, false)
		if err != nil || len(lines) != 1 || lines[0].Account != holder || lines[0].Amount != 20*yuan ||
			lines[0].Owner != "card centre" || lines[0].NextStep == "" {
			t.Fatalf("inbox = %+v, %v; want what came after all", lines, err)
		}
		const heir = store.Account("holder/1002")
		w.must(w.books.AddHolder(ctx, store.Holder{Account: heir, Name: "张三", Number: "1002"}, store.PIN{}, 0))
		if _, err := w.house.Assign(ctx, lines[0].ID, holder, two("本人")); !errors.Is(err, clearing.ErrNotThat) {
			t.Errorf("assigned to the account itself: %v", err)
		}
		if _, err := w.house.Assign(ctx, lines[0].ID, heir, two("本人的新账户")); err != nil {
			t.Fatal(err)
		}
		for a, want := range map[store.Account]money.Fen{holder: 0, heir: 20 * yuan} {
			if got, err := w.books.Balance(ctx, a); err != nil || got != want {
				t.Errorf("%s stands at %s, %v; want %s", a, got, err, want)
			}
		}
		w.once(0)
		if got := w.inbox(); len(got) != 1 || !strings.HasPrefix(got[0], "closed ") {
			t.Errorf("inbox after: %q, want it closed", got)
		}
		if _, err := w.house.WriteOff(ctx, lines[0].ID, two("再一次")); !errors.Is(err, clearing.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		w.whole()
	})
}

// TestPaidAgainAfterLeaving: more comes onto the closed account after its line was read.
// What is written off is what the line says, which the holder was paid; the rest has a
// line of its own.
func TestPaidAgainAfterLeaving(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx, first, second := t.Context(), w.order(20*yuan), w.order(10*yuan)
		for _, no := range []string{first, second} {
			_, err := w.books.Advance(ctx, no, store.OrderStep{To: store.OrderClosed})
			w.must(err)
		}
		w.leaves()
		w.pay(first)
		w.ask(first)
		w.once(0)
		lines, err := w.house.Exceptions(ctx, false)
		if err != nil || len(lines) != 1 || lines[0].Amount != 20*yuan {
			t.Fatalf("inbox = %+v, %v; want what came after all", lines, err)
		}
		w.pay(second)
		w.ask(second)
		_, err = w.house.WriteOff(ctx, lines[0].ID, two("paid by the bank"))
		w.must(err)
		w.once(0)
		lines, err = w.house.Exceptions(ctx, false)
		if err != nil || len(lines) != 1 || lines[0].Account != holder || lines[0].Amount != 10*yuan {
			t.Errorf("inbox = %+v, %v; want what came since", lines, err)
		}
		if f, err := w.books.Balance(ctx, holder); err != nil || f != 10*yuan {
			t.Errorf("balance = %s, %v; want 10.00", f, err)
		}
		w.whole()
	})
}
