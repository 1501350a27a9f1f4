package screen

import (
	"fyne.io/fyne/v2"

	"quancun/ui/look"
	"quancun/ui/widget"
)

// atHome is Home as the person needs it, or what asks for that.
func (p *page) atHome() fyne.CanvasObject {
	switch {
	case p.s.Choosing:
		return p.needs()
	case p.k.Needs.Simple:
		return p.simple()
	default:
		return p.home()
	}
}

// needsKey leads from Home to the page that asks what a person needs.
func (p *page) needsKey() *widget.Button {
	return p.k.Button(widget.Face{Name: "access", Label: p.t.T("access"), Icon: "access", Type: look.Body},
		func() { p.s.OnNeeds(p.k.Needs, true) })
}

// need is a row of the page of needs: what it is called, whether it is met now, and
// the needs after a tap on it.
type need struct {
	name string
	met  bool
	then look.Needs
}

func (p *page) allNeeds() []need {
	n := p.k.Needs
	large, contrast, low, unhurried, simple := n, n, n, n, n
	large.Large = !n.Large
	contrast.Contrast = !n.Contrast
	low.Low = !n.Low
	unhurried.Unhurried = !n.Unhurried
	simple.Simple = !n.Simple
	list := []need{{"large", n.Large, large}, {"contrast", n.Contrast, contrast}, {"unhurried", n.Unhurried, unhurried},
		{"simple", n.Simple, simple}}
	if p.s.Speaks {
		spoken := n
		spoken.Spoken = !n.Spoken
		list = append(list, need{"spoken", n.Spoken, spoken})
	}
	if p.k.Panel.Portrait() { // all of a wide panel is low
		list = append(list, need{"low", n.Low, low})
	}
	return list
}

// needs asks what the person needs. What is tapped holds at once, this page
// included, so that everybody sees what it means.
func (p *page) needs() fyne.CanvasObject {
	width := p.width()
	rows := p.k.Column(5)
	for _, n := range p.allNeeds() {
		rows.Add(p.needRow(n, width))
	}
	done := p.k.Button(widget.Face{Name: "done", Label: p.t.T("access.done"), Rank: widget.Primary},
		func() { p.s.OnNeeds(p.k.Needs, false) })
	p.screen.confirm = func() { done.Tapped(nil) }
	p.footer = append(p.footer, p.k.Sized(60, 0, done))
	title := p.k.Column(3, p.centred(p.t.T("access.title"), look.Title, true, width),
		p.centred(p.t.T("access.hint"), look.Body, false, width))
	if p.k.Panel.Portrait() {
		return p.k.Column(8, widget.Grow(widget.CentreY(title)), rows)
	}
	return widget.CentreY(p.k.Column(6, title, rows))
}

// needRow says by a word and a mark, and not by colour alone, whether a need is met.
func (p *page) needRow(n need, width float32) fyne.CanvasObject {
	f := widget.Face{Name: "need-" + n.name, Label: p.t.T("access." + n.name)}
	state := "access.off"
	if n.met {
		f.Rank, state = widget.Primary, "access.on"
	}
	f.Said = f.Label + "，" + p.t.T(state)
	const pad, mark = 8, 13
	word := p.k.Line(p.t.T(state), widget.Style{Type: look.Body, Bold: true, Colour: f.Ink()})
	ring := p.k.Disc(f.Ground(), f.Ink(), 0.8)
	sign := p.k.Sized(mark, mark, ring)
	if n.met {
		sign.Add(p.k.Inset(2, p.k.Glyph("check", mark-4, f)))
	}
	room := width - word.MinSize().Width - p.k.MM(2*pad+mark+2*pad)
	words := p.k.Column(1,
		p.k.Line(f.Label, widget.Style{Type: look.Lead, Bold: true, Colour: f.Ink()}),
		p.k.Text(p.t.T("access."+n.name+".hint"), widget.Style{Type: look.Small, Colour: f.Ink()}, room))
	content := p.k.InsetXY(pad, 3, p.k.Row(pad, widget.CentreY(sign), widget.Grow(widget.CentreY(words)),
		widget.CentreY(word)))
	return p.k.Key(f, content, func() { p.s.OnNeeds(n.then, true) })
}

// simple is Home with three keys: money onto the card, what is on it, and the way
// to everything else.
func (p *page) simple() fyne.CanvasObject {
	topUp, account := p.topUpTile(), p.accountTile()
	more := tile{face: widget.Face{Name: "more", Label: p.t.T("home.more"), Icon: "menu"}}
	all := p.k.Needs
	all.Simple = false
	keys := p.k.Column(9,
		p.simpleKey(topUp, func() { p.s.On(topUp.input) }),
		p.simpleKey(account, func() { p.s.On(account.input) }),
		p.simpleKey(more, func() { p.s.OnNeeds(all, false) }))
	title := p.centred(p.t.T("home.hint"), look.Heading, true, p.width())
	if why := p.outage(); why != "" { // no card is asked for that cannot be read
		title = p.outageBox(why, p.width())
	}
	if p.k.Panel.Portrait() {
		return p.k.Column(8, widget.Grow(widget.CentreY(title)), keys)
	}
	return widget.CentreY(p.k.Column(8, title, keys))
}

// simpleKey is a service in one word, and why it cannot work now if it cannot.
func (p *page) simpleKey(t tile, onTap func()) fyne.CanvasObject {
	f := t.face
	f.Disabled = t.why != ""
	const side, pad, height = 30.0, 8.0, 46.0
	words := p.k.Column(1, p.k.Line(f.Label, widget.Style{Type: look.Figure, Bold: true, Colour: f.Ink()}))
	if f.Disabled {
		words.Add(p.k.Text(t.why, widget.Style{Type: look.Body, Colour: f.Ink()}, p.width()-p.k.MM(side+3*pad)))
	}
	row := p.k.Row(pad, widget.CentreY(p.k.Glyph(f.Icon, side, f)), widget.Grow(widget.CentreY(words)))
	return p.k.Sized(0, height, p.k.Key(f, p.k.InsetXY(pad, 4, row), onTap))
}
