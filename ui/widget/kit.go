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
	// Click is played when a finger comes down on a key that works; nil: silent.
	Click func()
	// HideCursor hides the mouse cursor over keys; see also [Cursorless].
	HideCursor bool
}

// MM converts drawn millimetres to device-independent pixels.
func (k Kit) MM(mm float64) float32 { return k.Panel.MM(mm) }

// Gap is an empty object of that height and width in millimetres.
func (k Kit) Gap(mm float64) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSquareSize(k.MM(mm)))
	return r
}

// Rule is a hairline between rows.
func (k Kit) Rule() fyne.CanvasObject {
	r := canvas.NewRectangle(look.Line)
	r.SetMinSize(fyne.NewSize(0, max(1, k.MM(0.4))))
	return r
}

// Icon is a picture of that size in millimetres, from assets/icons.
func (k Kit) Icon(name string, width, height float64, tone look.Tone) fyne.CanvasObject {
	ink, tint := tone.Colours()
	return k.picture(look.Icon(name, ink, tint), width, height)
}

func (k Kit) picture(res fyne.Resource, width, height float64) fyne.CanvasObject {
	img := canvas.NewImageFromResource(res)
	img.FillMode = canvas.ImageFillContain
	img.SetMinSize(fyne.NewSize(k.MM(width), k.MM(height)))
	return img
}

// Box puts content on a ground with a border, pad millimetres inside it.
func (k Kit) Box(ground, edge color.Color, pad float64, content fyne.CanvasObject) *fyne.Container {
	r := canvas.NewRectangle(ground)
	r.CornerRadius = k.MM(3.5)
	r.StrokeColor, r.StrokeWidth = edge, k.MM(0.4)
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
