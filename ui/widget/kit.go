// Package widget holds the parts that pages are made of: text that breaks
// lines as Chinese does, keys for fingers, pads, pagers, pictures. A part takes
// values and callbacks; it starts nothing, waits for nothing and reads no
// clock. All measures are drawn millimetres of [look.Panel].
package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/ui/look"
)

// Kit makes parts for one panel.
type Kit struct {
	Panel look.Panel
	// Needs is what the person asks for who stands there; see [look.Needs].
	Needs look.Needs
	// Density is how close together parts are; see [look.Density].
	Density look.Density
	// Click is played when a finger comes down on a key that works; nil: silent.
	Click func()
	// HideCursor hides the mouse cursor over keys; see also [Cursorless].
	HideCursor bool
}

// MM converts drawn millimetres to device-independent pixels.
func (k Kit) MM(mm float64) float32 { return k.Panel.MM(mm) }

// Fits reports whether there is room for a page on the panel.
func (k Kit) Fits(page fyne.CanvasObject) bool {
	need, panel := page.MinSize(), k.Panel.Size()
	return need.Width <= panel.Width && need.Height <= panel.Height
}

// air is MM of what lies between parts.
func (k Kit) air(mm float64) float32 { return k.MM(mm * k.Density.Gap()) }

// Gap is an empty object of that height and width in millimetres.
func (k Kit) Gap(mm float64) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSquareSize(k.air(mm)))
	return r
}

// Low reports whether everything that is touched has to lie within [look.Reach]
// of the lower edge of the panel. A wide panel is no higher than that.
func (k Kit) Low() bool { return k.Needs.Low && k.Panel.Portrait() }

// Paint returns how a colour of the palette is painted for the person's needs.
// Whatever gives an object of the canvas its colour paints it by this.
func (k Kit) Paint(c color.Color) color.Color {
	if of, ok := c.(color.NRGBA); ok {
		return k.Needs.Paint(of)
	}
	return c
}

// Fill is a rectangle of a colour of the palette.
func (k Kit) Fill(c color.Color) *canvas.Rectangle { return canvas.NewRectangle(k.Paint(c)) }

// Disc is a circle of colours of the palette, with an edge of that many
// millimetres.
func (k Kit) Disc(fill, edge color.Color, width float64) *canvas.Circle {
	c := canvas.NewCircle(k.Paint(fill))
	c.StrokeColor, c.StrokeWidth = k.Paint(edge), k.MM(width)
	return c
}

// Rule is a hairline between rows.
func (k Kit) Rule() fyne.CanvasObject {
	r := k.Fill(look.Line)
	r.SetMinSize(fyne.NewSize(0, max(1, k.MM(0.4))))
	return r
}

// Icon is a picture of that size in millimetres, from assets/icons.
func (k Kit) Icon(name string, width, height float64, tone look.Tone) fyne.CanvasObject {
	ink, tint := tone.Colours()
	return k.picture(name, ink, tint, fyne.NewSize(k.MM(width), k.MM(height)))
}

func (k Kit) picture(name string, ink, accent color.NRGBA, size fyne.Size) fyne.CanvasObject {
	paint := k.Needs.Paint
	img := canvas.NewImageFromResource(look.Icon(name, paint(ink), paint(accent), paint(look.Surface)))
	img.FillMode = canvas.ImageFillContain
	img.SetMinSize(size)
	img.Resize(size) // drawn once: without a size it would be read anew whenever that is asked for
	return img
}

// Box puts content on a ground with a border, pad millimetres inside it.
func (k Kit) Box(ground, edge color.Color, pad float64, content fyne.CanvasObject) *fyne.Container {
	r := k.Fill(ground)
	r.CornerRadius = k.MM(3.5)
	r.StrokeColor, r.StrokeWidth = k.Paint(edge), k.MM(0.4)
	return Pile(r, k.Inset(pad, content))
}

// Banner is a line or two in the colours of a tone, with its sign. It is as
// wide as it has to be, and at most width.
func (k Kit) Banner(tone look.Tone, icon, words string, width float32) fyne.CanvasObject {
	ink, _ := tone.Colours()
	inner := width - k.MM(bannerFrame)
	return k.Notice(tone, icon, k.Text(words, Style{Type: look.Body, Colour: ink}, inner))
}

// bannerFrame is what [Kit.Notice] needs beside its content, in millimetres.
const bannerFrame = 2*6 + 13 + 5

// Room is the width that a [Kit.Notice] of that width has for its content.
func (k Kit) Room(width float32) float32 { return width - k.MM(bannerFrame) }

// Notice is content in the colours of a tone, with its sign.
func (k Kit) Notice(tone look.Tone, icon string, content fyne.CanvasObject) fyne.CanvasObject {
	ink, tint := tone.Colours()
	return k.Box(tint, ink, 6, k.Row(5, CentreY(k.Icon(icon, 13, 13, tone)), Grow(CentreY(content))))
}
