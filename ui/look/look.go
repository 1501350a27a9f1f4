// Package look is how the terminal looks: its palette, its theme, and its
// measures. Measures are in millimetres of the panel, because a finger and an
// eye know nothing of pixels. It does not know what is shown.
//
// Numbers come from EN 301 549 (5.1.4, height of a capital), ADA 707.7.2,
// WCAG 2.2 (1.4.6 and 1.4.11, contrast) and Colle & Hiszem 2004 (touch keys).
package look

import (
	"image/color"
	"strings"

	"fyne.io/fyne/v2"

	"quancun/assets"
)

// The palette. Text colours reach 7:1 on the grounds they are used on, borders
// 3:1; a test computes both. Unknown has a hue of its own: what is being
// checked has not failed.
var (
	Ground  = rgb(0xF4F6F8) // behind everything
	Surface = rgb(0xFFFFFF) // cards and keys
	Ink     = rgb(0x10202E) // text
	Soft    = rgb(0x3D4B58) // secondary text
	Line    = rgb(0xC9D1D8) // hairlines between rows, decoration only
	Edge    = rgb(0x5D6C79) // borders of what can be touched
	Off     = rgb(0xE4E8EC) // ground of what cannot be touched now
	OffInk  = rgb(0x47535E) // text on Off

	Blue      = rgb(0x0B4A7A) // the next action
	BluePress = rgb(0x062F50)
	BlueTint  = rgb(0xE3EEF7)
	Press     = rgb(0xD5E4F0) // a plain key under a finger

	Good        = rgb(0x0A5A34)
	GoodTint    = rgb(0xE1F3E8)
	Caution     = rgb(0x6B4000)
	CautionTint = rgb(0xFFF1D1)
	Bad         = rgb(0x8E1B1B)
	BadTint     = rgb(0xFBE7E5)
	Unknown     = rgb(0x4A3390)
	UnknownTint = rgb(0xECE8FA)

	Shade = color.NRGBA{R: 0x10, G: 0x20, B: 0x2E, A: 0xB0} // over a page that waits
)

// Tone is the mood of a banner or an illustration.
type Tone int

// The tones.
const (
	Neutral Tone = iota
	Well
	Careful
	Wrong
	Open // nobody knows yet
)

// Colours returns the ink and the tint of a tone.
func (t Tone) Colours() (ink, tint color.NRGBA) {
	switch t {
	case Well:
		return Good, GoodTint
	case Careful:
		return Caution, CautionTint
	case Wrong:
		return Bad, BadTint
	case Open:
		return Unknown, UnknownTint
	default:
		return Blue, BlueTint
	}
}

// Icon returns the icon of that name in its colours: ink on what is tinted with accent,
// and on what is as white as paper is.
func Icon(name string, ink, accent, paper color.NRGBA) fyne.Resource {
	svg := strings.NewReplacer(assets.IconInk, hex(ink), assets.IconAccent, hex(accent),
		assets.IconPaper, hex(paper)).Replace(string(assets.Icon(name)))
	// The painter caches pictures by name, so the colours belong to it.
	return fyne.NewStaticResource(name+hex(ink)+hex(accent)+hex(paper)+".svg", []byte(svg))
}

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xFF}
}

func hex(c color.NRGBA) string {
	const digits = "0123456789abcdef"
	b := []byte{'#'}
	for _, v := range []uint8{c.R, c.G, c.B} {
		b = append(b, digits[v>>4], digits[v&15])
	}
	return string(b)
}
