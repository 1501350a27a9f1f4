package till

import (
	"strconv"

	"fyne.io/fyne/v2"

	"quancun/kiosk/till"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// printer says what the printer lacks, and how many receipts wait for it, in the
// header, where it takes no room from the sale; nil: nothing. A till that is in the
// office or out of order has something else to say.
func (p *page) printer() fyne.CanvasObject {
	lacks := p.v.Printer.Lacks
	if lacks == "" || p.v.Step == till.Office || p.v.Step == till.OutOfOrder {
		return nil
	}
	ink, tint := look.Careful.Colours()
	words := func(receipts int) string {
		if receipts == 0 {
			return p.t.T("till.printer.none")
		}
		return p.t.T("till.printer.waiting", "count", strconv.Itoa(receipts))
	}
	const most = 9999 // which the room is measured for, so that a new number moves nothing
	small := widget.Style{Type: look.Small, Colour: ink}
	room := max(p.k.Line(words(most), small).MinSize().Width, p.k.Line(words(0), small).MinSize().Width)
	waiting := p.k.Line(words(p.v.Printer.Waiting), small)
	p.screen.waiting = func(receipts int) {
		waiting.Text = words(min(receipts, most))
		waiting.Refresh()
	}
	title := widget.Style{Type: look.Small, Bold: true, Colour: ink}
	return p.k.Box(tint, ink, 2, p.k.Row(3, widget.CentreY(p.k.Icon("print", 11, 11, look.Careful)),
		p.k.Column(0, p.k.Line(p.t.T("till."+string(lacks)), title), widget.Wide(room, waiting))))
}
