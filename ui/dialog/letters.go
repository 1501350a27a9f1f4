package dialog

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"

	"quancun/ui/look"
	"quancun/ui/widget"
)

// rows are the letters as every keyboard has them.
var rows = []string{"1234567890", "QWERTYUIOP", "ASDFGHJKL-", "ZXCVBNM.'/"}

// letters takes letters, digits and spaces, from a keyboard on the panel or beside
// it.
func (p *page) letters() fyne.CanvasObject {
	width := p.s.Room.Width
	box, line, done := p.typed(width)
	typed := &p.s.Typed.Text
	changed := func() {
		p.show(line, width)
		done.SetDisabled(strings.TrimSpace(*typed) == "")
	}
	add := func(r rune) {
		if len(*typed) < p.q.Length && isLetter(r) && (r != ' ' || *typed != "") {
			*typed += string(r)
			changed()
		}
	}
	p.out.Type = add
	p.out.Erase = func() {
		if n := len(*typed); n > 0 { // every character is one byte
			*typed = (*typed)[:n-1]
			changed()
		}
	}
	keys := p.k.Column(3)
	for _, row := range rows {
		keys.Add(p.letterRow(row, add))
	}
	shift := "dialog.small"
	if p.s.Typed.Small {
		shift = "dialog.large"
	}
	keys.Add(p.k.Grid(4, 3, p.letterKey(),
		p.k.Button(widget.Face{Name: "shift", Label: p.t.T(shift)}, func() {
			p.s.Typed.Small = !p.s.Typed.Small
			p.s.Redraw()
		}),
		p.k.Button(widget.Face{Name: "space", Label: p.t.T("dialog.space")}, func() { add(' ') }),
		p.k.Button(widget.Face{Name: "erase", Label: p.t.T("pad.erase")}, p.out.Erase), done))
	column := p.k.Column(2, p.heading(width), box)
	room := p.s.Room.Height - column.MinSize().Height - keys.MinSize().Height - p.k.MM(2*4)
	if facts := p.facts(p.q.Facts, width, room); facts != nil && facts.MinSize().Height <= room {
		column.Add(facts)
	}
	column.Add(widget.Spring())
	column.Add(keys)
	return column
}

// letterKey is the height of a key, in millimetres.
func (p *page) letterKey() float64 {
	if p.k.Panel.Portrait() {
		return 26
	}
	return 20
}

func (p *page) letterRow(row string, add func(rune)) fyne.CanvasObject {
	grid := p.k.Grid(len(row), 3, p.letterKey())
	for _, r := range row {
		if p.s.Typed.Small {
			r = unicode.ToLower(r)
		}
		f := widget.Face{Name: "letter-" + string(r), Label: string(r)}
		grid.Add(p.k.Key(f, widget.Centre(p.k.Line(f.Label, widget.Style{Type: look.Heading, Bold: true})),
			func() { add(r) }))
	}
	return grid
}

// isLetter reports whether r may be typed.
func isLetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" -.'/", r)
}
