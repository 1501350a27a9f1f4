package clearing_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
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
		sale := func(ref string, amount money.Fen) journal.Entry {
			_, err := w.alipay.Precreate(t.Context(), channel.Order{
				No: ref, Amount: amount, Subject: "食堂", Terminal: "K01", Life: 2 * time.Minute,
			})
			w.must(err)
			w.pay(ref)
			return till.write(journal.Entry{Kind: journal.ChannelSale, Ref: ref, Merchant: "canteen", Amount: amount})
		}
		sale("S1", 8*yuan)
		second := sale("S2", 12*yuan)
		w.must(w.alipay.Refund(t.Context(), "S2", "R1", 2*yuan))
		till.write(journal.Entry{
			Kind: journal.Refund, Ref: "R1", Merchant: "canteen", Amount: 2 * yuan, Origin: second.Position(),
		})
		till.write(journal.Entry{Kind: journal.ChannelSale, Ref: "S3", Merchant: "canteen", Amount: 5 * yuan}) // never paid
		w.set("2026-03-02 08:00:00")
		till.push()
		w.set("2026-03-02 10:00:00")
		w.once(0)
		want := []string{"payment only ours S3 5.00: operator, claim payment"}
		if got := w.inbox(); !slices.Equal(got, want) {
			t.Errorf("inbox %q, want %q", got, want)
		}
		o, err := w.house.Compare(t.Context(), source, day)
		if err != nil || o.Matched != 3 || o.Even != 0 {
			t.Errorf("Compare = %+v, %v; want two sales and a refund matched", o, err)
		}
		wants(t, w.settled(), "canteen 2026-03-01 4(0) 25.00-2.00=23.00 open") // of the day on which it was sold
		w.whole()
	})
}
