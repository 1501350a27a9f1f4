package printer

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"sync"

	"github.com/skip2/go-qrcode"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"quancun/assets"
)

// The printer's font A: 12 dots wide and 24 high, Chinese characters twice as
// wide. A line takes 30 dots.
const (
	cellWide = 12
	cellHigh = 24
	lineHigh = 30
	margin   = 16
)

// faces are the font in both sizes, made once: it has seven megabytes.
var faces = sync.OnceValues(func() (f struct{ small, large font.Face }, err error) {
	parsed, err := opentype.Parse(assets.Regular())
	if err != nil {
		return f, err
	}
	for size, face := range map[float64]*font.Face{20: &f.small, 40: &f.large} {
		if *face, err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72}); err != nil {
			return f, err
		}
	}
	return f, nil
})

// Picture returns the paper as a PNG, as wide as so many columns.
func (r Receipt) Picture(columns int) ([]byte, error) {
	f, err := faces()
	if err != nil {
		return nil, fmt.Errorf("lab/printer: %w", err)
	}
	high := 2 * margin
	for _, row := range r.rows {
		high += row.high()
	}
	paper := image.NewGray(image.Rect(0, 0, columns*cellWide+2*margin, high))
	draw.Draw(paper, paper.Bounds(), image.White, image.Point{}, draw.Src)
	y := margin
	for _, row := range r.rows {
		if row.code != "" {
			if err := row.drawCode(paper, y); err != nil {
				return nil, err
			}
		} else {
			face := f.small
			if row.large {
				face = f.large
			}
			row.drawText(paper, face, y)
		}
		y += row.high()
	}
	var b bytes.Buffer
	if err := png.Encode(&b, paper); err != nil {
		return nil, fmt.Errorf("lab/printer: %w", err)
	}
	return b.Bytes(), nil
}

// high is how many dots a row takes.
func (r row) high() int {
	switch {
	case r.code != "":
		return r.side() + lineHigh
	case r.large:
		return 2 * lineHigh
	}
	return lineHigh
}

// side is how long a side of a code is, with its quiet zone.
func (r row) side() int {
	q, err := qrcode.New(r.code, qrcode.Low)
	if err != nil {
		return 0
	}
	return len(q.Bitmap()) * r.module
}

func (r row) drawCode(paper *image.Gray, y int) error {
	q, err := qrcode.New(r.code, qrcode.Low)
	if err != nil {
		return fmt.Errorf("lab/printer: %w", err)
	}
	x := margin
	if r.centre {
		x = (paper.Bounds().Dx() - r.side()) / 2
	}
	for j, line := range q.Bitmap() {
		for i, dark := range line {
			if dark {
				dot := image.Rect(0, 0, r.module, r.module).Add(image.Pt(x+i*r.module, y+j*r.module))
				draw.Draw(paper, dot, image.Black, image.Point{}, draw.Src)
			}
		}
	}
	return nil
}

// drawText sets each character in its cells, as a printer does.
func (r row) drawText(paper *image.Gray, face font.Face, y int) {
	scale := 1
	if r.large {
		scale = 2
	}
	wide := 0
	for _, c := range r.text {
		wide += cells(c) * cellWide * scale
	}
	x := margin
	if r.centre {
		x = (paper.Bounds().Dx() - wide) / 2
	}
	d := font.Drawer{Dst: paper, Src: image.NewUniform(color.Black), Face: face}
	for _, c := range r.text {
		d.Dot = fixed.P(x, y+(cellHigh-4)*scale)
		d.DrawString(string(c))
		if r.bold { // a printer strikes twice
			d.Dot = fixed.P(x+1, y+(cellHigh-4)*scale)
			d.DrawString(string(c))
		}
		x += cells(c) * cellWide * scale
	}
}

// cells is how many columns a character takes: one of ASCII, and two otherwise.
func cells(c rune) int {
	if c < 0x80 {
		return 1
	}
	return 2
}
