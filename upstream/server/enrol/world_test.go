package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/upstream/client"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/enrol"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
)

const day = 24 * time.Hour

// world is an upstream with both doors, on the loopback interface, with a clock
// of its own.
type world struct {
	t    testing.TB
	dir  string
	keys *keys.Software
	pki  *pki.Authority
	addr string

	books *store.Books
	stop  func()

	mu   sync.Mutex
	skew time.Duration // guarded by mu
	lose *loss         // guarded by mu; what is to happen to the next calls
	late chan struct{} // guarded by mu; what the next call waits for on its way

	from string // guarded by mu; where the last call came from
}

// loss is how an answer gets lost: with what was asked done, or not.
type loss struct {
	kept  bool
	times int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	if w.keys, err = keys.OpenSoftware(filepath.Join(w.dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	if w.pki, err = pki.Open(w.dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.pki.Now = w.now
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew += d
}

func (w *world) start() {
	w.t.Helper()
	var err error
	if w.books, err = booktest.Open(w.t.Context(), w.path(), w.now); err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	inside := server.New(server.Config{
		Journals: ingest.New(w.books, w.keys, ingest.Policy{}),
		Feeds:    &feed.Publisher{Books: w.books, Campus: w.keys.Campus()},
		Books:    w.books, Keys: w.keys, Now: w.now, Log: log,
	})
	door := enrol.New(enrol.Config{Books: w.books, PKI: w.pki, Campus: w.keys, Now: w.now, Log: log})
	l := pkitest.Listen(w.t, w.addr)
	w.addr = l.Addr().String()
	h := &http.Server{
		Handler:  w.lossy(door.Doors(inside.Handler())),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, w.pki.Server())) }) //nolint:errcheck // it ends by Close
	w.stop = sync.OnceFunc(func() {
		h.Close()
		running.Wait()
		if err := w.books.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) path() string { return filepath.Join(w.dir, "books.db") }

// lossy breaks the connection instead of answering, as often as w.lose says.
func (w *world) lossy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		late, now := w.late, w.lose
		w.late, w.from = nil, r.RemoteAddr
		if now != nil {
			if now.times--; now.times == 0 {
				w.lose = nil
			}
		}
		w.mu.Unlock()
		if late != nil {
			late <- struct{}{} // it is on its way
			<-late
		}
		if now == nil {
			next.ServeHTTP(out, r)
			return
		}
		if now.kept {
			next.ServeHTTP(nowhere{http.Header{}}, r)
		}
		panic(http.ErrAbortHandler)
	})
}

type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

func (w *world) loseNext(l loss) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = &l
}

// invite makes a code for a terminal.
func (w *world) invite(i store.Invitation) client.Ticket {
	w.t.Helper()
	code := wire.NewCode()
	i.CodeHash, i.Expires = code.Hash(), w.now().Add(time.Hour)
	if _, err := w.books.Invite(w.t.Context(), i); err != nil {
		w.t.Fatal(err)
	}
	return client.Ticket{Address: w.addr, Terminal: i.Terminal, Code: code, CA: w.pki.Fingerprint()}
}

func newKeys(t testing.TB) client.Keys {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, journal, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return client.Keys{TLS: key, Journal: journal}
}

// machine is a terminal as it stands there: its file, its keys.
type machine struct {
	w    *world
	path string
	keys client.Keys
}

// newMachine enrols a terminal.
func (w *world) newMachine(id string) *machine {
	w.t.Helper()
	m := &machine{w, filepath.Join(w.t.TempDir(), "terminal.pem"), newKeys(w.t)}
	f, err := client.Enrol(w.t.Context(), w.invite(store.Invitation{Terminal: id}), m.keys, w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	m.save(f)
	return m
}

func (w *world) options() client.Options { return client.Options{Now: w.now} }

func (m *machine) save(f client.File) {
	m.w.t.Helper()
	if err := f.Save(m.path); err != nil {
		m.w.t.Fatal(err)
	}
}

// papers reads the machine's file.
func (m *machine) papers() *client.Provisioning {
	m.w.t.Helper()
	p, err := client.ReadProvisioning(m.path)
	if err != nil {
		m.w.t.Fatal(err)
	}
	if !p.ServerMade {
		if err := p.Use(m.keys.TLS); err != nil {
			m.w.t.Fatal(err)
		}
	}
	return p
}

func (m *machine) renew() {
	m.w.t.Helper()
	f, err := m.papers().Renew(m.w.t.Context(), m.keys, m.w.options())
	if err != nil {
		m.w.t.Fatal(err)
	}
	m.save(f)
}

// call makes a call of every day with a machine's papers.
func (w *world) call(p *client.Provisioning) error {
	c := client.Dial(p, w.options())
	defer c.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	_, err := c.LookUpCard(ctx, "00002026000100012345")
	return err
}

func (w *world) wantGood(what string, p *client.Provisioning) {
	w.t.Helper()
	if err := w.call(p); err != nil {
		w.t.Errorf("%s: %v, want it good", what, err)
	}
}

func (w *world) wantUnknown(what string, p *client.Provisioning) {
	w.t.Helper()
	no := (*client.Refusal)(nil)
	if err := w.call(p); !errors.As(err, &no) || no.Reason != client.TerminalUnknown {
		w.t.Errorf("%s: %v, want the terminal unknown", what, err)
	}
}

func wantReason(t testing.TB, what string, err error, want client.EnrolReason) {
	t.Helper()
	no := (*client.EnrolRefusal)(nil)
	if !errors.As(err, &no) || no.Reason != want {
		t.Errorf("%s: %v, want reason %d", what, err, want)
	}
}

// copyFile copies the books, or puts a copy back.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
