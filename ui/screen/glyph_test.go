package screen_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/assets"
	"quancun/ui/screen"
	"quancun/ui/widget"
)

// newGlyphCheck returns a check that looks every character of a page up in the
// font that it is set in: the bundled ones, so that no page depends on what a
// system has.
func newGlyphCheck(t *testing.T) func(*testing.T, *screen.Screen) {
	t.Helper()
	regular, bold := glyphs(t, assets.Regular()), glyphs(t, assets.Bold())
	return func(t *testing.T, s *screen.Screen) {
		t.Helper()
		widget.Walk(s.Object, func(o fyne.CanvasObject, _ fyne.Position) {
			line, ok := o.(*canvas.Text)
			if !ok {
				return
			}
			font := regular
			if line.TextStyle.Bold {
				font = bold
			}
			for _, r := range line.Text {
				if !font(r) {
					t.Errorf("%q: the font has no %q", line.Text, r)
				}
			}
			if strings.ContainsAny(line.Text, "{}\uFFFD") {
				t.Errorf("%q was not filled in", line.Text)
			}
		})
	}
}

// TestRareNames looks for characters of names that smaller fonts lack.
func TestRareNames(t *testing.T) {
	regular := glyphs(t, assets.Regular())
	for _, r := range "喆堃昇珺祎䶮𠮷" {
		if !regular(r) {
			t.Errorf("the font has no %q", r)
		}
	}
	if regular('\U0010FFFD') {
		t.Error("the font has everything: the test looks at nothing")
	}
}

// glyphs reads which characters a font has from the largest of its cmap tables
// (OpenType, formats 12 and 4).
func glyphs(t *testing.T, font []byte) func(rune) bool {
	t.Helper()
	u16 := func(at int) int { return int(binary.BigEndian.Uint16(font[at:])) }
	u32 := func(at int) int { return int(binary.BigEndian.Uint32(font[at:])) }
	type span struct{ from, to int }
	var spans []span
	for table := range u16(4) {
		entry := 12 + 16*table
		if string(font[entry:entry+4]) != "cmap" {
			continue
		}
		cmap := u32(entry + 8)
		for sub := range u16(cmap + 2) {
			at := cmap + u32(cmap+4+8*sub+4)
			switch u16(at) {
			case 12:
				for group := range u32(at + 12) {
					g := at + 16 + 12*group
					spans = append(spans, span{u32(g), u32(g + 4)})
				}
			case 4:
				double := u16(at + 6) // twice the number of segments
				for seg := 0; seg < double; seg += 2 {
					spans = append(spans, span{u16(at + 16 + double + seg), u16(at + 14 + seg)})
				}
			}
		}
	}
	if len(spans) == 0 {
		t.Fatal("font has no cmap of a format that is read here")
	}
	return func(r rune) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.from <= int(r) && int(r) <= s.to })
	}
}
