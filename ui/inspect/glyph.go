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

// glyphs reads which characters a font has from the largest of its cmap tables
// (OpenType, formats 12 and 4).
func glyphs(font []byte) func(rune) bool {
	u16 := func(at int) int { return int(binary.BigEndian.Uint16(font[at:])) }
	u32 := func(at int) int { return int(binary.BigEndian.Uint32(font[at:])) }
	type span struct{ from, to int }
	var spans []span
	for table := range u16(4) {
		entry := 12 + 16*table
		if string(font[entry:entry+4]) != "cmap" {
			continue
		}
		cmap := u32(entry + 8)
		for sub := range u16(cmap + 2) {
			at := cmap + u32(cmap+4+8*sub+4)
			switch u16(at) {
			case 12:
				for group := range u32(at + 12) {
					g := at + 16 + 12*group
					spans = append(spans, span{u32(g), u32(g + 4)})
				}
			case 4:
				double := u16(at + 6) // twice the number of segments
				for seg := 0; seg < double; seg += 2 {
					spans = append(spans, span{u16(at + 16 + double + seg), u16(at + 14 + seg)})
				}
			}
		}
	}
	if len(spans) == 0 {
		panic("inspect: internal error: font has no cmap of a format that is read here")
	}
	has := make([]bool, 0x110000)
	for _, s := range spans {
		for r := s.from; r <= s.to; r++ {
			has[r] = true
		}
	}
	return func(r rune) bool { return has[r] }
}
