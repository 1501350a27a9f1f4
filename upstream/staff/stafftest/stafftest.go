// Package stafftest is an upstream with staff, on the loopback interface, for
// tests at both ends of the wire: real TLS, real books, real keys.
package stafftest

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/upstream/client"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// World is the upstream.
type World struct {
	Books *store.Books
	Roll  *staff.Roll

	t    testing.TB
	keys *keys.Software
	pki  *pki.Authority
	addr string
}

// New starts an upstream whose books are where dsn says. It ends with the test.
func New(t testing.TB, dsn string) *World {
	t.Helper()
	w, dir := &World{t: t}, t.TempDir()
	var err error
	w.keys, err = keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	w.ok(err)
	w.pki, err = pki.Open(dir, time.Now())
	w.ok(err)
	w.Books, err = store.OpenDSN(t.Context(), dsn, nil)
	w.ok(err)
	w.Roll = staff.NewRoll(w.Books)
	s := server.New(server.Config{Books: w.Books, Keys: w.keys})
	s.Services = append(s.Services, staff.NewServer(w.Roll, s))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	w.addr = l.Addr().String()
	h := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.pki.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() {
		h.Close()
		running.Wait()
		w.ok(w.Books.Close())
	})
	return w
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
	p, err := server.NewPIN(w.t.Context(), w.keys, owner, (*[wire.PINLen]byte)([]byte(pin)))
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
