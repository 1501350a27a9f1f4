package feed_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quancun/upstream/feed"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestFarAhead has terminals say that they have versions which no feed comes to. Their
// word takes from no other terminal what it has to know: cards are stopped as before,
// again and again.
func TestFarAhead(t *testing.T) {
	for name, dsn := range map[string]string{
		"SQLite": filepath.Join(t.TempDir(), "books.db"), "PostgreSQL": pgtest.New(t).DSN,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			books, err := booktest.Open(ctx, dsn, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer books.Close()
			const a = store.Account("holder/1001")
			err = books.AddHolder(ctx, store.Holder{Account: a, Name: "张三", Number: "1001"}, store.PIN{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			p := &feed.Publisher{Books: books, Campus: key}
			for i, have := range []uint64{math.MaxUint64, math.MaxInt64, math.MaxInt64 - 1, 1 << 62, 1 << 53} {
				for _, f := range wire.FeedNames() {
					if _, err := p.Step(ctx, f, have, time.Time{}); !errors.Is(err, feed.ErrAhead) {
						t.Errorf("step of %s from %d: %v", f, have, err)
					}
				}
				no := fmt.Sprintf("%020d", i)
				if err := books.AddCard(ctx, store.Card{No: no, Account: a, Status: store.CardActive}); err != nil {
					t.Fatal(err)
				}
				for _, s := range []store.CardStatus{store.CardHot, store.CardActive, store.CardHot} {
					if err := books.SetCardStatus(ctx, no, s); err != nil {
						t.Fatalf("after %d a card is not stopped: %v", have, err)
					}
				}
				if _, err := books.Publish(ctx, wire.FeedSettings, []byte{byte(i)}); err != nil {
					t.Fatalf("after %d: %v", have, err)
				}
			}
			if lines, err := books.Exceptions(ctx); err != nil || len(lines) != 4 {
				t.Errorf("the inbox has %d lines, %v; want one for each feed", len(lines), err)
			}
			if lines, err := books.Verify(ctx); err != nil || len(lines) > 0 {
				t.Errorf("Verify = %q, %v", lines, err)
			}
		})
	}
}

// TestSameNumberAgain restores books from a copy, and then a feed comes to the number of a
// version that was lost before a terminal that has that one is heard. A step from it would
// leave out what is in it now, for good; so the terminal is given everything.
func TestSameNumberAgain(t *testing.T) {
	for name, dsn := range map[string]string{
		"SQLite": filepath.Join(t.TempDir(), "books.db"), "PostgreSQL": pgtest.New(t).DSN,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			books, err := booktest.Open(ctx, dsn, func() time.Time { return now })
			if err != nil {
				t.Fatal(err)
			}
			defer books.Close()
			_, key, err := ed25519.GenerateKey(nil)
			const a = store.Account("holder/1001")
			err2 := books.AddHolder(ctx, store.Holder{Account: a, Name: "张三", Number: "1001"}, store.PIN{}, 0)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			lose := func(no int) {
				t.Helper()
				card := store.Card{No: fmt.Sprintf("%020d", no), Account: a, Status: store.CardHot}
				if err := books.AddCard(ctx, card); err != nil {
					t.Fatal(err)
				}
			}
			p := &feed.Publisher{Books: books, Campus: key}
			step := func(have uint64, issued time.Time) (from uint64, version uint64, hot int) {
				t.Helper()
				f, err := p.Step(ctx, wire.FeedHotlist, have, issued)
				if err != nil {
					t.Fatal(err)
				}
				var body v1.HotlistBody
				if err := proto.Unmarshal(f.Body, &body); err != nil {
					t.Fatal(err)
				}
				return f.From, f.Version, len(body.Adds) / 11
			}
			for i := range 20 {
				lose(i)
			}
			lost := now // the version 21 that a terminal was given then
			now = now.Add(10 * time.Minute)
			lose(21) // by the books that are left
			given := now
			lose(22)
			if from, _, hot := step(21, given.Add(-time.Second)); from != 21 || hot != 1 {
				t.Errorf("to who has version 21 of these books: %d cards from %d", hot, from)
			}
			for range 2 { // and again, as if the answer had been lost
				if from, version, hot := step(21, lost); from != 0 || version != 23 || hot != 22 {
					t.Errorf("to who has another version 21: %d cards from %d to %d, want all", hot, from, version)
				}
			}
			if from, _, hot := step(23, now); from != 23 || hot != 0 {
				t.Errorf("to who has the newest: %d cards from %d", hot, from)
			}
			// What came since is also kept from nobody who has a later version that was lost,
			// even one of a number that is given to nothing but the list as a whole.
			for _, have := range []uint64{30, 31, 40} {
				for range 2 {
					if from, version, hot := step(have, lost); from != 0 || version != have+1 || hot != 22 {
						t.Errorf("to who has version %d: %d cards from %d to %d, want all", have, hot, from, version)
					}
				}
			}
			if from, version, hot := step(41, now); from != 41 || version != 41 || hot != 0 {
				t.Errorf("to who has the newest: %d cards from %d to %d", hot, from, version)
			}
			if _, err := books.Publish(ctx, wire.FeedSettings, []byte("new")); err != nil {
				t.Fatal(err)
			}
			f, err := p.Step(ctx, wire.FeedSettings, 1, lost)
			if err != nil || f.From != 0 || f.Version != 2 || string(f.Body) != "new" {
				t.Errorf("settings: %v, %v", f, err)
			}
			if lines, err := books.Exceptions(ctx); err != nil || len(lines) != 2 {
				t.Errorf("inbox: %+v, %v", lines, err)
			}
		})
	}
}
