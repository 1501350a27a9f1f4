package till

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ui/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// message is a page that says one thing: a picture, a title, and what it means.
type message struct {
	picture     string
	tone        look.Tone
	title, body string
}

func (p *page) message(m message, more ...fyne.CanvasObject) fyne.CanvasObject {
	width := p.width()
	side := 100.0
	if p.k.Panel.Portrait() {
		side = 160
	}
	column := p.k.Column(7, widget.CentreX(p.k.Icon(m.picture, side, side*3/4, m.tone)))
	if n := p.notice(width); n != nil {
		column.Add(n)
	}
	column.Add(p.text(m.title, look.Title, true, width))
	column.Add(p.text(m.body, look.Lead, false, width))
	for _, o := range more {
		column.Add(o)
	}
	return widget.CentreY(column)
}

// locked asks for a cashier.
func (p *page) locked() fyne.CanvasObject {
	var more []fyne.CanvasObject
	if p.v.Fault != 0 {
		title, advice := p.t.Fault(p.v.Fault)
		words := p.k.Column(1,
			p.k.Text(title+"  "+text.Code(p.v.Fault), widget.Style{Type: look.Lead, Bold: true, Colour: look.Caution},
				p.k.Room(p.width())),
			p.k.Text(advice, widget.Style{Type: look.Body}, p.k.Room(p.width())))
		more = append(more, widget.CentreX(p.k.Notice(look.Careful, "warning", words)))
	}
	return p.message(message{picture: "card-on-reader", title: p.t.T("till.locked"), body: p.t.T("till.locked.body")},
		more...)
}

// working says what the till is doing while everybody can only wait.
func (p *page) working() fyne.CanvasObject {
	m, key := message{}, ""
	switch p.v.Step {
	case till.ReadingStaff, till.Looking:
		m.picture, key = "card-stays", "till.reading"
	case till.SigningIn, till.CheckingPIN:
		m.picture, key = "lock", "till.checkingpin"
	case till.Selling:
		m.picture, key = "card-stays", "till.selling"
	case till.Levelling:
		m.picture, key = "card-stays", "till.levelling"
	case till.Settling:
		m.picture, m.tone, key = "checking", look.Open, "till.settling"
	case till.Paying:
		m.picture, key = "phone-scan", "till.paying"
	case till.Querying:
		m.picture, m.tone, key = "checking", look.Open, "till.querying"
	}
	m.title, m.body = p.t.T(key, "amount", text.Amount(p.v.Amount)), p.t.T(key+".body")
	return p.message(m)
}

// outOfOrder is the page of a till that takes nobody's money.
func (p *page) outOfOrder() fyne.CanvasObject {
	title, _ := p.t.Fault(p.v.Fault)
	m := message{picture: "closed", tone: look.Careful}
	m.title, m.body = p.t.T("outoforder.title"), p.t.T("till.outoforder")
	return p.message(m,
		widget.CentreX(p.k.Banner(look.Careful, "warning", title, p.width())), widget.CentreX(p.code(p.width())))
}

const pinShare = 0.50

// pin takes a PIN: the cashier's, or the holder's.
func (p *page) pin() fyne.CanvasObject {
	if p.v.Step == till.EnterPIN && !p.v.Pad.OnPanel() {
		return p.holderPIN()
	}
	says, _ := p.columns(pinShare)
	words := widget.PadWords{Clear: p.t.T("pad.clear"), Erase: p.t.T("pad.erase")}
	pad := p.k.PINPad(&p.s.Typed.PIN, p.padKey(0), words,
		func(pin *kiosk.PIN) { p.s.On(till.Input{Event: till.Typed, PIN: pin}) })
	p.screen.typeRune = func(r rune) {
		if r >= '0' && r <= '9' {
			pad.Type(byte(r))
		}
	}
	p.screen.erase = pad.Erase
	column := p.asksPIN(says)
	if notice := dialog.PadNotice(p.k, p.t, p.v.Pad, says); notice != nil {
		column.Add(notice)
	} else {
		column.Add(p.k.Gap(2))
	}
	column.Add(widget.CentreX(pad.Dots))
	column.Add(p.text(p.t.T("pin.auto"), look.Small, false, says))
	return p.split(pinShare, widget.CentreY(column), widget.CentreY(pad.Keys))
}

// holderPIN takes the holder's PIN from the pad on their side of the counter. The
// cashier can do nothing but cancel.
func (p *page) holderPIN() fyne.CanvasObject {
	column := p.asksPIN(p.width())
	part := dialog.NewHolderPad(p.k, p.t, p.v.Pad, p.width())
	p.screen.dots = part.Show
	column.Objects = append(column.Objects, part.Objects...)
	return widget.CentreY(column)
}

// asksPIN says whose PIN is asked for and why, or that it was wrong.
func (p *page) asksPIN(width float32) *fyne.Container {
	title, hint := p.t.T("till.pin"), p.t.T("till.pin.body", "amount", text.Amount(p.v.Amount))
	switch {
	case p.v.Step == till.StaffPIN:
		title, hint = p.t.T("till.staffpin"), p.t.T("till.staffpin.body")
	case p.v.PIN.Level:
		hint = p.t.T("till.pin.level", "amount", text.Amount(p.v.Amount))
	}
	if p.v.Pad.There {
		title = p.t.T("pinpad.title")
	}
	column := p.k.Column(7, p.text(title, look.Title, true, width))
	if name := p.v.Holder.Name; name != "" {
		column.Add(p.k.Line(name, widget.Style{Type: look.Lead, Align: fyne.TextAlignCenter}))
	}
	if !p.v.PIN.Wrong {
		column.Add(p.text(hint, look.Body, false, width))
		return column
	}
	left := p.t.T("pin.wrong", "tries", p.v.PIN.TriesLeft)
	if p.v.PIN.TriesLeft == 1 {
		left = p.t.T("pin.wrong.one")
	}
	column.Add(widget.CentreX(p.k.Banner(look.Careful, "warning", left, width)))
	return column
}
