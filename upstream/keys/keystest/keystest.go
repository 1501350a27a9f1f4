// Package keystest holds the promises of [keys.Store] and [keys.Issuer]
// against a store, whichever it is.
package keystest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/wire"
)

// Store is what a key store has to be.
type Store interface {
	keys.Store
	keys.Issuer
}

// Run checks the store that open returns. Each call of open opens the same
// keys again, as after a restart.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Run("MACs", func(t *testing.T) { macs(t, open(t)) })
	t.Run("PIN", func(t *testing.T) { pins(t, open(t)) })
	t.Run("Campus", func(t *testing.T) { campus(t, open(t)) })
	t.Run("Seal", func(t *testing.T) { seal(t, open(t)) })
	t.Run("Again", func(t *testing.T) { again(t, open(t), open) })
	t.Run("Print", func(t *testing.T) { prints(t, open(t)) })
	t.Run("Together", func(t *testing.T) { together(t, open(t)) })
}

// load is a load that some card offered.
var load = keys.Load{Factor: keys.Factor{1, 2, 3}, Random: [4]byte{4, 5, 6, 7}, Load: pboc.Load{
	Balance: 1000, Counter: 7, Amount: 2000, Terminal: pboc.TerminalNo{9}, At: pboc.Stamp{0x20, 0x26},
}}

func issue(t *testing.T, s Store, f keys.Factor) keys.CardKeys {
	t.Helper()
	k, err := s.IssueCard(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// macs plays the card, with the keys that it was issued with.
func macs(t *testing.T, s Store) {
	ctx := t.Context()
	card := issue(t, s, load.Factor)
	for i, k := range []pboc.Key{card.DPK, card.DTK, card.DRPK} {
		if k == card.DLK || k == (pboc.Key{}) {
			t.Errorf("key %d of a card is its load key, or zero", i)
		}
	}
	if issue(t, s, keys.Factor{3, 2, 1}).DLK == card.DLK {
		t.Error("two cards have one load key")
	}
	session := card.DLK.LoadSession(load.Random, load.Counter)
	if err := s.CheckMAC1(ctx, load, load.MAC1(session)); err != nil {
		t.Errorf("CheckMAC1 = %v, want it right", err)
	}
	if got, err := s.MAC2(ctx, load); err != nil || got != load.MAC2(session) {
		t.Errorf("MAC2 = %v, %v; want the card's own", got, err)
	}
	if err := s.CheckTAC(ctx, load, load.TAC(card.DTK)); err != nil {
		t.Errorf("CheckTAC = %v, want it right", err)
	}
	sale := pboc.Purchase{Amount: 350, Terminal: load.Terminal, TraceNo: 7, At: load.At}
	if err := s.CheckPurchaseTAC(ctx, load.Factor, sale, sale.TAC(card.DTK)); err != nil {
		t.Errorf("CheckPurchaseTAC = %v, want it right", err)
	}
	pin := []byte{0x27, 0x18, 0x28}
	if got, err := s.ReloadMAC(ctx, load.Factor, pin); err != nil || got != card.DRPK.Folded().MAC(pin) {
		t.Errorf("ReloadMAC = %v, %v; want what the card computes", got, err)
	}
	other, otherSale := load, sale
	other.Balance++
	otherSale.TraceNo++
	for name, err := range map[string]error{
		"zero MAC1":     s.CheckMAC1(ctx, load, pboc.MAC{}),
		"MAC1 of other": s.CheckMAC1(ctx, load, other.MAC1(session)),
		"zero TAC":      s.CheckTAC(ctx, load, pboc.MAC{}),
		"TAC of other":  s.CheckTAC(ctx, load, other.TAC(card.DTK)),
		"zero sale TAC": s.CheckPurchaseTAC(ctx, load.Factor, sale, pboc.MAC{}),
		"TAC of a sale": s.CheckPurchaseTAC(ctx, load.Factor, sale, otherSale.TAC(card.DTK)),
		"of a load":     s.CheckPurchaseTAC(ctx, load.Factor, sale, load.TAC(card.DTK)),
	} {
		if !errors.Is(err, keys.ErrWrong) {
			t.Errorf("%s: %v, want %v", name, err, keys.ErrWrong)
		}
	}
}

func pins(t *testing.T, s Store) {
	ctx := t.Context()
	pin, challenge := [wire.PINLen]byte([]byte("123456")), bytes.Repeat([]byte{1}, wire.ChallengeLen)
	sealed, err := wire.SealPIN(s.PINPublicKey(), challenge, "card", &pin)
	if err != nil {
		t.Fatal(err)
	}
	var got [wire.PINLen]byte
	err = s.OpenPIN(ctx, wire.SealedPIN{CardNo: "card", Challenge: challenge, Sealed: sealed}, &got)
	if err != nil || got != pin {
		t.Errorf("OpenPIN = %s, %v", got, err)
	}
	err = s.OpenPIN(ctx, wire.SealedPIN{CardNo: "drac", Challenge: challenge, Sealed: sealed}, &got)
	if !errors.Is(err, keys.ErrWrong) {
		t.Errorf("OpenPIN for another card = %v, want %v", err, keys.ErrWrong)
	}
	low := wire.SealedPIN{CardNo: "card", Challenge: challenge, Sealed: make([]byte, len(sealed))}
	if err := s.OpenPIN(ctx, low, &got); !errors.Is(err, keys.ErrWrong) {
		t.Errorf("OpenPIN from a point of low order = %v, want %v", err, keys.ErrWrong)
	}
	a, errA := s.Pepper(ctx, "1", &pin)
	b, errB := s.Pepper(ctx, "2", &pin)
	if a == b || a == [32]byte{} || errA != nil || errB != nil {
		t.Errorf("two accounts have one peppered PIN, or none: %v, %v", errA, errB)
	}
	c, errC := s.SessionMAC(ctx, []byte("token"))
	d, errD := s.SessionMAC(ctx, []byte("taken"))
	if c == d || c == [32]byte{} || errC != nil || errD != nil {
		t.Errorf("two tokens have one MAC, or none: %v, %v", errC, errD)
	}
}

func campus(t *testing.T, s Store) {
	public, ok := s.Campus().Public().(ed25519.PublicKey)
	if !ok {
		t.Fatalf("the campus's key is a %T, want Ed25519", s.Campus().Public())
	}
	for _, message := range []string{"", "checkpoint", strings.Repeat("feed ", 100_000)} {
		sig, err := s.Campus().Sign(nil, []byte(message), crypto.Hash(0))
		if err != nil || !ed25519.Verify(public, []byte(message), sig) {
			t.Errorf("signature of %d bytes: %v, want a good one", len(message), err)
		}
	}
	if _, err := s.Campus().Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("a digest was signed as if it were a message")
	}
}

func seal(t *testing.T, s Store) {
	var b bytes.Buffer
	w, err := wire.Seal(&b, s.SealPublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "journal"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	got, err := io.ReadAll(s.OpenSealed(t.Context(), bytes.NewReader(whole)))
	if err != nil || string(got) != "journal" {
		t.Errorf("OpenSealed: %q, %v", got, err)
	}
	_, err = io.ReadAll(s.OpenSealed(t.Context(), bytes.NewReader(whole[:len(whole)-1])))
	if !errors.Is(err, wire.ErrSealed) {
		t.Errorf("OpenSealed of a part: %v, want %v", err, wire.ErrSealed)
	}
	if bytes.Equal(s.SealPublicKey(), s.PINPublicKey()) {
		t.Error("PINs and exports are sealed to one key")
	}
}

func again(t *testing.T, s Store, open func(*testing.T) Store) {
	card, pinKey, sealKey := issue(t, s, load.Factor), s.PINPublicKey(), s.SealPublicKey()
	public := s.Campus().Public().(ed25519.PublicKey)
	mac, err := s.SessionMAC(t.Context(), []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	s = open(t)
	mac2, err := s.SessionMAC(t.Context(), []byte("token"))
	if err != nil || issue(t, s, load.Factor) != card || mac2 != mac || !bytes.Equal(s.PINPublicKey(), pinKey) ||
		!bytes.Equal(s.SealPublicKey(), sealKey) || !public.Equal(s.Campus().Public()) {
		t.Errorf("opened again: %v, want the same keys", err)
	}
}

// prints: no verb shows a key.
func prints(t *testing.T, s Store) {
	card := issue(t, s, load.Factor)
	for _, v := range []any{s, card, &card} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); !strings.HasSuffix(got, "(…)") {
				t.Errorf("%s of a %T prints %q", verb, v, got)
			}
		}
	}
}

// together: many callers at once do not get each other's answers.
func together(t *testing.T, s Store) {
	card := issue(t, s, load.Factor)
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			l := load
			l.Counter = uint16(i)
			want := l.MAC2(card.DLK.LoadSession(l.Random, l.Counter))
			for range 20 {
				if got, err := s.MAC2(context.Background(), l); err != nil || got != want {
					t.Errorf("MAC2 = %v, %v; want %v", got, err, want)
					return
				}
			}
		})
	}
	g.Wait()
}
