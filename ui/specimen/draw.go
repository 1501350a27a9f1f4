package specimen

import (
	"image"
	"image/color"

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

// Shrink averages the pixels of src that fall into each pixel of size.
func Shrink(src image.Image, size image.Point) *image.RGBA {
	b := src.Bounds()
	dst := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			r := image.Rect(x*b.Dx()/size.X, y*b.Dy()/size.Y, (x+1)*b.Dx()/size.X, (y+1)*b.Dy()/size.Y)
			dst.SetRGBA(x, y, average(src, r.Add(b.Min)))
		}
	}
	return dst
}

func average(src image.Image, r image.Rectangle) color.RGBA {
	var sum [3]int
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			red, green, blue, _ := src.At(x, y).RGBA()
			sum[0], sum[1], sum[2] = sum[0]+int(red>>8), sum[1]+int(green>>8), sum[2]+int(blue>>8)
		}
	}
	n := max(1, r.Dx()*r.Dy())
	return color.RGBA{R: uint8(sum[0] / n), G: uint8(sum[1] / n), B: uint8(sum[2] / n), A: 0xFF}
}
