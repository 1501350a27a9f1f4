package till

import (
	"fyne.io/fyne/v2"

	desk "quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/till"
	"quancun/ui/dialog"
)

// atOffice builds the page of the office, if it is the office's step. It comes
// before header and footer: they have keys of it.
func (p *page) atOffice() {
	if p.v.Step != till.Office {
		return
	}
	p.office = &dialog.Page{} // for the room between header and footer, which has to be known first
	room := fyne.NewSize(p.width(), p.height())
	stage := dialog.Stage{
		Texts: p.t, Kit: p.k, Room: room, Now: p.s.Now, Phone: p.s.Phone, Typed: &p.s.Typed.Office,
		Fault: p.v.Office.Fault, Pad: p.v.Pad,
		On:     func(in desk.Input) { p.s.On(till.Input{Office: in}) },
		Redraw: p.s.Redraw,
	}
	if p.v.Office.Page == office.Menu {
		p.office = dialog.Menu(p.v.Office, stage)
	} else {
		p.office = dialog.Build(p.v.Office.View, stage)
	}
	s := p.screen
	s.typeRune, s.erase, s.confirm, s.turn = p.office.Type, p.office.Erase, p.office.Confirm, p.office.Turn
	s.dots = p.office.Dots
	s.leaves = p.office.Leave != ""
}
