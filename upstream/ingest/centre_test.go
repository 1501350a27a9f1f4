package ingest_test

import (
	"errors"
	"fmt"
	"testing"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
)

// announce writes that a clerk is about to do something for a holder.
func (c *till) announce(ref string, k centre.Kind) journal.Entry {
	return c.write(journal.Entry{
		Kind: journal.CentreIntent, Ref: ref, Account: "1001", Operator: "k7",
		Details: fmt.Appendf(nil, `{"act":%d,"document":2,"evidence":"123X"}`, k),
	})
}

// ends writes how it came out.
func (c *till) ends(ref string, o journal.Outcome) {
	c.write(journal.Entry{Kind: journal.CentreEnd, Ref: ref, Account: "1001", Operator: "k7", Outcome: o})
}

// act does it, as the terminal has asked.
func (w *world) act(place, ref string, k centre.Kind) {
	w.t.Helper()
	_, err := centre.New(w.books).Do(w.t.Context(), centre.Act{
		Ref: ref, Place: place, Clerk: "k7", Document: centre.StudentCard, Kind: k, Account: "holder/1001", Limit: yuan,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// untold checks which acts have not been told to their end.
func (w *world) untold(want ...string) {
	w.t.Helper()
	all, err := centre.New(w.books).Untold(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, u := range all {
		got = append(got, fmt.Sprintf("%s at %s, done %t", u.Ref, u.Terminal, u.Done))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("untold = %q, want %q", got, want)
	}
}

// TestCentre holds what clerks have written down against what was done.
func TestCentre(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 100*yuan)
		c, d := w.till("C01"), w.till("C02")

		c.announce("a1", centre.Limited)
		c.push()
		w.untold("a1 at C01, done false")
		w.act("C01", "a1", centre.Limited)
		w.untold("a1 at C01, done true")
		c.ends("a1", journal.Done)
		c.push()
		w.untold()
		w.act(centre.Console, "a2", centre.Unlocked) // no journal has it
		w.untold()
		c.announce("a3", centre.Lost)
		c.ends("a3", journal.NotDone)
		c.push()
		w.untold()
		w.inbox()

		c.announce("b1", centre.Limited) // nobody has done it
		c.ends("b1", journal.Done)
		c.push()
		w.inbox(ingest.ActMissing)

		w.act("C01", "b2", centre.Unlocked)
		c.announce("b2", centre.Limited) // something else was done
		c.ends("b2", journal.Done)
		w.act("C02", "b3", centre.Unlocked) // elsewhere
		c.announce("b3", centre.Unlocked)
		c.ends("b3", journal.Done)
		w.act("C01", "b4", centre.Unlocked)
		c.announce("b4", centre.Unlocked)
		c.ends("b4", journal.NotDone) // and was
		c.push()
		w.inbox(ingest.ActMissing, ingest.ActDiffers, ingest.ActDiffers, ingest.ActDiffers)
		w.untold("b3 at C02, done true")

		d.announce("e1", centre.Limited)
		d.announce("e1", centre.Lost)
		d.ends("e2", journal.Done)
		d.ends("e1", journal.NotDone)
		d.ends("e1", journal.Done)
		d.push()
		w.inbox(ingest.ActMissing, ingest.ActDiffers, ingest.ActDiffers, ingest.ActDiffers,
			ingest.IntentTwice, ingest.NoIntent, ingest.IntentTwice)
		w.wants(map[store.Account]money.Fen{"holder/1001": 100 * yuan})
		lines, err := centre.New(w.books).Verify(t.Context())
		if err != nil || len(lines) > 0 {
			t.Errorf("Verify = %q, %v", lines, err)
		}
		w.sound()
	})
}

// TestCentreMoney holds what is to be paid out, or is a fee, until the journal says
// that it was: once, and never more than there is.
func TestCentreMoney(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		c := w.till("C01")
		c.announce("a1", centre.Issued)
		c.push()
		ask := func(ref string, amount money.Fen) bool {
			t.Helper()
			p, err := w.in.Authorize(t.Context(), store.Terminal{ID: "C01"}, ingest.Request{
				Epoch: c.epoch, Seq: c.next(), Attempt: ref, Account: "1001", Amount: amount,
			})
			if err != nil {
				t.Fatal(err)
			}
			return p.Approved
		}
		if !ask("f1", 15*yuan) || ask("p0", 100*yuan+1) {
			t.Error("the fee is not held, or more than what is left")
		}
		c.write(journal.Entry{Kind: journal.Fee, Ref: "f1", Account: "1001", Operator: "k7", Amount: 15 * yuan})
		c.push()
		if !ask("p1", 85*yuan) {
			t.Error("what is left is not held")
		}
		// The power fails before it is written down, and nothing was paid out.
		c.ends("a1", journal.NotDone)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 85 * yuan})
		if !ask("p2", 85*yuan) {
			t.Error("what was held for the pay-out that never was is not free")
		}
		c.write(journal.Entry{Kind: journal.PayOut, Ref: "p2", Account: "1001", Operator: "k7", Amount: 85 * yuan})
		c.write(journal.Entry{Kind: journal.CashTopUp, Ref: "t1", Account: "1001", Operator: "k7", Amount: 5 * yuan})
		c.push()
		w.wants(map[store.Account]money.Fen{
			a: 5 * yuan, "fee/replacement": 15 * yuan, store.Account(journal.TillAccount("C01")): 80 * yuan,
		})
		w.inbox()
		w.sound()
	})
}

// TestCentreAgain: the same entries again are told once, and one that breaks a rule
// is not told at all.
func TestCentreAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 100*yuan)
		c := w.till("C01")
		c.announce("a1", centre.Unlocked)
		w.act("C01", "a1", centre.Unlocked)
		c.ends("a1", journal.Done)
		b := c.batch(1, c.next()-1)
		c.take(b)
		c.take(b)
		w.inbox()
		w.untold()
		bad := c.announce("a2", centre.Unlocked)
		bad.Operator = ""
		if err := bad.Check(); !errors.Is(err, journal.ErrRule) {
			t.Fatal(err)
		}
		c.write(bad)
		c.push()
		w.inbox(ingest.RuleBroken)
		w.sound()
	})
}
