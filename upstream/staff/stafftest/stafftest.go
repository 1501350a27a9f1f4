// Package stafftest is an upstream with staff and a card centre, on the loopback
// interface, for tests at both ends of the wire: real TLS, real books, real keys.
package stafftest

import (
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/centre/counter"
	"quancun/upstream/client"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/lost"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
)

// World is the upstream.
type World struct {
	Books *store.Books
	Roll  *staff.Roll

	// Sessions are those that sign-ins open.
	Sessions *staff.Sessions

	t      testing.TB
	server *server.Server
	keys   *keys.Software
	pki    *pki.Authority
	addr   string

	mu    sync.Mutex
	skew  time.Duration // of the upstream's clock; guarded by mu
	lose  string        // the next call of this name is lost; "" for none; guarded by mu
	after bool          // its answer is, and not the call itself; guarded by mu
}

// Transport is the key with which blanks come to this upstream.
var Transport = pboc.Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// Terms are the school's.
var Terms = counter.Terms{DailyLimit: 50 * money.Yuan, ReplacementFee: 15 * money.Yuan}

// LossRisk is how long a holder bears what is spent with a lost card in the dark.
const LossRisk = 24 * time.Hour

// policy bounds cash.
var policy = server.Policy{TopUpMin: money.Yuan, TopUpMax: 500 * money.Yuan, BalanceCap: 1000 * money.Yuan}

// New starts an upstream whose books are where dsn says. It ends with the test.
func New(t testing.TB, dsn string) *World {
	t.Helper()
	w, dir := &World{t: t}, t.TempDir()
	var err error
	w.ok(keys.WriteBlanks(filepath.Join(dir, "keys.json"), Transport))
	w.keys, err = keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	w.pki, err = pki.Open(dir, time.Now())
	w.ok(err)
	w.Books, err = booktest.Open(t.Context(), dsn, w.now)
	w.ok(err)
	w.Roll = staff.NewRoll(w.Books)
	s := server.New(server.Config{
		Books: w.Books, Keys: w.keys, Policy: policy, Journals: ingest.New(w.Books, w.keys, ingest.Policy{}),
		Feeds: &feed.Publisher{Books: w.Books, Campus: w.keys.Campus()}, Now: w.now, Stretch: stretch,
	})
	w.server = s
	signs := staff.NewServer(w.Roll, s)
	w.Sessions = signs.Sessions()
	s.Services = append(s.Services, signs, counter.New(counter.Config{
		Books: w.Books, Server: s, Sessions: w.Sessions, Blanks: w.keys, Terms: Terms,
	}), lost.NewServer(lost.New(w.Books, lost.Policy{Risk: LossRisk}), s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	w.addr = l.Addr().String()
	h := &http.Server{
		Handler: w.breaking(s.Handler()), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.pki.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() {
		h.Close()
		running.Wait()
		w.ok(w.Books.Close())
	})
	return w
}

// stretch stands for Argon2id, which would take longer than all the rest, and is
// tested in package server.
func stretch(peppered [32]byte, salt [16]byte) [32]byte {
	return sha256.Sum256(append(peppered[:], salt[:]...))
}

func (w *World) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

// Pass lets time pass at the upstream.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew += d
}

// Lose has the next call of a name, such as "DoAct", get lost: itself or, after it
// has had its effect, its answer.
func (w *World) Lose(name string, answer bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose, w.after = name, answer
}

// lost reports whether a call is the one to be lost, and which part of it.
func (w *World) lost(path string) (lost, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lose == "" || !strings.HasSuffix(path, "/"+w.lose) {
		return false, false
	}
	w.lose = ""
	return true, w.after
}

// breaking loses what [World.Lose] says.
func (w *World) breaking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		lost, after := w.lost(q.URL.Path)
		if !lost {
			next.ServeHTTP(out, q)
			return
		}
		if after {
			next.ServeHTTP(httptest.NewRecorder(), q)
		}
		panic(http.ErrAbortHandler)
	})
}

// ReloadMAC is what a card of this upstream with a factor believes a PIN by.
func (w *World) ReloadMAC(factor [8]byte, pin []byte) pboc.MAC {
	w.t.Helper()
	mac, err := w.keys.ReloadMAC(w.t.Context(), factor, pin)
	w.ok(err)
	return mac
}

// HolderPIN returns how a holder's PIN is kept.
func (w *World) HolderPIN(a store.Account, pin string) store.PIN {
	w.t.Helper()
	p, err := w.server.NewPIN(w.t.Context(), a, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	return p
}

func (w *World) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// PIN returns how a member's PIN is kept.
func (w *World) PIN(no, pin string) store.PIN {
	w.t.Helper()
	owner := staff.Member{No: no}.Owner()
	p, err := w.server.NewPIN(w.t.Context(), owner, (*[wire.PINLen]byte)([]byte(pin)))
	w.ok(err)
	return p
}

// Add adds a member with a PIN.
func (w *World) Add(m staff.Member, pin string) {
	w.t.Helper()
	w.ok(w.Roll.Add(w.t.Context(), m, w.PIN(m.No, pin), "test"))
}

// Client returns a new terminal's connection.
func (w *World) Client(id string) *client.Client {
	w.t.Helper()
	cert, key, fingerprint := pkitest.Terminal(w.t, w.pki, id)
	no, err := w.Books.AddTerminal(w.t.Context(), store.Terminal{ID: id, Fingerprint: fingerprint})
	w.ok(err)
	text, err := client.File{
		Terminal: id, TerminalNo: no.String(), Address: w.addr,
		CA: string(w.pki.CA()), Certificate: string(cert), Key: string(key),
	}.Encode()
	w.ok(err)
	p, err := client.ParseProvisioning(text)
	w.ok(err)
	c := client.Dial(p, client.Options{})
	w.t.Cleanup(c.Close)
	return c
}
