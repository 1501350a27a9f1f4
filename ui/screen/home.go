package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

const homeShare = 0.42

// home is the page that waits for a person.
func (p *page) home() fyne.CanvasObject {
	info, action := p.columns(homeShare)
	topUp, account := p.services()
	tiles := p.k.Column(9, p.tile(topUp, action), p.tile(account, action))
	words := p.k.Column(6,
		widget.CentreX(p.homePicture()), p.k.Gap(4),
		p.centred(p.t.T("home.title"), look.Title, true, info),
		p.centred(p.t.T("home.hint"), look.Lead, false, info))
	return p.split(homeShare, words, tiles)
}

func (p *page) homePicture() fyne.CanvasObject {
	if p.k.Panel.Portrait() {
		return p.k.Icon("card-on-reader", 148, 111, look.Neutral)
	}
	return p.k.Icon("card-on-reader", 108, 81, look.Neutral)
}

func (p *page) centred(words string, size look.Type, bold bool, width float32) fyne.CanvasObject {
	s := widget.Style{Type: size, Bold: bold, Align: fyne.TextAlignCenter}
	if !bold {
		s.Colour = look.Soft
	}
	return p.k.Text(words, s, width)
}

// tile is a service on the home page.
type tile struct {
	input kiosk.Event
	face  widget.Face
	hint  string
	why   string // it cannot work now; "": it can
}

// services are the tiles as they stand now. One that cannot work is there all
// the same and says why and since when.
func (p *page) services() (topUp, account tile) {
	h := p.v.Health
	topUp = tile{kiosk.ChoseTopUp, widget.Face{Name: "topup", Label: p.t.T("home.topup"), Icon: "topup",
		Rank: widget.Primary}, p.t.T("home.topup.hint"), ""}
	account = tile{kiosk.ChoseAccount, widget.Face{Name: "account", Label: p.t.T("home.account"), Icon: "account"},
		p.t.T("home.account.hint"), ""}
	switch {
	case !h.Reader:
		topUp.why, account.why = p.t.T("home.noreader"), p.t.T("home.noreader")
	case !h.Upstream:
		topUp.why = p.t.T("home.offline")
		if !h.Since.IsZero() {
			since := text.Clock(h.Since.In(p.s.Now.Location()))
			if p.s.Now.Sub(h.Since).Hours() >= 12 {
				since = p.when(h.Since)
			}
			topUp.why += "\n" + p.t.T("home.since", "time", since)
		}
		account.hint = p.t.T("home.account.offline")
	}
	return topUp, account
}

func (p *page) tile(t tile, width float32) fyne.CanvasObject {
	f := t.face
	hint, hintInk := t.hint, look.Soft
	f.Disabled = t.why != ""
	switch {
	case f.Disabled:
		hint, hintInk = t.why, look.OffInk
	case f.Rank == widget.Primary:
		hintInk = look.Surface
	}
	side, pad, height := 34.0, 9.0, 70.0
	if p.k.Panel.Portrait() {
		side, pad, height = 44, 14, 84
	}
	room := width - p.k.MM(side+3*pad)
	words := p.k.Column(3,
		p.k.Line(f.Label, widget.Style{Type: look.Figure, Bold: true, Colour: f.Ink()}),
		p.k.Text(hint, widget.Style{Type: look.Body, Colour: hintInk}, room))
	icon := p.k.Glyph(f.Icon, side, f)
	content := p.k.Inset(pad, p.k.Row(pad, widget.CentreY(icon), widget.Grow(widget.CentreY(words))))
	return p.k.Sized(0, height, p.k.Key(f, content, func() { p.s.On(kiosk.Input{Event: t.input}) }))
}
