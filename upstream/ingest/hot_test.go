package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
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

// TestBorneByAnotherClock: a card was reported lost while our clock was years ahead. What
// it has bought since is listed, and its holder is not to bear it until then.
func TestBorneByAnotherClock(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, a := t.Context(), w.holder("1001", 100*yuan)
		p, c, now := w.card(1, a, 50*yuan), w.till("C01"), w.now
		w.now = now.Add(3 * 365 * 24 * time.Hour)
		_, err := lost.New(w.books, lost.Policy{Risk: 24 * time.Hour}).Report(ctx,
			lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		w.now = now.Add(time.Hour)
		c.sell(p, "s1", 12*yuan)
		c.push()
		w.inbox(ingest.HotCard)
		lines, err := w.books.Exceptions(ctx)
		if err != nil || len(lines) != 1 {
			t.Fatalf("lines %+v, %v", lines, err)
		}
		by := clearing.Bearing{Signature: clearing.Signature{Reason: "被他人盗刷", One: "王敏", Two: "刘强"}}
		if _, err := clearing.New(w.books).Bear(ctx, lines[0].ID, by); err != nil {
			t.Errorf("not borne by the school: %v", err)
		}
		w.sound()
	})
}

// TestBorneAfterReplacement: a lost card is replaced, and then tills tell what it has
// bought before. Who bears that is as it was promised when the loss was reported. What a
// card has bought while it was good is its holder's, whatever has become of it since.
func TestBorneAfterReplacement(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, a, b := t.Context(), w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		p, q, c := w.card(1, a, 50*yuan), w.card(2, b, 50*yuan), w.till("C01")
		desk := lost.New(w.books, lost.Policy{Risk: 24 * time.Hour})
		replace := func(p *purse) {
			t.Helper()
			if err := w.books.SetCardStatus(ctx, p.no, store.CardRetired); err != nil {
				t.Fatal(err)
			}
		}
		l, err := desk.Report(ctx, lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		c.at = w.now.Add(time.Hour)
		c.sell(q, "good", 4*yuan)
		c.at = l.Free.Add(-time.Hour)
		c.sell(p, "early", 3*yuan)
		c.at = l.Free.Add(time.Hour)
		c.sell(p, "late", 5*yuan)
		w.now = l.Free.Add(2 * time.Hour)
		replace(p)
		replace(q)
		again := w.card(3, a, 0) // the new one is lost, too: that is another promise
		w.now = w.now.Add(time.Hour)
		if _, err := desk.Report(ctx, lost.Request{Ref: "L2", Terminal: "C01", Account: a}); err != nil {
			t.Fatal(again.no, err)
		}
		c.push()
		w.inbox(ingest.HotCard, ingest.HotCard, ingest.HotCard)
		lines, err := w.books.Exceptions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		by := clearing.Bearing{Signature: clearing.Signature{Reason: "被他人盗刷", One: "王敏", Two: "刘强"}}
		for i, want := range []error{clearing.ErrHolders, clearing.ErrHolders, nil} {
			if _, err := clearing.New(w.books).Bear(ctx, lines[i].ID, by); !errors.Is(err, want) {
				t.Errorf("about %s: %v, want %v: %s", lines[i].Amount, err, want, lines[i].Detail)
			}
			promise := "promised to bear nothing from " + l.Free.Format(time.RFC3339)
			if got := strings.Contains(lines[i].Detail, promise); got != (i > 0) {
				t.Errorf("about %s: %s", lines[i].Amount, lines[i].Detail)
			}
		}
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

// tornLost is a purchase with a lost card that a till without a network does not know the
// end of. The card has made it.
type tornLost struct {
	*world
	p           *purse
	dark, other *till
	loss        lost.Loss
	in          journal.Entry
	tac         pboc.MAC
}

// tearLost has a card used at a time after the promised one.
func tearLost(w *world, after time.Duration) tornLost {
	w.t.Helper()
	a := w.holder("1001", 100*yuan)
	s := tornLost{world: w, p: w.card(1, a, 50*yuan), dark: w.till("C01"), other: w.till("C02")}
	w.hears(s.dark, w.now.Add(-time.Hour), 0)
	var err error
	s.loss, err = lost.New(w.books, lost.Policy{Risk: 24 * time.Hour}).Report(w.t.Context(),
		lost.Request{Ref: "L1", Terminal: "C02", Account: a})
	if err != nil {
		w.t.Fatal(err)
	}
	s.dark.at = s.loss.Free.Add(after)
	s.in = s.dark.intend(s.p, "torn", 12*yuan)
	s.tac = s.p.debit(s.in)
	s.dark.doubt(s.in)
	w.now = s.dark.at.Add(time.Hour)
	w.hears(s.dark, w.now, 0)
	return s
}

func (s tornLost) claim() journal.Claim {
	return journal.Claim{Position: s.in.Position(), Card: s.p.no, Purse: *s.in.Purse}
}

// hotLines are the lines about the torn purchase that were ever opened.
func (s tornLost) hotLines() (lines []store.Exception) {
	s.t.Helper()
	err := s.books.Read(s.t.Context(), func(tx *sqldb.Tx) (err error) {
		lines, err = store.ReadExceptions(s.t.Context(), tx, `WHERE kind = ? AND ref LIKE '% torn' ORDER BY id`,
			string(ingest.HotCard))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return lines
}

// bear closes a line by the school's loss.
func (s tornLost) bear(line store.Exception) error {
	_, err := clearing.New(s.books).Bear(s.t.Context(), line.ID,
		clearing.Bearing{Signature: clearing.Signature{Reason: "被他人盗刷", One: "王敏", Two: "刘强"}})
	return err
}

// tornEnds are all ways in which a torn purchase is settled as made.
var tornEnds = map[string]func(tornLost){
	"OwnEnd":   func(s tornLost) { s.dark.end(s.in, journal.Written, s.tac) },
	"Told":     func(s tornLost) { s.dark.end(s.in, journal.Elsewhere, pboc.MAC{}) },
	"Proof":    func(s tornLost) { s.other.evidence(s.claim(), journal.Written, "prove", s.tac) },
	"Log":      func(s tornLost) { s.other.evidence(s.claim(), journal.Written, "log", pboc.MAC{}) },
	"Counter":  func(s tornLost) { s.other.sighted(s.p) },
	"NextSale": func(s tornLost) { s.other.sell(s.p, "next", yuan) },
	"Thrice": func(s tornLost) { // what comes after the first changes nothing
		s.other.evidence(s.claim(), journal.Written, "log", pboc.MAC{})
		s.other.push()
		s.other.sighted(s.p)
		s.dark.end(s.in, journal.Written, s.tac)
	},
}

// TestLostCardTorn: whichever way a purchase is settled that a till has lost in the middle,
// one line says when its lost card was used and which list the till had then, and not when
// it was settled, by when the card was found again. The school can bear it, once.
func TestLostCardTorn(t *testing.T) {
	for name, settle := range tornEnds {
		for _, early := range []bool{false, true} { // by what came before the doubt
			t.Run(fmt.Sprintf("%s/early=%v", name, early), func(t *testing.T) {
				onBoth(t, func(t *testing.T, w *world) {
					s := tearLost(w, time.Minute)
					if early {
						settle(s)
						s.other.push()
						s.dark.push()
					} else {
						s.dark.push()
						if lines := s.hotLines(); len(lines) != 0 {
							t.Fatalf("nobody knows whether it was used: %+v", lines)
						}
						w.now = w.now.Add(72 * time.Hour)
						if err := w.books.SetCardStatus(t.Context(), s.p.no, store.CardActive); err != nil {
							t.Fatal(err)
						}
						s.dark.at, s.other.at = w.now, w.now
						settle(s)
						s.other.push()
						s.dark.push()
					}
					s.checkBorne()
				})
			})
		}
	}
}

// checkBorne checks the line about what a lost card has bought, and lets the school bear
// it.
func (s tornLost) checkBorne() {
	s.t.Helper()
	lines := s.hotLines()
	if len(lines) != 1 || lines[0].Amount != 12*yuan || lines[0].Seq != s.in.Seq {
		s.t.Fatalf("lines %+v, want one of 12 yuan", lines)
	}
	for _, want := range []string{
		"used at " + s.in.At.UTC().Format(time.RFC3339), "bear nothing from " + s.loss.Free.Format(time.RFC3339),
		"had said 0 at", "it did not know",
	} {
		if !strings.Contains(lines[0].Detail, want) {
			s.t.Errorf("%s\nwant %q in it", lines[0].Detail, want)
		}
	}
	was, err := s.books.Balance(s.t.Context(), "holder/1001")
	if err != nil {
		s.t.Fatal(err)
	}
	if err1, err2 := s.bear(lines[0]), s.bear(lines[0]); err1 != nil || err2 != nil {
		s.t.Errorf("bear: %v, again %v", err1, err2)
	}
	s.wants(map[store.Account]money.Fen{"holder/1001": was + 12*yuan, "over-short/clearing": -12 * yuan,
		suspense("C01"): 0})
	s.sound()
}

// TestLostCardTornUnlike: a card that was lost only after its purchase was in doubt, or
// that has not made it, is nobody's to ask about. What was bought before the promised time
// is the holder's.
func TestLostCardTornUnlike(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		p, a, b, in, tac := torn(t, w, true)
		w.now = w.now.Add(time.Hour)
		if err := w.books.SetCardStatus(t.Context(), p.no, store.CardHot); err != nil {
			t.Fatal(err)
		}
		a.end(in, journal.Written, tac)
		a.push()
		b.push()
		w.inbox()
		w.settled(p, true)
	})
	onBoth(t, func(t *testing.T, w *world) {
		s := tearLost(w, time.Minute)
		s.dark.end(s.in, journal.NotWritten, pboc.MAC{})
		s.dark.push()
		w.inbox()
	})
	onBoth(t, func(t *testing.T, w *world) {
		s := tearLost(w, -time.Hour)
		s.dark.push()
		w.now = w.now.Add(time.Hour)
		if err := w.books.SetCardStatus(t.Context(), s.p.no, store.CardActive); err != nil { // it was found
			t.Fatal(err)
		}
		s.dark.end(s.in, journal.Written, s.tac)
		s.dark.push()
		lines := s.hotLines()
		if len(lines) != 1 || !errors.Is(s.bear(lines[0]), clearing.ErrHolders) {
			t.Errorf("lines %+v; what was used before is the holder's", lines)
		}
	})
}

// TestLostCardTornRefunded: the school bears what the merchant has not given back, and what
// the merchant gives back after it is listed as one too many.
func TestLostCardTornRefunded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := tearLost(w, time.Minute)
		sold := s.dark.end(s.in, journal.Written, s.tac)
		refund := func(ref string, amount money.Fen) {
			s.dark.write(journal.Entry{Kind: journal.Refund, Ref: ref, Card: s.p.no, Merchant: merchant, Amount: amount,
				Origin: sold.Position()})
			s.dark.push()
		}
		refund("r1", 2*yuan)
		if lines := s.hotLines(); len(lines) != 1 || s.bear(lines[0]) != nil {
			t.Fatalf("lines %+v", lines)
		}
		w.wants(map[store.Account]money.Fen{"holder/1001": 100 * yuan, "over-short/clearing": -10 * yuan})
		w.inbox()
		refund("r2", yuan)
		w.inbox(ingest.RefundTooHigh)
		w.sound()
	})
}

// TestLostCardCounterDeceives has a counter call a torn purchase made that was another one.
// The line about it goes, and what the school has borne by then is listed as one too many.
// If the card proves that it has made both, the line is there again.
func TestLostCardCounterDeceives(t *testing.T) {
	for _, borne := range []bool{false, true} {
		onBoth(t, func(t *testing.T, w *world) {
			s := tearLost(w, time.Minute)
			s.p.balance, s.p.offline = s.in.Purse.Balance, s.in.Purse.Counter // the card has not made it
			third := w.till("C03")
			third.at, s.other.at = s.dark.at, s.dark.at
			third.sell(s.p, "dark", 12*yuan)
			s.other.sell(s.p, "online", yuan) // says what the purse held before
			s.dark.push()
			s.other.push()
			want := []ingest.ExceptionKind{ingest.HotCard, ingest.HotCard, ingest.Corrected}
			if lines := s.hotLines(); len(lines) != 1 {
				t.Fatalf("lines %+v", lines)
			} else if borne {
				if err := s.bear(lines[0]); err != nil {
					t.Fatal(err)
				}
				want = append(want, ingest.RefundTooHigh)
			}
			third.push()
			w.inbox(want...)
			if lines := s.hotLines(); len(lines) != 1 || lines[0].Closed.IsZero() ||
				borne != (lines[0].ClosingEntry > 0) {
				t.Errorf("lines %+v, want one that is closed", lines)
			}
			s.other.evidence(s.claim(), journal.Written, "prove", s.tac) // it was made after all: somebody has its keys
			s.other.push()
			if lines := s.hotLines(); len(lines) != 2 || borne != errors.Is(s.bear(lines[1]), clearing.ErrNotThat) {
				t.Errorf("lines %+v; the school bears it once", lines)
			}
			w.wants(map[store.Account]money.Fen{"over-short/clearing": -12 * yuan})
			w.sound()
		})
	}
}

// TestBorneUnderFork: a clone of a terminal has sold to a lost card under the number of
// another holder's purchase at the other machine. What is borne is the lost card's.
func TestBorneUnderFork(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, a, b := t.Context(), w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		stolen, other, c := w.card(1, a, 50*yuan), w.card(2, b, 50*yuan), w.till("C01")
		l, err := lost.New(w.books, lost.Policy{Risk: time.Hour}).Report(ctx, lost.Request{Ref: "L1", Terminal: "C01", Account: a})
		if err != nil {
			t.Fatal(err)
		}
		w.now = l.Free.Add(24 * time.Hour)
		c.at = w.now.Add(-time.Hour)
		clone := c.rewind(0)
		c.sell(other, "mine", 2*yuan)
		c.push()
		clone.sell(stolen, "theirs", 5*yuan)
		clone.reopen(0, journal.ReasonForked).push()
		w.wants(map[store.Account]money.Fen{a: 95 * yuan, b: 98 * yuan})
		lines, err := w.books.Exceptions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if line.Kind != string(ingest.HotCard) {
				continue
			}
			by := clearing.Bearing{Signature: clearing.Signature{Reason: "挂失后被盗刷", One: "王敏", Two: "李强"}}
			if _, err := clearing.New(w.books).Bear(ctx, line.ID, by); err != nil {
				t.Errorf("Bear = %v", err)
			}
		}
		w.wants(map[store.Account]money.Fen{a: 100 * yuan, b: 98 * yuan})
		w.sound()
	})
}
