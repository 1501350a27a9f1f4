package screen

import (
	"strings"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// rowsMax is how many lines fit on a page of every panel: a card keeps ten.
const rowsMax = 10

// cardLog is the card's own log.
func (p *page) cardLog() fyne.CanvasObject {
	page := p.k.Column(5, p.notice(p.width())...)
	if p.k.Panel.Portrait() {
		page.Add(p.k.Gap(3))
	}
	page.Add(p.k.Line(p.t.T("cardlog.title"), widget.Style{Type: look.Heading, Bold: true}))
	page.Add(p.rows(p.width()))
	return page
}

// rows is a table of movements.
func (p *page) rows(width float32) fyne.CanvasObject {
	if len(p.v.Log.Movements) == 0 {
		words := "cardlog.empty"
		switch {
		case p.v.Log.Read:
		case p.v.Step == kiosk.CardOnly:
			words = "cardlog.closed"
		default:
			words = "cardlog.asking"
		}
		return p.k.InsetXY(0, 30, p.centred(p.t.T(words), look.Lead, false, width))
	}
	table := p.k.Column(0)
	inner := width - p.k.MM(12)
	for i, m := range p.v.Log.Movements[:min(p.rowsMost(), len(p.v.Log.Movements))] {
		if i > 0 {
			table.Add(p.k.Rule())
		}
		table.Add(p.row(m, inner))
	}
	return p.k.Box(look.Surface, look.Line, 0.4, p.k.InsetXY(5.6, 1, table))
}

// Widths of the columns of a table, in millimetres, for its ordinary type.
const (
	whenWidth   = 48.0
	amountWidth = 40.0
	whatLeast   = 40.0
)

func (p *page) row(m kiosk.Movement, width float32) fyne.CanvasObject {
	const gap = 4
	larger := float64(p.k.Needs.Type(look.Small, p.k.Density) / look.Small)
	small := widget.Style{Type: look.Small, Colour: look.Soft}
	right := widget.Style{Type: look.Body, Bold: true, Align: fyne.TextAlignTrailing}
	if m.Amount > 0 {
		right.Colour = look.Good
	}
	what := p.what(m)
	when := p.k.Line(p.when(m.At), small)
	change := p.k.Line(text.Change(m.Amount), right)
	room := width - p.k.MM((whenWidth+amountWidth)*larger+2*gap)
	if room < p.k.MM(whatLeast) { // type is large: what above when
		room = width - change.MinSize().Width - p.k.MM(gap)
		words := p.k.Fitting(room, widget.Style{Type: look.Small}, what...)
		return p.k.Row(gap, widget.Grow(p.k.Column(0, words, when)), widget.CentreY(change))
	}
	row := p.k.Row(gap, p.k.Sized(whenWidth*larger, 0, widget.CentreY(when)),
		widget.Grow(widget.CentreY(p.k.Fitting(room, widget.Style{Type: look.Small}, what...))),
		p.k.Sized(amountWidth*larger, 0, widget.CentreY(change)))
	return p.k.Sized(0, p.rowHeight(), row)
}

// what says what m was and at which machine: where there is little room, by the end of
// that machine's number, which tells it from others, or not at all.
func (p *page) what(m kiosk.Movement) []string {
	kind := p.t.T(p.t.Moved(m.Kind))
	if m.Place == "" {
		return []string{kind}
	}
	return []string{kind + "  " + m.Place, kind + "  " + strings.TrimLeft(m.Place, "0"), kind}
}

// rowsMost is how many lines are shown; beside the balance of a card in large type
// there is room for the latest ones only.
func (p *page) rowsMost() int {
	if p.v.Step == kiosk.CardOnly && p.k.Needs.Large && !p.k.Panel.Portrait() {
		return rowsMax / 2
	}
	return rowsMax
}

// rowHeight lets the rows of a page fill the panel, within reason.
func (p *page) rowHeight() float64 {
	const least, most, others = 15.6, 24, 34 // millimetres; others: title and pager
	if p.v.Step == kiosk.CardOnly {
		return least
	}
	room := float64(p.bodyHeight()/p.k.MM(1)) - others
	return min(most, max(least, room/float64(max(1, len(p.v.Log.Movements)))))
}

const cardOnlyShare = 0.40

// cardOnly is what the card says while nobody can be asked.
func (p *page) cardOnly() fyne.CanvasObject {
	info, action := p.columns(cardOnlyShare)
	words := p.k.Column(7, p.notice(info)...)
	for _, o := range p.holder(info) {
		words.Add(o)
	}
	words.Add(p.k.Box(look.Surface, look.Line, 10, p.k.Column(3,
		p.k.Line(p.t.T("cardonly.title"), widget.Style{Type: look.Body, Colour: look.Soft}),
		p.k.Line(text.Amount(p.v.Balance.Purse), widget.Style{Type: look.Figure + 2, Bold: true}))))
	words.Add(p.k.Banner(look.Careful, "warning", p.t.T("cardonly.body"), info))
	log := p.k.Column(4,
		p.k.Line(p.t.T("cardonly.log"), widget.Style{Type: look.Body, Bold: true}),
		p.rows(action))
	return p.split(cardOnlyShare, words, log)
}
