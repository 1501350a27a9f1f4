package screen

import (
	"strings"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/widget"
)

const padShare = 0.50

// padKey is the height of a pad's key in millimetres: what the panel allows, a
// finger needs, and a hand still spans.
func (p *page) padKey() float64 {
	const least, most, gaps = 20, 41, 3 * 4
	if p.k.Panel.Portrait() {
		return most
	}
	room := float64(p.bodyHeight() / p.k.MM(1))
	return min(most, max(least, (room-gaps)/4))
}

func (p *page) padWords() widget.PadWords {
	return widget.PadWords{Clear: p.t.T("pad.clear"), Erase: p.t.T("pad.erase")}
}

// pin takes the PIN, at first or once more.
func (p *page) pin() fyne.CanvasObject {
	info, _ := p.columns(padShare)
	title, hint := p.t.T("pin.title"), p.t.T("pin.hint")
	if p.v.Step == kiosk.ReenterPIN {
		title, hint = p.t.T("repin.title"), p.t.T("repin.hint")
	}
	pad := p.k.PINPad(&p.s.Typed.PIN, p.padKey(), p.padWords(), func(pin *kiosk.PIN) {
		p.s.On(kiosk.Input{Event: kiosk.Typed, PIN: pin})
	})
	p.screen.typeDigit, p.screen.erase = pad.Type, pad.Erase

	words := p.k.Column(7, p.notice(info)...)
	words.Add(p.centred(title, look.Title, true, info))
	for _, o := range p.holder(info) {
		words.Add(o)
	}
	if p.v.PIN.Wrong {
		words.Add(widget.CentreX(p.k.Banner(look.Careful, "warning", p.triesLeft(), info)))
	} else {
		words.Add(p.centred(hint, look.Body, false, info))
	}
	words.Add(p.k.Gap(2))
	words.Add(widget.CentreX(pad.Dots))
	words.Add(p.centred(p.t.T("pin.auto"), look.Small, false, info))
	return p.split(padShare, words, pad.Keys)
}

func (p *page) triesLeft() string {
	if p.v.PIN.TriesLeft == 1 {
		return p.t.T("pin.wrong.one")
	}
	return p.t.T("pin.wrong", "tries", p.v.PIN.TriesLeft)
}

// holder is whose card this is, masked. Names are set in the regular font:
// the bold one lacks rare characters. A line ends between its parts only.
func (p *page) holder(width float32) []fyne.CanvasObject {
	h := p.v.Holder
	parts := []string{h.Name}
	if h.Number != "" {
		parts = append(parts, p.t.T("holder.number", "number", h.Number))
	}
	if h.Card != "" {
		parts = append(parts, p.t.T("holder.card", "card", h.Card))
	}
	if p.k.Density == look.Closest {
		parts = parts[:1] // there is no room for more
	}
	style := widget.Style{Type: look.Body, Align: fyne.TextAlignCenter}
	column := p.k.Column(0)
	line := p.k.Line("", style)
	for _, part := range parts {
		alone := p.k.Line(part, style)
		joined := p.k.Line(strings.TrimSpace(line.Text+"   "+part), style)
		if joined.MinSize().Width <= width {
			line.Text = joined.Text
			continue
		}
		column.Add(line)
		line = alone
	}
	if column.Add(line); line.Text == "" {
		return nil
	}
	return []fyne.CanvasObject{column}
}
