package keysheet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quancun/kiosk/barcode"
	"quancun/paycode"
	"quancun/reader/scanner"
)

func newSheet(t *testing.T) Sheet {
	t.Helper()
	s := Sheet{File: filepath.Join(t.TempDir(), "till.codes"), Terminal: "K01"}
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRead: a code presses its key at its own terminal, and is nobody's who pays and
// no product's.
func TestRead(t *testing.T) {
	s := newSheet(t)
	seen := map[string]bool{}
	for _, k := range Keys {
		text, err := s.Code(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(text); got != k || err != nil || !Is(text) || seen[text] {
			t.Errorf("%s is %q, %v", text, got, err)
		}
		seen[text] = true
		if _, err := barcode.Parse(text); err == nil || barcode.Like(text) {
			t.Errorf("%s is a product's", text)
		}
		if kind := scanner.KindOf(text); kind != scanner.Unknown || paycode.Ours(text) {
			t.Errorf("%s is of kind %v", text, kind)
		}
	}
}

// TestForeign: what is not of this terminal's newest sheet presses nothing, whatever
// was changed in it.
func TestForeign(t *testing.T) {
	s := newSheet(t)
	text, err := s.Code(Yes)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, other := Sheet{File: s.File, Terminal: "K02"}, newSheet(t)
	for name, read := range map[string]Sheet{"the same file at another terminal": elsewhere, "another sheet": other} {
		if k, err := read.Read(text); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %q, %v", name, k, err)
		}
	}
	for i := range text {
		wrong := text[:i] + string(text[i]^1) + text[i+1:]
		if k, err := s.Read(wrong); err == nil {
			t.Errorf("%s presses %s", wrong, k)
		}
	}
	proof := strings.TrimPrefix(text, prefix+string(Yes))
	for _, wrong := range []string{"", prefix, prefix + "YES", prefix + "LOCK" + proof, text + "A", text[:len(text)-1]} {
		if k, err := s.Read(wrong); !errors.Is(err, ErrForeign) {
			t.Errorf("%q presses %q, %v", wrong, k, err)
		}
	}
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Read(text); !errors.Is(err, ErrForeign) {
		t.Errorf("a code of the lost sheet presses %q, %v", k, err)
	}
}

// TestNone: a till without a sheet, or with half of one, takes no code, and says which
// it is.
func TestNone(t *testing.T) {
	none := Sheet{File: filepath.Join(t.TempDir(), "none"), Terminal: "K01"}
	for _, s := range []Sheet{{}, none} {
		if _, err := s.Read(prefix + "YES-AAAA"); !errors.Is(err, ErrNone) {
			t.Errorf("read: %v", err)
		}
		if is, err := s.Exists(); is || err != nil {
			t.Errorf("exists: %v, %v", is, err)
		}
	}
	if err := os.WriteFile(none.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if is, err := none.Exists(); is || err == nil {
		t.Errorf("an empty secret: %v, %v", is, err)
	}
	if err := none.Renew(); err != nil {
		t.Fatal(err)
	}
	if is, err := none.Exists(); !is || err != nil {
		t.Errorf("renewed: %v, %v", is, err)
	}
}
