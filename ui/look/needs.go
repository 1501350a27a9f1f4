package look

import "image/color"

// Needs is what one person asks of the pages beyond what everybody gets. It is
// chosen on Home and holds for that visit. The zero Needs are everybody's.
type Needs struct {
	// Large sets every line with capitals of [LargeCapital] or more: the mode of
	// operation that EN 301 549, 5.1.4, asks of a screen that cannot be enlarged.
	Large bool
	// Contrast paints light on black, which is easier on an eye that is dazzled.
	Contrast bool
	// Low keeps on an upright panel whatever is touched within [Reach] of its
	// lower edge, for a person who sits.
	Low bool
	// Unhurried has every step that waits for the person wait longer.
	Unhurried bool
	// Simple has three keys on Home and leaves the rest behind one of them.
	Simple bool
	// Spoken has every page read aloud, and lets digits press its keys.
	Spoken bool
}

// LargeCapital is the height of a capital, in millimetres, that is seen under
// 0.7 degrees from 600 mm (EN 301 549, 5.1.4).
const LargeCapital = 7.3

// Reach is how far above the lower edge of an upright panel a person who sits
// can touch, in drawn millimetres: a panel that hangs with that edge at 900 mm
// is reached up to 1,200 mm (ISO 21542 and ADA 308.2 both draw the line there).
const Reach = 300

// Density is how close together a page is set: one that needs more room than its
// panel has, for large type or for a long text, is set once more, and closer.
type Density int

// The densities.
const (
	Airy Density = iota
	Close
	Closest
)

// Gap returns how much of a gap is left.
func (d Density) Gap() float64 { return [...]float64{1, 0.6, 0.3}[d] }

// Type returns the size in which a text of size t is set. Large sizes, and those
// of a page that is set closely, are closer to each other: the smallest is as large
// as it has to be.
func (n Needs) Type(t Type, d Density) Type {
	if n.Large {
		return LargeCapital + (t-Small)*[...]Type{0.8, 0.5, 0.2}[d]
	}
	return Small + (t-Small)*[...]Type{1, 0.75, 0.5}[d]
}

// Paint returns how a colour of the palette is painted. Any other is painted as it
// is, and so is one that was painted before.
func (n Needs) Paint(c color.NRGBA) color.NRGBA {
	if painted, ok := strong[c]; ok && n.Contrast {
		return painted
	}
	return c
}

// strong is the palette of [Needs.Contrast]. It turns the grounds dark and the
// inks light, so that what was readable stays so.
var strong = map[color.NRGBA]color.NRGBA{
	Ground: black, Surface: black, Off: black,
	Ink: white, Soft: white, Edge: white, Line: rgb(0x8C8C8C), OffInk: rgb(0xB0B0B0),

	Blue: yellow, BluePress: white, BlueTint: black, Press: rgb(0x3A3400),

	Good: rgb(0x7CF0A8), GoodTint: black,
	Caution: rgb(0xFFC861), CautionTint: black,
	Bad: rgb(0xFFB3AB), BadTint: black,
	Unknown: rgb(0xD3C4FF), UnknownTint: black,

	Shade: {A: 0xD0},
}

var (
	black  = rgb(0x000000)
	white  = rgb(0xFEFEFE) // not Surface, which it must not be taken for
	yellow = rgb(0xFFE23D)
)
