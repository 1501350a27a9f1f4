package holder_test

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/holder"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	cardNo = "00002026000100012345"
	yuan   = money.Yuan
)

var (
	account = store.HolderAccount("2026000101")
	other   = store.HolderAccount("2026000102")
	zone    = time.FixedZone("CST", 8*60*60)
)

// world is real books with two holders of 50 yuan each, one of whom has a card, and
// a bath, at noon.
type world struct {
	t     *testing.T
	books *store.Books
	desk  *holder.Desk
	baths *bath.Desk
	keys  keys.Store
	clock time.Time
}

func onBothEngines(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorld(t, pgtest.New(t).DSN)) })
}

func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 11, 26, 12, 0, 0, 0, zone)}
	var err error
	w.books, err = booktest.Open(t.Context(), dsn, func() time.Time { return w.clock })
	w.ok(err)
	t.Cleanup(func() { w.whole(); w.ok(w.books.Close()) })
	w.keys, err = keys.OpenSoftware(filepath.Join(t.TempDir(), "keys.json"))
	w.ok(err)
	w.desk = holder.New(holder.Config{
		Books: w.books, Keys: w.keys, Terms: holder.Terms{DailyLimit: 50 * yuan, Phones: true},
	})
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "kiosk1"})
	w.ok(err)
	for _, a := range []store.Account{account, other} {
		h := store.Holder{Account: a, Name: "张三", Number: a.No()}
		w.ok(w.books.AddHolder(t.Context(), h, store.PIN{}, 50*yuan))
	}
	w.ok(w.books.AddCard(t.Context(), store.Card{No: cardNo, Account: account, UID: "01020304", Status: store.CardActive}))
	w.baths = bath.New(bath.Config{Books: w.books, Master: bathcode.Master{4, 2}})
	w.ok(w.baths.AddHall(t.Context(), bath.Hall{
		No: 1, Name: "东区浴室", Merchant: "bath-east", Cap: 6 * yuan, Cancel: 10,
		Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 100},
	}))
	w.ok(w.baths.SetStall(t.Context(), 1, bath.Stall{No: 1}))
	_, err = w.baths.AddSlots(t.Context(), 1, water.Time{From: 17 * 60, To: 18 * 60}, 30)
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// whole checks that the books are.
func (w *world) whole() {
	w.t.Helper()
	if w.t.Failed() {
		return
	}
	lines, err := holder.Verify(w.t.Context(), w.books)
	if err := errors.Join(err); err != nil && w.t.Context().Err() == nil || len(lines) > 0 {
		w.t.Errorf("Verify = %q, %v", lines, err)
	}
}

func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	w.ok(w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), statement, args...)
		return err
	}))
}

func (w *world) campus() ed25519.PublicKey {
	return w.keys.Campus().Public().(ed25519.PublicKey)
}

// post books an entry between the holder's account and a merchant.
func (w *world) post(e store.Entry) {
	w.t.Helper()
	ctx := w.t.Context()
	w.ok(w.books.Write(ctx, func(tx *sqldb.Tx) error {
		at, err := w.books.LockAccounts(ctx, tx, []store.Account{e.Debit, e.Credit})
		if err == nil {
			_, err = w.books.PostAll(ctx, tx, at, []store.Entry{e})
		}
		return err
	}))
}
