package server_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/upstream/client"
	"quancun/upstream/server"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

func TestWrongPIN(t *testing.T) {
	w := newSlowWorld(t)
	for i, want := range []client.Refusal{
		{Reason: client.PINWrong, TriesLeft: 4},
		{Reason: client.PINWrong, TriesLeft: 3},
		{Reason: client.PINWrong, TriesLeft: 2},
		{Reason: client.PINWrong, TriesLeft: 1},
	} {
		_, _, err := w.signIn("000000")
		var no *client.Refusal
		if !errors.As(err, &no) || *no != want {
			t.Errorf("wrong PIN %d: %+v, want %+v", i+1, err, want)
		}
	}
	if _, _, err := w.signIn(rightPIN); err != nil {
		t.Fatalf("right PIN after four wrong ones: %v", err)
	}
	for range 4 { // the right one has reset the count
		_, _, err := w.signIn("000000")
		wantReason(t, "wrong PIN", err, client.PINWrong)
	}
	_, _, err := w.signIn("000000")
	wantReason(t, "fifth wrong PIN", err, client.PINLocked)
	w.restart()
	_, _, err = w.signIn(rightPIN)
	wantReason(t, "right PIN after the lock and a restart", err, client.PINLocked)
	if c, err := w.client.LookUpCard(t.Context(), cardNo); err != nil || !c.PINLocked {
		t.Errorf("LookUpCard = %+v, %v; want it to say that the PIN is locked", c, err)
	}
	if err := w.books.ResetPINTries(t.Context(), store.HolderAccount(account)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.signIn(rightPIN); err != nil {
		t.Errorf("right PIN after the clerk's reset: %v", err)
	}
}

// TestPINByAccount checks a PIN of whoever shows a code and no card. It is the
// card's, and so are its tries.
func TestPINByAccount(t *testing.T) {
	w := newWorld(t)
	check := func(account, pin string) error {
		return w.client.CheckPIN(t.Context(), account, (*[wire.PINLen]byte)([]byte(pin)))
	}
	if err := check(account, rightPIN); err != nil {
		t.Fatalf("right PIN: %v", err)
	}
	wantReason(t, "of nobody", check("9999", rightPIN), client.AccountUnknown)
	for range 3 {
		wantReason(t, "wrong PIN", check(account, "000000"), client.PINWrong)
	}
	_, _, err := w.signIn("000000")
	wantReason(t, "wrong PIN with the card", err, client.PINWrong)
	no := (*client.Refusal)(nil)
	if err := check(account, "000000"); !errors.As(err, &no) || no.Reason != client.PINLocked {
		t.Errorf("fifth wrong PIN: %v, want PINLocked", err)
	}
	wantReason(t, "right PIN after the lock", check(account, rightPIN), client.PINLocked)
}

// TestGuessesInParallel guesses from many terminals at once. However the
// guesses cross, no more than five are looked at.
func TestGuessesInParallel(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	reasons := map[client.Reason]int{}
	for i := range 12 {
		c := w.newTerminal(fmt.Sprintf("G%02d", i))
		wg.Go(func() {
			card, err := c.LookUpCard(t.Context(), cardNo)
			if err != nil {
				t.Error(err)
				return
			}
			pin := [wire.PINLen]byte([]byte(fmt.Sprintf("9000%02d", i)))
			_, _, err = c.SignIn(t.Context(), cardNo, card.Challenge, &pin)
			mu.Lock()
			defer mu.Unlock()
			reasons[reason(err)]++
		})
	}
	wg.Wait()
	if reasons[client.PINWrong] != 4 || reasons[client.PINLocked] != 8 {
		t.Errorf("answers %v, want 4 wrong and 8 locked", reasons)
	}
	_, _, err := w.signIn(rightPIN)
	wantReason(t, "right PIN at last", err, client.PINLocked)
}

func TestChallenge(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pin := [wire.PINLen]byte([]byte(rightPIN))
	look := func() []byte {
		t.Helper()
		c, err := w.client.LookUpCard(ctx, cardNo)
		if err != nil {
			t.Fatal(err)
		}
		return c.Challenge
	}
	signIn := func(what string, c *client.Client, challenge []byte) {
		t.Helper()
		_, _, err := c.SignIn(ctx, cardNo, challenge, &pin)
		wantReason(t, what, err, client.ChallengeSpent)
	}
	used := look()
	if _, _, err := w.client.SignIn(ctx, cardNo, used, &pin); err != nil {
		t.Fatal(err)
	}
	signIn("used", w.client, used)
	signIn("made up", w.client, bytes.Repeat([]byte{1}, wire.ChallengeLen))
	for i := range wire.ChallengeLen {
		changed := look()
		changed[i] ^= 1
		signIn("changed", w.client, changed)
	}
	signIn("of another terminal", w.newTerminal("K02"), look())
	late := look()
	w.pass(61 * time.Second)
	signIn("a minute old", w.client, late)
}

func TestCardStatuses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s := w.session()
	pin := [wire.PINLen]byte([]byte(rightPIN))
	c, err := w.client.LookUpCard(ctx, "00002026000100099999")
	if err != nil || c.Status != client.CardUnknown || c.Challenge != nil {
		t.Errorf("LookUpCard of a stranger = %+v, %v", c, err)
	}
	_, err = w.client.LookUpCard(ctx, "not a card number")
	wantReason(t, "LookUpCard of nonsense", err, client.Malformed)

	for status, want := range map[store.CardStatus]client.Reason{
		store.CardHot: client.CardIsHot, store.CardRetired: client.CardIsRetired,
	} {
		ready, err := w.client.LookUpCard(ctx, cardNo)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.books.SetCardStatus(ctx, cardNo, status); err != nil {
			t.Fatal(err)
		}
		if c, err := w.client.LookUpCard(ctx, cardNo); err != nil || c.Status != client.CardStatus(status) || c.Challenge != nil {
			t.Errorf("LookUpCard = %+v, %v; want status %d and no challenge", c, err, status)
		}
		_, _, err = w.client.SignIn(ctx, cardNo, ready.Challenge, &pin)
		wantReason(t, "SignIn", err, want)
		_, err = w.client.Account(ctx, s)
		wantReason(t, "Account", err, want)
		_, err = w.history(s, 10)
		wantReason(t, "ListHistory", err, want)
		_, err = w.client.PlanLoad(ctx, s, 0)
		wantReason(t, "PlanLoad", err, want)
		_, err = w.client.CreateTopUp(ctx, s, "H1", 20*yuan)
		wantReason(t, "CreateTopUp", err, want)
		_, _, err = w.authorize(id(1), yuan)
		wantReason(t, "AuthorizeLoad", err, want)
		if err := w.books.SetCardStatus(ctx, cardNo, store.CardActive); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSession(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s := w.session()
	w.restart()
	if _, err := w.client.Account(ctx, s); err != nil {
		t.Errorf("a session after a restart: %v, want it good", err)
	}
	_, err := w.newTerminal("K02").Account(ctx, s)
	wantReason(t, "a session on another terminal", err, client.SessionOver)
	for i := range s {
		forged := bytes.Clone(s)
		forged[i] ^= 1
		_, err := w.client.Account(ctx, forged)
		wantReason(t, fmt.Sprintf("a session with byte %d changed", i), err, client.SessionOver)
	}
	_, err = w.client.Account(ctx, nil)
	wantReason(t, "no session", err, client.SessionOver)
	w.pass(10*time.Minute + time.Second)
	_, err = w.client.Account(ctx, s)
	wantReason(t, "an old session", err, client.SessionOver)
	w.pass(-time.Hour)
	_, err = w.client.Account(ctx, s)
	wantReason(t, "a session from the future", err, client.SessionOver)
}

func TestTerminals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.books.RevokeTerminal(ctx, "K01"); err != nil {
		t.Fatal(err)
	}
	_, err := w.client.LookUpCard(ctx, cardNo)
	wantReason(t, "a revoked terminal", err, client.TerminalUnknown)
	again := w.newTerminal("K01") // provisioned anew
	if _, err := again.LookUpCard(ctx, cardNo); err != nil {
		t.Errorf("the new file: %v", err)
	}
	_, err = w.client.LookUpCard(ctx, cardNo)
	wantReason(t, "the old file", err, client.TerminalUnknown)

	stranger := newWorld(t) // of another campus: the handshake fails
	c := client.Dial(stranger.provision("K01"), client.Options{Address: w.addr})
	defer c.Close()
	if _, err := c.LookUpCard(ctx, cardNo); err == nil || reason(err) != 0 {
		t.Errorf("a terminal of another campus: %v, want no connection", err)
	}
	if _, err := w.client.Hello(ctx, client.Hello{Journal: journal.Head{Seq: 9}}); reason(err) != client.TerminalUnknown {
		t.Error(err)
	}
	for _, head := range []int64{9, 10, 8} {
		if _, err := again.Hello(ctx, client.Hello{Journal: journal.Head{Seq: head}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.alarms(); len(got) != 1 || got[0] != store.AlarmJournalRewound {
		t.Errorf("alarms %q, want a rewound journal", got)
	}
}

// TestWrongClock has a terminal whose battery is flat ask for the time.
func TestWrongClock(t *testing.T) {
	w := newWorld(t)
	p := w.provision("K09")
	for _, year := range []int{1970, 2099} {
		now := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		c := client.Dial(p, client.Options{Now: func() time.Time { return now }})
		hello, err := c.Hello(t.Context(), client.Hello{})
		if err != nil || hello.Drift.Abs() < 365*24*time.Hour {
			t.Errorf("in %d: drift %v, %v", year, hello.Drift, err)
		}
		c.Close()
	}
}

// TestDeadServer has the upstream vanish without a word in the middle of a
// wait: the call must end, as an unknown outcome and not as a refusal.
func TestDeadServer(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	if _, err := w.client.CreateTopUp(t.Context(), s, "D1", 20*yuan); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		time.Sleep(50 * time.Millisecond)
		w.stop()
	}()
	start := time.Now()
	_, err := w.client.GetTopUp(t.Context(), "D1", client.TopUpWaiting, 20*time.Second)
	if reason(err) != 0 || time.Since(start) > 6*time.Second {
		t.Errorf("after %v: %v; want an answer or an unknown outcome at once", time.Since(start), err)
	}
	if _, err := w.client.GetTopUp(t.Context(), "D1", 0, 0); err == nil || reason(err) != 0 {
		t.Errorf("a call to nobody: %v, want an unknown outcome", err)
	}
	<-stopped
	w.start(true) // for the clean-up
}

// TestCanary looks for a PIN in everything that the upstream has written.
func TestCanary(t *testing.T) {
	w := newWorld(t)
	const canary = "918273"
	w.session()
	if _, _, err := w.signIn(canary); reason(err) != client.PINWrong {
		t.Fatal(err)
	}
	seen := w.log.String()
	if !strings.Contains(seen, "REASON_PIN_WRONG") {
		t.Error("the log does not tell of the wrong PIN")
	}
	seen += w.content()
	for _, pin := range []string{canary, rightPIN} {
		if strings.Contains(seen, pin) || strings.Contains(seen, hex.EncodeToString([]byte(pin))) {
			t.Errorf("PIN %s is in the books or in the log", pin)
		}
	}
}

// content stops the upstream, and returns all that its books hold.
func (w *world) content() (all string) {
	w.t.Helper()
	w.stop()
	if !*onPostgres {
		files, err := filepath.Glob(w.dsn + "*")
		if err != nil || len(files) == 0 {
			w.t.Fatal(files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				w.t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	db, err := sql.Open("pgx", w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow(`
		SELECT string_agg(query_to_xml('SELECT * FROM ' || tablename, true, true, '')::text, '')
		FROM pg_tables WHERE schemaname = 'public'`).Scan(&all)
	if err != nil || !strings.Contains(all, account) {
		w.t.Fatalf("%d bytes of books, %v", len(all), err)
	}
	return all
}

func TestInitialPIN(t *testing.T) {
	for _, tt := range []struct {
		id, want string
	}{
		{"11010519491231002X", "31002X"}, // the standard's own example
		{"11010519491231002x", "31002X"}, // as people type it
		{"440524188001010014", "010014"}, // the standard's second
		{"440524188001010015", ""},       // check character
		{"44052418800101001", ""},        // length
		{"4405241880010l0014", ""},       // a letter
		{"", ""},
	} {
		pin, err := server.InitialPIN(tt.id)
		want := strings.ReplaceAll(tt.want, "X", "0")
		if (err == nil) != (want != "") || err == nil && string(pin[:]) != want {
			t.Errorf("InitialPIN(%q) = %q, %v; want %q", tt.id, pin, err, want)
		}
		if err != nil && tt.id != "" && strings.Contains(err.Error(), tt.id) {
			t.Errorf("InitialPIN(%q) tells the number: %v", tt.id, err)
		}
	}
}

// TestTLS knocks without what a terminal has.
func TestTLS(t *testing.T) {
	w := newWorld(t)
	p := w.provision("K02")
	roots := x509.NewCertPool()
	roots.AddCert(p.CA)
	knock := func(change func(*tls.Config)) (proto string, err error) {
		c := &tls.Config{
			RootCAs: roots, Certificates: []tls.Certificate{p.Certificate},
			ServerName: wire.ServerName, NextProtos: []string{"h2"},
		}
		change(c)
		conn, err := tls.Dial("tcp", w.addr, c)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // a read error tells
		// In TLS 1.3 a refused certificate shows with the first read only.
		_, err = conn.Read(make([]byte, 1))
		return conn.ConnectionState().NegotiatedProtocol, err
	}
	if proto, err := knock(func(*tls.Config) {}); err != nil || proto != "h2" {
		t.Errorf("a terminal: %q, %v; want HTTP/2", proto, err)
	}
	for name, change := range map[string]func(*tls.Config){
		"without a certificate":  func(c *tls.Config) { c.Certificates = nil },
		"with TLS 1.2":           func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"to another server":      func(c *tls.Config) { c.ServerName = "localhost" },
		"trusting another CA":    func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
		"with a stranger's cert": func(c *tls.Config) { c.Certificates = []tls.Certificate{newWorld(t).provision("K02").Certificate} },
	} {
		if _, err := knock(change); err == nil {
			t.Errorf("%s: connected, want it refused", name)
		}
	}
}
