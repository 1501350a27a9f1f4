package screen

import (
	"strings"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	desk "quancun/kiosk/dialog"
	"quancun/ui/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const doneShare = 0.60

// done is how it went: what was there, what is there now, and the receipt.
func (p *page) done() fyne.CanvasObject {
	info, action := p.columns(doneShare)
	words := p.k.Column(7, p.notice(info)...)
	title := p.k.Text(p.t.T(p.doneTitle()), widget.Style{Type: look.Title, Bold: true, Colour: look.Good},
		info-p.k.MM(24+6))
	words.Add(widget.CentreX(p.k.Row(6, p.k.Icon("ok", 24, 24, look.Well), widget.CentreY(title))))
	words.Add(p.result(info))
	if !p.v.CardAway {
		words.Add(p.centred(p.t.T("done.card"), look.Lead, false, info))
	}

	more := p.key(kiosk.Input{Event: kiosk.ChoseAccount}, widget.Face{
		Name: "account", Label: p.t.T("done.more"), Icon: "account"})
	p.printKey()
	column := p.k.Column(8, p.receipt(action))
	if beside := words; p.v.Dialog.Printed != desk.NotPrinted {
		width := info
		if p.k.Panel.Portrait() {
			beside, width = column, action
		}
		beside.Add(widget.CentreX(p.onPaper(width)))
	}
	if !p.v.CardAway { // an account is open to whoever has its card there
		column.Add(p.k.Sized(0, 26, more))
	}
	return p.split(doneShare, words, column)
}

func (p *page) doneTitle() string {
	switch {
	case p.v.TopUp.Amount > 0:
		return "done.title"
	case p.v.Load.Amount > 0:
		return "done.title.load"
	default:
		return "done.title.level"
	}
}

// result is what moved, and the balances before and after.
func (p *page) result(width float32) fyne.CanvasObject {
	const pad = 10
	b, loaded, inner := p.v.Balance, p.v.Load.Amount, width-p.k.MM(2*pad)
	column := p.k.Column(4,
		p.k.Line(p.t.T("done.purse"), widget.Style{Type: look.Body, Colour: look.Soft}))
	now := p.k.Line(text.Amount(b.Purse), widget.Style{Type: look.Figure + 3, Bold: true})
	if loaded > 0 {
		before := p.k.Line(text.Amount(b.Purse-loaded), widget.Style{Type: look.Heading, Colour: look.Soft})
		arrow := p.k.Glyph("arrow", 14, widget.Face{})
		column.Add(p.k.Row(6, widget.CentreY(before), widget.CentreY(arrow), widget.CentreY(now)))
	} else {
		column.Add(now)
	}
	column.Add(p.k.Gap(1))
	column.Add(p.k.Rule())
	column.Add(p.k.Gap(1))
	switch {
	case p.v.TopUp.Amount > 0:
		column.Add(p.pair(inner, p.t.T("done.amount"), text.Change(p.v.TopUp.Amount), look.Good))
	case loaded > 0:
		column.Add(p.pair(inner, p.t.T("done.amount.load"), text.Change(loaded), look.Good))
	}
	column.Add(p.pair(inner, p.t.T("done.account"), text.Amount(b.Account), look.Ink))
	return p.k.Box(look.Surface, look.Line, pad, column)
}

// receipt is what the person may take along, or nothing.
func (p *page) receipt(width float32) fyne.CanvasObject {
	r := p.v.Receipt
	if r == (kiosk.Receipt{}) {
		return p.k.Gap(0)
	}
	const size = 84
	line := p.when(r.At)
	if r.Number > 0 {
		line = p.t.T("done.number", "number", r.Number) + "   " + line
	}
	return p.k.Column(4,
		widget.CentreX(p.qr(p.receiptText(), size, width)),
		p.centred(p.t.T("done.receipt"), look.Body, true, width),
		p.centred(line, look.Small, false, width))
}

// printKey has the receipt printed. It is where the page of a bill has it.
func (p *page) printKey() {
	d := p.v.Dialog
	if !d.CanPrint {
		return
	}
	p.footer = append(p.footer, p.key(kiosk.Input{Dialog: desk.Input{No: d.No, Event: desk.PrintIt}}, widget.Face{
		Name: "print", Label: p.t.T("dialog.touch.print"), Icon: "print"}))
}

// onPaper says what has become of printing the receipt, in the words of the page of a
// bill; nil: nothing yet.
func (p *page) onPaper(width float32) fyne.CanvasObject {
	return dialog.OnPaper(p.v.Dialog, dialog.Stage{Texts: p.t, Kit: p.k, Now: p.s.Now, Touch: true}, width)
}

// receiptText is what a phone shows that scans the receipt: words for its owner,
// and the code that proves them to others.
func (p *page) receiptText() string {
	v, r := p.v, p.v.Receipt
	lines := []string{
		p.t.T("receipt.title", "school", p.school()),
		p.t.T("receipt.at", "at", text.Stamp(r.At)),
	}
	if r.OrderNo != "" {
		lines = append(lines, p.t.T("receipt.order", "order", r.OrderNo),
			p.t.T("receipt.topup", "amount", text.Amount(v.TopUp.Amount)))
	}
	if loaded := v.Loaded(); loaded > 0 {
		lines = append(lines, p.t.T("receipt.load", "amount", text.Amount(loaded)))
	}
	balances := "receipt.balances"
	if v.InDoubt() {
		balances = "receipt.balance.account"
	}
	lines = append(lines,
		p.t.T(balances, "account", text.Amount(v.Balance.Account), "purse", text.Amount(v.Balance.Purse)),
		p.t.T("receipt.terminal", "terminal", v.Health.Terminal, "number", r.Number))
	if r.Proof != "" {
		lines = append(lines, r.Proof)
	}
	return strings.Join(lines, "\n")
}
