package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
	"time"

	"quancun/upstream/wire"
)

// TestFeedSignature changes each thing that is signed.
func TestFeedSignature(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	h := wire.FeedHead{Name: wire.FeedHotlist, Version: 7, From: 5, Issued: time.UnixMilli(1_700_000_000_123)}
	body := []byte("body")
	sig, err := wire.SignFeed(private, h, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.VerifyFeed(public, h, body, sig); err != nil {
		t.Fatalf("as it was signed: %v", err)
	}
	for name, change := range map[string]func(h *wire.FeedHead) (ed25519.PublicKey, []byte, []byte){
		"name":    func(h *wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { h.Name = "keys"; return public, body, sig },
		"version": func(h *wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { h.Version++; return public, body, sig },
		"from":    func(h *wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { h.From = 0; return public, body, sig },
		"issued": func(h *wire.FeedHead) (ed25519.PublicKey, []byte, []byte) {
			h.Issued = h.Issued.Add(time.Millisecond)
			return public, body, sig
		},
		"body":   func(*wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { return public, []byte("bodz"), sig },
		"key":    func(*wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { return other, body, sig },
		"no key": func(*wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { return nil, body, sig },
		"short":  func(*wire.FeedHead) (ed25519.PublicKey, []byte, []byte) { return public, body, sig[:63] },
	} {
		changed := h
		key, body, sig := change(&changed)
		if err := wire.VerifyFeed(key, changed, body, sig); !errors.Is(err, wire.ErrFeed) {
			t.Errorf("another %s: %v, want %v", name, err, wire.ErrFeed)
		}
	}
}

func TestHotlist(t *testing.T) {
	cards := []wire.HotCard{{"00002026000100012345", 2}, {"0000202600010001234A", 4}}
	gone := []string{"00002026000100012346", "00002026000100012399"}
	adds, err1 := wire.AppendHot(nil, cards)
	removes, err2 := wire.AppendCards(nil, gone)
	got, removed, err := wire.ParseHotlist(adds, removes)
	if err := errors.Join(err1, err2, err); err != nil || !slices.Equal(got, cards) || !slices.Equal(removed, gone) {
		t.Errorf("ParseHotlist = %v, %v, %v; want %v, %v", got, removed, err, cards, gone)
	}
	if _, err := wire.AppendHot(nil, []wire.HotCard{{"12", 2}}); err == nil {
		t.Error("AppendHot takes a short number")
	}
	if _, err := wire.AppendCards(nil, []string{"0000202600010001234G"}); err == nil {
		t.Error("AppendCards takes what is not a number")
	}
}

func FuzzParseHotlist(f *testing.F) {
	adds, _ := wire.AppendHot(nil, []wire.HotCard{{"00002026000100012345", 2}, {"0000202600010001234A", 4}})
	removes, _ := wire.AppendCards(nil, []string{"00002026000100012346"})
	f.Add(adds, removes)
	f.Add(adds[:5], removes)
	f.Add(append(bytes.Clone(adds), adds...), removes)
	f.Fuzz(func(t *testing.T, adds, removes []byte) {
		add, remove, err := wire.ParseHotlist(adds, removes)
		if err != nil {
			return
		}
		again, err1 := wire.AppendHot(nil, add)
		gone, err2 := wire.AppendCards(nil, remove)
		if err1 != nil || err2 != nil || !bytes.Equal(again, adds) || !bytes.Equal(gone, removes) {
			t.Errorf("%x, %x read and written is %x, %x", adds, removes, again, gone)
		}
	})
}
