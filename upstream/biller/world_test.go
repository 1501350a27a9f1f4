package biller_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	lab "quancun/lab/srun"
	"quancun/money"
	"quancun/upstream/biller"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

const (
	yuan   = money.Yuan
	holder = store.Account("holder/2026000101")
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is real books, a network vendor over TLS, the adapter that speaks with
// it, and a desk between them, on a clock that moves when it is told.
type world struct {
	t       *testing.T
	books   *store.Books
	box     *lab.Box
	server  *httptest.Server
	network *srun.Client
	desk    *biller.Desk

	mu    sync.Mutex
	clock time.Time // guarded by mu
}

// onBothEngines runs a test over each database.
func onBothEngines(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db")))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, pgtest.New(t).DSN))
	})
}

func onFile(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	test(t, newWorld(t, filepath.Join(t.TempDir(), "books.db")))
}

func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t, clock: time.Now().Truncate(time.Second)}
	var err error
	w.books, err = booktest.Open(t.Context(), dsn, w.now)
	w.must(err)
	t.Cleanup(func() {
		if err := w.books.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
	w.must(err)
	h := store.Holder{Account: holder, Name: "张三", Number: "2026000101"}
	w.must(w.books.AddHolder(t.Context(), h, store.PIN{}, 50*yuan))
	w.openVendor()
	w.restart(w.network)
	return w
}

func (w *world) openVendor() {
	w.t.Helper()
	dir := w.t.TempDir()
	var err error
	w.box, err = lab.New(lab.Config{Dir: dir, Now: w.now})
	w.must(err)
	w.must(w.box.Add(lab.User{Name: "2026000101", RealName: "张三"}))
	w.server = breakertest.Serve(w.t, dir, w.box)
	w.network, err = srun.New(srun.Config{
		Address: w.server.URL, CertificateFile: filepath.Join(dir, breaker.CertificateFile), Now: w.now,
	})
	w.must(err)
}

// restart is a campusd that died and comes back, with a way to the vendor.
func (w *world) restart(network vendor.Biller) {
	w.desk = biller.New(biller.Config{
		Books: w.books, Billers: map[string]vendor.Biller{"network": network}, Now: w.now,
	})
}

// mute is a biller that knows no order numbers.
type mute struct{ vendor.Biller }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// pass lets time go by, in steps, and the desk do what is due.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	pace := max(time.Second, d/60)
	for ; d > 0; d -= pace {
		w.mu.Lock()
		w.clock = w.clock.Add(min(d, pace))
		w.mu.Unlock()
		w.must(w.desk.Attend(w.t.Context()))
	}
}

func bill(no string, amount money.Fen) biller.Bill {
	return biller.Bill{
		No: no, Terminal: "K01", Account: holder, Biller: "network", Target: "2026000101",
		Title: "校园网 2026000101", Amount: amount,
	}
}

func (w *world) order(no string, amount money.Fen) biller.Bill {
	w.t.Helper()
	b, err := w.desk.Order(w.t.Context(), bill(no, amount))
	w.must(err)
	return b
}

func (w *world) bill(no string) biller.Bill {
	w.t.Helper()
	b, err := w.desk.Bill(w.t.Context(), no)
	w.must(err)
	return b
}

func (w *world) arm(f breaker.Fault) {
	w.t.Helper()
	w.must(w.box.Arm(f))
}

// want holds the state of a bill and all of the money against what they should be:
// what the holder has, what of it is held, what we owe the biller, and what the
// biller has booked.
func (w *world) want(no string, s biller.State, m moneys) {
	w.t.Helper()
	ctx := w.t.Context()
	if b := w.bill(no); b.State != s {
		w.t.Errorf("state of %s = %d, want %d", no, b.State, s)
	}
	var got moneys
	var err1, err2, err3 error
	got.balance, err1 = w.books.Balance(ctx, holder)
	got.held, err2 = store.Held(ctx, w.books.Live(), holder)
	if got.owed, err3 = w.books.Balance(ctx, "biller/network"); errors.Is(err3, store.ErrNone) {
		err3 = nil
	}
	w.must(errors.Join(err1, err2, err3))
	for _, r := range w.box.Records() {
		got.booked += money.Fen(r.Fen)
	}
	if got != m {
		w.t.Errorf("money = %+v, want %+v", got, m)
	}
	w.whole()
}

type moneys struct{ balance, held, owed, booked money.Fen }

// whole checks every promise of the bills, and of the books.
func (w *world) whole() {
	w.t.Helper()
	broken, err := biller.Verify(w.t.Context(), w.books)
	if err != nil || len(broken) > 0 {
		w.t.Errorf("Verify = %q, %v; want all whole", broken, err)
	}
	if broken, err = w.books.Verify(w.t.Context()); err != nil || len(broken) > 0 {
		w.t.Errorf("books' Verify = %q, %v; want them whole", broken, err)
	}
}

func (w *world) inbox() []store.Exception {
	w.t.Helper()
	all, err := w.books.Exceptions(w.t.Context())
	w.must(err)
	return all
}

// dying is a way to the vendor on which campusd dies, before the vendor hears of
// a charge or after it has booked it.
type dying struct {
	*srun.Client
	after bool
}

var errDied = errors.New("died")

func (y dying) Pay(ctx context.Context, c vendor.Charge) (vendor.Receipt, error) {
	if y.after {
		if _, err := y.Client.Pay(ctx, c); err != nil {
			return vendor.Receipt{}, err
		}
	}
	panic(errDied)
}

// die has campusd die while it orders, and returns when it is dead.
func (w *world) die(b biller.Bill) {
	w.t.Helper()
	defer func() {
		if v := recover(); v != errDied {
			w.t.Fatalf("died of %v", v)
		}
	}()
	_, err := w.desk.Order(w.t.Context(), b)
	w.t.Fatalf("did not die: %v", err)
}
