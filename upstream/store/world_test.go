package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	yuan    = money.Yuan
	cardNo  = "00002026000100012345"
	holder  = store.Account("holder/1001")
	opening = 100 * yuan
)

// place is where books are kept.
type place struct {
	dsn    string
	driver string // of database/sql, to attack with
}

func (p place) postgres() bool { return p.driver == "pgx" }

// attack opens the database behind the store's back, with the rights that
// campusd has.
func (p place) attack(t testing.TB) *sql.DB {
	t.Helper()
	dsn := p.dsn
	if !p.postgres() {
		dsn = "file:" + p.dsn + "?_foreign_keys=1&_busy_timeout=5000"
	}
	db, err := sql.Open(p.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func inFile(t testing.TB) place { return place{filepath.Join(t.TempDir(), "books.db"), "sqlite3"} }

func inPostgres(t testing.TB) place { return place{pgtest.New(t).DSN, "pgx"} }

// onBoth runs a test on each engine. What it asks for is the same.
func onBoth(t *testing.T, do func(*testing.T, place)) {
	t.Run("SQLite", func(t *testing.T) { do(t, inFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { do(t, inPostgres(t)) })
}

// open opens the books of a place, and closes them after the test.
func open(t testing.TB, p place, now func() time.Time) *store.Books {
	t.Helper()
	b, err := booktest.Open(t.Context(), p.dsn, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := b.Retries(); n != 0 {
			t.Errorf("%d transactions had to give way, want none", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// newBooks returns books with a terminal, a holder and a card.
func newBooks(t testing.TB, p place) *store.Books {
	t.Helper()
	b := open(t, p, nil)
	fill(t, b)
	return b
}

func fill(t testing.TB, b *store.Books) {
	t.Helper()
	ctx := t.Context()
	_, err1 := b.AddTerminal(ctx, store.Terminal{ID: "K01"})
	err2 := b.AddHolder(ctx, store.Holder{Account: holder, Name: "张三", Number: "1001"}, store.PIN{}, opening)
	err3 := b.AddCard(ctx, store.Card{No: cardNo, Account: holder, Status: store.CardActive, Mirror: 30 * yuan})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func order(no string, amount money.Fen) store.Order {
	return store.Order{
		No: no, Terminal: "K01", CardNo: cardNo, Account: holder, Amount: amount,
		Created: time.Now(), Expires: time.Now().Add(time.Minute),
	}
}

func create(t testing.TB, b *store.Books, no string) {
	t.Helper()
	if _, err := b.CreateOrder(t.Context(), order(no, 20*yuan), 1000*yuan); err != nil {
		t.Fatal(err)
	}
}

// addLoad writes down a load of 10 yuan, offered at a counter.
func addLoad(t testing.TB, b *store.Books, id string, counter uint16) {
	t.Helper()
	err := b.WithCard(t.Context(), cardNo, func(c store.CardTx) error {
		return errors.Join(
			c.AddLoad(store.Load{ID: id, Terminal: "K01", Amount: 10 * yuan}),
			c.AddOffer(store.Offer{LoadID: id, Counter: counter, Stamp: pboc.Stamp{byte(counter) + 1}}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, b *store.Books) {
	t.Helper()
	if broken, err := b.Verify(t.Context()); err != nil || broken != nil {
		t.Errorf("Verify = %q, %v; want the books whole", broken, err)
	}
}
