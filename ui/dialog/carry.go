package dialog

import (
	"slices"

	"fyne.io/fyne/v2"

	"quancun/kiosk/dialog"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// A report that somebody takes along, in the head or on a phone, has a code of
// digits that is what it is about, a QR code, or both.

func isCarried(f dialog.Fact) bool { return f.Kind == dialog.IsCode && f.Strong }

// carries reports whether there is something in r to take along.
func carries(r dialog.Report) bool { return r.QR != "" || slices.ContainsFunc(r.Facts, isCarried) }

// carried is a report with what is taken along above the rest, or beside it.
func (p *page) carried(r dialog.Report, height float32) fyne.CanvasObject {
	const gap, share = 6.0, 0.46
	least := 78.0
	if len(r.QR) < 32 { // its modules are large
		least = 38
	}
	left, right := p.columns(share)
	take := p.k.Column(gap)
	for _, f := range r.Facts {
		if isCarried(f) {
			take.Add(p.digits(f, left))
		}
	}
	rest := r
	rest.Facts = slices.DeleteFunc(slices.Clone(r.Facts), isCarried)
	lines := len(rest.Facts)+len(rest.Table.Rows) > 0
	if r.QR != "" {
		room := height - take.MinSize().Height - p.k.MM(gap)
		if p.k.Panel.Portrait() && lines {
			room *= 0.45
		}
		take.Add(p.scanned(r.QR, max(room, p.k.MM(least)), left))
	}
	switch {
	case !lines:
		return widget.Centre(widget.Wide(left, take))
	case p.k.Panel.Portrait():
		room := height - take.MinSize().Height - p.k.MM(gap)
		return p.k.Column(gap, take, widget.Grow(p.read(rest, right, room)))
	}
	return p.k.Row(gutter, widget.Wide(left, widget.CentreY(take)), widget.Wide(right, p.read(rest, right, height)))
}

// digits are what is typed elsewhere, in groups of four, as large as there is room.
func (p *page) digits(f dialog.Fact, width float32) fyne.CanvasObject {
	const pad = 5
	style := widget.Style{Bold: true, Colour: look.Blue, Align: fyne.TextAlignCenter}
	line := p.k.Line(text.Digits(f.Text), style)
	for _, style.Type = range []look.Type{look.Display, look.Figure, look.Title} {
		line = p.k.Line(text.Digits(f.Text), style)
		if line.MinSize().Width <= width-p.k.MM(2*pad) {
			break
		}
	}
	return p.k.Box(look.Surface, look.Blue, pad, p.k.Column(1,
		p.centred(p.word(f.Name), look.Body, false, width-p.k.MM(2*pad)), line))
}

// scanned is a QR code and what it is for, at most height high.
func (p *page) scanned(content string, height, width float32) fyne.CanvasObject {
	const gap = 3
	words := p.centred(p.t.T("dialog.qr"), look.Body, false, width)
	size := min(float64((height-words.MinSize().Height)/p.k.MM(1))-gap, 120)
	code, err := p.k.QR(content, size)
	if err != nil { // it is too long for any code, and can still be read
		return p.k.Text(content, widget.Style{Type: look.Small, Align: fyne.TextAlignCenter}, width)
	}
	return p.k.Column(gap, widget.CentreX(code), words)
}
