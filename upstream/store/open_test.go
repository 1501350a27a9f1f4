package store_test

import (
	"strings"
	"sync"
	"testing"

	"quancun/upstream/store"
)

func TestOpenAgain(t *testing.T) { onBoth(t, testOpenAgain) }

func testOpenAgain(t *testing.T, p place) {
	b := newBooks(t, p)
	create(t, b, "O1")
	again := open(t, p, nil) // a tool beside the server
	if o, err := again.Order(t.Context(), "O1"); err != nil || o.Amount != 20*yuan {
		t.Errorf("Order = %+v, %v", o, err)
	}
	newer := `PRAGMA user_version = 99`
	if p.postgres() {
		newer = `INSERT INTO schema_migrations VALUES (99, '', 0)`
	}
	if _, err := p.attack(t).Exec(newer); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDSN(t.Context(), p.dsn, nil); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open of newer books = %v, want it refused", err)
	}
}

// TestOpenAtOnce has many start on an empty place at the same moment.
func TestOpenAtOnce(t *testing.T) { onBoth(t, testOpenAtOnce) }

func testOpenAtOnce(t *testing.T, p place) {
	var wg sync.WaitGroup
	all := make([]*store.Books, 6)
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = store.OpenDSN(t.Context(), p.dsn, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, b := range all {
		if b == nil {
			continue
		}
		check(t, b)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
