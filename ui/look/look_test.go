package look

import (
	"bytes"
	"image/color"
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
// (WCAG 1.4.11).
func TestBorders(t *testing.T) {
	for _, c := range []struct{ edge, ground color.NRGBA }{
		{Edge, Ground}, {Edge, Surface}, {Blue, Ground}, {Good, GoodTint}, {Caution, CautionTint}, {Bad, BadTint},
		{Unknown, UnknownTint},
	} {
		if got := ratio(c.edge, c.ground); got < 3 {
			t.Errorf("%v on %v has %.1f, want 3", c.edge, c.ground, got)
		}
	}
}

// ratio is WCAG's contrast, with luminance in a linear approximation that errs
// on the strict side for mid greys.
func ratio(a, b color.NRGBA) float64 {
	l := func(c color.NRGBA) float64 {
		f := func(v uint8) float64 { x := float64(v) / 255; return x * x }
		return 0.2126*f(c.R) + 0.7152*f(c.G) + 0.0722*f(c.B)
	}
	x, y := l(a)+0.05, l(b)+0.05
	return max(x, y) / min(x, y)
}

// TestIcons: every icon takes the colours it is given, under a name of its own.
func TestIcons(t *testing.T) {
	names := make(map[string]bool)
	for _, name := range assets.Icons() {
		for _, tone := range []Tone{Neutral, Open} {
			r := Icon(name, tone.ink(), Surface)
			if bytes.Contains(r.Content(), []byte(assets.IconInk)) {
				t.Errorf("%s keeps the drawing's ink", name)
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
