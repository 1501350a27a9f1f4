package dialog

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// Keys as every keyboard has them: of a text, and of a number with letters in it.
var (
	textRows = []string{"1234567890", "QWERTYUIOP", "ASDFGHJKL-", "ZXCVBNM.'/"}
	codeRows = []string{"1234567890", "QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM"}
)

// letterGap is between the keys of letters, in drawn millimetres.
const letterGap = 3.0

// letters takes letters, digits and spaces, from a keyboard on the panel or beside
// it.
func (p *page) letters() fyne.CanvasObject {
	shift := "dialog.small"
	if p.s.Typed.Small {
		shift = "dialog.large"
	}
	return p.keyboard(textRows, isLetter, func(add func(rune)) []fyne.CanvasObject {
		return []fyne.CanvasObject{
			p.k.Button(widget.Face{Name: "shift", Label: p.t.T(shift)}, func() {
				p.s.Typed.Small = !p.s.Typed.Small
				p.s.Redraw()
			}),
			p.k.Button(widget.Face{Name: "space", Label: p.t.T("dialog.space")}, func() { add(' ') }),
		}
	})
}

// code takes a number that may have letters in it, which are capitals.
func (p *page) code() fyne.CanvasObject {
	return p.keyboard(codeRows, isCode, func(func(rune)) []fyne.CanvasObject {
		return []fyne.CanvasObject{p.k.Button(widget.Face{Name: "clear", Label: p.t.T("pad.clear")}, func() {
			p.s.Typed.Text = ""
			p.s.Redraw()
		})}
	})
}

// keyboard takes what a keyboard has, of which takes says what may be typed. Below it
// there are more keys, and those to erase and to send.
func (p *page) keyboard(rows []string, takes func(rune) bool,
	more func(add func(rune)) []fyne.CanvasObject) fyne.CanvasObject {
	width := p.s.Room.Width
	box, line, done := p.typed(width)
	typed := &p.s.Typed.Text
	changed := func() {
		p.show(line, width)
		done.SetDisabled(strings.TrimSpace(*typed) == "")
	}
	add := func(r rune) {
		if p.q.Kind == dialog.AskNumber {
			r = unicode.ToUpper(r)
		}
		if len(*typed) < p.q.Length && takes(r) && (r != ' ' || *typed != "") {
			*typed += string(r)
			changed()
		}
	}
	p.out.Type, p.out.Erase = add, eraser(typed, changed)
	keys := p.letterRows(rows, p.letterKey(), add)
	below := append(more(add), p.k.Button(widget.Face{Name: "erase", Label: p.t.T("pad.erase")}, p.out.Erase), done)
	keys.Add(p.k.Grid(len(below), letterGap, p.letterKey(), below...))
	column := p.k.Column(2, p.heading(width), box)
	room := p.s.Room.Height - column.MinSize().Height - keys.MinSize().Height - p.k.MM(2*4)
	if facts := p.facts(p.q.Facts, width, room); facts != nil && facts.MinSize().Height <= room {
		column.Add(facts)
	}
	column.Add(widget.Spring())
	column.Add(keys)
	return column
}

// eraser takes the last character back. Every one is one byte.
func eraser(typed *string, changed func()) func() {
	return func() {
		if n := len(*typed); n > 0 {
			*typed = (*typed)[:n-1]
			changed()
		}
	}
}

// letterKey is the height of a key, in millimetres.
func (p *page) letterKey() float64 {
	if p.k.Panel.Portrait() {
		return 26
	}
	return 20
}

// letterRows are keys of one width, each row in the middle.
func (p *page) letterRows(rows []string, height float64, add func(rune)) *fyne.Container {
	most := float32(len(rows[0]))
	key := (p.s.Room.Width - p.k.MM(letterGap)*(most-1)) / most
	keys := p.k.Column(letterGap)
	for _, row := range rows {
		grid := p.k.Grid(len(row), letterGap, height)
		for _, r := range row {
			if p.s.Typed.Small {
				r = unicode.ToLower(r)
			}
			grid.Add(p.letter(r, add))
		}
		n := float32(len(row))
		if n == most {
			keys.Add(grid)
			continue
		}
		keys.Add(widget.CentreX(widget.Wide(key*n+p.k.MM(letterGap)*(n-1), grid)))
	}
	return keys
}

// letter is a key of a letter, or of a digit.
func (p *page) letter(r rune, add func(rune)) *widget.Button {
	f := widget.Face{Name: "letter-" + string(r), Label: string(r)}
	if unicode.IsDigit(r) {
		f.Name = "digit-" + string(r) // every keypad has it
	}
	return p.k.Key(f, widget.Centre(p.k.Line(f.Label, widget.Style{Type: look.Heading, Bold: true})),
		func() { add(r) })
}

// isLetter reports whether r may be typed into a text.
func isLetter(r rune) bool { return isCode(r) || strings.ContainsRune(" -.'/", r) }

// isCode reports whether r may be typed into a number with letters in it.
func isCode(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
