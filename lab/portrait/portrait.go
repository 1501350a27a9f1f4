// Package portrait draws pictures of people who do not exist: what stands in for the
// photos of holders in the lab and on pictures of the screens.
package portrait

import (
	"hash/fnv"
	"image"
	"image/color"
)

// Width and Height are a portrait's size, in pixels.
const (
	Width  = 240
	Height = 320
)

// Draw draws somebody: the same name gives the same face.
func Draw(name string) image.Image {
	h := fnv.New32a()
	h.Write([]byte(name))
	n := h.Sum32()
	pick := func(from []color.RGBA) color.RGBA {
		c := from[n%uint32(len(from))]
		n /= uint32(len(from))
		return c
	}
	ground, coat, skin, hair := pick(grounds), pick(coats), pick(skins), pick(hairs)
	long := n%2 == 0
	i := image.NewRGBA(image.Rect(0, 0, Width, Height))
	for y := range Height {
		for x := range Width {
			c := ground
			switch p := image.Pt(x, y); {
			case mouth.has(p) && y > 156 || leftEye.has(p) || rightEye.has(p):
				c = hair
			case face.has(p) && y > 96:
				c = skin
			case head.has(p) && y < 140, long && mane.has(p) && y < 236:
				c = hair
			case neck.has(p):
				c = skin
			case shoulders.has(p):
				c = coat
			}
			i.SetRGBA(x, y, c)
		}
	}
	return i
}

// ellipse is one around a point, with its two radii.
type ellipse struct{ x, y, rx, ry int }

func (e ellipse) has(p image.Point) bool {
	dx, dy := (p.X-e.x)*e.ry, (p.Y-e.y)*e.rx
	return dx*dx+dy*dy <= e.rx*e.rx*e.ry*e.ry
}

var (
	mouth     = ellipse{120, 150, 15, 13}
	leftEye   = ellipse{96, 132, 7, 5}
	rightEye  = ellipse{144, 132, 7, 5}
	face      = ellipse{120, 140, 58, 74}
	head      = ellipse{120, 112, 68, 74}
	mane      = ellipse{120, 160, 78, 96}
	neck      = ellipse{120, 214, 26, 44}
	shoulders = ellipse{120, 330, 106, 94}
)

var (
	grounds = []color.RGBA{{0xDD, 0xE7, 0xF0, 0xFF}, {0xE8, 0xE4, 0xD8, 0xFF}, {0xDF, 0xEB, 0xDF, 0xFF}}
	coats   = []color.RGBA{
		{0x2B, 0x4A, 0x6F, 0xFF}, {0x7A, 0x2E, 0x3A, 0xFF}, {0x33, 0x33, 0x38, 0xFF}, {0x3F, 0x6B, 0x57, 0xFF},
	}
	skins = []color.RGBA{{0xF0, 0xCF, 0xB2, 0xFF}, {0xE3, 0xB8, 0x92, 0xFF}, {0xC9, 0x96, 0x6E, 0xFF}}
	hairs = []color.RGBA{{0x1E, 0x1B, 0x1A, 0xFF}, {0x3A, 0x2A, 0x20, 0xFF}, {0x55, 0x52, 0x50, 0xFF}}
)
