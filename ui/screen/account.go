package screen

import (
	"image/color"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const accountShare = 0.50

// account shows what the holder has, where it is, and what can be done.
func (p *page) account() fyne.CanvasObject {
	info, action := p.columns(accountShare)
	keys := p.accountKeys(action)
	room, words, does := p.bodyHeight(), p.k.Column(5), p.k.Column(8)
	if p.k.Panel.Portrait() {
		room -= keys.MinSize().Height + p.k.MM(8)
		words.Objects = p.notice(info)
	} else { // what it says has less room beside them than the keys
		does.Objects = p.notice(action)
	}
	for _, o := range p.holder(info) {
		words.Add(o)
	}
	words.Add(p.balances(info))
	p.addOpen(words, info, room)
	does.Add(keys)
	return p.split(accountShare, words, does)
}

// balances is the account's balance, and under it what of it is on the card.
func (p *page) balances(width float32) fyne.CanvasObject {
	pad := 5.0
	if p.k.Panel.Portrait() {
		pad = 8
	}
	b, inner := p.v.Balance, width-p.k.MM(2*pad)
	words, figure := p.t.T("account.balance"), widget.Style{Type: p.figure(), Bold: true}
	if b.Account < 0 { // sales made without a network may take it there
		words, figure.Colour = p.t.T("account.owed"), look.Caution
	}
	column := p.k.Column(2.5,
		p.k.Line(words, widget.Style{Type: look.Body, Colour: look.Soft}),
		p.k.Line(text.Amount(b.Account), figure))
	if b.Available < b.Account {
		column.Add(p.k.Text(p.t.T("account.available", "amount", text.Amount(b.Available)),
			widget.Style{Type: look.Small, Colour: look.Soft}, width-p.k.MM(20)))
	}
	if b.Kept > 0 {
		words := p.t.T("account.kept", "amount", text.Amount(b.Kept), "spendable", text.Amount(b.Available-b.Kept))
		column.Add(p.k.Text(words, widget.Style{Type: look.Small, Colour: look.Soft}, width-p.k.MM(20)))
	}
	column.Add(p.k.InsetXY(0, 1.5, p.k.Rule()))
	column.Add(p.pair(inner, p.t.T("account.purse"), text.Amount(b.Purse), look.Ink))
	if b.ToLoad > 0 {
		column.Add(p.pair(inner, p.t.T("account.behind"), text.Amount(b.ToLoad), look.Caution))
	}
	return p.k.Box(look.Surface, look.Line, pad, column)
}

// figure is the size of the one number of a page.
func (p *page) figure() look.Type {
	if p.k.Panel.Portrait() {
		return look.Display
	}
	return look.Figure + 2
}

// pair is a name at the left and its amount at the right, or below it where width
// is too little for both.
func (p *page) pair(width float32, name, value string, ink color.Color) fyne.CanvasObject {
	words := p.k.Line(name, widget.Style{Type: look.Body, Colour: look.Soft})
	amount := p.k.Line(value, widget.Style{Type: look.Lead, Bold: true, Colour: ink, Align: fyne.TextAlignTrailing})
	row := p.k.Row(4, widget.CentreY(words), widget.Spring(), widget.CentreY(amount))
	if row.MinSize().Width > width {
		return p.k.Column(0, words, amount)
	}
	return row
}

// addOpen says of each amount on its way what it is, since when, and what
// happens next. If that needs more than room, it lists them in short.
func (p *page) addOpen(words *fyne.Container, width, room float32) {
	before := len(words.Objects)
	for _, o := range p.v.Open {
		words.Add(p.openItem(o, width))
	}
	few := len(p.v.Open) < 2 && !p.k.Needs.Large
	if few || words.MinSize().Height <= room {
		return
	}
	for n := len(p.v.Open); n > 0; n-- {
		for _, advice := range []bool{true, false} {
			words.Objects = append(words.Objects[:before], p.openList(n, width, advice))
			if words.MinSize().Height <= room {
				return
			}
		}
	}
}

// openWord is how an amount on its way is called and painted.
type openWord struct {
	key  string
	tone look.Tone
	icon string
}

func wordOf(k kiosk.OpenKind) openWord {
	w := openWord{text.Open(k), look.Open, "unknown"}
	switch w.key {
	case "open.late":
		w.tone, w.icon = look.Well, "ok"
	case "open.level":
		w.tone, w.icon = look.Careful, "card"
	}
	return w
}

func (p *page) openItem(o kiosk.Open, width float32) fyne.CanvasObject {
	w := wordOf(o.Kind)
	ink, _ := w.tone.Colours()
	inner := p.k.Room(width)
	words := p.k.Column(1.5,
		p.k.Text(p.t.T(w.key+".title", "amount", text.Amount(o.Amount)),
			widget.Style{Type: look.Body, Bold: true, Colour: ink}, inner),
		p.k.Text(p.t.T(w.key+".body", "since", p.when(o.Since), "place", p.t.Place(o)),
			widget.Style{Type: look.Small, Colour: look.Ink}, inner))
	return p.k.Notice(w.tone, w.icon, words)
}

// openList is the first n amounts on their way in short, and how many more
// there are; advice says what not to do.
func (p *page) openList(n int, width float32, advice bool) fyne.CanvasObject {
	const pad, icon, gap = 6, 11, 5
	inner := width - p.k.MM(2*pad+icon+gap)
	list := p.k.Column(3)
	for _, o := range p.v.Open[:n] {
		w := wordOf(o.Kind)
		ink, _ := w.tone.Colours()
		title := p.k.Text(p.t.T(w.key+".title", "amount", text.Amount(o.Amount)),
			widget.Style{Type: look.Small, Bold: true, Colour: ink}, inner)
		since := p.k.Line(p.t.T("open.since", "since", p.when(o.Since)), widget.Style{Type: look.Small})
		words := p.k.Row(gap, title, widget.Spring(), since)
		if words.MinSize().Width > inner {
			words = p.k.Column(0, title, since)
		}
		sign := p.k.Icon(w.icon, icon, icon, w.tone)
		list.Add(p.k.Row(gap, widget.CentreY(sign), widget.Grow(widget.CentreY(words))))
	}
	if more := len(p.v.Open) - n; more > 0 {
		list.Add(p.k.Text(p.t.T("account.more", "count", more),
			widget.Style{Type: look.Small, Colour: look.Soft}, inner))
	}
	checking := func(o kiosk.Open) bool { return o.Kind == kiosk.TopUpChecking }
	if advice && slices.ContainsFunc(p.v.Open, checking) {
		list.Add(p.k.Text(p.t.T("open.checking.all"), widget.Style{Type: look.Small, Colour: look.Soft},
			width-p.k.MM(2*pad)))
	}
	return p.k.Box(look.Surface, look.Line, pad, list)
}

// accountKeys are what can be done: the next action large, the rest below it.
// Bringing the card level comes first while there is something to bring.
func (p *page) accountKeys(width float32) fyne.CanvasObject {
	size := tileSize{2, width, 22, 4}
	large, next := 28.0, look.Lead
	if p.k.Panel.Portrait() {
		size.height, size.gap = 29, 6
		large, next = 32, look.Heading
	}
	topUp := kiosk.Input{Event: kiosk.ChoseTopUp}
	face := widget.Face{Name: "topup", Label: p.t.T("account.topup"), Icon: "plus", Type: next}
	first := tile{input: topUp, face: face}
	var rest []tile
	if p.v.Balance.ToLoad > 0 {
		words := p.t.T("account.level", "amount", text.Amount(p.v.Balance.ToLoad))
		rest = append(rest, first)
		first = tile{input: kiosk.Input{Event: kiosk.ChoseLevel},
			face: widget.Face{Name: "level", Label: words, Icon: "card", Type: next}}
	}
	rest = append(rest, tile{input: kiosk.Input{Event: kiosk.ChoseCardLog}, face: widget.Face{
		Name: "cardlog", Label: p.t.T("account.cardlog"), Icon: "card"}})
	offered := p.v.Offered()
	if p.k.Density == look.Closest { // there is no room, and Home has the others
		offered = slices.DeleteFunc(offered, func(o kiosk.Offer) bool { return !o.Inside })
	}
	for _, o := range offered {
		t := p.serviceTile(o)
		t.hint = ""
		t.why, _, _ = strings.Cut(t.why, "\n") // since when, in short
		rest = append(rest, t)
	}
	if p.k.Panel.Portrait() && len(rest) > 6 {
		size.columns = 3
	}
	first.face.Type = max(next, p.tileType(rest, size)) // what comes first is not smaller than the rest
	column := p.k.Column(size.gap, p.k.Sized(0, large, p.first(first.input, first.face)), p.tiles(rest, size))
	return widget.Wide(width, column)
}
