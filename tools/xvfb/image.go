package xvfb

import (
	"encoding/binary"
	"fmt"
	"image"
	"os"
	"path/filepath"
)

// Image returns what the screen shows now.
//
// It reads the frame buffer that the server keeps in a file (-fbdir), so it
// needs no other program and takes milliseconds.
func (d *Display) Image() (*image.RGBA, error) {
	dump, err := os.ReadFile(filepath.Join(d.dir, "Xvfb_screen0"))
	if err != nil {
		return nil, err
	}
	img, err := decode(dump)
	if err != nil {
		return nil, fmt.Errorf("read frame buffer: %w", err)
	}
	return img, nil
}

// Dark reports whether the pixel at x, y is black, as a screen without a window
// is. It reads only that pixel, so that watching for a first frame takes
// nothing away from the program that draws it.
func (d *Display) Dark(x, y int) (bool, error) {
	f, err := os.Open(filepath.Join(d.dir, "Xvfb_screen0"))
	if err != nil {
		return false, err
	}
	defer f.Close()
	var header [4 * headerWords]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return false, err
	}
	word := func(i int) int64 { return int64(binary.BigEndian.Uint32(header[4*i:])) }
	at := word(headerSize) + colourSize*word(colourCount) + int64(y)*word(bytesPerLine) + 4*int64(x)
	var pixel [3]byte
	_, err = f.ReadAt(pixel[:], at)
	return pixel == [3]byte{}, err
}

// The words of the header that decode reads, by their place in struct
// XWDFileHeader of <X11/XWDFile.h>.
const (
	headerSize   = 0
	imageWidth   = 4
	imageHeight  = 5
	byteOrder    = 7 // 0 is the least significant byte first
	bitsPerPixel = 11
	bytesPerLine = 12
	colourCount  = 19
	headerWords  = 25

	colourSize = 12 // of an entry in the colour map after the header
)

// decode reads a window dump (XWD) of 24-bit colours in 32-bit pixels, which
// is what Xvfb keeps on a little-endian machine for a screen of depth 24.
func decode(dump []byte) (*image.RGBA, error) {
	if len(dump) < 4*headerWords {
		return nil, fmt.Errorf("a dump of %d bytes has no header", len(dump))
	}
	word := func(i int) int { return int(binary.BigEndian.Uint32(dump[4*i:])) }
	if word(byteOrder) != 0 || word(bitsPerPixel) != 32 {
		return nil, fmt.Errorf("byte order %d with %d bits per pixel", word(byteOrder), word(bitsPerPixel))
	}
	width, height, stride := word(imageWidth), word(imageHeight), word(bytesPerLine)
	start := word(headerSize) + colourSize*word(colourCount)
	if stride < 4*width || start+stride*height > len(dump) {
		return nil, fmt.Errorf("%dx%d pixels do not fit into %d bytes", width, height, len(dump))
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		from, to := dump[start+y*stride:], img.Pix[y*img.Stride:]
		for x := 0; x < 4*width; x += 4 {
			to[x], to[x+1], to[x+2], to[x+3] = from[x+2], from[x+1], from[x], 0xff
		}
	}
	return img, nil
}
