package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/clearing"
	"quancun/upstream/ingest"
	"quancun/upstream/lost"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// TestLostCardSold has a till without a network sell to a lost card. Whoever looks at it
// reads from when on its holder was promised to bear nothing, and nobody is promised
// anything of a card that was only put onto the list.
func TestLostCardSold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, b := w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		p, q, c := w.card(1, a, 50*yuan), w.card(2, b, 50*yuan), w.till("C01")
		l, err := lost.New(w.books, lost.Policy{Risk: 24 * time.Hour}).Report(t.Context(),
			lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.books.SetCardStatus(t.Context(), q.no, store.CardHot); err != nil {
			t.Fatal(err)
		}
		c.sell(p, "s1", 2*yuan)
		c.sell(q, "s2", 3*yuan)
		c.push()
		w.inbox(ingest.HotCard, ingest.HotCard)
		lines, err := w.books.Exceptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range lines {
			promise := "promised to bear nothing from " + l.Free.Format(time.RFC3339)
			if got, want := strings.Contains(x.Detail, promise), strings.Contains(x.Detail, p.no); got != want ||
				!want && strings.Contains(x.Detail, "promised") {
				t.Errorf("about %s yuan: %s", x.Amount, x.Detail)
			}
		}
		w.sound()
	})
}

// hears has a terminal say, at a time, which hotlist it has.
func (w *world) hears(c *till, at time.Time, version uint64) {
	w.t.Helper()
	before := w.now
	w.now = at
	err := w.books.Hear(w.t.Context(), c.terminal.ID, store.Heard{Feeds: map[string]uint64{store.FeedHotlist: version}})
	if w.now = before; err != nil {
		w.t.Fatal(err)
	}
}

// TestBorne: what a lost card has bought after the promised time goes back to its
// holder, once, as the school's loss. What was bought before is the holder's, unless the
// till is known to have had the card on its list.
func TestBorne(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, a := t.Context(), w.holder("1001", 100*yuan)
		p, late, early, knew := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
		w.hears(late, w.now.Add(-time.Hour), 0)
		desk := lost.New(w.books, lost.Policy{Risk: 24 * time.Hour})
		l, err := desk.Report(ctx, lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		free := l.Free
		w.hears(knew, w.now, uint64(l.Version))
		w.hears(knew, free.Add(48*time.Hour), uint64(l.Version))
		late.at, early.at, knew.at = free.Add(time.Minute), free.Add(-time.Hour), free.Add(-2*time.Hour)
		sold := late.sell(p, "s1", 12*yuan)
		early.sell(p, "s2", 3*yuan)
		knew.sell(p, "s3", 5*yuan)
		w.now = free.Add(time.Hour)
		w.hears(late, w.now, 0) // it had been away for all that time
		for _, c := range []*till{late, early, knew} {
			c.push()
		}
		w.inbox(ingest.HotCard, ingest.HotCard, ingest.HotCard)
		lines, err := w.books.Exceptions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"said 0 at", "nobody can tell", fmt.Sprintf("said %d at", l.Version)} {
			if !strings.Contains(lines[i].Detail, want) {
				t.Errorf("about %s: %s\nwant %q in it", lines[i].Terminal, lines[i].Detail, want)
			}
		}
		if !strings.HasSuffix(lines[0].Detail, "it did not know, as it said later") ||
			!strings.HasSuffix(lines[2].Detail, "it knew") {
			t.Errorf("who knew: %s\n%s", lines[0].Detail, lines[2].Detail)
		}
		late.write(journal.Entry{
			Kind: journal.Refund, Ref: "r1", Card: p.no, Merchant: merchant, Amount: 2 * yuan, Origin: sold.Position(),
		})
		late.push() // the merchant has given a part back
		before := w.spent(a)
		w.bears(lines)
		if got := w.spent(a); got != before {
			t.Errorf("%s were spent today, and %s before; what the school bears is no leave to spend more", got, before)
		}
		late.write(journal.Entry{ // the merchant gives back what the school has: one too many
			Kind: journal.Refund, Ref: "r2", Card: p.no, Merchant: merchant, Amount: yuan, Origin: sold.Position(),
		})
		late.push()
		w.inbox(ingest.RefundTooHigh)
		w.sound()
	})
}

// bears closes the three lines of [TestBorne].
func (w *world) bears(lines []store.Exception) {
	t, ctx, house := w.t, w.t.Context(), clearing.New(w.books)
	t.Helper()
	by := clearing.Bearing{Signature: clearing.Signature{Reason: "被他人盗刷", One: "王敏", Two: "刘强"}}
	alone := by
	alone.Two = ""
	if _, err := house.Bear(ctx, lines[0].ID, alone); !errors.Is(err, clearing.ErrUnsigned) {
		t.Errorf("one person alone: %v", err)
	}
	entry, err := house.Bear(ctx, lines[0].ID, by)
	again, err2 := house.Bear(ctx, lines[0].ID, by)
	if err != nil || err2 != nil || entry == 0 || entry != again {
		t.Fatalf("Bear = %d, %v; again %d, %v", entry, err, again, err2)
	}
	other := by
	other.Reason = "另一个原因"
	if _, err := house.Bear(ctx, lines[0].ID, other); !errors.Is(err, clearing.ErrClosed) {
		t.Errorf("closed, and closed otherwise: %v", err)
	}
	w.wants(map[store.Account]money.Fen{"holder/1001": 92 * yuan, "over-short/clearing": -10 * yuan,
		"merchant/" + merchant: 18 * yuan})
	if _, err := house.Bear(ctx, lines[1].ID, by); !errors.Is(err, clearing.ErrHolders) {
		t.Errorf("what the holder bears: %v", err)
	}
	if _, err := house.Bear(ctx, lines[2].ID, by); err != nil {
		t.Errorf("the till knew: %v", err)
	}
	by.Goodwill = true
	if _, err := house.Bear(ctx, lines[1].ID, by); err != nil {
		t.Errorf("out of goodwill: %v", err)
	}
	w.wants(map[store.Account]money.Fen{"holder/1001": 100 * yuan, "over-short/clearing": -18 * yuan,
		"merchant/" + merchant: 18 * yuan})
	w.inbox()
}

// spent is what an account has spent today, as far as its limit counts it.
func (w *world) spent(a store.Account) (f money.Fen) {
	w.t.Helper()
	err := w.books.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		s, err := w.books.Spending(w.t.Context(), tx, a)
		f = s.Today
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}
