package dialog

import (
	"cmp"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// countDigits is how many digits a number of notes may have.
const countDigits = 4

// pieces counts notes and coins: a row for each, of which one is typed into.
// Enter goes to the next and, from the last, sends.
func (p *page) pieces() fyne.CanvasObject {
	typed := p.s.Typed
	if len(typed.Counts) != len(p.q.Pieces) {
		typed.Counts = make([]string, len(p.q.Pieces))
	}
	says, _ := p.columns(padShare)
	last := len(p.q.Pieces) - 1
	to := func(row int) {
		if row >= 0 && row <= last {
			typed.Row = row
			p.s.Redraw()
		}
	}
	send := func() { p.answer(dialog.Answer{Pieces: p.counted()}) }
	total := p.k.Line(text.Amount(p.total()), widget.Style{Type: look.Figure, Bold: true})
	beside := 2
	if len(p.q.Pieces) > 8 { // every kind of coin, too
		beside = 3
	}
	grid := p.k.Grid(beside, 3, 0)
	var now *canvas.Text // the count that is typed
	for i := range p.q.Pieces {
		key, count := p.piece(i, func() { to(i) })
		grid.Add(key)
		if i == typed.Row {
			now = count
		}
	}
	pad := p.k.NumberPad(&typed.Counts[typed.Row], p.padKey(1), p.padWords(), func() {
		now.Text, total.Text = times(typed.Counts[typed.Row]), text.Amount(p.total())
		now.Refresh()
		total.Refresh()
	})
	pad.Length = countDigits
	p.out.Type = func(r rune) {
		if r >= '0' && r <= '9' {
			pad.Type(byte(r))
		}
	}
	p.out.Erase = pad.Erase
	p.out.Turn = func(by int) { to(typed.Row + by) }
	done := p.first(p.t.T("dialog.done"), send)
	next := p.k.Button(widget.Face{Name: "next-row", Label: p.t.T("dialog.next.row"), Icon: "next", After: true},
		func() { to((typed.Row + 1) % (last + 1)) })
	if typed.Row < last {
		p.out.Confirm = func() { to(typed.Row + 1) }
	}
	sum := p.k.Box(look.Surface, look.Line, 4, p.k.Row(5,
		widget.CentreY(p.k.Line(p.t.T("dialog.total"), widget.Style{Type: look.Lead, Colour: look.Soft})),
		widget.Spring(), total))
	keys := p.k.Grid(2, padGap, p.doneHeight(), next, done)
	return p.split(padShare, p.k.Column(4, p.heading(says), grid, sum), p.k.Column(padGap, pad.Keys, keys))
}

// piece is the row of a note or coin, and its count, which is typed into if it is
// the row of now.
func (p *page) piece(i int, choose func()) (fyne.CanvasObject, *canvas.Text) {
	f := widget.Face{Name: "piece-" + strconv.Itoa(i), Label: worth(p.q.Pieces[i])}
	if i == p.s.Typed.Row {
		f.Rank = widget.Primary
	}
	large, small := look.Lead, look.Lead
	if len(p.q.Pieces) > 8 { // in three columns
		large, small = look.Body, look.Small
	}
	name := p.k.Line(f.Label, widget.Style{Type: large, Bold: true, Colour: f.Ink()})
	count := p.k.Line(times(p.s.Typed.Counts[i]), widget.Style{Type: small, Colour: f.Ink()})
	return p.k.Key(f, p.k.InsetXY(4, 0, p.k.Row(3, widget.CentreY(name), widget.Spring(), widget.CentreY(count))),
		choose), count
}

// times is how often there is a note.
func times(count string) string { return "× " + cmp.Or(count, "0") }

// worth names a note or coin: "¥100", "¥0.50".
func worth(f money.Fen) string { return strings.TrimSuffix(text.Amount(f), ".00") }

// counted is what was typed. What was left out is none.
func (p *page) counted() []int64 {
	all := make([]int64, len(p.s.Typed.Counts))
	for i, c := range p.s.Typed.Counts {
		all[i] = widget.Yuan(c)
	}
	return all
}

func (p *page) total() (sum money.Fen) {
	for i, n := range p.counted() {
		sum += money.Fen(n) * p.q.Pieces[i]
	}
	return sum
}
