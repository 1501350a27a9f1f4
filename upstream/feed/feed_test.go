package feed_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"quancun/upstream/feed"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
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
					if _, err := p.Step(ctx, f, have); !errors.Is(err, feed.ErrAhead) {
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
