package ingest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/centre"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	v1 "quancun/upstream/wire/quancun/v1"
)

// ask asks for an amount under the number that the till's next entry will have.
// A till that has done nothing yet starts its journal first.
func (c *till) ask(p *purse, attempt string, amount money.Fen) ingest.Request {
	if c.next() == 1 {
		c.write(journal.Entry{Kind: journal.Started})
		c.push()
	}
	return c.request(p, attempt, amount)
}

func (c *till) request(p *purse, attempt string, amount money.Fen) ingest.Request {
	return ingest.Request{
		Epoch: c.epoch, Seq: c.next(), Attempt: attempt, CardNo: p.no, Merchant: merchant, Amount: amount,
	}
}

func (c *till) authorize(q ingest.Request) ingest.Approval {
	c.w.t.Helper()
	a, err := c.w.in.Authorize(c.w.t.Context(), c.terminal, q)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return a
}

func (c *till) approved(q ingest.Request, available money.Fen) {
	c.w.t.Helper()
	if a := c.authorize(q); !a.Approved || a.Available != available {
		c.w.t.Errorf("%s = %+v, want it approved of %s", q.Attempt, a, available)
	}
}

func (c *till) declined(q ingest.Request, why v1.Reason) {
	c.w.t.Helper()
	if a := c.authorize(q); a.Approved || a.Reason != why {
		c.w.t.Errorf("%s = %+v, want it declined for %s", q.Attempt, a, why)
	}
}

// TestEnded: for a holder whose time is over, or who has left, nothing is
// approved. What was sold in the dark is posted all the same.
func TestEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		guest, leaver := w.holder("T1", 10*yuan), w.holder("T2", 10*yuan)
		c := w.till("C01")
		ask := func(no string) ingest.Request {
			q := c.ask(&purse{}, "a"+no, yuan)
			q.Account = no
			return q
		}
		end := func(do func(*sqldb.Tx) error) {
			t.Helper()
			if err := w.books.Write(t.Context(), do); err != nil {
				t.Fatal(err)
			}
		}
		end(func(tx *sqldb.Tx) error { return w.books.SetUntil(t.Context(), tx, guest, w.now.Add(time.Minute)) })
		c.approved(ask("T1"), 10*yuan)
		end(func(tx *sqldb.Tx) error { return w.books.SetUntil(t.Context(), tx, guest, w.now) })
		end(func(tx *sqldb.Tx) error { return w.books.CloseHolder(t.Context(), tx, leaver, w.now) })
		c.approved(ask("T1"), 10*yuan) // the same attempt, which was approved before
		late := ask("T1")
		late.Attempt = "late"
		c.declined(late, v1.Reason_REASON_ACCOUNT_UNKNOWN)
		c.declined(ask("T2"), v1.Reason_REASON_ACCOUNT_UNKNOWN)
		c.write(journal.Entry{Kind: journal.CodeSale, Ref: "dark", Account: "T2", Merchant: merchant, Amount: 3 * yuan})
		c.push()
		w.wants(map[store.Account]money.Fen{guest: 10 * yuan, leaver: 7 * yuan})
	})
}

// TestPaidOutAfterItsTime: the time of somebody who was there for a while is over, and a
// clerk pays out what is left. Whoever has left had it paid out before.
func TestPaidOutAfterItsTime(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		guest, leaver := w.holder("T1", 10*yuan), w.holder("T2", 0)
		c := w.till("C01")
		c.write(journal.Entry{Kind: journal.Started})
		c.push()
		err := w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return errors.Join(w.books.SetUntil(t.Context(), tx, guest, w.now),
				w.books.CloseHolder(t.Context(), tx, leaver, w.now))
		})
		if err != nil {
			t.Fatal(err)
		}
		out := ingest.Request{Epoch: c.epoch, Seq: c.next(), Attempt: "p1", Account: "T1", Amount: 10 * yuan}
		for what, spoil := range map[string]func(q *ingest.Request){
			"a sale": func(q *ingest.Request) { q.Merchant = merchant },
			"a code": func(q *ingest.Request) { q.Virtual = true },
			"cash":   func(q *ingest.Request) { q.Cap = 100 * yuan },
			"closed": func(q *ingest.Request) { q.Account = "T2" },
		} {
			q := out
			q.Attempt = "x" + what[:1] + what[2:3]
			spoil(&q)
			if a := c.authorize(q); a.Approved || a.Reason != v1.Reason_REASON_ACCOUNT_UNKNOWN {
				t.Errorf("%s = %+v, want it declined", what, a)
			}
		}
		c.approved(out, 10*yuan)
		c.write(journal.Entry{Kind: journal.PayOut, Ref: "p1", Account: "T1", Operator: "k7", Amount: 10 * yuan})
		c.push()
		w.wants(map[store.Account]money.Fen{guest: 0, store.Account(journal.TillAccount("C01")): 10 * yuan})
		done, err := centre.New(w.books).Do(t.Context(), centre.Act{
			Ref: "r1", Place: "C01", Clerk: "k7", Document: centre.IDCard, Kind: centre.Retired, Account: guest,
		})
		if err != nil || done.At.IsZero() {
			t.Errorf("retire = %+v, %v", done, err)
		}
		w.inbox()
		w.sound()
	})
}

// TestHold places holds, and lets the journal say what becomes of them.
func TestHold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")

		first := c.ask(p, "a1", 6*yuan)
		c.approved(first, 10*yuan)
		c.approved(first, 10*yuan) // again: the same hold
		changed := first
		changed.Amount++
		c.declined(changed, v1.Reason_REASON_ATTEMPT_CONFLICT)
		c.declined(c.ask(p, "a2", 10*yuan+1), v1.Reason_REASON_NOT_ENOUGH)
		d.declined(d.ask(p, "b1", 5*yuan), v1.Reason_REASON_NOT_ENOUGH)
		second := c.ask(p, "a3", 5*yuan) // two attempts under one number, of which one can come
		c.approved(second, 10*yuan)
		d.declined(d.ask(p, "b1", 1), v1.Reason_REASON_NOT_ENOUGH)

		in := c.intend(p, "a1", 6*yuan)
		c.push() // a1 is bound, a3 is let go
		w.wants(map[store.Account]money.Fen{a: 10 * yuan})
		c.approved(first, 10*yuan)
		c.declined(second, v1.Reason_REASON_NUMBER_PASSED)
		d.approved(d.ask(p, "b2", yuan), 4*yuan)
		c.end(in, journal.Written, p.debit(in))
		c.push()
		w.wants(map[store.Account]money.Fen{a: 4 * yuan})
		d.approved(d.ask(p, "b3", 3*yuan), 4*yuan)
		c.declined(c.ask(p, "a4", yuan), v1.Reason_REASON_NOT_ENOUGH)
		d.write(journal.Entry{Kind: journal.Started}) // neither
		d.push()
		d.approved(d.ask(p, "b5", 4*yuan), 4*yuan)
		w.inbox()
		w.sound()
	})
}

func TestHoldEnds(t *testing.T) {
	for name, c := range map[string]struct {
		write func(c *till, p *purse)
		left  money.Fen // available afterwards
		state ingest.HoldState
	}{
		"CodeSale":   {func(c *till, _ *purse) { c.sellByCode("1001", "x", 6*yuan) }, 4 * yuan, ingest.HoldCaptured},
		"NotWritten": {func(c *till, p *purse) { c.end(c.intend(p, "x", 6*yuan), journal.NotWritten, pboc.MAC{}) }, 10 * yuan, ingest.HoldReleased},
		"Doubt":      {func(c *till, p *purse) { c.doubt(c.intend(p, "x", 6*yuan)) }, 4 * yuan, ingest.HoldCaptured},
		"Intent":     {func(c *till, p *purse) { c.intend(p, "x", 6*yuan) }, 4 * yuan, ingest.HoldBound},
		"Other":      {func(c *till, p *purse) { c.intend(p, "y", 6*yuan) }, 10 * yuan, ingest.HoldReleased},
		"Less":       {func(c *till, p *purse) { c.sell(p, "x", 2*yuan) }, 8 * yuan, ingest.HoldCaptured},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				a := w.holder("1001", 10*yuan)
				p, till, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
				q := till.ask(p, "x", 6*yuan)
				if name == "CodeSale" {
					q.CardNo, q.Account = "", "1001"
				}
				till.approved(q, 10*yuan)
				c.write(till, p)
				till.push()
				d.approved(d.ask(p, "after", 1), c.left)
				got, err := sqldb.Texts(t.Context(), w.books.Live(), `SELECT CAST(state AS TEXT) FROM holds WHERE attempt = 'x'`)
				if want := fmt.Sprint(int(c.state)); err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("state of the hold is %q, %v; want %s", got, err, want)
				}
				w.sound()
			})
		})
	}
}

// TestHoldLost: sales come that were approved, and nothing is held for them. One
// line says so for each journal, with the first of them. It is no loss when the
// journal has passed the number that was held under.
func TestHoldLost(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 100*yuan)
		p, c, d := w.card(1, store.HolderAccount("1001"), 50*yuan), w.till("C01"), w.till("C02")
		approved := func(c *till, ref string, amount money.Fen) journal.Entry {
			in := c.intend(p, ref, amount)
			c.bodies, c.hashes = c.bodies[:in.Seq-1], c.hashes[:in.Seq-1]
			in.Details = []byte(`{"approved":true}`)
			return c.write(in)
		}
		d.approved(d.ask(p, "held", yuan), 100*yuan)
		d.write(journal.Entry{Kind: journal.Started})
		d.end(approved(d, "held", yuan), journal.NotWritten, pboc.MAC{})
		d.push()
		d.approved(d.ask(p, "bound", yuan), 100*yuan)
		approved(d, "bound", yuan)
		d.push()
		w.inbox()
		for i, amount := range []money.Fen{3 * yuan, 5 * yuan, 7 * yuan} {
			in := approved(c, fmt.Sprint("lost", i), amount)
			c.end(in, journal.Written, p.debit(in))
			if i > 0 {
				c.push()
			}
		}
		w.inbox(ingest.HoldLost)
		lines, err := w.books.Exceptions(t.Context())
		if want := fmt.Sprintf("C01/%s of 2 sales, the first is lost0: 3.00", c.epoch); err != nil || len(lines) != 1 ||
			fmt.Sprintf("%s %s: %s", lines[0].Ref, lines[0].Detail, lines[0].Amount) != want {
			t.Errorf("inbox %+v, %v; want %s", lines, err, want)
		}
		w.sound()
	})
}

// TestRoom has two desks take cash for one account: neither lifts it above the cap,
// nor does an order beside them, and what is held is no money.
func TestRoom(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 0), w.till("C01"), w.till("C02")
		cash := func(c *till, attempt string, amount money.Fen) ingest.Request {
			q := c.ask(p, attempt, amount)
			q.CardNo, q.Merchant, q.Account, q.Cap = "", "", "1001", 100*yuan
			return q
		}
		order := func(amount money.Fen) error {
			_, err := w.books.CreateOrder(t.Context(), store.Order{
				No: fmt.Sprint("o", int(amount)), Terminal: "C01", CardNo: p.no, Account: a, Amount: amount, Created: w.now, Expires: w.now,
			}, 100*yuan)
			return err
		}
		first := cash(c, "in1", 60*yuan)
		c.approved(first, 90*yuan)
		c.approved(first, 90*yuan) // again: the same room
		sale := first
		sale.Cap = 0
		c.declined(sale, v1.Reason_REASON_ATTEMPT_CONFLICT)
		d.declined(cash(d, "in2", 30*yuan+1), v1.Reason_REASON_BALANCE_CAP)
		if full := (*store.CapError)(nil); !errors.As(order(31*yuan), &full) || full.Room != 30*yuan {
			t.Errorf("order beside it: %v, want room for 30.00", full)
		}
		d.approved(d.ask(p, "sale", 10*yuan), 10*yuan) // the room is no money

		c.write(journal.Entry{Kind: journal.CashTopUp, Ref: "in1", Account: "1001", Amount: 60 * yuan, Operator: "k7"})
		c.push()
		w.wants(map[store.Account]money.Fen{a: 70 * yuan})
		if err := order(20 * yuan); err != nil {
			t.Error(err)
		}
		c.declined(cash(c, "in3", 10*yuan+1), v1.Reason_REASON_BALANCE_CAP)
		c.approved(cash(c, "in3", 10*yuan), 10*yuan)
		c.write(journal.Entry{Kind: journal.Started}) // no cash after all
		c.push()
		d.approved(cash(d, "in4", 10*yuan), 10*yuan)
		got, err := w.states("in1", "in3", "in4")
		if want := []ingest.HoldState{ingest.HoldCaptured, ingest.HoldReleased, ingest.HoldPlaced}; err != nil ||
			!slices.Equal(got, want) {
			t.Errorf("holds %v, %v; want %v", got, err, want)
		}
		w.inbox()
		w.sound()
	})
}

// states returns what has become of attempts.
func (w *world) states(attempts ...string) (all []ingest.HoldState, err error) {
	for _, a := range attempts {
		var s ingest.HoldState
		err = errors.Join(err, w.books.Live().QueryRow(w.t.Context(), `SELECT state FROM holds WHERE attempt = ?`, a).Scan(&s))
		all = append(all, s)
	}
	return all, err
}

func TestAuthorizeDeclines(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 30*yuan)
		w.holder("1002", 0)
		p, hot, old, c := w.card(1, a, 0), w.card(2, a, 0), w.card(3, a, 0), w.till("C01")
		ctx := t.Context()
		err := errors.Join(w.books.SetCardStatus(ctx, hot.no, store.CardHot), w.books.SetCardStatus(ctx, old.no, store.CardRetired))
		if err != nil {
			t.Fatal(err)
		}
		c.declined(c.ask(hot, "x", 1), v1.Reason_REASON_CARD_HOT)
		c.declined(c.ask(old, "x", 1), v1.Reason_REASON_CARD_RETIRED)
		c.declined(c.ask(w.stranger(9, 0), "x", 1), v1.Reason_REASON_CARD_UNKNOWN)
		q := c.ask(p, "x", 1)
		q.Account = "1002"
		c.declined(q, v1.Reason_REASON_ACCOUNT_UNKNOWN)
		q.CardNo, q.Account = "", "9999"
		c.declined(q, v1.Reason_REASON_ACCOUNT_UNKNOWN)
		q.Account, q.Virtual, q.Amount = "1001", true, 10*yuan+1
		c.declined(q, v1.Reason_REASON_NOT_ENOUGH)
		for amount, want := range map[money.Fen]money.Fen{10*yuan + 1: reserve, 30 * yuan: reserve, 30*yuan + 1: 0} {
			if q.Amount = amount; c.authorize(q).Kept != want {
				t.Errorf("of 30 yuan, for %s: %+v, want %s to be kept for the card", amount, c.authorize(q), want)
			}
		}
		if real := c.ask(p, "x", 30*yuan+1); c.authorize(real).Kept != 0 {
			t.Errorf("for the card itself: %+v", c.authorize(real))
		}
		q.Amount = 10 * yuan
		c.approved(q, 10*yuan)
		c.approved(c.ask(p, "y", 30*yuan), 30*yuan) // which may have them
		c.write(journal.Entry{Kind: journal.Started})
		c.push()
		q.Seq, q.Attempt = 1, "late"
		c.declined(q, v1.Reason_REASON_NUMBER_PASSED)
		for name, q := range map[string]ingest.Request{
			"nothing": {}, "no attempt": {Seq: 1, Account: "1001", Amount: 1},
			"no card": {Seq: 1, Attempt: "x", Amount: 1}, "no amount": {Seq: 1, Attempt: "x", Account: "1001"},
		} {
			if _, err := w.in.Authorize(ctx, c.terminal, q); !errors.Is(err, ingest.ErrMalformed) {
				t.Errorf("%s: %v, want %v", name, err, ingest.ErrMalformed)
			}
		}
		w.sound()
	})
}

// TestNoHoldForUnknownJournal: nothing is held under the number of a journal that
// never was here, since it may be lost before it comes, nor under one that none
// will come to.
func TestNoHoldForUnknownJournal(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.write(journal.Entry{Kind: journal.Started})
		q := c.request(p, "x", 6*yuan)
		c.unheard(q, 0)
		d.approved(d.ask(p, "y", yuan), 10*yuan)
		c.push()
		c.approved(q, 9*yuan)
		q.Seq, q.Attempt = 1<<40, "never"
		c.unheard(q, 1)
		w.inbox()
		w.sound()
	})
}

// unheard asks, and is told that the upstream has to be told more first.
func (c *till) unheard(q ingest.Request, have int64) {
	c.w.t.Helper()
	a, err := c.w.in.Authorize(c.w.t.Context(), c.terminal, q)
	var e *journal.PushError
	if !errors.As(err, &e) || e.Reason != journal.ErrGap || e.Head.Seq != have || e.Head.Epoch != c.epoch {
		c.w.t.Errorf("%s = %+v, %v; want %v with %d", q.Attempt, a, err, journal.ErrGap, have)
	}
}

// TestAuthorizeTells has the answer say what was spent and what is open, and
// settle what the card's counter shows.
func TestAuthorizeTells(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.at = start.Add(-24 * time.Hour)
		c.sell(p, "yesterday", 9*yuan)
		c.at = start
		c.sell(p, "today", 2*yuan)
		in := c.intend(p, "torn", 3*yuan)
		p.debit(in)
		c.doubt(in)
		c.push()
		got := d.authorize(d.ask(p, "b1", yuan))
		if !got.Approved || got.SpentToday != 5*yuan || got.DailyLimit != 50*yuan || len(got.Claims) != 1 {
			t.Errorf("answer %+v, want 5 of 50 yuan spent and a claim", got)
		}
		q := d.ask(p, "b2", yuan)
		q.Reading = &ingest.Reading{Purse: money.Fen(p.balance), Offline: p.offline}
		if got := d.authorize(q); !got.Approved || len(got.Claims) != 0 || got.SpentToday != 5*yuan {
			t.Errorf("answer %+v, want the claim settled", got)
		}
		w.wants(map[store.Account]money.Fen{a: 86 * yuan, payee: 14 * yuan, suspense("C01"): 0})
		w.sound()
	})
}

// TestHoldsAreNotLoaded keeps a load from taking what a sale under way holds.
func TestHoldsAreNotLoaded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c := w.card(1, a, 0), w.till("C01")
		c.approved(c.ask(p, "x", 6*yuan), 10*yuan)
		err := w.books.WithCard(t.Context(), p.no, func(k store.CardTx) error {
			if f, err := k.Available(); err != nil || f != 4*yuan {
				t.Errorf("Available = %s, %v; want 4.00", f, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := w.books.View(t.Context(), p.no, w.now); err != nil || v.Held != 6*yuan {
			t.Errorf("View = %+v, %v; want 6.00 held", v, err)
		}
	})
}

// TestAskedUnderNext asks for one sale twice, as after a PIN, with an entry between that
// the upstream has not seen: the sale holds its money once.
func TestAskedUnderNext(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		first := c.ask(p, "a1", 6*yuan)
		c.approved(first, 10*yuan)
		c.write(journal.Entry{Kind: journal.Started})
		second := c.request(p, "a1", 6*yuan)
		c.approved(second, 10*yuan)
		c.approved(second, 10*yuan)
		c.declined(first, v1.Reason_REASON_NUMBER_PASSED) // it was under way for long
		c.approved(c.request(p, "b1", 4*yuan), 10*yuan)
		c.sell(p, "a1", 6*yuan)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 4 * yuan})
		w.inbox()
		w.sound()
	})
}
