package clearing_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/payment"
	"quancun/upstream/store"
)

// till is a terminal that sells by payment code and pushes its journal.
type till struct {
	w        *world
	in       *ingest.Ingest
	key      ed25519.PrivateKey
	terminal store.Terminal
	hashes   []journal.Hash
	bodies   [][]byte
}

func newTill(w *world) *till {
	w.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	k, err := keys.OpenSoftware(filepath.Join(w.t.TempDir(), "keys.json"))
	w.must(err)
	terminal, err := w.books.Terminal(w.t.Context(), "K01")
	w.must(err)
	terminal.JournalKey = public
	return &till{w: w, in: ingest.New(w.books, k, ingest.Policy{}), key: private, terminal: terminal}
}

var tillEpoch = journal.Epoch{1}

// write appends an entry to the journal.
func (c *till) write(e journal.Entry) journal.Entry {
	var head journal.Hash
	if len(c.hashes) > 0 {
		head = c.hashes[len(c.hashes)-1]
	}
	e.Terminal, e.Epoch, e.Seq, e.Clock = "K01", tillEpoch, int64(len(c.bodies))+1, journal.ClockSynced
	e.At = c.w.now().Add(time.Duration(e.Seq) * time.Millisecond) // it grows
	e = e.Post(false, 0)
	body := e.Encode(head)
	c.bodies, c.hashes = append(c.bodies, body), append(c.hashes, journal.HashOf(body))
	return e
}

// push pushes all of the journal.
func (c *till) push() {
	c.w.t.Helper()
	var tree journal.Frontier
	for _, h := range c.hashes {
		tree.Append(h)
	}
	note, err := journal.Checkpoint{
		Terminal: "K01", Epoch: tillEpoch, Size: int64(len(c.bodies)), Root: tree.Root(),
	}.Sign(c.key)
	c.w.must(err)
	_, err = c.in.Push(c.w.t.Context(), c.terminal, journal.Batch{
		Epoch: tillEpoch, From: 1, Bodies: c.bodies, Note: note,
	})
	c.w.must(err)
}

// TestSalesByCode compares what tills have sold by Alipay's payment codes: the
// bill has it under the numbers that the journal has, refunds too.
func TestSalesByCode(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		till := newTill(w)
		w.set("2026-03-01 12:00:00")
		desk := payment.New(payment.Config{Books: w.books, Channel: w.alipay, Now: w.now})
		pay := func(ref string, amount money.Fen) {
			code, err := w.gateway.Code()
			w.must(err)
			p, err := desk.Pay(t.Context(), payment.Payment{
				No: ref, Terminal: "K01", Merchant: "canteen", Amount: amount,
			}, code)
			if err != nil || p.State != payment.Paid {
				t.Fatalf("Pay = %+v, %v; want it paid", p, err)
			}
		}
		sale := func(ref string, amount money.Fen) journal.Entry {
			pay(ref, amount)
			return till.write(journal.Entry{Kind: journal.ChannelSale, Ref: ref, Merchant: "canteen", Amount: amount})
		}
		sale("S1", 8*yuan)
		second := sale("S2", 12*yuan)
		r, err := desk.Refund(t.Context(), payment.Refund{OrderNo: "S2", No: "R1", Amount: 2 * yuan})
		if err != nil || r.State != payment.RefundDone {
			t.Fatalf("Refund = %+v, %v; want it done", r, err)
		}
		till.write(journal.Entry{
			Kind: journal.Refund, Ref: "R1", Merchant: "canteen", Amount: 2 * yuan, Origin: second.Position(),
		})
		till.write(journal.Entry{Kind: journal.ChannelSale, Ref: "S3", Merchant: "canteen", Amount: 5 * yuan}) // never paid
		again := journal.Entry{Kind: journal.ChannelSale, Ref: "S1", Merchant: "canteen", Amount: 8 * yuan}
		till.write(again) // by a terminal that was restored from a copy
		pay("S4", 3*yuan) // and the till falls silent
		w.set("2026-03-02 08:00:00")
		till.push()
		w.set("2026-03-02 10:00:00")
		w.once(0)
		want := []string{
			"channel differs  5.00: operator, compare with the channel's bill; correct the sale if it was never paid",
			"channel twice  8.00: operator, nothing, if the terminal was restored from a copy: it is booked once",
			"payment only ours S3 5.00: operator, claim payment",
			"payment only theirs S4 3.00: operator, await sale",
		}
		if got := w.inbox(); !slices.Equal(got, want) {
			t.Errorf("inbox %q, want %q", got, want)
		}
		till.write(journal.Entry{Kind: journal.ChannelSale, Ref: "S4", Merchant: "canteen", Amount: 3 * yuan})
		till.push()
		w.once(0)
		if got := w.inbox(); got[3] != "closed "+want[3] {
			t.Errorf("inbox %q, want the sale that came to have closed its line", got)
		}
		broken, err := till.in.Verify(t.Context())
		if err != nil || len(broken) > 0 {
			t.Errorf("Verify = %q, %v", broken, err)
		}
		o, err := w.house.Compare(t.Context(), source, day)
		if err != nil || o.Matched != 4 || o.Even != 0 {
			t.Errorf("Compare = %+v, %v; want three sales and a refund matched", o, err)
		}
		wants(t, w.settled(), "canteen 2026-03-01 4(0) 25.00-2.00=23.00 open") // S4 came when the day was closed
		w.whole()
	})
}

// TestClockOfATill has a till whose clock is of another year sell by Alipay's codes, and
// give back what the channel says that it has given back. What it writes is compared on
// the day on which it came.
func TestClockOfATill(t *testing.T) {
	for name, clock := range map[string]string{"Behind": "2020-01-01 00:00:00", "Ahead": "2036-01-01 00:00:00"} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) {
				till := newTill(w)
				w.set("2026-03-01 12:00:00")
				desk := payment.New(payment.Config{Books: w.books, Channel: w.alipay, Now: w.now})
				code, err := w.gateway.Code()
				w.must(err)
				p, err := desk.Pay(t.Context(), payment.Payment{
					No: "S1", Terminal: "K01", Merchant: "canteen", Amount: 8 * yuan,
				}, code)
				if err != nil || p.State != payment.Paid {
					t.Fatalf("Pay = %+v, %v; want it paid", p, err)
				}
				w.set(clock)
				till.write(journal.Entry{Kind: journal.ChannelSale, Ref: "S1", Merchant: "canteen", Amount: 8 * yuan})
				w.set("2026-03-01 12:00:01")
				till.push()
				w.set("2026-03-02 10:00:00")
				_, err = w.gateway.Arm(lab.Fault{Method: "bill.file", Kind: lab.Missing, Order: "S1"})
				w.must(err)
				w.once(0)
				if got := w.days(); !slices.Equal(got, []string{"2026-03-01"}) {
					t.Errorf("%d days, from %q on; want the 1st", len(got), got[:min(len(got), 3)])
				}
				if got := w.inbox(); len(got) == 0 || got[len(got)-1] != "payment only ours S1 8.00: operator, claim payment" {
					t.Errorf("inbox %q; want the sale in it", got)
				}
				w.whole()
			})
		})
	}
}

// TestSalesCarriedOver has a till whose disk was put back go on in a new epoch, with what two
// copies of the disk had sold under one number of the old one, for the same amount. Each sale
// is compared under its own name, and a refund under that of what it gives back.
func TestSalesCarriedOver(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		till := newTill(w)
		w.set("2026-03-01 12:00:00")
		desk := payment.New(payment.Config{Books: w.books, Channel: w.alipay, Now: w.now})
		for _, no := range []string{"S1", "S2", "S3"} {
			code, err := w.gateway.Code()
			w.must(err)
			p, err := desk.Pay(t.Context(), payment.Payment{
				No: no, Terminal: "K01", Merchant: "canteen", Amount: 8 * yuan,
			}, code)
			if err != nil || p.State != payment.Paid {
				t.Fatalf("Pay = %+v, %v; want it paid", p, err)
			}
		}
		sale := func(ref string) journal.Entry {
			return journal.Entry{Kind: journal.ChannelSale, Ref: ref, Merchant: "canteen", Amount: 8 * yuan}
		}
		carried := func(seq int64, e journal.Entry) journal.Position {
			e.Terminal, e.Epoch, e.Seq, e.Clock = "K01", journal.Epoch{9}, seq, journal.ClockSynced
			e.At = w.now().Add(-time.Minute)
			from := e.Position()
			till.write(journal.Carry(from, e.Post(false, 0).Encode(journal.Hash{})))
			return from
		}
		till.write(sale("S1"))
		first := carried(7, sale("S2"))
		w.set("2026-03-01 12:00:05")
		carried(7, sale("S3")) // the other copy's
		r, err := desk.Refund(t.Context(), payment.Refund{OrderNo: "S2", No: "R1", Amount: 6 * yuan})
		if err != nil || r.State != payment.RefundDone {
			t.Fatalf("Refund = %+v, %v; want it done", r, err)
		}
		carried(8, journal.Entry{
			Kind: journal.Refund, Ref: "R1", Merchant: "canteen", Amount: 6 * yuan, Origin: first,
		})
		r, err = desk.Refund(t.Context(), payment.Refund{OrderNo: "S3", No: "R2", Amount: 7 * yuan})
		if err != nil || r.State != payment.RefundDone {
			t.Fatalf("Refund = %+v, %v; want it done", r, err)
		}
		carried(9, journal.Entry{ // of the other copy's sale, which has the first one's number
			Kind: journal.Refund, Ref: "R2", Merchant: "canteen", Amount: 7 * yuan, Origin: first,
			Details: []byte(`{"sale":"S3"}`),
		})
		till.push()
		w.set("2026-03-02 10:00:00")
		w.once(0)
		o, err := w.house.Compare(t.Context(), source, day)
		if err != nil || o.Matched != 5 || o.Open+o.Even != 0 {
			t.Errorf("Compare = %+v, %v; want three sales and two refunds matched", o, err)
		}
		all, err := w.house.Exceptions(t.Context(), true)
		w.must(err)
		for _, x := range all {
			if x.Kind == string(ingest.RefundTooHigh) {
				t.Errorf("%s: %s, and the two are of two sales", x.Kind, x.Detail)
			}
		}
		w.whole()
	})
}
