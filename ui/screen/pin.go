package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/widget"
)

const padShare = 0.50

// padKey is the height of a pad's key in millimetres.
func (p *page) padKey() float64 {
	if p.k.Panel.Portrait() {
		return 42
	}
	return 40
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
// the bold one lacks rare characters.
func (p *page) holder(width float32) []fyne.CanvasObject {
	h := p.v.Holder
	if h == (kiosk.Holder{}) {
		return nil
	}
	words := h.Name
	for _, part := range []struct{ key, value string }{
		{"holder.number", h.Number}, {"holder.card", h.Card},
	} {
		if part.value != "" {
			words += "   " + p.t.T(part.key, part.key[len("holder."):], part.value)
		}
	}
	return []fyne.CanvasObject{p.k.Text(words, widget.Style{Type: look.Body, Align: fyne.TextAlignCenter}, width)}
}
