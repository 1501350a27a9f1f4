package keys_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/pboc"
	"quancun/upstream/keys"
)

// TestPersonalise plays the blank: what comes is concealed under the keys that it
// has by then, and is what the card will be asked for later.
func TestPersonalise(t *testing.T) {
	s, path := open(t)
	ctx, f, c := t.Context(), keys.Factor{1, 2, 3}, pboc.Challenge{9, 8, 7, 6}
	if _, err := s.Personalise(ctx, f, pboc.Order{Part: pboc.PartControl}); !errors.Is(err, keys.ErrNoBlanks) {
		t.Errorf("without a transport key: %v", err)
	}
	transport := pboc.Key(bytes.Repeat([]byte{0xFF}, 16))
	if err := keys.WriteBlanks(path, transport); err != nil {
		t.Fatal(err)
	}
	s, err := keys.OpenSoftware(path)
	if err != nil {
		t.Fatal(err)
	}
	control := part(t, s, transport, pboc.Order{Part: pboc.PartControl, Challenge: c})
	want := s.CardKeys(f)
	for p, key := range map[pboc.Part]pboc.Key{
		pboc.PartTAC: want.DTK, pboc.PartReload: want.DRPK, pboc.PartPurchase: want.DPK, pboc.PartLoad: want.DLK,
	} {
		if got := part(t, s, control, pboc.Order{Part: p, Challenge: c, Index: 1}); got != key {
			t.Errorf("part %d is another key", p)
		}
	}
	o := pboc.Order{Part: pboc.PartLock, Challenge: c}
	field, err := s.Personalise(ctx, f, o)
	if err != nil {
		t.Fatal(err)
	}
	concealed, ok := transport.Unprotect(o.Head(), c, field)
	lock, ok2 := transport.Reveal(concealed)
	if !ok || !ok2 || pboc.Key(lock) == control || pboc.Key(lock) == transport {
		t.Error("the card's control key is its application's, or the maker's")
	}
	proof, err := s.Personalise(ctx, f, pboc.Order{Part: pboc.PartProof, Challenge: c})
	if answer := pboc.Key(lock).Answer(c); err != nil || !bytes.Equal(proof, answer[:]) {
		t.Errorf("a locked card gets %x, %v, want %x", proof, err, answer)
	}
	for _, o := range []pboc.Order{{}, {Part: 12}, {Part: pboc.PartFile}, {Part: pboc.PartFile, Data: make([]byte, 240)}} {
		if _, err := s.Personalise(ctx, f, o); !errors.Is(err, pboc.ErrNoPart) {
			t.Errorf("order %+v: %v", o, err)
		}
	}
}

func part(t *testing.T, s *keys.Software, under pboc.Key, o pboc.Order) pboc.Key {
	t.Helper()
	field, err := s.Personalise(t.Context(), keys.Factor{1, 2, 3}, o)
	if err != nil {
		t.Fatal(err)
	}
	concealed, ok := under.Unprotect(o.Head(), o.Challenge, field)
	record, ok2 := under.Reveal(concealed)
	if !ok || !ok2 || len(record) != 5+16 {
		t.Fatalf("part %d: %v, %v, %d bytes", o.Part, ok, ok2, len(record))
	}
	return pboc.Key(record[5:])
}

func TestBlanksFile(t *testing.T) {
	_, path := open(t)
	if err := keys.WriteBlanks(path, pboc.Key{1}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(path), "blanks.json")
	if err := keys.WriteBlanks(path, pboc.Key{2}); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file with which cards may have been issued: %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte("01"), []byte("xx"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSoftware(path); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("a broken file: %v", err)
	}
}
