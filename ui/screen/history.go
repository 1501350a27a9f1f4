package screen

import (
	"fmt"
	"slices"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// rowsMax is how many lines fit on a page of every panel: a card keeps ten.
const rowsMax = 10

// history is a page of movements of the account, or the card's own log.
func (p *page) history() fyne.CanvasObject {
	title, event := "history.title", kiosk.ChoseHistory
	if p.v.Step == kiosk.CardLog {
		title, event = "cardlog.title", kiosk.ChoseCardLog
	}
	page := p.k.Column(5, p.notice(p.width())...)
	if p.k.Panel.Portrait() {
		page.Add(p.k.Gap(3))
	}
	page.Add(p.k.Line(p.t.T(title), widget.Style{Type: look.Heading, Bold: true}))
	page.Add(p.rows(p.width(), p.v.Step == kiosk.History))
	if p.v.Page.Count > 1 {
		if pager := p.pager(event); p.k.Panel.Portrait() {
			page.Add(widget.Spring())
			page.Add(widget.CentreX(pager))
		} else {
			p.footer = append(p.footer, pager)
		}
	}
	return page
}

// pager turns pages by asking for another one.
func (p *page) pager(event kiosk.Event) fyne.CanvasObject {
	v := p.v.Page
	return p.k.Pager(widget.Pager{
		Number: v.Number, Count: v.Count,
		Previous: p.t.T("page.previous"), Next: p.t.T("page.next"),
		Words:  p.t.T("page.of", "number", v.Number+1, "count", v.Count),
		OnTurn: func(n int) { p.s.On(kiosk.Input{Event: event, Page: n}) },
	})
}

// rows is a table of movements; balances tells whether they say what was there
// after each.
func (p *page) rows(width float32, balances bool) fyne.CanvasObject {
	if len(p.v.Page.Movements) == 0 {
		words := "history.empty"
		if p.v.Page.Count == 0 {
			words = "history.asking"
		}
		return p.k.InsetXY(0, 30, p.centred(p.t.T(words), look.Lead, false, width))
	}
	table := p.k.Column(0)
	inner := width - p.k.MM(12)
	for i, m := range p.v.Page.Movements[:min(p.rowsMost(), len(p.v.Page.Movements))] {
		if i > 0 {
			table.Add(p.k.Rule())
		}
		table.Add(p.row(m, inner, balances))
	}
	return p.k.Box(look.Surface, look.Line, 0.4, p.k.InsetXY(5.6, 1, table))
}

// Widths of the columns of a table, in millimetres, for its ordinary type.
const (
	whenWidth    = 48.0
	amountWidth  = 40.0
	balanceWidth = 44.0
	whatLeast    = 40.0
)

func (p *page) row(m kiosk.Movement, width float32, balances bool) fyne.CanvasObject {
	const gap = 4
	larger := float64(p.k.Needs.Type(look.Small, p.k.Density) / look.Small)
	small := widget.Style{Type: look.Small, Colour: look.Soft}
	right := widget.Style{Type: look.Body, Bold: true, Align: fyne.TextAlignTrailing}
	if m.Amount > 0 {
		right.Colour = look.Good
	}
	what := p.t.T(movedKey(m.Kind))
	if m.Place != "" {
		what += "  " + m.Place
	}
	when := p.k.Line(p.when(m.At), small)
	change := p.k.Line(text.Change(m.Amount), right)
	columns := (whenWidth+amountWidth)*larger + 2*gap
	balance := p.k.Line("", small)
	if balances {
		small.Align = fyne.TextAlignTrailing
		balance = p.k.Line(text.Amount(m.Balance), small)
		columns += balanceWidth*larger + gap
	}
	room := width - p.k.MM(columns)
	if room < p.k.MM(whatLeast) { // type is large: what above when, and the amounts as well
		room = width - max(change.MinSize().Width, balance.MinSize().Width) - p.k.MM(gap)
		words := p.k.Clipped(what, widget.Style{Type: look.Small}, room)
		return p.k.Row(gap, widget.Grow(p.k.Column(0, words, when)), p.k.Column(0, change, balance))
	}
	row := p.k.Row(gap, p.k.Sized(whenWidth*larger, 0, widget.CentreY(when)),
		widget.Grow(widget.CentreY(p.k.Clipped(what, widget.Style{Type: look.Small}, room))),
		p.k.Sized(amountWidth*larger, 0, widget.CentreY(change)))
	if balances {
		row.Add(p.k.Sized(balanceWidth*larger, 0, widget.CentreY(balance)))
	}
	return p.k.Sized(0, p.rowHeight(), row)
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
	return min(most, max(least, room/float64(max(1, len(p.v.Page.Movements)))))
}

// movedKey is the word for a kind of movement; one that this program does not
// know yet is called other.
func movedKey(k kiosk.MovementKind) string {
	if !slices.Contains(movedKinds, k) {
		k = kiosk.MovedOther
	}
	return fmt.Sprintf("moved.%d", k)
}

var movedKinds = []kiosk.MovementKind{
	kiosk.MovedTopUp, kiosk.MovedLoad, kiosk.MovedRefund, kiosk.MovedPurchase, kiosk.MovedOpening,
	kiosk.MovedChecking, kiosk.MovedChecked, kiosk.MovedCash, kiosk.MovedPaidOut, kiosk.MovedFee,
	kiosk.MovedCorrection, kiosk.MovedBill, kiosk.MovedBath,
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
		p.rows(action, false))
	return p.split(cardOnlyShare, words, log)
}
