package specimen

import (
	"image"
	"image/color"
	"image/draw"

	"fyne.io/fyne/v2/driver/software"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/screen"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// Draw draws the page of v as everybody sees it, without a display. The current app
// has to have [look.Theme].
func Draw(v kiosk.View, p look.Panel, texts *text.Texts) image.Image {
	return DrawFor(v, p, texts, Need{})
}

// DrawFor draws the page of v for a person who needs n.
func DrawFor(v kiosk.View, p look.Panel, texts *text.Texts, n Need) image.Image {
	c := software.NewCanvas()
	c.SetPadded(false)
	c.Resize(p.Size())
	c.SetContent(screen.Build(v, screen.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p, Needs: n.Needs}, Now: Now, Phone: Phone,
		Typed: &screen.Typed{}, On: func(kiosk.Input) {}, OnLanguage: func() {},
		Choosing: n.Choosing, OnNeeds: func(look.Needs, bool) {},
	}).Object)
	return c.Capture()
}

// Shrink averages the pixels of src, which is opaque, that fall into each pixel of
// size.
func Shrink(src image.Image, size image.Point) *image.RGBA {
	b := src.Bounds()
	whole := image.NewRGBA(image.Rectangle{Max: b.Size()}) // whose pixels are bytes that can be added up
	draw.Draw(whole, whole.Bounds(), src, b.Min, draw.Src)
	dst := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			r := image.Rect(x*b.Dx()/size.X, y*b.Dy()/size.Y, (x+1)*b.Dx()/size.X, (y+1)*b.Dy()/size.Y)
			dst.SetRGBA(x, y, average(whole, r))
		}
	}
	return dst
}

func average(src *image.RGBA, r image.Rectangle) color.RGBA {
	var sum [3]int
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := src.Pix[src.PixOffset(r.Min.X, y):src.PixOffset(r.Max.X, y)]
		for x := 0; x < len(row); x += 4 {
			sum[0], sum[1], sum[2] = sum[0]+int(row[x]), sum[1]+int(row[x+1]), sum[2]+int(row[x+2])
		}
	}
	n := max(1, r.Dx()*r.Dy())
	return color.RGBA{R: uint8(sum[0] / n), G: uint8(sum[1] / n), B: uint8(sum[2] / n), A: 0xFF}
}
