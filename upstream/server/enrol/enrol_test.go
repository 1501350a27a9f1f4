package enrol_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/upstream/client"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	p := m.papers()
	w.wantGood("a new terminal", p)
	text, err := os.ReadFile(m.path)
	if err != nil || bytes.Contains(text, []byte("PRIVATE")) {
		t.Errorf("the file holds a private key, or %v", err)
	}
	if p.Terminal != "K01" || p.TerminalNo != [6]byte{5: 1} || !p.CampusKey.Equal(w.keys.Campus().Public()) ||
		!bytes.Equal(p.SealKey, w.keys.SealPublicKey()) {
		t.Errorf("papers are %+v, %x, %x", p.TerminalNo, p.CampusKey, p.SealKey)
	}
	if c := p.JournalCertificate; c.Verify(p.CampusKey) != nil || !c.Key.Equal(m.keys.Journal.Public()) {
		t.Error("the journal's certificate is not for its key")
	}
	if life := p.Expires().Sub(w.now()); life > 90*day || life < 89*day || p.RenewalDue(w.now().Add(50*day)) ||
		!p.RenewalDue(w.now().Add(65*day)) {
		t.Errorf("the certificate lives %v", life)
	}
	kept, err := w.books.Terminal(t.Context(), "K01")
	if err != nil || !kept.JournalKey.Equal(m.keys.Journal.Public()) || !kept.Expires.Equal(p.Expires()) {
		t.Errorf("in the books it is %+v, %v", kept, err)
	}
	if err := p.Use(newKeys(t).TLS); err == nil {
		t.Error("another machine's key was taken for the certificate's")
	}
}

// TestNotUpstream: whoever is not the upstream of the ticket learns nothing.
func TestNotUpstream(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	ticket := w.invite(store.Invitation{Terminal: "K01"})
	wrong := ticket
	wrong.CA[14] ^= 1
	elsewhere := ticket
	elsewhere.Address = other.addr
	for name, bad := range map[string]client.Ticket{"Fingerprint": wrong, "Address": elsewhere} {
		_, err := client.Enrol(t.Context(), bad, newKeys(t), w.options())
		if !errors.Is(err, client.ErrNotUpstream) {
			t.Errorf("%s: %v, want %v", name, err, client.ErrNotUpstream)
		}
	}
	if _, err := client.Enrol(t.Context(), ticket, newKeys(t), w.options()); err != nil {
		t.Errorf("the code was spent on somebody else: %v", err)
	}
}

func TestCodes(t *testing.T) {
	w := newWorld(t)
	ctx, keys := t.Context(), newKeys(t)
	first := w.invite(store.Invitation{Terminal: "K01"})
	unknown := first
	unknown.Code = wire.NewCode()
	_, err := client.Enrol(ctx, unknown, keys, w.options())
	wantReason(t, "a code that nobody made", err, client.EnrolCodeUnknown)

	second := w.invite(store.Invitation{Terminal: "K01", Known: true})
	_, err = client.Enrol(ctx, first, keys, w.options())
	wantReason(t, "a code before the newest", err, client.EnrolCodeOver)
	w.pass(time.Hour + time.Second)
	_, err = client.Enrol(ctx, second, keys, w.options())
	wantReason(t, "a code after its time", err, client.EnrolCodeOver)

	third := w.invite(store.Invitation{Terminal: "K01", Known: true})
	file, err := client.Enrol(ctx, third, keys, w.options())
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Enrol(ctx, third, newKeys(t), w.options())
	wantReason(t, "a used code on another machine", err, client.EnrolCodeSpent)
	for name, mixed := range map[string]client.Keys{
		"TLS": {TLS: keys.TLS, Journal: newKeys(t).Journal}, "Journal": {TLS: newKeys(t).TLS, Journal: keys.Journal},
	} {
		_, err = client.Enrol(ctx, third, mixed, w.options())
		wantReason(t, name+" key of the machine that has used it", err, client.EnrolCodeSpent)
	}
	again, err := client.Enrol(ctx, third, keys, w.options())
	if err != nil || again.Certificate != file.Certificate {
		t.Errorf("the same again: %v, want the same certificate", err)
	}
	w.pass(16 * time.Minute)
	_, err = client.Enrol(ctx, third, keys, w.options())
	wantReason(t, "the same after a quarter of an hour", err, client.EnrolCodeSpent)

	_, err = w.books.Invite(ctx, store.Invitation{Terminal: "K01"})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("a new terminal of a known name: %v, want %v", err, store.ErrConflict)
	}
	_, err = w.books.Invite(ctx, store.Invitation{Terminal: "K02", Known: true})
	if !errors.Is(err, store.ErrNone) {
		t.Errorf("a known terminal that is not there: %v, want %v", err, store.ErrNone)
	}
}

// TestAnotherMachine: with a new code a terminal becomes another machine, and
// the one before is out.
func TestAnotherMachine(t *testing.T) {
	w := newWorld(t)
	old := w.newMachine("K01")
	ticket := w.invite(store.Invitation{Terminal: "K01", Known: true})
	w.wantGood("before the code is used", old.papers())
	m := &machine{w, filepath.Join(t.TempDir(), "terminal.pem"), newKeys(t)}
	f, err := client.Enrol(t.Context(), ticket, m.keys, w.options())
	if err != nil {
		t.Fatal(err)
	}
	m.save(f)
	w.wantGood("the new machine", m.papers())
	w.wantUnknown("the old machine", old.papers())
	_, err = old.papers().Renew(t.Context(), old.keys, w.options())
	wantReason(t, "renewal by the old machine", err, client.EnrolTerminalUnknown)
	if m.papers().TerminalNo != old.papers().TerminalNo {
		t.Error("the terminal's number has changed")
	}
	kept, err := w.books.Terminal(t.Context(), "K01")
	if err != nil || !kept.JournalKey.Equal(m.keys.Journal.Public()) {
		t.Errorf("the books have another journal's key, or %v", err)
	}
}

// TestSameMachine: a terminal that was away too long comes back with its
// journal, and nobody else in its place.
func TestSameMachine(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	w.pass(121 * day)
	_, err := m.papers().Renew(t.Context(), m.keys, w.options())
	wantReason(t, "renewal a month after the end", err, client.EnrolTooLate)
	if err := w.books.RevokeTerminal(t.Context(), "K01"); err != nil {
		t.Fatal(err)
	}
	ticket := w.invite(store.Invitation{Terminal: "K01", Known: true, SameMachine: true})
	_, err = client.Enrol(t.Context(), ticket, newKeys(t), w.options())
	wantReason(t, "another machine", err, client.EnrolJournalKey)
	f, err := client.Enrol(t.Context(), ticket, m.keys, w.options())
	if err != nil {
		t.Fatal(err)
	}
	m.save(f)
	w.wantGood("the same machine", m.papers())

	w.invite(store.Invitation{Terminal: "K02"})
	_, err = w.books.Invite(t.Context(), store.Invitation{Terminal: "K02", Known: true, SameMachine: true})
	if !errors.Is(err, store.ErrJournalKey) {
		t.Errorf("the same machine as none: %v, want %v", err, store.ErrJournalKey)
	}
}

// TestLostAnswers loses answers of each call, with and without their effect.
// However often that happens, the machine gets where it wanted.
func TestLostAnswers(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprintf("Kept=%t,%d", kept, times), func(t *testing.T) { lostAnswers(t, loss{kept, times}) })
		}
	}
}

func lostAnswers(t *testing.T, l loss) {
	w := newWorld(t)
	m := &machine{w, filepath.Join(t.TempDir(), "terminal.pem"), newKeys(t)}
	ticket := w.invite(store.Invitation{Terminal: "K01"})
	insist := func(what string, ask func() (client.File, error)) {
		t.Helper()
		w.loseNext(l)
		for range l.times {
			_, err := ask()
			if no := (*client.EnrolRefusal)(nil); err == nil || errors.As(err, &no) {
				t.Fatalf("%s: a lost answer is %v, want it unknown", what, err)
			}
		}
		f, err := ask()
		if err != nil {
			t.Fatalf("%s after lost answers: %v", what, err)
		}
		m.save(f)
	}
	insist("enrol", func() (client.File, error) {
		return client.Enrol(t.Context(), ticket, m.keys, w.options())
	})
	w.wantGood("after enrolment", m.papers())
	for range 3 {
		w.pass(61 * day)
		old := m.papers()
		insist("renew", func() (client.File, error) { return m.papers().Renew(t.Context(), m.keys, w.options()) })
		w.wantGood("the old one after a renewal", old)
		w.wantGood("after renewal", m.papers())
		w.wantUnknown("the old one after the new one's first use", old)
	}
}

// TestRenewal: a renewal with the same key or a new one.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	for i := range 4 {
		w.pass(61 * day)
		old := m.papers()
		if !old.RenewalDue(w.now()) {
			t.Fatal("no renewal is due after two thirds")
		}
		renewed := m.keys
		if i%2 == 1 {
			renewed.TLS = newKeys(t).TLS
		}
		f, err := old.Renew(t.Context(), renewed, w.options())
		if err != nil {
			t.Fatal(err)
		}
		m.keys = renewed
		m.save(f)
		w.wantGood("renewed", m.papers())
		w.wantUnknown("the one before", old)
	}
	other := m.keys
	other.Journal = newKeys(t).Journal
	_, err := m.papers().Renew(t.Context(), other, w.options())
	wantReason(t, "another journal key", err, client.EnrolJournalKey)
	if err := w.books.RevokeTerminal(t.Context(), "K01"); err != nil {
		t.Fatal(err)
	}
	_, err = m.papers().Renew(t.Context(), m.keys, w.options())
	wantReason(t, "a terminal that was shut out", err, client.EnrolTerminalUnknown)
}

// TestDark: a terminal comes back after its certificate has ended.
func TestDark(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	w.pass(119 * day)
	err := w.call(m.papers())
	if no := (*client.Refusal)(nil); err == nil || errors.As(err, &no) {
		t.Errorf("a call with an ended certificate: %v, want it not to come through", err)
	}
	old := m.papers()
	m.renew()
	w.wantGood("renewed after its end", m.papers())
	_, err = old.Renew(t.Context(), m.keys, w.options())
	wantReason(t, "renewal with the ended one again", err, client.EnrolTerminalUnknown)
}

// TestRestoredBooks: an upstream that was restored from yesterday has not heard
// of today's renewal.
func TestRestoredBooks(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	w.pass(61 * day)
	w.stop()
	copyFile(t, w.path(), w.path()+".yesterday")
	w.start()
	m.renew()
	w.wantGood("renewed", m.papers())

	w.stop()
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(w.path() + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	copyFile(t, w.path()+".yesterday", w.path())
	w.start()
	w.wantUnknown("on yesterday's books", m.papers())
	_, err := m.papers().Renew(t.Context(), m.keys, w.options())
	wantReason(t, "renewal with today's certificate", err, client.EnrolTerminalUnknown)
	f, err := m.papers().Restored().Renew(t.Context(), m.keys, w.options())
	if err != nil {
		t.Fatal(err)
	}
	m.save(f)
	w.wantGood("renewed with the one before", m.papers())
}

// TestOldForm: a terminal whose key the upstream once made goes on, and gets a
// key of its own by its first renewal.
func TestOldForm(t *testing.T) {
	w := newWorld(t)
	m := &machine{w, filepath.Join(t.TempDir(), "terminal.pem"), newKeys(t)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m.save(w.oldForm("K01", key))
	old := m.papers()
	if !old.ServerMade || !old.RenewalDue(w.now()) {
		t.Error("a file of the old form is not known as one")
	}
	w.wantGood("as it was deployed", old)
	m.renew()
	p := m.papers()
	w.wantGood("with its own key", p)
	w.wantUnknown("with the key that the upstream made", old)
	if p.ServerMade || p.RenewalDue(w.now()) || p.Previous != nil || p.TerminalNo != old.TerminalNo {
		t.Errorf("renewed: %+v", p)
	}
}

// oldForm is what the released "campusd terminal add" wrote.
func (w *world) oldForm(id string, key *ecdsa.PrivateKey) client.File {
	w.t.Helper()
	cert, err := w.pki.Certify(id, &key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	no, err := w.books.AddTerminal(w.t.Context(), store.Terminal{ID: id, Fingerprint: sha256.Sum256(cert.Raw)})
	if err != nil {
		w.t.Fatal(err)
	}
	return client.File{
		Terminal: id, TerminalNo: no.String(), Address: w.addr, CA: string(w.pki.CA()),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})),
	}
}

// TestAdopt: a call that left with the old certificate, and arrives after the
// new one has been used, is made again with the new one. No other call of a
// terminal at work notices a renewal at all.
func TestAdopt(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	c := client.Dial(m.papers(), w.options())
	defer c.Close()
	for name, call := range map[string]func() error{
		"customer's": func() error { _, err := c.Ping(t.Context()); return err },
		"long":       func() error { _, err := c.Feed(t.Context(), "hotlist", 0, time.Time{}); return err },
	} {
		for range 3 {
			late := make(chan struct{})
			w.mu.Lock()
			w.late = late
			w.mu.Unlock()
			var calling sync.WaitGroup
			calling.Go(func() {
				if err := call(); err != nil {
					t.Errorf("a %s call during a renewal: %v", name, err)
				}
			})
			<-late
			m.renew()
			c.Adopt(m.papers())
			if err := call(); err != nil {
				t.Errorf("a %s call after a renewal: %v", name, err)
			}
			late <- struct{}{}
			calling.Wait()
		}
	}
}

// TestSide: what is long has a connection of its own, so that no customer's call
// waits behind its bytes.
func TestSide(t *testing.T) {
	w := newWorld(t)
	c := client.Dial(w.newMachine("K01").papers(), w.options())
	defer c.Close()
	from := func(call func() error) string {
		t.Helper()
		if err := call(); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.from
	}
	ping := func() error { _, err := c.Ping(t.Context()); return err }
	feed := func() error { _, err := c.Feed(t.Context(), "hotlist", 0, time.Time{}); return err }
	customers, long := from(ping), from(feed)
	if customers == long {
		t.Errorf("both come from %s", long)
	}
	if again := from(ping); again != customers {
		t.Errorf("a customer's second call comes from %s, the first from %s", again, customers)
	}
	if again := from(feed); again != long {
		t.Errorf("a second long call comes from %s, the first from %s", again, long)
	}
}

// TestDoors tries what is not meant to be, at both doors.
func TestDoors(t *testing.T) {
	w := newWorld(t)
	m := w.newMachine("K01")
	other, err := pki.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ours, stranger := m.papers().Certificate, w.foreign(other)
	server := w.pki.Server().Certificates[0]
	const enrolPath, insidePath = "/quancun.v1.EnrolmentService/Renew", "/quancun.v1.TerminalService/Hello"
	for _, tt := range []struct {
		name, door, path string
		cert             *tls.Certificate
		version          uint16
		want             int // HTTP status; 0 for no connection
	}{
		{"Usual", wire.ServerName, insidePath, &ours, 0, http.StatusOK},
		{"NoCertificate", wire.ServerName, insidePath, nil, 0, 0},
		{"Stranger", wire.ServerName, insidePath, &stranger, 0, 0},
		{"ServersOwn", wire.ServerName, insidePath, &server, 0, 0},
		{"OldTLS", wire.ServerName, insidePath, &ours, tls.VersionTLS12, 0},
		{"EnrolmentInside", wire.ServerName, enrolPath, &ours, 0, http.StatusNotFound},
		{"UsualAtTheOther", wire.EnrolName, insidePath, &ours, 0, http.StatusNotFound},
		{"StrangerAtTheOther", wire.EnrolName, enrolPath, &stranger, 0, 0},
		{"ServersOwnAtTheOther", wire.EnrolName, enrolPath, &server, 0, 0},
		{"OldTLSAtTheOther", wire.EnrolName, enrolPath, &ours, tls.VersionTLS12, 0},
		{"NobodyAtTheOther", wire.EnrolName, enrolPath, nil, 0, http.StatusBadRequest}, // answered, and refused
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := &tls.Config{ServerName: tt.door, RootCAs: x509.NewCertPool(), MaxVersion: tt.version}
			config.RootCAs.AppendCertsFromPEM(w.pki.CA())
			if tt.cert != nil { // sent whatever the server asks for
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return tt.cert, nil
				}
			}
			tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
			defer tr.CloseIdleConnections()
			h := http.Client{Transport: tr}
			r, err := h.Post("https://"+w.addr+tt.path, "application/json", strings.NewReader("{}"))
			if err != nil {
				if tt.want != 0 {
					t.Errorf("%v, want status %d", err, tt.want)
				}
				return
			}
			defer r.Body.Close()
			if r.StatusCode != tt.want {
				t.Errorf("status %d, want %d", r.StatusCode, tt.want)
			}
		})
	}
}

// foreign returns a certificate for K01 that another campus made.
func (w *world) foreign(a *pki.Authority) tls.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := a.Certify("K01", &key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}
