package own_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/own"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
	upstream "quancun/upstream/holder"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
)

const (
	cardNo = "00002026000100012345"
	pin    = "271828"
	yuan   = money.Yuan
)

var account = store.HolderAccount("2026000101")

// world is a kiosk's services before a real upstream: TLS, books, keys. Its clock
// stands unless a test moves it.
type world struct {
	t      *testing.T
	books  *store.Books
	clock  time.Time
	keys   keys.Store
	desk   *own.Desk
	client *client.Client
	chip   func(*service.Holder) // what the card says; nil: it is as the books say
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, time.Now())
}

func newWorldAt(t *testing.T, clock time.Time) *world {
	t.Helper()
	w, dir := &world{t: t, clock: clock}, t.TempDir()
	now := func() time.Time { return w.clock }
	var err error
	w.books, err = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), now)
	w.ok(err)
	w.keys, err = keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	authority, err := pki.Open(dir, time.Now())
	w.ok(err)
	s := server.New(server.Config{Books: w.books, Keys: w.keys, Now: now})
	s.Services = append(s.Services, upstream.NewServer(upstream.New(upstream.Config{
		Books: w.books, Keys: w.keys, CA: authority.Fingerprint(),
		Terms: upstream.Terms{
			DailyLimit: 50 * yuan, PurseCeiling: 1000 * yuan, BalanceCap: 2000 * yuan, CodeMax: 50 * yuan,
			CodeDayMax: 100 * yuan, CardReserve: 5 * yuan, Phones: true,
		},
	}), s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	h := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, authority.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() { h.Close(); running.Wait(); w.ok(w.books.Close()) })
	p, err := server.NewPIN(t.Context(), w.keys, account, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	w.ok(w.books.AddHolder(t.Context(), store.Holder{Account: account, Name: "张三", Number: account.No()}, p, 20*yuan))
	w.ok(w.books.AddCard(t.Context(), store.Card{No: cardNo, Account: account, UID: "01020304", Status: store.CardActive}))
	w.dial(authority, l.Addr().String())
	return w
}

func (w *world) dial(authority *pki.Authority, addr string) {
	w.t.Helper()
	cert, key, fingerprint := pkitest.Terminal(w.t, authority, "kiosk1")
	no, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: "kiosk1", Fingerprint: fingerprint})
	w.ok(err)
	text, err := client.File{
		Terminal: "kiosk1", TerminalNo: no.String(), Address: addr,
		CA: string(authority.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	w.ok(err)
	p, err := client.ParseProvisioning(text)
	w.ok(err)
	w.client = client.Dial(p, client.Options{})
	w.t.Cleanup(w.client.Close)
	w.desk = &own.Desk{Upstream: holder.New(w.client), Now: func() time.Time { return w.clock }}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	w.ok(w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), statement, args...)
		return err
	}))
}

func (w *world) session() (client.Session, client.Account) {
	w.t.Helper()
	c, err := w.client.LookUpCard(w.t.Context(), cardNo)
	w.ok(err)
	s, a, err := w.client.SignIn(w.t.Context(), cardNo, c.Challenge, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	return s, a
}

// visit runs a service for the holder, who answers its questions with answers, one
// after the other, and leaves at the first for which there is none. It returns how
// it ended, and what was asked.
func (w *world) visit(name dialog.Word, answers ...int) (r dialog.Report, asked []dialog.Question, err error) {
	w.t.Helper()
	s, a := w.session()
	var run service.Service
	for _, one := range w.desk.Services() {
		if one.Name == name {
			run = one
		}
	}
	h := service.Holder{Session: s, CardNo: cardNo, Account: a, Purse: a.Purse}
	if w.chip != nil {
		w.chip(&h)
	}
	talk := dialog.Begin(w.t.Context(), "ref", func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return run.Run(ctx, &service.Visit{Talk: t, Holder: h})
	})
	for {
		select {
		case q := <-talk.Asks():
			if q.Kind == dialog.Working {
				continue
			}
			asked = append(asked, q)
			if len(answers) == 0 {
				talk.Answer(dialog.Answer{Left: true})
				continue
			}
			talk.Answer(dialog.Answer{Choice: answers[0]})
			answers = answers[1:]
		case e := <-talk.Ended():
			return e.Report, asked, e.Err
		}
	}
}

// fact returns a line of a report, or the zero one.
func fact(r dialog.Report, name dialog.Word) dialog.Fact {
	for _, f := range r.Facts {
		if f.Name == name {
			return f
		}
	}
	return dialog.Fact{}
}
