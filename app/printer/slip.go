package printer

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Slip is what is printed. It is stored as it is.
type Slip struct {
	ID   string `json:"id"`   // names it for good; a reference of the journal
	Rows []Row  `json:"rows"` // from top to bottom
	Code string `json:"code"` // for a QR code at the end; "" for none
	Mark string `json:"mark"` // printed first and large, such as that it is a copy; "" for none
}

// Style is how a row looks.
type Style int

// The styles. Stored: never renumbered.
const (
	Plain  Style = 0
	Centre Style = 1
	Title  Style = 2 // in the middle, twice as large
	Strong Style = 3 // bold
	Rule   Style = 4 // a line across, without a text
)

// Row is a row of text: the left part, and the right part at the right edge.
type Row struct {
	Left  string `json:"left,omitempty"`
	Right string `json:"right,omitempty"`
	Style Style  `json:"style,omitempty"`
}

// Commands of the printer.
var (
	initialize = []byte{0x1B, 0x40}             // ESC @
	kanjiOn    = []byte{0x1C, 0x26}             // FS &: two bytes are a Chinese character, GB 18030
	centreOn   = []byte{0x1B, 0x61, 1}          // ESC a 1
	centreOff  = []byte{0x1B, 0x61, 0}          // ESC a 0
	boldOn     = []byte{0x1B, 0x45, 1}          // ESC E 1
	boldOff    = []byte{0x1B, 0x45, 0}          // ESC E 0
	large      = []byte{0x1D, 0x21, 0x11}       // GS !: twice as wide and as high
	small      = []byte{0x1D, 0x21, 0x00}       // GS !
	pulse      = []byte{0x1B, 0x70, 0, 25, 250} // ESC p: 50 ms to the drawer on pin 2, then 500 ms of rest
	feedAndCut = []byte{0x1D, 0x56, 66, 0x03}   // GS V 66: feed to the cutter and a little more, cut partly
)

// encode returns a slip as the printer takes it, on paper of a width.
func encode(s Slip, w Width) []byte {
	var b bytes.Buffer
	b.Write(initialize)
	b.Write(kanjiOn)
	rows := s.Rows
	if s.Mark != "" {
		rows = append([]Row{{Left: s.Mark, Style: Title}}, rows...)
	}
	for _, r := range rows {
		r.encode(&b, int(w))
	}
	if s.Code != "" {
		b.Write(centreOn)
		encodeQR(&b, s.Code)
		b.Write(centreOff)
	}
	b.Write(feedAndCut)
	return b.Bytes()
}

func (r Row) encode(b *bytes.Buffer, columns int) {
	switch r.Style {
	case Rule:
		b.WriteString(strings.Repeat("-", columns) + "\n")
		return
	case Title:
		b.Write(centreOn)
		b.Write(large)
		writeLines(b, wrap(r.Left, columns/2))
		b.Write(small)
		b.Write(centreOff)
		return
	case Centre:
		b.Write(centreOn)
		writeLines(b, wrap(r.Left, columns))
		b.Write(centreOff)
		return
	case Strong:
		b.Write(boldOn)
		defer b.Write(boldOff)
	case Plain:
	}
	writeLines(b, r.lines(columns))
}

// lines lays a row out: both parts in one line if they fit with a space between
// them, and otherwise the right one in a line of its own.
func (r Row) lines(columns int) []string {
	left := wrap(r.Left, columns)
	if r.Right == "" {
		return left
	}
	last := left[len(left)-1]
	if room := columns - columnsOf(last) - columnsOf(r.Right); room >= 1 {
		left[len(left)-1] = last + strings.Repeat(" ", room) + r.Right
		return left
	}
	for _, l := range wrap(r.Right, columns) {
		left = append(left, strings.Repeat(" ", columns-columnsOf(l))+l)
	}
	return left
}

// wrap breaks a text into lines of at most so many columns. There is at least
// one.
func wrap(text string, columns int) (lines []string) {
	var line strings.Builder
	used := 0
	for _, r := range plain(text) {
		if n := columnsOfRune(r); used+n > columns {
			lines, used = append(lines, line.String()), 0
			line.Reset()
		}
		line.WriteRune(r)
		used += columnsOfRune(r)
	}
	return append(lines, line.String())
}

// plain takes everything out of a text that a printer might take for a command.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

func columnsOf(text string) (n int) {
	for _, r := range text {
		n += columnsOfRune(r)
	}
	return n
}

// columnsOfRune is how wide a character is printed: whatever is not ASCII is a
// character of the Chinese font, twice as wide.
func columnsOfRune(r rune) int {
	if r < 0x80 {
		return 1
	}
	return 2
}

func writeLines(b *bytes.Buffer, lines []string) {
	for _, l := range lines {
		// What GB 18030 does not have it spells otherwise; it has all of Unicode.
		text, err := encoding.ReplaceUnsupported(simplifiedchinese.GB18030.NewEncoder()).String(l)
		if err != nil {
			text = "?"
		}
		b.WriteString(text + "\n")
	}
}

// encodeQR has the printer make a QR code itself: GS ( k, functions 165, 167, 169,
// 180 and 181.
func encodeQR(b *bytes.Buffer, code string) {
	function := func(fn byte, data ...byte) {
		n := len(data) + 2
		b.Write([]byte{0x1D, 0x28, 0x6B, byte(n), byte(n >> 8), 49, fn})
		b.Write(data)
	}
	function(65, 50, 0) // model 2
	function(67, qrModule(code))
	function(69, 48) // level L: the code is signed, and the paper is new
	function(80, append([]byte{48}, code...)...)
	function(81, 48)
}

// qrModule is how many dots a module has, so that the code fits on the narrow
// paper: 384 dots, less a margin.
func qrModule(code string) byte {
	switch n := len(code); {
	case n <= 150: // up to version 5: 37 modules
		return 8
	case n <= 395: // up to version 10: 57 modules
		return 6
	case n <= 760: // up to version 15: 77 modules
		return 4
	}
	return 3
}
