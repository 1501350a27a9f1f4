package codes

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/skip2/go-qrcode"

	"quancun/kiosk/keysheet"
	"quancun/kiosk/till"
	"quancun/ui/text"
)

func newSheet(t *testing.T, products int) Sheet {
	t.Helper()
	s := Sheet{Keys: keysheet.Sheet{File: filepath.Join(t.TempDir(), "codes"), Terminal: "C-0203"}, Place: "第一食堂 3 号窗",
		Products: []till.Product{{Name: "没有条码", Price: 100}}, At: time.Date(2026, 3, 2, 6, 5, 4, 0, time.UTC)}
	if err := s.Keys.Renew(); err != nil {
		t.Fatal(err)
	}
	for range products {
		s.Products = append(s.Products, till.Product{Name: "可乐 330 ml", Price: 300, Barcode: "6901028075831"})
	}
	return s
}

// TestWords: each key has its words, in both languages, and the code that presses it.
func TestWords(t *testing.T) {
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	s := newSheet(t, 2)
	all, err := s.keys(texts)
	if err != nil || len(all) != len(keysheet.Keys) {
		t.Fatalf("%d cells, %v", len(all), err)
	}
	for i, c := range all {
		if k, err := s.Keys.Read(c.text); k != keysheet.Keys[i] || err != nil {
			t.Errorf("cell %d presses %q, %v", i, k, err)
		}
		for _, line := range c.lines {
			if line == "" || bytes.HasPrefix([]byte(line), []byte("keysheet.")) {
				t.Errorf("cell %d says %q", i, line)
			}
		}
	}
	if got := s.products(); len(got) != 2 || got[0].text != "6901028075831" {
		t.Errorf("products %+v", got)
	}
	for _, key := range []string{"keysheet.title", "keysheet.care", "keysheet.products", "keysheet.products.how"} {
		if !texts.Has(key) {
			t.Errorf("no words for %s", key)
		}
	}
}

// TestPDF: a sheet has a page for its keys, and as many for products as they need.
func TestPDF(t *testing.T) {
	for products, want := range map[int]int{0: 1, 1: 2, 9: 2, 30: 4} {
		b, err := newSheet(t, products).PDF()
		if err != nil || !bytes.HasPrefix(b, []byte("%PDF-")) {
			t.Fatalf("%d products: %v", products, err)
		}
		if got := bytes.Count(b, []byte("/Type /Page\n")); got != want {
			t.Errorf("%d products: %d pages, want %d", products, got, want)
		}
	}
	none := newSheet(t, 0)
	none.Keys.File += "x"
	if _, err := none.PDF(); err == nil {
		t.Error("a sheet without a secret was drawn")
	}
}

// TestRuns: what is drawn is the code, module by module.
func TestRuns(t *testing.T) {
	q, err := qrcode.New("QCK1-YES-ABCDEFGHIJKLMNOP", qrcode.Medium)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range q.Bitmap() {
		drawn := make([]bool, len(row))
		for _, r := range runs(row) {
			for x := r.from; x < r.to; x++ {
				drawn[x] = true
			}
		}
		if !slices.Equal(drawn, row) {
			t.Errorf("%v is drawn as %v", row, drawn)
		}
	}
	if draw(fpdf.New("P", "mm", "A4", ""), string(make([]byte, 5000)), 0, 0) == nil {
		t.Error("more than a code can say was drawn")
	}
}
