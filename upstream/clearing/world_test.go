package clearing_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"quancun/beijing"
	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/alipay"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

const (
	yuan   = money.Yuan
	source = reconcile.Source("channel/alipay")
	day    = channel.Day("2026-03-01")
	holder = store.Account("holder/1001")
	cardNo = "00002026000100012345"
)

// world is real books, a gateway over HTTP and the adapter that speaks with
// it, all on one clock that stands still until it is set.
type world struct {
	t       *testing.T
	clock   atomic.Pointer[time.Time]
	books   *store.Books
	house   *clearing.House
	gateway *lab.Gateway
	alipay  *alipay.Client
	daily   *clearing.Daily
	orders  int
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

func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t}
	w.set("2026-03-01 07:00:00")
	var err error
	if w.books, err = booktest.Open(t.Context(), dsn, w.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := w.books.Retries(); n != 0 {
			t.Errorf("%d transactions had to give way, want none", n)
		}
		if err := w.books.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err1 := w.books.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
	err2 := w.books.AddHolder(t.Context(), store.Holder{Account: holder, Name: "张三", Number: "1001"}, store.PIN{}, 100*yuan)
	err3 := w.books.AddCard(t.Context(), store.Card{No: cardNo, Account: holder, Status: store.CardActive})
	w.must(errors.Join(err1, err2, err3))
	w.house = clearing.New(w.books)
	w.openGateway()
	w.daily = &clearing.Daily{
		House: w.house, Source: source, Statements: w.alipay, Log: slog.New(slog.DiscardHandler),
	}
	return w
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
	w.alipay, err = alipay.New(alipay.Config{
		AppID: lab.AppID, PrivateKeyFile: w.gateway.Keys().AppPrivate,
		AlipayPublicKeyFile: w.gateway.Keys().AlipayPublic, Gateway: server.URL,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // which would heal a lost answer
	})
	w.must(err)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time { return *w.clock.Load() }

func at(clock string) time.Time {
	at, err := time.ParseInLocation(time.DateTime, clock, beijing.Zone)
	if err != nil {
		panic(err)
	}
	return at
}

// set sets everybody's clock to a time in Beijing.
func (w *world) set(clock string) {
	at := at(clock)
	w.clock.Store(&at)
}

// order is a holder's order that is waiting for its payer.
func (w *world) order(amount money.Fen) (no string) {
	w.t.Helper()
	w.orders++
	no = fmt.Sprintf("A%d", w.orders)
	_, err := w.books.CreateOrder(w.t.Context(), store.Order{
		No: no, Terminal: "K01", CardNo: cardNo, Account: holder, Amount: amount,
		Created: w.now(), Expires: w.now().Add(time.Minute),
	}, 1_000_000*yuan)
	w.must(err)
	_, err = w.alipay.Precreate(w.t.Context(), channel.Order{
		No: no, Amount: amount, Subject: "校园卡充值", Terminal: "K01", Life: 2 * time.Minute,
	})
	w.must(err)
	return no
}

func (w *world) pay(no string) {
	w.t.Helper()
	_, err := w.gateway.Pay(no, 0)
	w.must(err)
}

// ask does what the engine does: it asks the channel, and books what it says.
func (w *world) ask(no string) {
	w.t.Helper()
	t, err := w.alipay.Query(w.t.Context(), no)
	w.must(err)
	switch t.Status {
	case channel.Paid:
		_, err = w.books.Advance(w.t.Context(), no, store.OrderStep{
			To: store.OrderPaid, TradeNo: t.TradeNo, PaidAt: t.PaidAt,
		})
	case channel.Returned:
		_, err = w.books.Advance(w.t.Context(), no, store.OrderStep{To: store.OrderReturned})
	}
	w.must(err)
}

// cancel is a person who leaves: the order is ended, here and there.
func (w *world) cancel(no string) {
	w.t.Helper()
	status, err := w.alipay.Cancel(w.t.Context(), no)
	w.must(err)
	to := map[channel.Status]store.OrderState{
		channel.Closed: store.OrderClosed, channel.Returned: store.OrderReturned,
	}[status]
	_, err = w.books.Advance(w.t.Context(), no, store.OrderStep{To: to})
	w.must(err)
}

// paid is a top-up without any trouble.
func (w *world) paid(amount money.Fen) (no string) {
	w.t.Helper()
	no = w.order(amount)
	w.pay(no)
	w.ask(no)
	return no
}

// once does what a morning brings, and wants so many days to be missing still.
func (w *world) once(missing int) {
	w.t.Helper()
	got, err := w.daily.Once(w.t.Context())
	if err != nil || got != missing {
		w.t.Fatalf("Once = %d, %v; want %d days missing", got, err, missing)
	}
}

// inbox returns the lines of the inbox as "kind about amount: owner, step",
// with "closed" before those that are.
func (w *world) inbox() (lines []string) {
	w.t.Helper()
	all, err := w.house.Exceptions(w.t.Context(), true)
	w.must(err)
	for _, x := range all {
		line := fmt.Sprintf("%s %s %s: %s, %s", x.Kind, x.About, x.Amount, x.Owner, x.NextStep)
		if !x.Closed.IsZero() {
			line = "closed " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// whole checks every promise of the books.
func (w *world) whole() {
	w.t.Helper()
	broken, err := w.house.Verify(w.t.Context())
	if err != nil || len(broken) > 0 {
		w.t.Errorf("Verify = %q, %v; want the books whole", broken, err)
	}
	if broken, err = w.books.Verify(w.t.Context()); err != nil || len(broken) > 0 {
		w.t.Errorf("books' Verify = %q, %v; want them whole", broken, err)
	}
}
