package dialog

import (
	"fyne.io/fyne/v2"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// isProse reports whether a report is sentences to be read one after the other: there
// is nothing in it but words.
func isProse(r dialog.Report) bool {
	for _, f := range r.Facts {
		if f.Kind != dialog.IsWord || f.Strong {
			return false
		}
	}
	return len(r.Facts) > 1 && len(r.Table.Rows)+len(r.Plot) == 0 && !carries(r)
}

// prose sets sentences as they are read, from the left, each after its name, as large as
// there is room.
func (p *page) prose(all []dialog.Fact, width, height float32) (made fyne.CanvasObject) {
	const pad, beside = 7.0, 6.0
	for _, size := range []look.Type{look.Heading, look.Lead, look.Body, look.Small} {
		name := widget.Style{Type: size, Bold: true, Colour: look.Blue}
		names := float32(0)
		for _, f := range all {
			names = max(names, p.k.Line(p.word(f.Name), name).MinSize().Width)
		}
		names += 1 // for rounding
		room := width - p.k.MM(2*pad+beside) - names
		column := p.k.Column(float64(size))
		for i, f := range all {
			if i > 0 {
				column.Add(p.k.Rule())
			}
			column.Add(p.k.Row(beside, widget.Wide(names, p.k.Column(0, p.k.Line(p.word(f.Name), name))),
				widget.Wide(room, p.k.Text(p.t.Value(f, p.s.Now), widget.Style{Type: size}, room))))
		}
		made = p.k.Column(0, p.k.Box(look.Surface, look.Line, pad, column), widget.Spring())
		if made.MinSize().Height <= height {
			break
		}
	}
	return made
}
