// Package inspect looks at pages as their maker should have: does everything fit,
// can it be read, can a finger hit it? Each function returns what is wrong, in
// words; the tests of both faces hold every specimen to it.
package inspect

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/assets"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// Limits are how small things may be, in true millimetres.
type Limits struct {
	Panel   look.Panel
	Capital float64 // height of a capital letter
	Key     float64 // shorter side of a key
}

// slack is half a pixel, for rounding.
const slack = 0.6

// Room holds a page to its panel, every key to a finger, and every line of text
// to the room that it was given.
func Room(page fyne.CanvasObject, l Limits) (wrong []string) {
	panel := l.Panel.Size()
	if min := page.MinSize(); min.Width > panel.Width+slack || min.Height > panel.Height+slack {
		wrong = append(wrong, fmt.Sprintf("page needs %v, panel has %v", min, panel))
	}
	widget.Walk(page, func(o fyne.CanvasObject, at fyne.Position) {
		size := o.Size()
		end := at.AddXY(size.Width, size.Height)
		if at.X < -slack || at.Y < -slack || end.X > panel.Width+slack || end.Y > panel.Height+slack {
			wrong = append(wrong, fmt.Sprintf("%s at %v of %v leaves the panel", describe(o), at, size))
		}
		switch o := o.(type) {
		case *canvas.Text:
			if capital := float64(o.TextSize) * 0.733 / l.Panel.True(); capital < l.Capital-0.05 {
				wrong = append(wrong, fmt.Sprintf("%q has capitals of %.1f mm, want %.1f", o.Text, capital, l.Capital))
			}
			if min := o.MinSize(); min.Width > size.Width+slack || min.Height > size.Height+slack {
				wrong = append(wrong, fmt.Sprintf("%q needs %v and has %v", o.Text, min, size))
			}
		case *widget.Button:
			if smaller := float64(min(size.Width, size.Height)) / l.Panel.True(); smaller < l.Key-0.1 {
				wrong = append(wrong, fmt.Sprintf("key %q is %.1f mm, want at least %.0f", o.Name, smaller, l.Key))
			}
		}
	})
	return wrong
}

// box is where something lies.
type box struct {
	what     string
	from, to fyne.Position
}

func (a box) over(b box) bool {
	return a.from.X < b.to.X && b.from.X < a.to.X && a.from.Y < b.to.Y && b.from.Y < a.to.Y
}

// Apart holds lines of text apart from each other, and keys.
func Apart(page fyne.CanvasObject) []string {
	var lines, keys []box
	widget.Walk(page, func(o fyne.CanvasObject, at fyne.Position) {
		switch o := o.(type) {
		case *widget.Button:
			keys = append(keys, box{describe(o), at.AddXY(1, 1), at.AddXY(o.Size().Width-1, o.Size().Height-1)})
		case *canvas.Text:
			if o.Text != "" {
				lines = append(lines, lineBox(o, at))
			}
		}
	})
	return append(overlaps(lines), overlaps(keys)...)
}

func overlaps(all []box) (wrong []string) {
	for i, a := range all {
		for _, b := range all[:i] {
			if a.over(b) {
				wrong = append(wrong, fmt.Sprintf("%s lies over %s", a.what, b.what))
			}
		}
	}
	return wrong
}

// lineBox is where the letters of a line are. Leading is empty, so lines are
// compared without most of it.
func lineBox(line *canvas.Text, at fyne.Position) box {
	min, lead := line.MinSize(), line.TextSize*0.2
	switch line.Alignment {
	case fyne.TextAlignCenter:
		at.X += (line.Size().Width - min.Width) / 2
	case fyne.TextAlignTrailing:
		at.X += line.Size().Width - min.Width
	}
	return box{describe(line), at.AddXY(1, lead), at.AddXY(min.Width-1, min.Height-lead)}
}

// Contrast computes the contrast of every line of text with what it is painted
// on: 7:1 (WCAG 1.4.6), and 4.5:1 for what cannot be tapped now. With
// [look.Needs.Contrast] it is 10:1, and 7:1.
func Contrast(page fyne.CanvasObject, n look.Needs) (wrong []string) {
	type ground struct {
		box
		fill color.Color
	}
	var grounds []ground
	paint := func(o fyne.CanvasObject, at fyne.Position, fill color.Color) {
		if opaque(fill) {
			grounds = append(grounds, ground{box{"", at, at.AddXY(o.Size().Width, o.Size().Height)}, fill})
		}
	}
	widget.Walk(page, func(o fyne.CanvasObject, at fyne.Position) {
		switch o := o.(type) {
		case *canvas.Rectangle:
			paint(o, at, o.FillColor)
		case *canvas.Circle:
			paint(o, at, o.FillColor)
		case *canvas.Text:
			middle := at.AddXY(o.Size().Width/2, o.Size().Height/2)
			under := color.Color(n.Paint(look.Ground))
			for _, g := range grounds {
				if g.from.X <= middle.X && middle.X <= g.to.X && g.from.Y <= middle.Y && middle.Y <= g.to.Y {
					under = g.fill
				}
			}
			if got, want := look.Contrast(o.Color, under), wanted(o.Color, under, n); got < want {
				wrong = append(wrong, fmt.Sprintf("%q has contrast %.1f, want %.1f", o.Text, got, want))
			}
		}
	})
	return wrong
}

// wanted is the contrast that ink has to have on a ground.
func wanted(ink, under color.Color, n look.Needs) float64 {
	off := under == color.Color(look.Off) || ink == color.Color(n.Paint(look.OffInk))
	switch {
	case n.Contrast && off:
		return 7
	case n.Contrast:
		return 10
	case off:
		return 4.5
	}
	return 7
}

// Unpainted lists the colours of the palette that a page for
// [look.Needs.Contrast] has left as they are.
func Unpainted(page fyne.CanvasObject) (wrong []string) {
	n := look.Needs{Contrast: true}
	check := func(o fyne.CanvasObject, colours ...color.Color) {
		for _, c := range colours {
			if of, ok := c.(color.NRGBA); ok && n.Paint(of) != of {
				wrong = append(wrong, fmt.Sprintf("%s is painted %v", describe(o), of))
			}
		}
	}
	widget.Walk(page, func(o fyne.CanvasObject, _ fyne.Position) {
		switch o := o.(type) {
		case *canvas.Rectangle:
			check(o, o.FillColor, o.StrokeColor)
		case *canvas.Circle:
			check(o, o.FillColor, o.StrokeColor)
		case *canvas.Text:
			check(o, o.Color)
		case *canvas.Image:
			if o.Resource != nil && bytes.Contains(o.Resource.Content(), []byte(assets.IconPaper)) {
				wrong = append(wrong, o.Resource.Name()+" has white of its own")
			}
		}
	})
	return wrong
}

// Dazzling lists what is light and fills more than a quarter of a page for
// [look.Needs.Contrast]: a code to be scanned is less.
func Dazzling(page fyne.CanvasObject, p look.Panel) (wrong []string) {
	widget.Walk(page, func(o fyne.CanvasObject, _ fyne.Position) {
		r, ok := o.(*canvas.Rectangle)
		if !ok || !opaque(r.FillColor) || look.Contrast(r.FillColor, color.Black) < 7 {
			return
		}
		if share := o.Size().Width * o.Size().Height / (p.Size().Width * p.Size().Height); share > 0.25 {
			wrong = append(wrong, fmt.Sprintf("%.0f %% of the page is painted %v", share*100, r.FillColor))
		}
	})
	return wrong
}

// Cut lists the lines of which the end was cut off, but for those whose beginning is
// enough.
func Cut(page fyne.CanvasObject, enough func(beginning string) bool) (wrong []string) {
	widget.Walk(page, func(o fyne.CanvasObject, _ fyne.Position) {
		line, ok := o.(*canvas.Text)
		if !ok {
			return
		}
		if words, cut := strings.CutSuffix(line.Text, "..."); cut && !enough(words) {
			wrong = append(wrong, fmt.Sprintf("%q was cut off", line.Text))
		}
	})
	return wrong
}

// Reach holds every key of an upright panel to what a person who sits can touch.
func Reach(page fyne.CanvasObject, p look.Panel) (wrong []string) {
	if !p.Portrait() {
		return nil
	}
	highest := p.Size().Height - p.MM(look.Reach)
	widget.Walk(page, func(o fyne.CanvasObject, at fyne.Position) {
		if b, ok := o.(*widget.Button); ok && at.Y < highest-slack {
			wrong = append(wrong, fmt.Sprintf("key %q begins %.0f mm above the lower edge, want %d at most",
				b.Name, (p.Size().Height-at.Y)/p.MM(1), look.Reach))
		}
	})
	return wrong
}

func opaque(c color.Color) bool {
	if c == nil {
		return false
	}
	_, _, _, a := c.RGBA()
	return a == 0xFFFF
}

// Glyphs looks every character of a page up in the font that it is set in: the
// bundled ones, so that no page depends on what a system has.
func Glyphs(page fyne.CanvasObject) (wrong []string) {
	fonts := bundled()
	widget.Walk(page, func(o fyne.CanvasObject, _ fyne.Position) {
		line, ok := o.(*canvas.Text)
		if !ok {
			return
		}
		for _, r := range line.Text {
			if !fonts[line.TextStyle.Bold](r) {
				wrong = append(wrong, fmt.Sprintf("%q: the font has no %q", line.Text, r))
			}
		}
		if strings.ContainsAny(line.Text, "{}\uFFFD") {
			wrong = append(wrong, fmt.Sprintf("%q was not filled in", line.Text))
		}
	})
	return wrong
}

// Regular reports whether the regular font has a character.
func Regular(r rune) bool { return bundled()[false](r) }

func describe(o fyne.CanvasObject) string {
	switch o := o.(type) {
	case *canvas.Text:
		return fmt.Sprintf("text %q", o.Text)
	case *widget.Button:
		return fmt.Sprintf("key %q", o.Name)
	}
	return fmt.Sprintf("%T", o)
}
