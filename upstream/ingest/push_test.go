package ingest_test

import (
	"encoding/json"
	"testing"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
)

// TestPush sells and pushes, again and again, and nothing counts twice.
func TestPush(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		c.write(journal.Entry{Kind: journal.Started})
		c.sell(p, "s1", 3*yuan)
		c.sellByCode("1001", "s2", 2*yuan)
		c.write(journal.Entry{Kind: journal.ChannelSale, Ref: "s3", Merchant: merchant, Amount: 7 * yuan})
		c.push()
		want := map[store.Account]money.Fen{a: 95 * yuan, payee: 12 * yuan, "channel/alipay": -7 * yuan}
		w.wants(want)
		w.mirror(p, 47*yuan)
		for range 3 { // the answer was lost
			c.take(c.batch(1, 5))
			c.take(c.batch(2, 3))
		}
		w.wants(want)
		c.sell(p, "s4", yuan)
		c.take(c.batch(3, 7)) // old and new at once
		want[a], want[payee] = 94*yuan, 13*yuan
		w.wants(want)
		w.mirror(p, 46*yuan)
		w.inbox(ingest.ChannelDiffers) // nobody has asked the channel here
		w.sound()
	})
}

// TestGreet: a terminal says up to where we have acknowledged its journal. Only if
// we have less has something been lost, which is one line however often it is said.
func TestGreet(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.till("C01")
		c.write(journal.Entry{Kind: journal.Started})
		c.sellByCode("1001", "s1", 1)
		c.push()
		greet := func(epoch journal.Epoch, acked, have int64) {
			t.Helper()
			h, err := w.in.Greet(t.Context(), journal.Position{Terminal: "C01", Epoch: epoch, Seq: acked})
			if err != nil || h.Seq != have || h.Epoch != epoch {
				t.Errorf("greeted with %d: %+v, %v; want %d entries of %s", acked, h, err, have, epoch)
			}
		}
		greet(c.epoch, 0, 2) // an older program says nothing
		greet(c.epoch, 1, 2)
		greet(c.epoch, 2, 2)
		w.inbox(ingest.UnknownAccount)
		greet(c.epoch, 3, 2)
		greet(c.epoch, 3, 2)
		w.inbox(ingest.UnknownAccount, ingest.Lost)
		greet(journal.Epoch{9}, 1, 0)
		w.inbox(ingest.UnknownAccount, ingest.Lost, ingest.Lost)
		w.sound()
	})
}

func TestEveryKind(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		sale := c.sell(p, "s1", 10*yuan)
		for _, e := range []journal.Entry{
			{Kind: journal.CashIn, Ref: "float", Amount: 100 * yuan},
			{Kind: journal.CashTopUp, Ref: "cash", Card: p.no, Amount: 30 * yuan},
			{Kind: journal.PayOut, Ref: "out", Account: "1001", Amount: 5 * yuan},
			{Kind: journal.Fee, Ref: "fee", Card: p.no, Amount: 15 * yuan},
			{Kind: journal.CashOut, Ref: "drop", Amount: 50 * yuan},
			{Kind: journal.Refund, Ref: "r1", Card: p.no, Merchant: merchant, Amount: 4 * yuan, Origin: sale.Position()},
		} {
			c.write(e)
		}
		counted := journal.Entry{Kind: journal.Counted, Ref: "count", Amount: 74 * yuan, Operator: "9"}
		counted.Terminal, counted.Epoch, counted.Seq = c.terminal.ID, c.epoch, c.next()
		counted.At = c.at.Add(1e6)
		c.put(counted.Post(false, 75*yuan).Encode(c.head())) // one yuan is missing
		c.push()
		w.wants(map[store.Account]money.Fen{
			a: 104 * yuan, payee: 6 * yuan, "till/C01": -74 * yuan, "safe": 50 * yuan,
			"fee/replacement": 15 * yuan, "over-short/C01": -yuan,
		})
		w.inbox()
		w.sound()
	})
}

func TestPushRejected(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		other := w.till("C02")
		other.sell(p, "x", yuan)
		c.sell(p, "s1", yuan)
		c.sell(p, "s2", yuan)

		stolen := *c
		stolen.key = other.key
		c.rejects(stolen.batch(1, 2), journal.ErrUnproven, 0)
		c.rejects(stolen.batch(3, 4), journal.ErrUnproven, 0) // who did not sign it is not known to lack anything
		w.inbox()
		c.rejects(c.batch(3, 4), journal.ErrGap, 0)
		for name, change := range map[string]func(*journal.Batch){
			"body":       func(b *journal.Batch) { b.Bodies = [][]byte{b.Bodies[0], append([]byte{}, b.Bodies[1][1:]...)} },
			"order":      func(b *journal.Batch) { b.Bodies = [][]byte{b.Bodies[1], b.Bodies[0]} },
			"number":     func(b *journal.Batch) { b.From = 2 },
			"epoch":      func(b *journal.Batch) { b.Epoch[0]++ },
			"empty":      func(b *journal.Batch) { b.Bodies = nil },
			"note":       func(b *journal.Batch) { b.Note = c.batch(1, 4).Note },
			"other note": func(b *journal.Batch) { b.Note = other.batch(1, 2).Note },
			"no note":    func(b *journal.Batch) { b.Note = nil },
			"from zero":  func(b *journal.Batch) { b.From = 0 },
		} {
			b := c.batch(1, 2)
			change(&b)
			t.Log(name)
			c.rejects(b, journal.ErrUnproven, 0)
		}

		c.push()
		clone := *c
		clone.bodies, clone.hashes = c.bodies[:2:2], c.hashes[:2:2]
		clone.sellByCode("1001", "other", yuan)
		forged := clone
		forged.key = other.key
		c.rejects(forged.batch(3, 3), journal.ErrUnproven, 4)
		w.inbox(ingest.Lost)
		c.rejects(clone.batch(3, 3), journal.ErrFork, 4)
		c.rejects(clone.batch(1, 3), journal.ErrFork, 4) // one line for it is enough
		w.wants(map[store.Account]money.Fen{a: 98 * yuan, payee: 2 * yuan})
		w.inbox(ingest.Lost, ingest.Fork)

		long := w.till("C03")
		for range journal.BatchMax + 1 {
			long.write(journal.Entry{Kind: journal.Started})
		}
		all := long.batch(1, journal.BatchMax+1)
		long.rejects(all, journal.ErrUnproven, 0) // but for what a person has carried here
		ack, err := w.in.Carry(t.Context(), long.terminal, all)
		if err != nil {
			t.Fatal(err)
		}
		long.checkAck(all, ack)
		w.sound()
	})
}

// TestHostile has a terminal push what cannot be. All of it is kept and listed,
// nothing is moved by it, and what follows goes on.
func TestHostile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c, victim := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		e := journal.Entry{
			Kind: journal.CashTopUp, Ref: "r", Account: "1001", Amount: 1000 * yuan,
			Terminal: "C01", Epoch: c.epoch, Seq: 1, At: start,
		}
		put := func(change func(*journal.Entry)) {
			e := e
			e.Seq = c.next()
			e = e.Post(false, 0)
			change(&e)
			c.put(e.Encode(c.head()))
		}
		put(func(e *journal.Entry) { e.Terminal = "C02" })                       // another's
		put(func(e *journal.Entry) { e.Epoch = victim.epoch })                   // another's
		put(func(e *journal.Entry) { e.Seq += 100 })                             // from the future
		put(func(e *journal.Entry) { e.Postings[0].Amount = -1 })                // unbalanced
		put(func(e *journal.Entry) { e.Postings[0].Account = "till/C02" })       // another's drawer
		put(func(e *journal.Entry) { e.Postings[0].Account = "channel/alipay" }) // not of this kind
		put(func(e *journal.Entry) { e.Kind = 9999 })
		put(func(e *journal.Entry) { e.Amount = 0 })
		put(func(e *journal.Entry) {
			*e = journal.Entry{
				Kind: journal.SaleEnd, Ref: "none", Card: p.no, Merchant: merchant, Amount: yuan, Outcome: journal.Written,
				Terminal: "C01", Epoch: c.epoch, Seq: c.next(), At: start,
			}.Post(false, 0)
		})
		c.put([]byte("nonsense"))
		c.put([]byte{9, 1, 2, 3}) // of a later program
		before := c.head()
		c.hashes[len(c.hashes)-1] = journal.Hash{1}
		unchained := e.Post(false, 0)
		unchained.Seq = c.next()
		body := unchained.Encode(c.head())
		c.hashes[len(c.hashes)-1] = before
		c.put(body)
		c.sell(p, "s1", 3*yuan)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 97 * yuan, payee: 3 * yuan, "till/C01": 0, "till/C02": 0})
		w.inbox(ingest.NotItsOwn, ingest.NotItsOwn, ingest.NotItsOwn, ingest.RuleBroken, ingest.RuleBroken,
			ingest.RuleBroken, ingest.RuleBroken, ingest.RuleBroken, ingest.NoIntent, ingest.NotReadable,
			ingest.NewerForm, ingest.ChainBroken)
		w.sound()
	})
}

// TestShift: a shift's float moves money, and a Z is kept whatever it says; what
// it should have said is added up again.
func TestShift(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.holder("1001", 100*yuan)
		c := w.till("C01")
		sum := journal.NewTally("C01")
		write := func(e journal.Entry) {
			if err := sum.Add(c.write(e)); err != nil {
				t.Fatal(err)
			}
		}
		z := func(ref string, change money.Fen) {
			r := sum.Report(journal.ShiftClosed)
			r.Perpetual += change
			details, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			write(journal.Entry{
				Kind: journal.ShiftClosed, Ref: ref, Operator: "c7", Amount: r.Till, Origin: sum.Last(), Details: details,
			})
		}
		write(journal.Entry{Kind: journal.Started})
		write(journal.Entry{Kind: journal.ShiftOpened, Ref: "o1", Operator: "c7", Amount: 200 * yuan})
		write(journal.Entry{Kind: journal.CodeSale, Ref: "s1", Account: "1001", Merchant: merchant, Amount: 3 * yuan})
		write(journal.Entry{Kind: journal.SignedIn, Ref: "i1", Operator: "c8"})
		z("z1", 0)
		c.push()
		w.wants(map[store.Account]money.Fen{"till/C01": -200 * yuan, "safe": 200 * yuan, payee: 3 * yuan})
		w.inbox()
		w.sound()

		write(journal.Entry{Kind: journal.CodeSale, Ref: "s2", Account: "1001", Merchant: merchant, Amount: yuan})
		z("z2", yuan) // says that it has sold more
		z("z3", 0)    // goes on from there, and is right
		c.push()
		w.inbox(ingest.ReportDiffers)
		w.sound()
	})
}
