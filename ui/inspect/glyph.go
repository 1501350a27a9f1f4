package inspect

import (
	"encoding/binary"
	"sync"

	"quancun/assets"
)

// bundled says of each bundled font, the bold one under true, whether it has a
// character.
var bundled = sync.OnceValue(func() map[bool]func(rune) bool {
	return map[bool]func(rune) bool{false: glyphs(assets.Regular()), true: glyphs(assets.Bold())}
})

// span is a range of characters that a font has.
type span struct{ from, to int }

// sfnt is the file of a font.
type sfnt []byte

func (f sfnt) u16(at int) int { return int(binary.BigEndian.Uint16(f[at:])) }
func (f sfnt) u32(at int) int { return int(binary.BigEndian.Uint32(f[at:])) }

// glyphs reads which characters a font has from its cmap tables.
func glyphs(font sfnt) func(rune) bool {
	has := make([]bool, 0x110000)
	found := false
	for table := range font.u16(4) {
		entry := 12 + 16*table
		if string(font[entry:entry+4]) != "cmap" {
			continue
		}
		cmap := font.u32(entry + 8)
		for sub := range font.u16(cmap + 2) {
			for _, s := range font.spans(cmap + font.u32(cmap+4+8*sub+4)) {
				found = true
				fill(has[s.from : s.to+1])
			}
		}
	}
	if !found {
		panic("inspect: internal error: font has no cmap of a format that is read here")
	}
	return func(r rune) bool { return has[r] }
}

func fill(has []bool) {
	for i := range has {
		has[i] = true
	}
}

// spans reads a cmap table (OpenType, formats 12 and 4).
func (f sfnt) spans(at int) (spans []span) {
	switch f.u16(at) {
	case 12:
		for group := range f.u32(at + 12) {
			g := at + 16 + 12*group
			spans = append(spans, span{f.u32(g), f.u32(g + 4)})
		}
	case 4:
		double := f.u16(at + 6) // twice the number of segments
		for seg := 0; seg < double; seg += 2 {
			spans = append(spans, span{f.u16(at + 16 + double + seg), f.u16(at + 14 + seg)})
		}
	}
	return spans
}
