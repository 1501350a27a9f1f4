package screen

import (
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const payShare = 0.48

// pay shows the QR code, what is paid, how, and how long it may be.
func (p *page) pay() fyne.CanvasObject {
	info, action := p.columns(payShare)
	code := p.qr(p.v.TopUp.QR, p.paySize(), info)
	title := p.title(p.t.T("pay.title"), action)
	sum := p.k.Line(text.Amount(p.v.TopUp.Amount), widget.Style{Type: p.figure() + 1, Bold: true, Align: p.align()})
	left := widget.CentreX(p.payLeft())
	steps := p.k.Numbered([]string{p.t.T("pay.step.1"), p.t.T("pay.step.2"), p.t.T("pay.step.3")}, action)
	words := p.t.T("pay.card")
	if p.v.Notice == kiosk.CardLeftPay {
		words = p.t.T("notice.5")
	}
	card := p.across(p.k.Banner(look.Neutral, "card", words, action))
	order := p.k.Line(p.t.T("pay.order", "order", tail(p.v.TopUp.OrderNo)),
		widget.Style{Type: look.Small, Colour: look.Soft})

	if p.k.Panel.Portrait() {
		return p.k.Column(6, widget.Spring(), title, sum, widget.CentreX(code), left, widget.Spring(),
			widget.CentreX(steps), p.k.Gap(1), card, widget.CentreX(order))
	}
	return p.split(payShare,
		p.k.Column(4, widget.CentreX(code), left),
		p.k.Column(4.5, title, sum, steps, p.k.Gap(1), card, order))
}

// paySize is how large the QR code is, in millimetres.
func (p *page) paySize() float64 {
	if p.k.Panel.Portrait() {
		return 156
	}
	return 134
}

// payLeft counts down how long the code is good.
func (p *page) payLeft() fyne.CanvasObject {
	words := func(now time.Time) string {
		ends := p.v.TopUp.Expires
		if e := p.screen.view.Ends; ends.IsZero() || !e.IsZero() && e.Before(ends) {
			ends = e
		}
		return p.t.T("pay.left", "seconds", secondsLeft(ends, now))
	}
	line := p.k.Line(words(p.s.Now), widget.Style{Type: look.Lead, Bold: true, Align: fyne.TextAlignCenter})
	p.tick(line, words)
	return line
}

// qr is a QR code. Content that no code can carry is shown as its words, so
// that nothing is lost.
func (p *page) qr(content string, size float64, width float32) fyne.CanvasObject {
	code, err := p.k.QR(content, size)
	if err != nil {
		return p.k.Text(content, widget.Style{Type: look.Small}, width)
	}
	return code
}

// loading is the page while the card is written. It has no key.
func (p *page) loading() fyne.CanvasObject {
	title := p.t.T("loading.amount.none")
	if p.v.Load.Amount > 0 {
		title = p.t.T("loading.amount", "amount", text.Amount(p.v.Load.Amount))
	}
	return p.message(message{
		picture: "card-stays", title: p.t.T("loading.title"), body: title,
		more: func(width float32) []fyne.CanvasObject {
			stages := p.k.Stages([]string{p.t.T("loading.1"), p.t.T("loading.2"), p.t.T("loading.3")},
				int(p.v.Load.Stage-kiosk.LoadAsking), min(width, p.k.MM(200)))
			if p.k.Panel.Portrait() {
				stages = widget.CentreX(stages)
			}
			return []fyne.CanvasObject{p.k.Gap(4), stages}
		}})
}
