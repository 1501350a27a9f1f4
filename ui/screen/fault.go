package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// fault is what went wrong, what to do, and where the money is: unless the code
// says otherwise none has moved.
func (p *page) fault() fyne.CanvasObject {
	title, advice := p.t.Fault(p.v.Fault)
	m := message{picture: "attention", tone: look.Careful, title: title, body: advice}
	if refusal(p.v.Fault) {
		m.picture, m.tone = "refusal", look.Wrong
	}
	m.more = func(width float32) []fyne.CanvasObject {
		tone, icon, words := look.Well, "ok", p.t.T(text.Where(p.v.Fault))
		if text.Where(p.v.Fault) == "fault.open" {
			tone, icon = look.Open, "unknown"
		}
		return []fyne.CanvasObject{p.across(p.k.Banner(tone, icon, words, width)), p.reference(width)}
	}
	return p.message(m)
}

// refusal reports whether a code is a final no to this card, and not a mishap
// that another try may mend.
func refusal(c kiosk.Code) bool {
	switch c {
	case kiosk.CodeHot, kiosk.CodeKept, kiosk.CodeRetired, kiosk.CodeExpired, kiosk.CodeNotGenuine, kiosk.CodePINLocked,
		kiosk.CodeCardPINLock:
		return true
	}
	return false
}

// reference is what a person reads out on the telephone.
func (p *page) reference(width float32) fyne.CanvasObject {
	words := p.t.T("terminal", "id", p.v.Health.Terminal)
	if p.s.Phone != "" {
		words += "   " + p.t.T("phone", "phone", p.s.Phone)
	}
	column := p.k.Column(2)
	if p.v.Fault != 0 {
		column.Add(p.k.Line(p.t.T("fault.code", "code", text.Code(p.v.Fault)),
			widget.Style{Type: look.Heading, Bold: true, Align: p.align()}))
	}
	column.Add(p.k.Text(words, widget.Style{Type: look.Body, Colour: look.Soft, Align: p.align()}, width))
	return column
}

// outOfOrder is the page of a machine that takes nobody's money.
func (p *page) outOfOrder() fyne.CanvasObject {
	m := message{picture: "closed", tone: look.Careful}
	m.title, m.body = p.t.T("outoforder.title"), p.t.T("outoforder.body")
	m.more = func(width float32) []fyne.CanvasObject {
		var list []fyne.CanvasObject
		if p.v.Fault != 0 {
			title, _ := p.t.Fault(p.v.Fault)
			list = append(list, p.across(p.k.Banner(look.Careful, "warning", title, width)))
		}
		return append(list, p.reference(width))
	}
	return p.message(m)
}

// onAccount says that the money is safe, why it is not on the card, and how it
// gets there.
func (p *page) onAccount() fyne.CanvasObject {
	body := p.t.T("onaccount.body.none")
	if sum := max(p.v.Load.Amount, p.v.TopUp.Amount, p.v.Balance.ToLoad); sum > 0 {
		body = p.t.T("onaccount.body", "amount", text.Amount(sum))
		if p.v.InDoubt() {
			body = p.t.T("onaccount.body.doubt", "amount", text.Amount(sum))
		}
	}
	m := message{picture: "account-safe", title: p.t.T("onaccount.title"), body: body, more: p.onAccountMore}
	p.printKey()
	if p.paperBelow() {
		m.below = p.onPaper
	}
	if p.v.Receipt != (kiosk.Receipt{}) {
		m.take = p.receipt
	}
	return p.message(m)
}

// onAccountMore is why, what to do now, and what has become of printing the receipt.
func (p *page) onAccountMore(width float32) []fyne.CanvasObject {
	more := p.onAccountWhy(width)
	if p.v.Dialog.Printed != dialog.NotPrinted && !p.paperBelow() {
		more = append(more, p.across(p.onPaper(width)))
	}
	return more
}

// paperBelow reports whether there is no room beside the receipt to say what has become
// of printing it.
func (p *page) paperBelow() bool {
	return p.v.Dialog.Printed != dialog.NotPrinted && p.k.Density == look.Closest && !p.k.Panel.Portrait()
}

func (p *page) onAccountWhy(width float32) []fyne.CanvasObject {
	if p.v.Fault == 0 {
		return []fyne.CanvasObject{p.across(p.k.Banner(look.Neutral, "card", p.t.T("onaccount.next"), width))}
	}
	tone, icon := look.Careful, "warning"
	if p.v.InDoubt() {
		tone, icon = look.Open, "unknown"
	}
	title, advice := p.t.Fault(p.v.Fault)
	ink, _ := tone.Colours()
	inner := p.k.Room(width)
	words := p.k.Column(2,
		p.k.Text(title, widget.Style{Type: look.Lead, Bold: true, Colour: ink}, inner),
		p.k.Text(advice, widget.Style{Type: look.Body}, inner))
	return []fyne.CanvasObject{p.across(p.k.Notice(tone, icon, words)), p.reference(width)}
}
