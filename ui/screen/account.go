package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const accountShare = 0.54

// openShown is how many lines of open money fit on the page; the account's
// history has them all.
func (p *page) openShown() int {
	if p.k.Panel.Portrait() {
		return 3
	}
	return 1
}

// account shows what the holder has, where it is, and what can be done.
func (p *page) account() fyne.CanvasObject {
	info, action := p.columns(accountShare)
	words := p.k.Column(7, p.notice(info)...)
	for _, o := range p.holder(info) {
		words.Add(o)
	}
	words.Add(p.balances(info))
	if b := p.v.Balance; b.ToLoad > 0 {
		words.Add(p.k.Banner(look.Careful, "card", p.t.T("account.behind", "amount", text.Amount(b.ToLoad)), info))
	}
	for _, o := range p.open(info) {
		words.Add(o)
	}
	return p.split(accountShare, words, p.accountKeys(action))
}

func (p *page) balances(width float32) fyne.CanvasObject {
	b := p.v.Balance
	column := p.k.Column(3,
		p.k.Line(p.t.T("account.balance"), widget.Style{Type: look.Body, Colour: look.Soft}),
		p.k.Line(text.Amount(b.Account), widget.Style{Type: look.Display, Bold: true}))
	if b.Available < b.Account {
		column.Add(p.k.Text(p.t.T("account.available", "amount", text.Amount(b.Available)),
			widget.Style{Type: look.Small, Colour: look.Soft}, width-p.k.MM(20)))
	}
	column.Add(p.k.Gap(1))
	column.Add(p.k.Rule())
	column.Add(p.k.Gap(1))
	column.Add(p.pair(p.t.T("account.purse"), text.Amount(b.Purse), look.Lead))
	return p.k.Box(look.Surface, look.Line, 10, column)
}

// pair is a name at the left and its amount at the right.
func (p *page) pair(name, value string, size look.Type) fyne.CanvasObject {
	return p.k.Row(4,
		widget.CentreY(p.k.Line(name, widget.Style{Type: look.Body, Colour: look.Soft})), widget.Spring(),
		widget.CentreY(p.k.Line(value, widget.Style{Type: size, Bold: true})))
}

// open says of each amount on its way what it is, since when, and what happens
// next.
func (p *page) open(width float32) []fyne.CanvasObject {
	var list []fyne.CanvasObject
	for i, o := range p.v.Open {
		if i == p.openShown() {
			more := p.t.T("account.more", "count", len(p.v.Open)-i)
			list = append(list, p.k.Line(more, widget.Style{Type: look.Small, Colour: look.Soft}))
			break
		}
		list = append(list, p.openItem(o, width))
	}
	return list
}

func (p *page) openItem(o kiosk.Open, width float32) fyne.CanvasObject {
	key, tone, icon := "open.level", look.Careful, "card"
	switch o.Kind {
	case kiosk.TopUpChecking:
		key, tone, icon = "open.checking", look.Open, "unknown"
	case kiosk.TopUpLate:
		key, tone, icon = "open.late", look.Well, "ok"
	case kiosk.LoadDoubt:
		key, tone, icon = "open.doubt", look.Open, "unknown"
	}
	ink, tint := tone.Colours()
	inner := width - p.k.MM(2*6+13+6)
	words := p.k.Column(1.5,
		p.k.Text(p.t.T(key+".title", "amount", text.Amount(o.Amount)),
			widget.Style{Type: look.Body, Bold: true, Colour: ink}, inner),
		p.k.Text(p.t.T(key+".body", "since", p.when(o.Since)),
			widget.Style{Type: look.Small, Colour: look.Ink}, inner))
	return p.k.Box(tint, ink, 6, p.k.Row(6,
		widget.CentreY(p.k.Icon(icon, 13, 13, tone)), widget.Grow(widget.CentreY(words))))
}

// accountKeys are what can be done. Bringing the card level comes first while
// there is something to bring.
func (p *page) accountKeys(width float32) fyne.CanvasObject {
	column := p.k.Column(6)
	topUp := kiosk.Input{Event: kiosk.ChoseTopUp}
	face := widget.Face{Name: "topup", Label: p.t.T("account.topup"), Icon: "topup", Type: look.Heading}
	if p.v.Balance.ToLoad > 0 {
		column.Add(p.k.Sized(0, 32, p.first(kiosk.Input{Event: kiosk.ChoseLevel}, widget.Face{
			Name: "level", Label: p.t.T("account.level"), Icon: "card", Type: look.Heading})))
		column.Add(p.k.Sized(0, 28, p.key(topUp, face)))
	} else {
		column.Add(p.k.Sized(0, 32, p.first(topUp, face)))
	}
	history := p.key(kiosk.Input{Event: kiosk.ChoseHistory}, widget.Face{
		Name: "history", Label: p.t.T("account.history"), Icon: "history"})
	log := p.key(kiosk.Input{Event: kiosk.ChoseCardLog}, widget.Face{
		Name: "cardlog", Label: p.t.T("account.cardlog"), Icon: "card"})
	if p.k.Panel.Portrait() {
		column.Add(p.k.Grid(2, 6, 28, history, log))
	} else {
		column.Add(p.k.Sized(0, 26, history))
		column.Add(p.k.Sized(0, 26, log))
	}
	return widget.Wide(width, column)
}
