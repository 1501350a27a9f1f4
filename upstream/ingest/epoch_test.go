package ingest_test

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

// reopen goes on in a new epoch, and carries over what the journal has after a
// number, and before it what it knows to be open.
func (c *till) reopen(acked int64, reason string, open ...journal.Entry) *till {
	c.w.t.Helper()
	n := *c
	n.bodies, n.hashes = nil, nil
	head := c.head()
	sum := sha256.Sum256(append(c.epoch[:], head[:]...)) // clones go on each in its own
	copy(n.epoch[:], sum[:])
	opening := journal.Opening{
		Reason: reason, Epoch: c.epoch, Head: c.next() - 1, Hash: journal.Hex(c.head()), Version: "test",
		Accounts: c.accounts(),
	}
	n.append(opening.Entry(journal.Position{Terminal: c.terminal.ID, Epoch: c.epoch, Seq: acked}), false)
	for _, e := range open {
		n.append(journal.Carry(e.Position(), c.bodies[e.Seq-1]), false)
	}
	for i, b := range c.bodies[acked:] {
		at := journal.Position{Terminal: c.terminal.ID, Epoch: c.epoch, Seq: acked + int64(i) + 1}
		n.append(journal.Carry(at, b), false)
	}
	return &n
}

// accounts are the balances of the journal's own books.
func (c *till) accounts() map[journal.Account]money.Fen {
	all := map[journal.Account]money.Fen{}
	for _, body := range c.bodies {
		e, _, err := journal.Decode(body)
		if err != nil {
			continue // what a test has made so
		}
		if o, err := e.Opening(); e.Kind == journal.EpochOpened && err == nil {
			maps.Copy(all, o.Accounts)
		}
		for _, p := range e.Postings { // what is carried over has none of its own
			all[p.Account] += p.Amount
		}
	}
	maps.DeleteFunc(all, func(_ journal.Account, f money.Fen) bool { return f == 0 })
	return all
}

// rewind is the same machine, restored from a copy of an earlier moment.
func (c *till) rewind(to int64) *till {
	n := *c
	n.bodies, n.hashes = slices.Clone(c.bodies[:to]), slices.Clone(c.hashes[:to])
	return &n
}

// TestRewound restores a terminal from a copy. What it has lost the upstream
// has, what it has written since is taken once, and what it does not know to be
// open any more is in doubt.
func TestRewound(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		kept := c.intend(p, "kept", 2*yuan)
		c.sell(p, "s1", 3*yuan)
		c.push()
		image := c.rewind(3)
		c.sell(p, "s2", 4*yuan)
		c.intend(p, "lost", 5*yuan)
		c.push()

		image.sell(w.card(2, a, 50*yuan), "s3", yuan)
		image.rejectedAs(t, journal.ErrFork)
		n := image.reopen(3, journal.ReasonRewound, kept)
		n.push()
		n.push()
		w.wants(map[store.Account]money.Fen{a: 92 * yuan, payee: 8 * yuan, suspense("C01"): 0})
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		w.wants(map[store.Account]money.Fen{a: 87 * yuan, payee: 8 * yuan, suspense("C01"): 5 * yuan})
		if claims := w.claims(p); len(claims) != 1 || claims[0].Ref != "lost" {
			t.Errorf("claims %+v, want the lost one", claims)
		}
		n.end(kept, journal.NotWritten, pboc.MAC{})
		n.push()
		w.wants(map[store.Account]money.Fen{a: 87 * yuan, payee: 8 * yuan})

		image.rejectedAs(t, journal.ErrFork) // the old epoch is closed
		w.inbox(ingest.Fork, ingest.Fork, ingest.Fork, ingest.EpochOpened)
		w.sound()
	})
}

// rejectedAs pushes all that the journal has.
func (c *till) rejectedAs(t *testing.T, reason error) {
	t.Helper()
	h, err := c.w.in.Head(t.Context(), c.terminal.ID, c.epoch)
	if err != nil {
		t.Fatal(err)
	}
	c.rejects(c.batch(1, c.next()-1), reason, h.Seq)
}

// TestClone has two machines with one identity. Each finds out, each goes on in
// an epoch of its own, and everything that either has sold counts once.
func TestClone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		c.sell(p, "s1", yuan)
		c.push()
		clone := c.rewind(2)
		c.sell(p, "mine", 2*yuan)
		clone.sellByCode("1001", "theirs", 4*yuan)
		c.push()
		clone.rejectedAs(t, journal.ErrFork)
		other := clone.reopen(2, journal.ReasonForked)
		other.write(journal.Entry{Kind: journal.Started})
		other.push()
		w.wants(map[store.Account]money.Fen{a: 93 * yuan, payee: 7 * yuan})

		c.sellByCode("1001", "after", 8*yuan)
		h, err := w.in.Head(t.Context(), "C01", c.epoch)
		if err != nil {
			t.Fatal(err)
		}
		c.rejects(c.batch(h.Seq+1, c.next()-1), journal.ErrFork, 4)
		mine := c.reopen(4, journal.ReasonForked)
		copy(mine.epoch[:], "another.")
		mine.bodies, mine.hashes = nil, nil
		mine.append(journal.Opening{Reason: journal.ReasonForked, Epoch: c.epoch, Head: 5}.Entry(
			journal.Position{Terminal: "C01", Epoch: c.epoch, Seq: 4}), false)
		mine.append(journal.Carry(journal.Position{Terminal: "C01", Epoch: c.epoch, Seq: 5}, c.bodies[4]), false)
		mine.write(journal.Entry{Kind: journal.Started})
		mine.push()
		w.wants(map[store.Account]money.Fen{a: 85 * yuan, payee: 15 * yuan})
		w.inbox(ingest.Fork, ingest.Fork, ingest.EpochOpened, ingest.EpochOpened)
		w.sound()
	})
}

// TestCarriedTwice brings one entry in two epochs, and in the old one after all.
func TestCarriedTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		c := w.till("C01")
		c.sellByCode("1001", "s1", yuan)
		c.sellByCode("1001", "s2", 2*yuan)
		n := c.reopen(0, journal.ReasonRecovered)
		n.push()
		m := n.reopen(0, journal.ReasonRecovered)
		m.bodies, m.hashes = m.bodies[:1], m.hashes[:1]
		for i, b := range c.bodies {
			m.append(journal.Carry(journal.Position{Terminal: "C01", Epoch: c.epoch, Seq: int64(i) + 1}, b), false)
		}
		m.push()
		w.wants(map[store.Account]money.Fen{a: 97 * yuan, payee: 3 * yuan})
		w.inbox(ingest.EpochOpened, ingest.EpochOpened)
		w.sound()
	})
}

// TestCarriedFork carries something else over under a number that is in use.
func TestCarriedFork(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		c := w.till("C01")
		clone := c.rewind(0)
		c.sellByCode("1001", "s1", yuan)
		c.push()
		clone.sellByCode("1001", "x1", 2*yuan)
		n := clone.reopen(0, journal.ReasonForked)
		n.push()
		n.push()
		w.wants(map[store.Account]money.Fen{a: 97 * yuan, payee: 3 * yuan})
		w.inbox(ingest.EpochOpened, ingest.Fork)
		w.sound()
	})
}

// TestRefundUnderFork: a clone has sold something under a number that is in use, and given it
// back. That is a refund of its own sale, and not of the other machine's, whether it comes
// with the sale or after it.
func TestRefundUnderFork(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a, b := w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		for _, id := range []string{"C01", "C02"} {
			c := w.till(id)
			clone := c.rewind(0)
			c.sellByCode("1001", id+"mine", 2*yuan)
			c.push()
			sale := clone.sellByCode("1002", id+"theirs", 5*yuan)
			clone.write(journal.Entry{
				Kind: journal.Refund, Ref: id + "back", Account: "1002", Merchant: merchant, Amount: 5 * yuan,
				Origin: sale.Position(),
			})
			n := clone.reopen(0, journal.ReasonForked)
			if id == "C02" {
				n.take(n.batch(1, 2))
			}
			n.push()
		}
		w.wants(map[store.Account]money.Fen{a: 96 * yuan, b: 100 * yuan, payee: 4 * yuan})
		w.inbox(ingest.EpochOpened, ingest.Fork, ingest.EpochOpened, ingest.Fork)
		w.sound()
	})
}

// TestLostUnderFork: a terminal that was restored has forgotten a purchase that
// the upstream has, and has written something else under its number. To bring
// that over is not to know of the purchase: it is in doubt, and what was held
// for it is in suspense.
func TestLostUnderFork(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.approved(c.ask(p, "lost", 3*yuan), 10*yuan)
		image := c.rewind(1)
		p.debit(c.intend(p, "lost", 3*yuan))
		c.push()
		image.write(journal.Entry{Kind: journal.Started})
		n := image.reopen(1, journal.ReasonForked)
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		w.wants(map[store.Account]money.Fen{a: 7 * yuan, suspense("C01"): 3 * yuan})
		if claims := w.claims(p); len(claims) != 1 || claims[0].Ref != "lost" {
			t.Errorf("claims %+v, want the lost one", claims)
		}
		d.approved(d.ask(p, "next", 7*yuan), 7*yuan)
		w.inbox(ingest.Fork, ingest.EpochOpened)
		w.sound()
	})
}

func TestEpochUnexplained(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 100*yuan)
		c := w.till("C01")
		c.sellByCode("1001", "s1", yuan)
		c.push()
		n := *c
		n.bodies, n.hashes = nil, nil
		n.epoch[0]++
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		w.inbox(ingest.EpochUnexplained)
		n = *n.reopen(1, "because")
		n.bodies, n.hashes = nil, nil
		n.append(journal.Opening{Epoch: n.epoch, Reason: "itself"}.Entry(journal.Position{}), false)
		n.push()
		w.inbox(ingest.EpochUnexplained, ingest.RuleBroken)
		w.sound()
	})
}

// TestHoldsOfLostDisk: a disk is lost with all that it had not pushed, and the
// new journal knows nothing of the old. What was held under the old one's
// numbers is free once that goes on, and what it had announced is in doubt.
func TestHoldsOfLostDisk(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.approved(c.ask(p, "announced", 2*yuan), 10*yuan)
		c.intend(p, "announced", 2*yuan)
		c.push()
		c.approved(c.ask(p, "lost", 3*yuan), 8*yuan)
		n := *c
		n.bodies, n.hashes = nil, nil
		n.epoch[0]++
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		w.wants(map[store.Account]money.Fen{a: 8 * yuan, suspense("C01"): 2 * yuan})
		d.approved(d.ask(p, "x", 1), 8*yuan)
		c.approved(c.ask(p, "late", yuan), 8*yuan-1) // it was on its way all the time
		n.write(journal.Entry{Kind: journal.Started})
		n.push()
		d.approved(d.ask(p, "y", 1), 8*yuan)
		w.inbox(ingest.EpochUnexplained)
		w.sound()
	})
}

// TestTwoMachinesFreeHolds: of two machines with one identity each lets go of what
// the other's sale holds, and what was held is spent elsewhere. Both sales are
// posted all the same, once, and the holder owes no more than what the purse held
// less the card reserve, which is the bound of a sale in the dark.
func TestTwoMachinesFreeHolds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const inPurse = 60 * yuan
		a := w.holder("1001", 100*yuan)
		p, c, d := w.card(1, a, inPurse), w.till("C01"), w.till("C02")
		held := c.ask(p, "held", 50*yuan)
		c.approved(held, 100*yuan)
		twin := *c
		twin.bodies, twin.hashes = nil, nil
		twin.epoch[0]++
		twin.write(journal.Entry{Kind: journal.Started})
		twin.push()

		virtual := d.ask(p, "virtual", 80*yuan)
		virtual.CardNo, virtual.Account, virtual.Virtual = "", "1001", true
		d.approved(virtual, 100*yuan-reserve)
		d.sellByCode("1001", "virtual", 80*yuan)
		d.push()
		theirs := twin.request(p, "theirs", yuan)
		twin.approved(theirs, 20*yuan)
		sell := func(c *till, q ingest.Request) {
			in := c.write(journal.Entry{
				Kind: journal.SaleIntent, Ref: q.Attempt, Card: p.no, Merchant: merchant, Amount: q.Amount,
				Details: []byte(`{"approved":true}`), Purse: &journal.Purse{
					Balance: p.balance, Counter: p.offline, KeyVersion: 1, TerminalNo: c.terminal.No, TraceNo: 1,
					Stamp: pboc.Stamp{0x20, 0x26, 0x03, 0x02, 0x12, 0, 1},
				},
			})
			c.push()
			c.end(in, journal.Written, p.debit(in))
			c.push()
		}
		sell(c, held)
		sell(&twin, theirs)
		c.take(c.batch(1, c.next()-1)) // its answer was lost
		owed := 50*yuan + yuan + 80*yuan - 100*yuan
		w.wants(map[store.Account]money.Fen{a: -owed, payee: 131 * yuan})
		if owed > inPurse-reserve {
			t.Errorf("the holder owes %s, more than may be spent in the dark", owed)
		}
		w.mirror(p, 9*yuan)
		w.inbox(ingest.EpochUnexplained, ingest.Overdrawn)
		w.sound()
	})
}

// TestPart: a terminal is shut out. Nothing is held for it any more, and what it
// has announced is in doubt, until the card is seen somewhere. If the program that
// shuts it out dies in between, that is seen, and doing it again ends it.
func TestPart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.approved(c.ask(p, "announced", 2*yuan), 10*yuan)
		p.debit(c.intend(p, "announced", 2*yuan))
		c.push()
		c.approved(c.ask(p, "held", 3*yuan), 8*yuan)
		began := w.now
		w.now = w.now.Add(time.Hour)
		d.approved(d.ask(p, "another's", yuan), 5*yuan)
		c.approved(c.request(p, "another", yuan), 7*yuan)
		w.holdings(map[string]ingest.Holding{"C01": {3, 6 * yuan, began}, "C02": {1, yuan, w.now}})
		if err := w.books.RevokeTerminal(t.Context(), c.terminal.ID); err != nil {
			t.Fatal(err)
		}
		broken, err := w.in.Verify(t.Context())
		if err != nil || len(broken) != 3 || !strings.Contains(broken[0], "shut out") {
			t.Errorf("verify: %q, %v; want what is held for who is shut out", broken, err)
		}
		for range 2 {
			if err := w.in.Part(t.Context(), c.terminal); err != nil {
				t.Fatal(err)
			}
		}
		w.holdings(map[string]ingest.Holding{"C02": {1, yuan, w.now}})
		w.wants(map[store.Account]money.Fen{a: 8 * yuan, suspense("C01"): 2 * yuan})
		d.approved(d.ask(p, "x", yuan), 8*yuan)
		d.sighted(p)
		d.push()
		w.wants(map[store.Account]money.Fen{a: 8 * yuan, payee: 2 * yuan, suspense("C01"): 0})
		w.inbox()
		w.sound()
	})
}

func (w *world) holdings(want map[string]ingest.Holding) {
	w.t.Helper()
	got, err := ingest.Holdings(w.t.Context(), w.books)
	if err != nil || !maps.Equal(got, want) {
		w.t.Errorf("holdings are %+v, %v; want %+v", got, err, want)
	}
}

// TestEndsAgain: a terminal is put back to a copy of before it had ended a sale, and the
// card tells it once more how that came out. It is booked once, and nobody is asked to
// book it by hand.
func TestEndsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		sold := c.intend(p, "s1", 10*yuan)
		tac := p.debit(sold)
		torn := c.intend(p, "s2", 5*yuan)
		tornTAC := p.debit(torn)
		c.doubt(torn)
		first := c.end(sold, journal.Written, tac)
		c.end(torn, journal.Written, tornTAC)
		c.push()
		r := c.rewind(3)
		r.doubt(sold)
		r.end(sold, journal.Written, tac)
		r.end(torn, journal.Written, tornTAC)
		n := r.reopen(3, journal.ReasonRewound)
		n.push()
		w.wants(map[store.Account]money.Fen{a: 85 * yuan, payee: 15 * yuan, suspense("C01"): 0})
		lines, err := w.books.Exceptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, x := range lines {
			if _, booked, is := strings.Cut(x.Detail, ", booked as "); is && !strings.Contains(x.NextStep, "by hand") {
				said = append(said, booked)
			}
		}
		want := []string{first.Position().String(), first.Position().String(), torn.Position().String()}
		if !slices.Equal(said, want) {
			t.Errorf("booked as %q, want %q: %+v", said, want, lines)
		}
		w.sound()
	})
}

// TestSettlementOfEnded: a terminal is put back to a copy of before it had ended a sale and
// a load, of which it does not know any more, and their card never comes back. It is told
// how they had ended, and nothing is to be booked by hand.
func TestSettlementOfEnded(t *testing.T) {
	for was, told := range map[journal.Outcome]journal.Outcome{
		journal.Written: journal.Elsewhere, journal.NotWritten: journal.ElsewhereNot,
	} {
		t.Run(was.String(), func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) { endedBefore(t, w, was, told) })
		})
	}
}

// intendLoad announces a load that is authorized.
func (c *till) intendLoad(t *testing.T, p *purse, id string, amount money.Fen) journal.Entry {
	t.Helper()
	at := pboc.Stamp{0x20, 0x26, 0x03, 0x02, 0x12, 0, 1}
	err := c.w.books.WithCard(t.Context(), p.no, func(tx store.CardTx) error {
		return errors.Join(
			tx.AddLoad(store.Load{ID: id, Terminal: c.terminal.ID, Amount: amount}),
			tx.AddOffer(store.Offer{LoadID: id, Counter: p.online, Balance: p.balance, Stamp: at, Terminal: c.terminal.No}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.write(journal.Entry{Kind: journal.LoadIntent, Ref: id, Card: p.no, Amount: amount, Purse: &journal.Purse{
		Balance: p.balance, Counter: p.online, TerminalNo: c.terminal.No, Stamp: at,
	}})
}

func (c *till) endLoad(load journal.Entry, o journal.Outcome, tac pboc.MAC) {
	said := *load.Purse
	said.TAC = tac
	load.Kind, load.Outcome, load.Purse = journal.LoadEnd, o, &said
	c.write(load)
}

func endedBefore(t *testing.T, w *world, was, told journal.Outcome) {
	a := w.holder("1001", 100*yuan)
	p, c := w.card(1, a, 50*yuan), w.till("C01")
	load := c.intendLoad(t, p, strings.Repeat("0a", 16), 2*yuan)
	sold := c.intend(p, "s1", 10*yuan)
	open := c.intend(p, "s2", yuan)
	var tac, loadTAC pboc.MAC
	want := map[store.Account]money.Fen{a: 100 * yuan, payee: 0, suspense("C01"): 0}
	if was.Happened() {
		tac, loadTAC = p.debit(sold), p.credit(load)
		want[a], want[payee] = 90*yuan, 10*yuan
	}
	c.end(sold, was, tac)
	c.endLoad(load, was, loadTAC)
	c.push()
	r := c.rewind(3)
	r.doubt(sold)
	refs := []string{"s1", "s2", load.Ref, "never"}
	if got, err := w.in.Settlements(t.Context(), "C01", refs); err != nil || len(got) != 0 {
		t.Errorf("before it has said what it does not know any more, Settlements = %v, %v", got, err)
	}
	n := r.reopen(3, journal.ReasonRewound, load, sold, open)
	n.push()
	w.wants(want)
	ended := map[string]journal.Outcome{"s1": told, load.Ref: told}
	got, err := w.in.Settlements(t.Context(), "C01", refs)
	if err != nil || !maps.Equal(got, ended) {
		t.Errorf("Settlements = %v, %v; want %v", got, err, ended)
	}
	if got, err := w.in.Settlements(t.Context(), "C02", refs); err != nil || len(got) != 0 {
		t.Errorf("another terminal's Settlements = %v, %v", got, err)
	}
	n.doubts["s1"] = true
	n.end(sold, told, pboc.MAC{})
	n.endLoad(load, told, pboc.MAC{})
	n.push()
	w.wants(want)
	lines, err := w.books.Exceptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range lines {
		if x.Kind == string(ingest.NoIntent) && strings.Contains(x.NextStep, "by hand") {
			t.Errorf("somebody is to book by hand what is booked: %+v", x)
		}
	}
	w.sound()
}

// TestCarriedAfterLoss: books that are older than they were are given a journal by hand, and
// lack what they had acknowledged of the one before it. It is taken, and people are told.
func TestCarriedAfterLoss(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 10*yuan)
		c := w.till("C01")
		c.sellByCode("1001", "had", yuan)
		c.push()
		c.sellByCode("1001", "lost", 2*yuan)
		n := c.reopen(2, journal.ReasonForked)
		n.sellByCode("1001", "since", 3*yuan)
		if _, err := w.in.Carry(t.Context(), n.terminal, n.batch(1, 2)); err != nil {
			t.Fatal(err)
		}
		w.wants(map[store.Account]money.Fen{payee: 4 * yuan})
		w.inbox(ingest.EpochOpened, ingest.Lost)
		w.sound()
	})
}

// TestPartWhileAsked: a terminal is shut out while a question of its is on the way to
// the books. Nothing is held for what nobody would ever let go of.
func TestPartWhileAsked(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		c.write(journal.Entry{Kind: journal.Started})
		c.push()
		err := errors.Join(w.books.RevokeTerminal(t.Context(), c.terminal.ID), w.in.Part(t.Context(), c.terminal))
		if err != nil {
			t.Fatal(err)
		}
		c.declined(c.ask(p, "late", 3*yuan), v1.Reason_REASON_NUMBER_PASSED)
		w.holdings(map[string]ingest.Holding{})
		w.sound()
	})
}

// TestHoldsOfOldEpoch: a hold goes with the number that it was placed under.
func TestHoldsOfOldEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 10*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		c.approved(c.ask(p, "sold", 3*yuan), 10*yuan)
		c.sell(p, "sold", 3*yuan)
		above := c.ask(p, "never", 2*yuan)
		c.approved(above, 7*yuan)
		n := c.reopen(1, journal.ReasonRewound)
		n.take(n.batch(1, 1)) // it says how far the old one came
		d.approved(d.ask(p, "x", 1), 7*yuan)
		n.take(n.batch(2, 3)) // sold, carried over
		d.approved(d.ask(p, "y", 1), 7*yuan)
		w.wants(map[store.Account]money.Fen{a: 7 * yuan})
		c.declined(above, v1.Reason_REASON_NUMBER_PASSED) // its epoch is over
		w.sound()
	})
}

// TestRepeatOld answers an old push again after newer ones, with the campus's
// word about that very checkpoint.
func TestRepeatOld(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 1000*yuan)
		c := w.till("C01")
		for range 600 {
			c.sellByCode("1001", "s"+string(rune('a'+c.next()%26))+journal.Hex(c.head())[:8], 1)
		}
		for from := int64(1); from < 600; from += 100 {
			c.take(c.batch(from, from+99))
		}
		for _, b := range []journal.Batch{c.batch(1, 50), c.batch(200, 299), c.batch(1, 512), c.batch(600, 600)} {
			ack, err := w.in.Push(t.Context(), c.terminal, b)
			if err != nil {
				t.Fatal(err)
			}
			if c.checkAck(b, ack); ack.Head.Seq != 600 {
				t.Errorf("upstream has %d, want 600", ack.Head.Seq)
			}
		}
		w.wants(map[store.Account]money.Fen{payee: 600})
		w.sound()
	})
}
