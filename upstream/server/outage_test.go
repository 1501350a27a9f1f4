package server_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
)

// seller is a terminal that sells without asking anybody and pushes what it has
// sold, with a real journal and over the real wire.
type seller struct {
	id     string
	w      *world
	path   string // of its journal
	o      ledger.Options
	book   *ledger.Book
	client *client.Client
	campus ed25519.PublicKey
	sold   money.Fen
	cut    atomic.Int64 // pushes without an answer
}

// Push counts what got no answer.
func (s *seller) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	ack, err := s.client.Push(ctx, b)
	if err != nil && ctx.Err() == nil {
		s.cut.Add(1)
	}
	return ack, err
}

func (w *world) newSeller(id string) *seller {
	w.t.Helper()
	s := w.enrolSeller(id)
	s.open()
	w.t.Cleanup(s.close)
	return s
}

// enrolSeller is a seller whose journal is still to be opened.
func (w *world) enrolSeller(id string) *seller {
	w.t.Helper()
	b := w.newBook(id)
	campus := w.keys.Campus().Public().(ed25519.PublicKey)
	return &seller{
		id: id, w: w, client: b.client, campus: campus, path: filepath.Join(w.dir, id+".db"),
		o: ledger.Options{Terminal: id, Key: b.key, Campus: campus, Version: "test"},
	}
}

func (s *seller) open() {
	s.w.t.Helper()
	var err error
	if s.book, err = ledger.Open(s.w.t.Context(), s.path, s.o); err != nil {
		s.w.t.Fatal(err)
	}
}

func (s *seller) close() {
	s.w.t.Helper()
	if err := s.book.Close(); err != nil {
		s.w.t.Error(err)
	}
}

// sell sells for a fen more each time, until stop is closed.
func (s *seller) sell(ctx context.Context, stop chan struct{}) error {
	for n := 1; ; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
		_, err := s.book.Append(ctx, journal.Entry{
			Kind: journal.CodeSale, Ref: fmt.Sprintf("%s-%d", s.id, n), Account: account, Merchant: "m1", Amount: money.Fen(n),
		})
		if err != nil {
			return err
		}
		s.sold += money.Fen(n)
	}
}

// settle waits until the upstream has acknowledged all of a journal.
func (s *seller) settle(ctx context.Context) (journal.Head, error) {
	for {
		waiting, err := s.book.Waiting(ctx)
		if err != nil || waiting.Count == 0 {
			return waiting.Acked, err
		}
		select {
		case <-ctx.Done():
			return waiting.Acked, fmt.Errorf("%d entries wait: %w", waiting.Count, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestDatabaseRestartsUnderPush stops and crashes PostgreSQL while four
// terminals sell and push. They go on by themselves, nothing is lost, and
// nothing counts twice.
func TestDatabaseRestartsUnderPush(t *testing.T) {
	cluster, err := pgtest.Start(t.Context()) // of its own: others go on meanwhile
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := cluster.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOn(t, d.DSN)
	ctx, cancel := context.WithCancel(t.Context())
	stop := make(chan struct{})
	var sellers []*seller
	var selling, pushing sync.WaitGroup
	for i := range 4 {
		s := w.newSeller(fmt.Sprintf("C%02d", i))
		sellers = append(sellers, s)
		p := push.New(push.Options{Book: s.book, Upstream: s, Campus: s.campus, Log: slog.New(slog.DiscardHandler)})
		pushing.Go(func() {
			if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: pusher ended with %v", s.id, err)
			}
		})
		selling.Go(func() {
			if err := s.sell(ctx, stop); err != nil {
				t.Errorf("%s: %v", s.id, err)
			}
		})
	}
	defer func() { // also where the test gives up
		cancel()
		pushing.Wait()
	}()
	for i := range 4 {
		time.Sleep(700 * time.Millisecond)
		if err := cluster.Restart(ctx, i%2 == 0); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	selling.Wait()
	outlived(t, w, sellers)
}

// outlived checks what the restarts have left.
func outlived(t *testing.T, w *world, sellers []*seller) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var sold money.Fen
	var cut int64
	for _, s := range sellers {
		acked, err := s.settle(ctx)
		head, err2 := s.book.Head(ctx)
		theirs, err3 := w.journals.Head(ctx, s.id, head.Epoch)
		if err := errors.Join(err, err2, err3); err != nil || acked != head || theirs != head {
			t.Errorf("%s: the journal is at %+v, acknowledged %+v, upstream at %+v, %v", s.id, head, acked, theirs, err)
		}
		sold, cut = sold+s.sold, cut+s.cut.Load()
	}
	w.balance(store.HolderAccount(account), opening-sold)
	w.balance(store.Account(journal.MerchantAccount("m1")), sold)
	lines, err := w.books.Exceptions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Kind != "overdrawn" { // they sell without asking
			t.Errorf("exception %+v", l)
		}
	}
	w.whole()
	if cut == 0 || sold == 0 {
		t.Errorf("%s were sold, and %d pushes cut off", sold, cut)
	}
	t.Logf("%s sold, %d pushes got no answer", sold, cut)
}
