package screen

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk"
	desk "quancun/kiosk/dialog"
	"quancun/ui/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// service is the page of a service: its question, that it works, or what came of it.
func (p *page) service() fyne.CanvasObject {
	reach := float32(0)
	if p.k.Low() {
		reach = p.k.MM(look.Reach-bodyPad) - p.foot().MinSize().Height
	}
	build := func(height float32) *dialog.Page {
		return dialog.Build(p.v.Dialog, dialog.Stage{
			Texts: p.t, Kit: p.k, Room: fyne.NewSize(p.width(), height), Now: p.s.Now, Phone: p.s.Phone,
			Typed: &p.s.Typed.Dialog, Fault: p.v.Fault, Touch: true,
			Reach:  reach,
			On:     func(in desk.Input) { p.s.On(kiosk.Input{Dialog: in}) },
			Redraw: p.s.Redraw,
		})
	}
	made := build(p.bodyHeight())
	p.footer = append(p.footer, made.Foot...)
	s := p.screen
	s.erase, s.confirm = made.Erase, made.Confirm
	if made.Type != nil {
		s.typeDigit = func(digit byte) { made.Type(rune(digit)) }
	}
	return made.Object
}

// backFromService leaves the question, and goes back to the account.
func (p *page) backFromService() fyne.CanvasObject {
	return p.k.Button(widget.Face{Name: "back", Label: p.t.T("back"), Icon: "back"}, func() {
		p.s.On(kiosk.Input{Dialog: desk.Input{No: p.v.Dialog.No, Event: desk.Left}})
	})
}
