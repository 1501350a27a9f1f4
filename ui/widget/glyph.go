package widget

import (
	"image/color"

	"fyne.io/fyne/v2"

	"quancun/ui/look"
)

// Glyph is the icon of a key in the key's own colours, size millimetres wide
// and high.
func (k Kit) Glyph(name string, size float64, f Face) fyne.CanvasObject {
	return k.picture(name, f.ink(), f.ground(), fyne.NewSquareSize(k.MM(size)))
}

// Mark is an icon of a colour on the ground of cards, size millimetres wide and high.
func (k Kit) Mark(name string, size float64, ink color.NRGBA) fyne.CanvasObject {
	return k.picture(name, ink, look.Surface, fyne.NewSquareSize(k.MM(size)))
}

// Sign is an icon in white on a coloured ground, size millimetres wide and high.
func (k Kit) Sign(name string, size float64, ground color.NRGBA) fyne.CanvasObject {
	return k.picture(name, look.Surface, ground, fyne.NewSquareSize(k.MM(size)))
}
