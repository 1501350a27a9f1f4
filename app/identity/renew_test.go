package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/app/identity"
	"quancun/upstream/client"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/enrol"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/wire"
)

const day = 24 * time.Hour

// upstream is a real one, with a clock of its own.
type upstream struct {
	t     *testing.T
	books *store.Books
	pki   *pki.Authority
	addr  string
	clock func() time.Time // of terminals

	mu   sync.Mutex
	skew time.Duration // guarded by mu
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u, dir := &upstream{t: t}, t.TempDir()
	u.clock = u.now
	k, err := keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if u.pki, err = pki.Open(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	u.pki.Now = u.now
	if u.books, err = booktest.Open(t.Context(), filepath.Join(dir, "books.db"), u.now); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	inside := server.New(server.Config{Books: u.books, Keys: k, Now: u.now, Log: log})
	door := enrol.New(enrol.Config{Books: u.books, PKI: u.pki, Campus: k, Now: u.now, Log: log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.addr = l.Addr().String()
	h := &http.Server{Handler: door.Doors(inside.Handler()), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() { h.Serve(tls.NewListener(l, u.pki.Server())) }) //nolint:errcheck // it ends by Close
	t.Cleanup(func() {
		h.Close()
		running.Wait()
		if err := u.books.Close(); err != nil {
			t.Error(err)
		}
	})
	return u
}

func (u *upstream) now() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Now().Add(u.skew)
}

func (u *upstream) pass(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.skew += d
}

// terminal is a machine that runs.
type terminal struct {
	config  identity.Config
	renewer *identity.Renewer
	adopted chan *client.Provisioning
}

// enrol makes a machine with these keys terminal K01.
func (u *upstream) enrol(c identity.Config) *terminal {
	u.t.Helper()
	code := wire.NewCode()
	_, err := u.books.Invite(u.t.Context(), store.Invitation{
		Terminal: "K01", CodeHash: code.Hash(), Expires: u.now().Add(time.Hour),
	})
	if err != nil {
		u.t.Fatal(err)
	}
	ticket := client.Ticket{Address: u.addr, Terminal: "K01", Code: code, CA: u.pki.Fingerprint()}
	f, err := client.Enrol(u.t.Context(), ticket, makeKeys(u.t, c), client.Options{Now: u.clock})
	if err != nil {
		u.t.Fatal(err)
	}
	return u.run(c, f)
}

// run starts a renewer on a machine with a provisioning file.
func (u *upstream) run(c identity.Config, f client.File) *terminal {
	u.t.Helper()
	path := filepath.Join(u.t.TempDir(), "terminal.pem")
	if err := f.Save(path); err != nil {
		u.t.Fatal(err)
	}
	p, err := client.ReadProvisioning(path)
	k := makeKeys(u.t, c)
	if err == nil && !p.ServerMade {
		err = p.Use(k.TLS)
	}
	if err != nil {
		u.t.Fatal(err)
	}
	o := client.Options{Now: u.clock}
	t := &terminal{config: c, adopted: make(chan *client.Provisioning, 10)}
	t.renewer = &identity.Renewer{
		File: path, Papers: p, Keys: k, Client: client.Dial(p, o), Options: o, Now: u.clock,
		Every: 5 * time.Millisecond, Adopted: func(p *client.Provisioning) { t.adopted <- p },
		Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { t.renewer.Run(ctx) }) //nolint:errcheck // it ends by cancel
	u.t.Cleanup(func() { cancel(); running.Wait(); t.renewer.Client.Close() })
	return t
}

// wantRenewed waits for new papers, and for the terminal to work with them.
func (u *upstream) wantRenewed(what string, t *terminal) *client.Provisioning {
	u.t.Helper()
	select {
	case p := <-t.adopted:
		if _, err := t.renewer.Client.Ping(u.t.Context()); err != nil {
			u.t.Errorf("%s: renewed, and then %v", what, err)
		}
		return p
	case <-time.After(20 * time.Second):
		u.t.Fatalf("%s: not renewed", what)
	}
	return nil
}

func (u *upstream) wantQuiet(what string, t *terminal) {
	u.t.Helper()
	select {
	case <-t.adopted:
		u.t.Errorf("%s: renewed, with no reason to", what)
	case <-time.After(100 * time.Millisecond):
	}
}

// TestRenewer: with keys in a file and in a TPM, through the seasons of a
// certificate.
func TestRenewer(t *testing.T) {
	stores(t, func(t *testing.T, c identity.Config, _ func()) {
		u := newUpstream(t)
		k := u.enrol(c)
		u.wantQuiet("new", k)
		u.pass(59 * day)
		u.wantQuiet("before two thirds", k)
		u.pass(2 * day)
		u.wantRenewed("after two thirds", k)
		u.wantQuiet("renewed", k)
		u.pass(110 * day)
		u.wantRenewed("after its end", k)
	})
}

// TestRenewerWrongClock: a machine whose clock stands still finds out by what
// the upstream does.
func TestRenewerWrongClock(t *testing.T) {
	u := newUpstream(t)
	began := time.Now()
	u.clock = func() time.Time { return began }
	k := u.enrol(identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys")})
	u.wantQuiet("new", k)
	u.pass(100 * day)
	for range 20 { // a connection outlives the certificate that it was made with
		k.renewer.Client.Close()
		time.Sleep(5 * time.Millisecond)
	}
	u.wantRenewed("by a clock that stands still", k)
}

// TestRenewerUpstreamAhead: an upstream whose clock was ahead has made a certificate that
// is not good yet when it is right again. With that the terminal gets another.
func TestRenewerUpstreamAhead(t *testing.T) {
	u := newUpstream(t)
	k := u.enrol(identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys")})
	u.pass(110 * day)
	u.wantRenewed("by a clock that is ahead", k)
	u.pass(-110 * day)
	for range 20 { // a connection outlives the clock that it was made by
		k.renewer.Client.Close()
		time.Sleep(5 * time.Millisecond)
	}
	u.wantRenewed("when it is right again", k)
	u.wantQuiet("then", k)
}

// TestRenewerOldForm: a terminal that was deployed with a key of the upstream's
// making gets its own, without anybody's doing.
func TestRenewerOldForm(t *testing.T) {
	u := newUpstream(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err1 := u.pki.Certify("K01", &key.PublicKey)
	raw, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	no, err := u.books.AddTerminal(t.Context(), store.Terminal{ID: "K01", Fingerprint: sha256.Sum256(cert.Raw)})
	if err != nil {
		t.Fatal(err)
	}
	c := identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys")}
	k := u.run(c, client.File{
		Terminal: "K01", TerminalNo: no.String(), Address: u.addr, CA: string(u.pki.CA()),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	})
	p := u.wantRenewed("of the old form", k)
	if p.ServerMade || len(p.CampusKey) == 0 || p.Use(makeKeys(t, c).TLS) != nil {
		t.Errorf("it is still of the old form, or not for this machine's key")
	}
	u.wantQuiet("of the new form", k)
}
