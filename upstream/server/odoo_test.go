package server_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
)

// TestOdoo is how sales were lost and doubled in the point of sale that most
// shops use: eight of its issues, and the repetition that its database refused.
// Each is done to a terminal's journal, its pusher and an upstream, all real.
func TestOdoo(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*testing.T, *world)
	}{
		{"125037 confirmed order gone after a power cut", odooPowerCut},
		{"152259 two tabs send one queue", odooTwoTabs},
		{"40567 sync that timed out was done", odooTimedOut},
		{"203431 only the last order is synced", odooLastOnly},
		{"60939 receipt printed and no record", odooReceipt},
		{"261096 network drops again in mid-sync", odooDropsAgain},
		{"284790 storage evicted", odooEvicted},
		{"288974 paid order reopened by another device", odooReopened},
		{"258304 repetition hits a unique constraint", odooRepeated},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.do(t, w)
			w.whole()
		})
	}
}

// order sells something, and says so to the customer.
func (s *seller) order(ref string, amount money.Fen) {
	s.w.t.Helper()
	_, err := s.book.Append(s.w.t.Context(), journal.Entry{
		Kind: journal.CodeSale, Ref: ref, Account: account, Merchant: "m1", Amount: amount,
	})
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.sold += amount
}

// line is a way upstream that fails as it is told: before a call has its effect,
// or after it.
type line struct {
	*client.Client
	calls int
	fails func(call int) (before, after bool)
}

var errLine = errors.New("the line is dead")

func (l *line) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	l.calls++
	before, after := l.fails(l.calls)
	if before {
		return journal.Ack{}, errLine
	}
	ack, err := l.Client.Push(ctx, b)
	if after {
		return journal.Ack{}, errLine
	}
	return ack, err
}

// sync pushes until all is upstream, over a line that may fail.
func (s *seller) sync(over push.Upstream) (failed int) {
	s.w.t.Helper()
	p := push.New(push.Options{Book: s.book, Upstream: over, Campus: s.campus, Log: slog.New(slog.DiscardHandler)})
	for failed < 100 {
		more, err := p.Step(s.w.t.Context())
		switch {
		case err != nil:
			failed++
		case !more:
			return failed
		}
	}
	s.w.t.Fatal("does not get through")
	return failed
}

// counted checks that all that was sold counts once.
func (s *seller) counted() {
	s.w.t.Helper()
	s.w.balance(store.HolderAccount(account), opening-s.sold)
	s.w.balance(store.Account(journal.MerchantAccount("m1")), s.sold)
	waiting, err := s.book.Waiting(s.w.t.Context())
	if err != nil || waiting.Count != 0 {
		s.w.t.Errorf("%d entries wait, %v", waiting.Count, err)
	}
}

// memory is a disk that a power cut takes from.
type memory struct{ *disk.Disk }

func (m memory) Open(path string, flag int) (ledger.File, error) {
	f, err := m.Disk.Open(path, flag)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m memory) Lock(path string) (io.Closer, error) { return m.Disk.Lock(path) }

// odooPowerCut: what was confirmed is there after a power cut that takes all
// that was not synchronised.
func odooPowerCut(t *testing.T, w *world) {
	d := disk.New(disk.Options{})
	s := w.enrolSeller("C01")
	s.path, s.o.FS = "journal.db", memory{d}
	s.open()
	for n := range 5 {
		s.order(fmt.Sprint("o", n), yuan)
	}
	after := d.Cut(rand.New(rand.NewPCG(1, 2)))
	d.PowerOff()
	_ = s.book.Close() // without power nothing can be closed well
	d.Close()
	defer after.Close()
	s.o.FS = memory{after}
	s.open()
	defer s.close()
	s.sync(s.client)
	s.counted()
}

// odooTwoTabs: a second program on one journal is refused, and a queue that is
// sent twice at once counts once.
func odooTwoTabs(t *testing.T, w *world) {
	s := w.newSeller("C01")
	for n := range 20 {
		s.order(fmt.Sprint("o", n), yuan)
	}
	if second, err := ledger.Open(t.Context(), s.path, s.o); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("a second program got the journal: %v, %v", second, err)
	}
	var tabs sync.WaitGroup
	for range 4 {
		tabs.Go(func() { s.sync(s.client) })
	}
	tabs.Wait()
	s.counted()
}

// odooTimedOut: the upstream has it, and the terminal was not told.
func odooTimedOut(t *testing.T, w *world) {
	s := w.newSeller("C01")
	s.order("o1", 3*yuan)
	over := &line{Client: s.client, fails: func(call int) (before, after bool) { return false, call <= 3 }}
	if failed := s.sync(over); failed != 3 {
		t.Errorf("%d answers were lost, want 3", failed)
	}
	s.counted()
}

// odooLastOnly: a till that has been closed and started again brings all that it
// has, and nobody can bring the last order without those before it.
func odooLastOnly(t *testing.T, w *world) {
	s := w.newSeller("C01")
	for n := range 3 {
		s.order(fmt.Sprint("o", n), yuan)
	}
	head, err := s.book.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, err := s.book.Batch(t.Context(), head.Seq, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Push(t.Context(), last); !errors.Is(err, journal.ErrGap) {
		t.Errorf("push of the last order alone: %v, want %v", err, journal.ErrGap)
	}
	w.balance(store.HolderAccount(account), opening)
	s.close()
	s.open()
	s.order("o3", yuan)
	s.sync(s.client)
	s.counted()
}

// odooReceipt: there is no receipt without a record, and what a receipt says is
// found upstream under its number.
func odooReceipt(t *testing.T, w *world) {
	s := w.newSeller("C01")
	key := s.o.Key.Public().(ed25519.PublicKey)
	cert, err := journal.Certify(s.id, key, time.Now(), w.keys.Campus())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.book.Receipt(t.Context(), "o1", cert); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("receipt of what was never sold: %v", err)
	}
	s.order("o1", 3*yuan)
	printed, err := s.book.Receipt(t.Context(), "o1", cert)
	if err != nil {
		t.Fatal(err)
	}
	r, err := journal.OpenReceipt(printed.Text(), s.campus)
	if err != nil {
		t.Fatal(err)
	}
	s.sync(s.client)
	s.counted()
	h, err := w.journals.Head(t.Context(), s.id, r.Epoch)
	if err != nil || h.Seq != r.Seq || h.Hash != r.Hash || r.Amount != 3*yuan {
		t.Errorf("the receipt says %+v, upstream is at %+v, %v", r, h, err)
	}
}

// odooDropsAgain: the line comes and goes while a queue goes up in many batches,
// before an effect and after it. What is not acknowledged goes on waiting.
func odooDropsAgain(t *testing.T, w *world) {
	s := w.newSeller("C01")
	var goneUp, told int64
	for n := range 30 {
		s.order(fmt.Sprint("o", n), 10)
		over := &line{Client: s.client, fails: func(call int) (before, after bool) {
			return call == 1 && n%3 == 0, call <= 2 && n%3 == 1
		}}
		p := push.New(push.Options{Book: s.book, Upstream: over, Campus: s.campus, Log: slog.New(slog.DiscardHandler)})
		if _, err := p.Step(t.Context()); err == nil {
			goneUp++
		}
		waiting, err := s.book.Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if waiting.Count == 0 {
			told++
		}
	}
	if goneUp != told || told != 10 {
		t.Errorf("%d batches went up by the pusher's word and %d by the journal's, want 10", goneUp, told)
	}
	s.order("last", yuan)
	s.sync(s.client)
	s.counted()
}

// odooEvicted: the journal is gone. The program does not begin an empty one: it
// gets back what was not upstream yet from the second medium.
func odooEvicted(t *testing.T, w *world) {
	s := w.enrolSeller("C01")
	s.o.Mirror = filepath.Join(w.dir, "mirror")
	s.open()
	s.order("o1", yuan)
	s.sync(s.client)
	s.order("o2", 2*yuan)
	for deadline := time.Now().Add(patience); s.book.MirrorHealth().Behind > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("mirror: %+v", s.book.MirrorHealth())
		}
	}
	s.close()
	files, err := filepath.Glob(s.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := ledger.Open(t.Context(), s.path, s.o); !errors.Is(err, ledger.ErrLost) {
		t.Fatalf("a journal was opened that is gone: %v, %v", b, err)
	}
	if r, err := ledger.Recover(t.Context(), s.path, s.o); err != nil || r.Carried == 0 {
		t.Fatalf("recovered %+v, %v", r, err)
	}
	s.open()
	defer s.close()
	s.sync(s.client)
	s.counted()
}

// odooReopened: what other terminals say of an order that is paid changes
// nothing.
func odooReopened(t *testing.T, w *world) {
	s, other := w.newSeller("C01"), w.newSeller("C02")
	s.order("o1", 3*yuan)
	s.sync(s.client)
	head, err := s.book.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []journal.Entry{
		{Kind: journal.SaleIntent, Ref: "o1", Card: cardNo, Merchant: "m1", Amount: 3 * yuan},
		{Kind: journal.SaleEnd, Ref: "o1", Outcome: journal.NotWritten},
		{
			Kind: journal.Evidence, Ref: "e1", Card: cardNo, Outcome: journal.NotWritten,
			Origin: journal.Position{Terminal: s.id, Epoch: head.Epoch, Seq: head.Seq},
		},
	} {
		if _, err := other.book.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	other.sync(other.client)
	s.sync(s.client)
	s.counted()
}

// odooRepeated: many repeat one batch at once, to two upstreams. All are told
// that it is done.
func odooRepeated(t *testing.T, w *world) {
	s := w.newSeller("C01")
	for n := range 20 {
		s.order(fmt.Sprint("o", n), yuan)
	}
	b, err := s.book.Batch(t.Context(), 1, journal.BatchMax)
	if err != nil {
		t.Fatal(err)
	}
	want := b.From + int64(len(b.Bodies)) - 1
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ack, err := s.client.Push(t.Context(), b)
			if err != nil || ack.Head.Seq != want {
				t.Errorf("acknowledged %d, %v; want %d", ack.Head.Seq, err, want)
			}
			if _, _, err := journal.OpenCosigned(ack.Note, ingest.CosignerName, s.campus); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.sync(s.client)
	s.counted()
}
