package screen

import (
	"image/color"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const amountShare = 0.36

// amount offers sums to top up. One that is not allowed is there all the same,
// with the reason: a key that comes and goes looks broken.
func (p *page) amount() fyne.CanvasObject {
	info, _ := p.columns(amountShare)
	words := p.k.Column(7, p.notice(info)...)
	words.Add(p.title(p.t.T("amount.title"), info))
	words.Add(p.lead(p.t.T("amount.balance", "amount", text.Amount(p.v.Balance.Account)), info))

	columns, height := 2, 46.0
	if !p.k.Panel.Portrait() {
		columns, height = 2, 38
	}
	grid := p.k.Grid(columns, 6, height)
	for _, c := range p.v.Amounts {
		grid.Add(p.choice(c))
	}
	other := p.key(kiosk.Input{Event: kiosk.ChoseOther}, widget.Face{
		Name: "other", Label: p.t.T("amount.other"), Type: look.Heading})
	return p.split(amountShare, words, p.k.Column(6, grid, p.k.Sized(0, 32, other)))
}

func (p *page) choice(c kiosk.Choice) fyne.CanvasObject {
	f := widget.Face{Name: "amount-" + c.Amount.String(), Label: text.Amount(c.Amount), Disabled: !c.Allowed}
	content := p.k.Column(1, p.k.Line(f.Label,
		widget.Style{Type: look.Title, Bold: true, Colour: f.Ink(), Align: fyne.TextAlignCenter}))
	if f.Disabled {
		content.Add(p.k.Line(p.t.T("amount.over"),
			widget.Style{Type: look.Small, Colour: f.Ink(), Align: fyne.TextAlignCenter}))
	}
	return p.k.Key(f, widget.Centre(content), func() {
		p.s.On(kiosk.Input{Event: kiosk.TypedAmount, Amount: c.Amount})
	})
}

// otherSum takes an amount by keys, in whole yuan.
func (p *page) otherSum() fyne.CanvasObject {
	info, _ := p.columns(padShare)
	sum := &p.s.Typed.Sum

	figure := p.k.Line("", widget.Style{Type: look.Display, Bold: true, Align: fyne.TextAlignCenter})
	verdict := p.k.Line("", widget.Style{Type: look.Body, Align: fyne.TextAlignCenter})
	confirm := p.confirmSum(sum)
	show := func() {
		typed := typedSum(*sum)
		figure.Text = text.Amount(typed)
		words, ink := p.verdict(*sum, typed)
		verdict.Text, verdict.Color = words, p.k.Paint(ink)
		confirm.SetDisabled(!p.inRange(typed))
		figure.Refresh()
		verdict.Refresh()
	}
	show()
	pad := p.k.SumPad(sum, p.padKey(), p.padWords(), show)
	p.screen.typeDigit, p.screen.erase = pad.Type, pad.Erase

	words := p.k.Column(7, p.notice(info)...)
	words.Add(p.centred(p.t.T("othersum.title"), look.Title, true, info))
	words.Add(p.k.Box(look.Surface, look.Edge, 8, figure))
	words.Add(verdict)
	if p.k.Panel.Portrait() {
		return p.split(padShare, words, p.k.Column(6, pad.Keys, p.k.Sized(0, 30, confirm)))
	}
	words.Add(p.k.Gap(1))
	words.Add(p.k.Sized(0, 30, confirm))
	return p.split(padShare, words, pad.Keys)
}

func typedSum(sum string) money.Fen { return money.Fen(widget.Yuan(sum)) * money.Yuan }

func (p *page) inRange(f money.Fen) bool {
	return f > 0 && f >= p.v.Range.Min && f <= p.v.Range.Max
}

func (p *page) confirmSum(sum *string) *widget.Button {
	send := func() {
		if f := typedSum(*sum); p.inRange(f) {
			p.s.On(kiosk.Input{Event: kiosk.TypedAmount, Amount: f})
		}
	}
	p.screen.confirm = send
	return p.k.Button(widget.Face{Name: "confirm", Label: p.t.T("othersum.confirm"), Type: look.Heading,
		Rank: widget.Primary}, send)
}

// verdict says what may be typed, and what is wrong with what was.
func (p *page) verdict(sum string, typed money.Fen) (string, color.Color) {
	switch {
	case sum != "" && typed < p.v.Range.Min:
		return p.t.T("othersum.low", "min", text.Amount(p.v.Range.Min)), look.Caution
	case typed > p.v.Range.Max:
		return p.t.T("othersum.high", "max", text.Amount(p.v.Range.Max)), look.Caution
	}
	return p.t.T("othersum.range", "min", text.Amount(p.v.Range.Min), "max", text.Amount(p.v.Range.Max)), look.Soft
}
