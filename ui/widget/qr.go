package widget

import (
	"fmt"
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	qrcode "github.com/skip2/go-qrcode"

	"quancun/ui/look"
)

// QR is a QR code of content, as large as fits into size drawn millimetres,
// with the quiet zone of four modules that ISO/IEC 18004 asks for. A module is
// a whole number of pixels, and at least a true millimetre: if size is too
// small for that, the picture is larger than asked.
func (k Kit) QR(content string, size float64) (fyne.CanvasObject, error) {
	level := qrcode.Medium
	if len(content) > 120 {
		level = qrcode.Low // a receipt: a smaller code is read more easily than a redundant one
	}
	code, err := qrcode.New(content, level)
	if err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	bits := code.Bitmap() // with its quiet zone
	module := max(int(k.MM(size))/len(bits), ceil(look.Tolerance*k.Panel.True()))
	img := canvas.NewImageFromImage(paintQR(bits, module))
	img.ScaleMode, img.FillMode = canvas.ImageScalePixels, canvas.ImageFillOriginal
	edge := float32(module * len(bits))
	img.SetMinSize(fyne.NewSquareSize(edge))
	frame := canvas.NewRectangle(color.White) // for scanners, whatever a person needs
	frame.StrokeColor, frame.StrokeWidth = k.Paint(look.Line), k.MM(0.4)
	frame.CornerRadius = k.MM(3.5)
	return Pile(frame, k.Inset(1.5, Centre(img))), nil
}

func paintQR(bits [][]bool, module int) image.Image {
	n := len(bits) * module
	img := image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{color.White, color.Black})
	for y := range n {
		for x := range n {
			if bits[y/module][x/module] {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	return img
}

func ceil(x float64) int {
	n := int(x)
	if float64(n) < x {
		n++
	}
	return n
}
