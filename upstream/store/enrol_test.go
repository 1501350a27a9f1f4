package store_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/upstream/store"
)

// applicant is a machine that wants to be a terminal.
type applicant struct {
	t       testing.TB
	key     *ecdsa.PrivateKey
	journal ed25519.PublicKey
}

func newApplicant(t testing.TB) applicant {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return applicant{t, key, public}
}

// apply makes another certificate for the applicant's key.
func (a applicant) apply(id string) store.Membership {
	a.t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: n, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &a.key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return store.Membership{Terminal: id, Certificate: c, JournalKey: a.journal}
}

func invite(t testing.TB, b *store.Books, id string, code byte) [32]byte {
	t.Helper()
	hash := [32]byte{code}
	_, err := b.Invite(t.Context(), store.Invitation{Terminal: id, Known: true, CodeHash: hash, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestEnrolment follows the certificates of one terminal.
func TestEnrolment(t *testing.T) { onBoth(t, testEnrolment) }

func testEnrolment(t *testing.T, p place) {
	b, ctx, m := newBooks(t, p), t.Context(), newApplicant(t)
	code := invite(t, b, "K01", 1)
	if id, err := b.Invited(ctx, code); err != nil || id != "K01" {
		t.Errorf("Invited = %q, %v", id, err)
	}
	if _, err := b.Invited(ctx, [32]byte{9}); !errors.Is(err, store.ErrNone) {
		t.Errorf("Invited with no code of ours = %v", err)
	}
	first := m.apply("K01")
	_, got, err := b.Enrol(ctx, code, first)
	if err != nil || !bytes.Equal(got, first.Certificate.Raw) {
		t.Fatalf("Enrol = %v", err)
	}
	_, got, err = b.Enrol(ctx, code, m.apply("K01")) // the answer was lost
	if err != nil || !bytes.Equal(got, first.Certificate.Raw) {
		t.Errorf("Enrol again = %v, want the first certificate", err)
	}
	if _, _, err := b.Enrol(ctx, code, newApplicant(t).apply("K01")); !errors.Is(err, store.ErrCodeSpent) {
		t.Errorf("Enrol of another machine = %v, want %v", err, store.ErrCodeSpent)
	}

	one := sha256.Sum256(first.Certificate.Raw)
	second := m.apply("K01")
	for range 2 {
		_, got, err = b.Renew(ctx, one, second)
		if err != nil || !bytes.Equal(got, second.Certificate.Raw) {
			t.Fatalf("Renew = %v", err)
		}
	}
	two := sha256.Sum256(second.Certificate.Raw)
	k, err := b.Terminal(ctx, "K01")
	if err != nil || !k.Good(one) || !k.Good(two) || k.Next != two || !k.JournalKey.Equal(m.journal) {
		t.Errorf("terminal = %+v, %v; want both certificates good", k, err)
	}
	for range 2 {
		if err := b.TakeUp(ctx, "K01", two); err != nil {
			t.Fatal(err)
		}
	}
	k, err = b.Terminal(ctx, "K01")
	if err != nil || k.Good(one) || !k.Good(two) || k.Expires.Unix() != second.Certificate.NotAfter.Unix() {
		t.Errorf("terminal = %+v, %v; want only the second certificate good", k, err)
	}
	if err := b.RevokeTerminal(ctx, "K01"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"TakeUp of the first":  b.TakeUp(ctx, "K01", one),
		"TakeUp of the second": b.TakeUp(ctx, "K01", two),
		"Renew":                func() error { _, _, err := b.Renew(ctx, two, m.apply("K01")); return err }(),
	} {
		if !errors.Is(err, store.ErrNone) {
			t.Errorf("%s of a terminal that was shut out = %v, want %v", name, err, store.ErrNone)
		}
	}
	if k := (store.Terminal{}); k.Good([32]byte{}) {
		t.Error("a terminal that was never enrolled takes a certificate of zeros")
	}
	check(t, b)
}

// TestCodeOnce: of many machines that use a code at once, one is the terminal.
func TestCodeOnce(t *testing.T) { onBoth(t, testCodeOnce) }

func testCodeOnce(t *testing.T, p place) {
	b := newBooks(t, p)
	code := invite(t, b, "K01", 1)
	var mu sync.Mutex
	var won []store.Membership
	var g sync.WaitGroup
	for range 6 {
		m := newApplicant(t).apply("K01")
		g.Go(func() {
			_, _, err := b.Enrol(t.Context(), code, m)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, m)
			} else if !errors.Is(err, store.ErrCodeSpent) {
				t.Errorf("Enrol = %v, want %v", err, store.ErrCodeSpent)
			}
		})
	}
	g.Wait()
	if len(won) != 1 {
		t.Fatalf("%d machines have become one terminal", len(won))
	}
	k, err := b.Terminal(t.Context(), "K01")
	if err != nil || !k.Good(sha256.Sum256(won[0].Certificate.Raw)) || !k.JournalKey.Equal(won[0].JournalKey) {
		t.Errorf("terminal = %+v, %v; want the machine that was told so", k, err)
	}
}

// TestRevokedCode: a terminal is shut out while a code for it lies about. The code is
// worth nothing then; only one that is made later takes the terminal back.
func TestRevokedCode(t *testing.T) { onBoth(t, testRevokedCode) }

func testRevokedCode(t *testing.T, p place) {
	b, ctx := newBooks(t, p), t.Context()
	first := invite(t, b, "K01", 1)
	if err := b.RevokeTerminal(ctx, "K01"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Enrol(ctx, first, newApplicant(t).apply("K01")); !errors.Is(err, store.ErrCodeOver) {
		t.Errorf("a code from before the revocation: %v, want %v", err, store.ErrCodeOver)
	}
	if k, err := b.Terminal(ctx, "K01"); err != nil || !k.Revoked {
		t.Errorf("terminal = %+v, %v; want it shut out", k, err)
	}
	if _, _, err := b.Enrol(ctx, invite(t, b, "K01", 2), newApplicant(t).apply("K01")); err != nil {
		t.Errorf("a code from after it: %v", err)
	}
	if k, err := b.Terminal(ctx, "K01"); err != nil || k.Revoked {
		t.Errorf("terminal = %+v, %v; want it back", k, err)
	}
	check(t, b)
}

// TestStanding: what a terminal has told of, and what is here of it.
func TestStanding(t *testing.T) { onBoth(t, testStanding) }

func testStanding(t *testing.T, p place) {
	b, ctx := newBooks(t, p), t.Context()
	want := func(want store.Standing) {
		t.Helper()
		if got, err := b.Standing(ctx, "K01"); err != nil || got != want {
			t.Errorf("Standing = %+v, %v; want %+v", got, err, want)
		}
	}
	want(store.Standing{})
	const epoch = "0102030405060708"
	if err := b.Hear(ctx, "K01", store.Heard{Epoch: epoch, JournalHead: 7}); err != nil {
		t.Fatal(err)
	}
	want(store.Standing{Epoch: epoch, Said: 7})
	raw := p.attack(t)
	insert := `INSERT INTO journals (terminal, epoch, opened_ms, head_seq, head_hash, note) VALUES ('K01', ` +
		map[bool]string{true: `'\x0102030405060708', 0, 5, decode(repeat('00', 32), 'hex'), '\x01')`,
			false: `x'0102030405060708', 0, 5, zeroblob(32), x'01')`}[p.postgres()]
	if err := inTx(ctx, raw, insert); err != nil {
		t.Fatal(err)
	}
	want(store.Standing{Epoch: epoch, Said: 7, Held: 5})
	if _, err := b.Standing(ctx, "K99"); !errors.Is(err, store.ErrNone) {
		t.Errorf("Standing of nobody = %v, want %v", err, store.ErrNone)
	}
}

// TestHear: what a terminal has said of its feeds, and of its journal. One that
// has a fault does not say how far it has come: what it had told of before still
// has to come, and somebody is told, once each time that it is found.
func TestHear(t *testing.T) { onBoth(t, testHear) }

func testHear(t *testing.T, p place) {
	b, ctx := newBooks(t, p), t.Context()
	const epoch = "0102030405060708"
	feeds := map[string]uint64{"bath": 1, "hotlist": 7}
	faults := 0
	for _, h := range []store.Heard{
		{Epoch: epoch, JournalHead: 7},
		{Epoch: epoch, JournalHead: 7, Feeds: feeds},
		{Feeds: feeds, Fault: "entry 3"},
		{Feeds: feeds, Fault: "entry 3"},
		{Epoch: epoch, JournalHead: 7},
		{Fault: "entry 3"},
	} {
		if err := b.Hear(ctx, "K01", h); err != nil {
			t.Fatal(err)
		}
		k, err := b.Terminal(ctx, "K01")
		if err != nil || !maps.Equal(k.Feeds, h.Feeds) || (k.Feeds == nil) != (h.Feeds == nil) || k.Fault != h.Fault {
			t.Errorf("after %+v: %+v, %v", h, k, err)
		}
		if s, err := b.Standing(ctx, "K01"); err != nil || s.Said != 7 || s.Epoch != epoch {
			t.Errorf("after %+v: it stands at %+v, %v", h, s, err)
		}
	}
	alarms, err := b.Alarms(ctx)
	for _, a := range alarms {
		faults += a.Times
	}
	if err != nil || len(alarms) != 1 || alarms[0].Kind != store.AlarmJournalFault || alarms[0].Ref != "K01" ||
		alarms[0].Detail != "entry 3" || faults != 2 {
		t.Errorf("alarms %+v, %v; want the fault, found twice", alarms, err)
	}
}

// TestAttackEnrolment attacks codes and certificates from behind.
func TestAttackEnrolment(t *testing.T) {
	for _, on := range []struct {
		name                     string
		place                    place
		changed, deleted, length string
	}{
		{"SQLite", inFile(t), "never changed", "never deleted", "CHECK"},
		{"PostgreSQL", inPostgres(t), "permission denied", "permission denied", "check"},
	} {
		t.Run(on.name, func(t *testing.T) {
			b := newBooks(t, on.place)
			if _, _, err := b.Enrol(t.Context(), invite(t, b, "K01", 1), newApplicant(t).apply("K01")); err != nil {
				t.Fatal(err)
			}
			invite(t, b, "K01", 2)
			raw := on.place.attack(t)
			once := "ends once"
			if on.place.postgres() {
				once = "permission denied"
			}
			for _, tt := range []attack{
				{`UPDATE certificates SET expires_ms = expires_ms + 1`, on.changed},
				{`DELETE FROM certificates`, on.deleted},
				{`DELETE FROM enrolments`, on.deleted},
				{`UPDATE enrolments SET expires_ms = expires_ms + 1`, once},
				{`UPDATE enrolments SET terminal = 'K02'`, once},
				{`UPDATE enrolments SET used_ms = 1 WHERE used_ms IS NULL`, on.length},
				{`UPDATE terminals SET next_fingerprint = substr(fingerprint, 1, 31)`, on.length},
			} {
				if err := inTx(t.Context(), raw, tt.sql); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", tt.sql, err, tt.want)
				}
			}
		})
	}
}
