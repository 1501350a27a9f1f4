package payment_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/alipay"
	"quancun/upstream/channel"
	"quancun/upstream/payment"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

const yuan = money.Yuan

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is real books, a gateway over HTTP, the adapter that speaks with it, and
// a desk between them, on a clock that moves when it is told.
type world struct {
	t       *testing.T
	books   *store.Books
	gateway *lab.Gateway
	line    *line
	desk    *payment.Desk

	patience time.Duration // of the desk with one call

	mu    sync.Mutex
	clock time.Time // guarded by mu
}

// line is the way to the channel, which keeps what went over it and when.
type line struct {
	channel.Codes
	now    func() time.Time
	onWire func(method string) // is called when a call has left; nil for nothing

	mu    sync.Mutex
	calls []call // guarded by mu
}

type call struct {
	method string
	at     time.Time
}

func (l *line) note(method string) {
	l.mu.Lock()
	l.calls = append(l.calls, call{method, l.now()})
	l.mu.Unlock()
	if l.onWire != nil {
		l.onWire(method)
	}
}

func (l *line) PayByCode(ctx context.Context, o channel.Order, code string) error {
	l.note("pay")
	return l.Codes.PayByCode(ctx, o, code)
}

func (l *line) Query(ctx context.Context, no string) (channel.Trade, error) {
	l.note("query")
	return l.Codes.Query(ctx, no)
}

func (l *line) Cancel(ctx context.Context, no string) (channel.Status, error) {
	l.note("cancel")
	return l.Codes.Cancel(ctx, no)
}

// onBothEngines runs a test over each database.
func onBothEngines(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, newWorldOn(t, pgtest.New(t).DSN))
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, filepath.Join(t.TempDir(), "books.db"))
}

func newWorldOn(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t, clock: time.Now(), patience: callMax}
	var err error
	w.books, err = booktest.Open(t.Context(), dsn, w.now)
	w.must(err)
	t.Cleanup(func() {
		if err := w.books.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = w.books.AddTerminal(t.Context(), store.Terminal{ID: "T01"})
	w.must(err)
	w.openGateway()
	w.restart()
	return w
}

// callMax is the desk's patience with one call where nothing is late. Where
// something is, by late, it is lateMax.
const (
	callMax = 20 * time.Second
	lateMax = 2 * time.Second
	late    = 3 * time.Second
)

// restart is a campusd that died and comes back.
func (w *world) restart() {
	w.desk = payment.New(payment.Config{
		Books: w.books, Channel: w.line, Pace: payment.Pace{Call: w.patience}, Now: w.now,
	})
}

func (w *world) openGateway() {
	w.t.Helper()
	dir := w.t.TempDir()
	layKeys(w.t, dir)
	var err error
	w.gateway, err = lab.New(lab.Config{Dir: dir, Now: w.now, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	server := httptest.NewServer(w.gateway)
	w.t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.gateway.Run(ctx) })
	w.t.Cleanup(func() { stop(); running.Wait() })
	client, err := alipay.New(alipay.Config{
		AppID: lab.AppID, PrivateKeyFile: w.gateway.Keys().AppPrivate,
		AlipayPublicKeyFile: w.gateway.Keys().AlipayPublic, Gateway: server.URL,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // which would heal a lost answer
	})
	w.must(err)
	w.line = &line{Codes: client, now: w.now}
}

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

func (w *world) arm(f lab.Fault) {
	w.t.Helper()
	_, err := w.gateway.Arm(f)
	w.must(err)
}

func sale(no string, amount money.Fen) payment.Payment {
	return payment.Payment{No: no, Terminal: "T01", Merchant: "canteen", Amount: amount}
}

func (w *world) code() string {
	w.t.Helper()
	code, err := w.gateway.Code()
	w.must(err)
	return code
}

// pay has a payer show a new code.
func (w *world) pay(no string, amount money.Fen) payment.Payment {
	w.t.Helper()
	p, err := w.desk.Pay(w.t.Context(), sale(no, amount), w.code())
	w.must(err)
	return p
}

// pass lets time go by, in whole seconds, and the desk do what is due in each: those
// in which nothing is are passed over.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now().Add(d); w.now().Before(end); {
		w.mu.Lock()
		w.clock = w.clock.Add(min(end.Sub(w.clock), w.idle()+time.Second))
		w.mu.Unlock()
		w.must(w.desk.Attend(w.t.Context()))
	}
}

// idle is for how many seconds from now nothing is due. The caller holds mu.
func (w *world) idle() time.Duration {
	var next sql.NullInt64
	w.must(w.books.Live().QueryRow(w.t.Context(), `SELECT min(next_ms) FROM (
		SELECT next_ms FROM payments UNION ALL SELECT next_ms FROM payment_refunds) AS moments`).Scan(&next))
	if !next.Valid {
		return time.Hour
	}
	return max(0, time.UnixMilli(next.Int64).Sub(w.clock)-time.Millisecond).Truncate(time.Second)
}

func (w *world) payment(no string) payment.Payment {
	w.t.Helper()
	p, err := w.desk.Payment(w.t.Context(), no)
	w.must(err)
	return p
}

// kept is what the channel has of a payer's money under an order.
func (w *world) kept(no string) (f money.Fen) {
	for _, t := range w.gateway.Trades() {
		if t.OutTradeNo == no && !t.PaidAt.IsZero() {
			f += t.Amount - t.Refunded()
		}
	}
	return f
}

// whole checks every promise of the payments, and of the books.
func (w *world) whole() {
	w.t.Helper()
	broken, err := payment.Verify(w.t.Context(), w.books)
	if err != nil || len(broken) > 0 {
		w.t.Errorf("Verify = %q, %v; want all whole", broken, err)
	}
	if broken, err = w.books.Verify(w.t.Context()); err != nil || len(broken) > 0 {
		w.t.Errorf("books' Verify = %q, %v; want them whole", broken, err)
	}
}

// pems are a gateway's keys by file, made once: that is slow.
var pems = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := lab.New(lab.Config{Dir: dir}); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err == nil && len(names) == 0 {
		err = errors.New("no keys")
	}
	files := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(name)] = text
	}
	return files, err
})

func layKeys(t *testing.T, dir string) {
	t.Helper()
	files, err := pems()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
