package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
)

func TestMask(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"张伟三", "张*三"},
		{"王喆", "王*"},
		{"欧阳珺祎", "欧**祎"},
		{"𠮷田", "𠮷*"}, // beyond the first plane
		{"阿卜杜热合曼·买买提艾力", "阿*力"},
		{"Maria Fernández", "M**** F********"},
		{"Ng", "N*"},
		{"王", "王"},
		{"", ""},
	} {
		if got := MaskName(tt.name); got != tt.want {
			t.Errorf("MaskName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct{ no, want string }{
		{"2026000101", "2026****01"},
		{"60123", "6***3"},
		{"12", "**"},
		{"", ""},
	} {
		if got := MaskNumber(tt.no); got != tt.want {
			t.Errorf("MaskNumber(%q) = %q, want %q", tt.no, got, tt.want)
		}
	}
}

func TestStamp(t *testing.T) {
	at := time.Date(2026, 12, 31, 16, 0, 5, 0, time.UTC) // the new year has begun in Beijing
	got := stampOf(at)
	if want := (pboc.Stamp{0x20, 0x27, 0x01, 0x01, 0x00, 0x00, 0x05}); got != want || !stampTime(got).Equal(at) {
		t.Errorf("stamp of %v = %x, read as %v; want %x", at, got, stampTime(got), want)
	}
}

// TestChallengesAreBounded has terminals sign in more often than there is room
// for, and shares keys between two upstreams.
func TestChallengesAreBounded(t *testing.T) {
	now, ctx := time.Now(), t.Context()
	c := challenges{keys: fixedMAC{}, now: func() time.Time { return now }}
	spend := func(c *challenges, challenge []byte) bool {
		t.Helper()
		good, err := c.spend(ctx, "K01", "card", challenge)
		if err != nil {
			t.Fatal(err)
		}
		return good
	}
	issue := func() []byte {
		challenge, err := c.issue(ctx, "K01", "card")
		if err != nil {
			t.Fatal(err)
		}
		return challenge
	}
	for i := range spentMax + 5 {
		if got, want := spend(&c, issue()), i < spentMax; got != want {
			t.Fatalf("challenge %d is good: %t, want %t", i, got, want)
		}
	}
	now = now.Add(challengeLife)
	mine := issue()
	if !spend(&c, mine) || spend(&c, mine) || len(c.spent) > spentMax {
		t.Error("a challenge is not good for exactly one time")
	}
	other := challenges{keys: fixedMAC{}, now: func() time.Time { return now.Add(time.Second) }}
	if !spend(&other, issue()) {
		t.Error("another upstream with the same keys does not take it")
	}
}

// fixedMAC is a key store that only vouches.
type fixedMAC struct{ keys.Store }

func (fixedMAC) SessionMAC(_ context.Context, token []byte) ([32]byte, error) {
	return sha256.Sum256(token), nil
}

func TestLater(t *testing.T) {
	now := time.Now()
	e := &engine{now: func() time.Time { return now }}
	for tries, want := range map[int]time.Duration{0: 2 * time.Second, 3: 16 * time.Second, 60: retryMax} {
		for range 100 {
			if d := e.later(2*time.Second, retryMax, tries).Sub(now); d < want*3/4 || d > want*5/4 {
				t.Fatalf("after %d tries %v, want about %v", tries, d, want)
			}
		}
	}
}

// plainKeys vouch for sessions with a key that the fuzzer could not know.
type plainKeys struct{ keys.Store }

func (plainKeys) SessionMAC(_ context.Context, token []byte) ([32]byte, error) {
	return sha256.Sum256(append([]byte("secret"), token...)), nil
}

func FuzzSession(f *testing.F) {
	now := time.UnixMilli(1_800_000_000_000)
	s := &Server{Config: Config{Keys: plainKeys{}, Now: func() time.Time { return now }}}
	ctx := call.WithTerminal(context.Background(), store.Terminal{ID: "K01"})
	whole := session{"K01", "00002026000100012345", "holder/1", now}
	token, err := s.seal(ctx, whole)
	if err != nil {
		f.Fatal(err)
	}
	if got, err := s.open(ctx, token); err != nil || !got.issued.Equal(now) || got.card != whole.card || got.account != whole.account {
		f.Fatalf("open = %+v, %v; want %+v", got, err, whole)
	}
	f.Add(token)
	f.Add(token[:len(token)-32])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := s.open(ctx, b); err == nil && !bytes.Equal(b, token) {
			t.Errorf("open took %x, which nobody sealed", b)
		} else if no := (*refusal)(nil); err != nil && !errors.As(err, &no) {
			t.Errorf("open(%x) = %v, want a refusal", b, err)
		}
		if n, err := parseSession(b); err == nil { // and behind the MAC
			if again, err := s.seal(ctx, n); err != nil || !bytes.Equal(again[:len(b)], b) {
				t.Errorf("parseSession(%x) = %+v, which seals as %x", b, n, again)
			}
		}
	})
}

func TestCheckCharacter(t *testing.T) {
	if got := checkCharacter("11010519491231002"); got != 'X' {
		t.Errorf("check character %c, want X", got)
	}
}

func TestPepper(t *testing.T) {
	// What a PIN is kept as needs the pepper: the same PIN under another key
	// store is another hash, even with the same salt.
	var hashes [2][32]byte
	pin := [6]byte([]byte("123456"))
	for i := range hashes {
		k, err := keys.OpenSoftware(filepath.Join(t.TempDir(), "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		peppered, err := pepper(t.Context(), k, "holder/1", &pin)
		if err != nil {
			t.Fatal(err)
		}
		hashes[i] = argon(peppered, [16]byte{})
	}
	if hashes[0] == hashes[1] {
		t.Error("PINs are hashed without the pepper")
	}
}
