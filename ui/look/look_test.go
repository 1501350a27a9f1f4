package look

import (
	"bytes"
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"quancun/assets"
)

// TestPanel converts millimetres, and says which panels are too small.
func TestPanel(t *testing.T) {
	for _, tt := range []struct {
		p          Panel
		true, unit float64
		small      bool
	}{
		{Panel{1080, 1920, 267.8}, 4.03, 4.03, false},
		{Panel{1280, 1024, 337.9}, 3.79, 3.82, false},
		{Panel{1080, 1920, 398.5}, 2.71, 4.03, false}, // 32 inches: the pages grow
		{Panel{1366, 768, 344.2}, 3.97, 2.87, true},   // 15.6 inches
		{Panel{1080, 1920, 0}, 4.03, 4.03, false},     // nobody measured it
	} {
		if got := tt.p.True(); got < tt.true-0.01 || got > tt.true+0.01 {
			t.Errorf("%+v: a millimetre is %.3f px, want %.2f", tt.p, got, tt.true)
		}
		if got := tt.p.Unit(); got < tt.unit-0.01 || got > tt.unit+0.01 {
			t.Errorf("%+v: drawn millimetre is %.3f px, want %.2f", tt.p, got, tt.unit)
		}
		if err := tt.p.Check(); (err != nil) != tt.small {
			t.Errorf("%+v: Check = %v, want an error: %v", tt.p, err, tt.small)
		}
	}
}

// TestThemeHasOneVariant: a desktop's dark setting changes nothing, and no
// font is ever missing.
func TestThemeHasOneVariant(t *testing.T) {
	test.NewTempApp(t) // for Fyne's own colours
	for _, name := range []fyne.ThemeColorName{
		theme.ColorNameBackground, theme.ColorNameForeground, theme.ColorNameButton, theme.ColorNamePrimary,
		theme.ColorNameOverlayBackground, theme.ColorNameInputBackground,
	} {
		dark, light := (Theme{}).Color(name, theme.VariantDark), (Theme{}).Color(name, theme.VariantLight)
		if dark != light {
			t.Errorf("%s is %v and %v", name, dark, light)
		}
	}
	for _, s := range []fyne.TextStyle{{}, {Bold: true}, {Italic: true}, {Monospace: true}, {Symbol: true}} {
		if (Theme{}).Font(s) == nil {
			t.Errorf("no font for %+v", s)
		}
	}
}

// TestBorders: what can be touched has a border of 3:1 against both sides
// (WCAG 1.4.11), and one of 7:1 for whoever asks for contrast.
func TestBorders(t *testing.T) {
	for _, c := range []struct{ edge, ground color.NRGBA }{
		{Edge, Ground}, {Edge, Surface}, {Blue, Ground}, {Good, GoodTint}, {Caution, CautionTint}, {Bad, BadTint},
		{Unknown, UnknownTint},
	} {
		for _, n := range []Needs{{}, {Contrast: true}} {
			want := 3.0
			if n.Contrast {
				want = 7
			}
			if got := Contrast(n.Paint(c.edge), n.Paint(c.ground)); got < want {
				t.Errorf("%+v: %v on %v has %.1f, want %.1f", n, c.edge, c.ground, got, want)
			}
		}
	}
}

// TestPressed: what stands on a key can be read while a finger is on it.
func TestPressed(t *testing.T) {
	for _, n := range []Needs{{}, {Contrast: true}} {
		for _, c := range []struct{ ink, ground color.NRGBA }{{Surface, BluePress}, {Blue, Press}} {
			if got := Contrast(n.Paint(c.ink), n.Paint(c.ground)); got < 7 {
				t.Errorf("%+v: %v on %v has %.1f, want 7", n, c.ink, c.ground, got)
			}
		}
	}
}

// TestContrast compares with the examples that WCAG's own tools give.
func TestContrast(t *testing.T) {
	for _, tt := range []struct {
		a, b color.NRGBA
		want float64
	}{
		{rgb(0x000000), rgb(0xFFFFFF), 21}, {rgb(0x777777), rgb(0xFFFFFF), 4.48}, {rgb(0x0000FF), rgb(0xFFFFFF), 8.59},
	} {
		if got := Contrast(tt.a, tt.b); math.Abs(got-tt.want) > 0.01 {
			t.Errorf("Contrast(%v, %v) = %.3f, want %.2f", tt.a, tt.b, got, tt.want)
		}
	}
}

// TestPaint: every colour of the palette is painted for contrast, and none twice.
func TestPaint(t *testing.T) {
	n := Needs{Contrast: true}
	for _, c := range []color.NRGBA{
		Ground, Surface, Ink, Soft, Line, Edge, Off, OffInk, Blue, BluePress, BlueTint, Press,
		Good, GoodTint, Caution, CautionTint, Bad, BadTint, Unknown, UnknownTint, Shade,
	} {
		painted := n.Paint(c)
		if painted == c {
			t.Errorf("%v is left as it is", c)
		}
		if again := n.Paint(painted); again != painted {
			t.Errorf("%v is painted %v, and then %v", c, painted, again)
		}
		if (Needs{}).Paint(c) != c {
			t.Errorf("%v is painted for everybody", c)
		}
	}
}

// TestType: large capitals are as high as EN 301 549 asks, the order of sizes is
// kept, and a page that is set closely has no text that is smaller than the
// smallest.
func TestType(t *testing.T) {
	for _, d := range []Density{Airy, Close, Closest} {
		for _, n := range []Needs{{}, {Large: true}} {
			least, before := Small, Type(0)
			if n.Large {
				least = LargeCapital
			}
			for _, size := range []Type{Small, Body, Lead, Heading, Title, Figure, Display} {
				got := n.Type(size, d)
				if got < least || got <= before {
					t.Errorf("%+v, density %d: %v is set as %v, want at least %v and more than %v", n, d, size, got, least, before)
				}
				before = got
			}
		}
	}
	if got := (Needs{}).Type(Figure, Airy); got != Figure {
		t.Errorf("everybody's figure is %v, want %v", got, Figure)
	}
}

// TestIcons: every icon takes the colours it is given, under a name of its own.
func TestIcons(t *testing.T) {
	names := make(map[string]bool)
	for _, name := range assets.Icons() {
		for _, tone := range []Tone{Neutral, Open} {
			r := Icon(name, tone.ink(), BlueTint, black)
			for _, of := range []string{assets.IconInk, assets.IconAccent, assets.IconPaper} {
				if bytes.Contains(r.Content(), []byte(of)) {
					t.Errorf("%s keeps the drawing's %s", name, of)
				}
			}
			if names[r.Name()] {
				t.Errorf("two pictures are called %s", r.Name())
			}
			names[r.Name()] = true
		}
	}
}

func (t Tone) ink() color.NRGBA {
	ink, _ := t.Colours()
	return ink
}
