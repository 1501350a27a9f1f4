package specimen

import (
	"image"
	"image/color"
	"image/draw"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
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
	return drawn(screen.Build(v, screen.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p, Needs: n.Needs}, Now: Now, Phone: Phone,
		Typed: &screen.Typed{}, On: func(kiosk.Input) {}, OnLanguage: func() {},
		Choosing: n.Choosing, OnNeeds: func(look.Needs, bool) {},
	}).Object, p)
}

// drawn is a page on its panel. Fyne's painter takes most of its time for the ground,
// which is below everything: so it paints what stands on that, and only that.
func drawn(page fyne.CanvasObject, p look.Panel) image.Image {
	c := software.NewTransparentCanvas()
	c.SetPadded(false)
	c.Resize(p.Size())
	c.SetContent(page)
	ground := groundOf(page)
	if ground != nil {
		ground.Hide()
		defer ground.Show()
	}
	parts := c.Capture()
	whole := image.NewRGBA(parts.Bounds())
	if ground != nil {
		draw.Draw(whole, whole.Bounds(), image.NewUniform(ground.FillColor), image.Point{}, draw.Src)
	}
	draw.Draw(whole, whole.Bounds(), parts, image.Point{}, draw.Over)
	return whole
}

// groundOf is the rectangle that a page is painted on: what is painted first, if it
// covers the page and has no edge.
func groundOf(page fyne.CanvasObject) (ground *canvas.Rectangle) {
	first := true
	widget.Walk(page, func(o fyne.CanvasObject, at fyne.Position) {
		if _, box := o.(*fyne.Container); box || !first {
			return
		}
		first = false
		if r, ok := o.(*canvas.Rectangle); ok && at.IsZero() && r.Size() == page.Size() && r.StrokeWidth == 0 &&
			r.CornerRadius == 0 {
			ground = r
		}
	})
	return ground
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
