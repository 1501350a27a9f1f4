package look

import (
	"fmt"

	"fyne.io/fyne/v2"
)

// Panel is the screen of a terminal. Fyne's scale is fixed to 1 by the
// program, so that a pixel is a device-independent pixel.
type Panel struct {
	WidthPx, HeightPx int
	WidthMM           float64 // of the visible picture; 0: not known
}

// shortSide is the shorter side, in millimetres, of the panels that the pages
// are drawn for: 21.5 inches at 16:9 and 17 inches at 5:4 agree on it.
const shortSide = 268

// Unit returns the pixels of one drawn millimetre: the pages always fill the
// panel, and nothing is ever cut off. On the panels that they are drawn for it
// is a true millimetre, on a larger one it is more. On a smaller one it is
// less, and then keys are too small for some fingers: see [Panel.Check].
func (p Panel) Unit() float64 {
	return float64(min(p.WidthPx, p.HeightPx)) / shortSide
}

// Tolerance is how much of a true millimetre is one: panels are sold in rounded
// inches.
const Tolerance = 0.98

// Check returns an error if p is so small that keys fall below 20 mm and text
// below what EN 301 549 asks for. The pages can be used all the same.
func (p Panel) Check() error {
	if p.Unit() < Tolerance*p.True() {
		short := float64(min(p.WidthPx, p.HeightPx)) / p.True()
		return fmt.Errorf("panel's short side is %.0f mm, pages for standing people need %d mm", short, shortSide)
	}
	return nil
}

// True returns the pixels of one true millimetre.
func (p Panel) True() float64 {
	if p.WidthMM <= 0 {
		return float64(min(p.WidthPx, p.HeightPx)) / shortSide
	}
	return float64(p.WidthPx) / p.WidthMM
}

// MM converts drawn millimetres to device-independent pixels.
func (p Panel) MM(mm float64) float32 { return float32(mm * p.Unit()) }

// Size returns the panel in device-independent pixels.
func (p Panel) Size() fyne.Size { return fyne.NewSize(float32(p.WidthPx), float32(p.HeightPx)) }

// Portrait reports whether the panel stands upright.
func (p Panel) Portrait() bool { return p.HeightPx > p.WidthPx }

// capital is the height of a capital letter of the fonts, in em.
const capital = 0.733

// Type is a size of text.
type Type float64

// The sizes, as the height of a capital in millimetres. Nothing is smaller
// than Small: 4.8 mm is ADA 707.7.2. EN 301 549 asks 7.3 mm at 600 mm, which
// Heading and everything above it reach.
const (
	Small   Type = 4.8
	Body    Type = 5.6
	Lead    Type = 6.4
	Heading Type = 7.4
	Title   Type = 9.6
	Figure  Type = 13
	Display Type = 19
)

// Text returns the font size of t.
func (p Panel) Text(t Type) float32 { return p.MM(float64(t) / capital) }
