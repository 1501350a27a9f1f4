package screen_test

import (
	"fmt"
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/screen"
	"quancun/ui/specimen"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// newStage is a stage on that panel. What a person does is appended to told.
func newStage(t *testing.T, p look.Panel, l text.Language, told *[]kiosk.Input) screen.Stage {
	t.Helper()
	texts, err := text.New()
	if err != nil {
		t.Fatal(err)
	}
	texts.SetLanguage(l)
	return screen.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p}, Now: specimen.Now, Phone: specimen.Phone,
		Typed:      &screen.Typed{},
		On:         func(in kiosk.Input) { *told = append(*told, in) },
		OnLanguage: func() { texts.SetLanguage(texts.Other()) },
	}
}

// TestEveryPage builds every specimen in every language on every panel, and
// looks at each as its maker should have.
func TestEveryPage(t *testing.T) {
	newApp(t)
	checkGlyphs := newGlyphCheck(t)
	for name, p := range specimen.Panels {
		for _, l := range text.Languages {
			for _, v := range specimen.Views() {
				t.Run(fmt.Sprintf("%s/%s/%s", name, l, v.Name), func(t *testing.T) {
					var told []kiosk.Input
					s := screen.Build(v.View, newStage(t, p, l, &told))
					checkRoom(t, p, s)
					checkApart(t, s)
					checkContrast(t, s)
					checkGlyphs(t, s)
				})
			}
		}
	}
}

// checkRoom holds a page to its panel, every key to a finger, and every line of
// text to the room that it was given.
func checkRoom(t *testing.T, p look.Panel, s *screen.Screen) {
	t.Helper()
	const slack = 0.6 // half a pixel, for rounding
	panel := p.Size()
	if min := s.Object.MinSize(); min.Width > panel.Width+slack || min.Height > panel.Height+slack {
		t.Errorf("page needs %v, panel has %v", min, panel)
	}
	widget.Walk(s.Object, func(o fyne.CanvasObject, at fyne.Position) {
		size := o.Size()
		if at.X < -slack || at.Y < -slack || at.X+size.Width > panel.Width+slack || at.Y+size.Height > panel.Height+slack {
			t.Errorf("%s at %v of %v leaves the panel", describe(o), at, size)
		}
		switch o := o.(type) {
		case *canvas.Text:
			// ADA 707.7.2: a capital of 4.8 mm.
			if capital := float64(o.TextSize) * 0.733 / p.True(); capital < 4.8-0.05 {
				t.Errorf("%q has capitals of %.1f mm, want 4.8", o.Text, capital)
			}
			if min := o.MinSize(); min.Width > size.Width+slack || min.Height > size.Height+slack {
				t.Errorf("%q needs %v and has %v", o.Text, min, size)
			}
		case *widget.Button:
			if smaller := float64(min(size.Width, size.Height)) / p.True(); smaller < 20-0.1 {
				t.Errorf("key %q is %.1f mm, want at least 20", o.Name, smaller)
			}
		}
	})
}

// checkApart holds lines of text apart from each other.
func checkApart(t *testing.T, s *screen.Screen) {
	t.Helper()
	type box struct {
		what     string
		from, to fyne.Position
	}
	var boxes []box
	widget.Walk(s.Top(), func(o fyne.CanvasObject, at fyne.Position) {
		line, ok := o.(*canvas.Text)
		if !ok || line.Text == "" {
			return
		}
		// Leading is empty, so lines are compared without most of it.
		min, lead := line.MinSize(), line.TextSize*0.2
		switch line.Alignment {
		case fyne.TextAlignCenter:
			at.X += (line.Size().Width - min.Width) / 2
		case fyne.TextAlignTrailing:
			at.X += line.Size().Width - min.Width
		}
		boxes = append(boxes, box{line.Text, at.AddXY(1, lead), at.AddXY(min.Width-1, min.Height-lead)})
	})
	for i, a := range boxes {
		for _, b := range boxes[:i] {
			if a.from.X < b.to.X && b.from.X < a.to.X && a.from.Y < b.to.Y && b.from.Y < a.to.Y {
				t.Errorf("%q lies over %q", a.what, b.what)
			}
		}
	}
}

// checkContrast computes the contrast of every line of text with what it is
// painted on: 7:1 (WCAG 1.4.6), and 4.5:1 for what cannot be tapped now.
func checkContrast(t *testing.T, s *screen.Screen) {
	t.Helper()
	type ground struct {
		from, to fyne.Position
		fill     color.Color
	}
	var grounds []ground
	widget.Walk(s.Top(), func(o fyne.CanvasObject, at fyne.Position) {
		to := at.AddXY(o.Size().Width, o.Size().Height)
		switch o := o.(type) {
		case *canvas.Rectangle:
			if opaque(o.FillColor) {
				grounds = append(grounds, ground{at, to, o.FillColor})
			}
		case *canvas.Circle:
			if opaque(o.FillColor) {
				grounds = append(grounds, ground{at, to, o.FillColor})
			}
		case *canvas.Text:
			middle := at.AddXY(o.Size().Width/2, o.Size().Height/2)
			under := color.Color(look.Ground)
			for _, g := range grounds {
				if g.from.X <= middle.X && middle.X <= g.to.X && g.from.Y <= middle.Y && middle.Y <= g.to.Y {
					under = g.fill
				}
			}
			want := 7.0
			if under == color.Color(look.Off) {
				want = 4.5
			}
			if got := contrast(o.Color, under); got < want {
				t.Errorf("%q has contrast %.1f, want %.1f", o.Text, got, want)
			}
		}
	})
}

func opaque(c color.Color) bool {
	if c == nil {
		return false
	}
	_, _, _, a := c.RGBA()
	return a == 0xFFFF
}

// contrast is the contrast ratio of WCAG 2.2.
func contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	linear := func(v uint32) float64 {
		x := float64(v) / 0xFFFF
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func describe(o fyne.CanvasObject) string {
	switch o := o.(type) {
	case *canvas.Text:
		return fmt.Sprintf("text %q", o.Text)
	case *widget.Button:
		return fmt.Sprintf("key %q", o.Name)
	}
	return fmt.Sprintf("%T", o)
}
