package dialog

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"

	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	"quancun/ui/widget"
)

// plot draws bars: upright, if there is room for their labels, and else lying.
func (p *page) plot(bars []dialog.Bar, width, height float32) fyne.CanvasObject {
	const pad = 6.0
	room := fyne.NewSize(width-p.k.MM(2*pad), height-p.k.MM(2*pad))
	labels := make([]*canvas.Text, len(bars))
	wide := float32(0)
	for i, b := range bars {
		labels[i] = p.k.Line(b.Label, widget.Style{Type: look.Small, Colour: look.Soft, Align: fyne.TextAlignCenter})
		wide = max(wide, labels[i].MinSize().Width)
	}
	var drawn fyne.CanvasObject
	if (wide+p.k.MM(2))*float32(len(bars)) <= room.Width {
		drawn = p.standing(bars, labels)
	} else {
		drawn = p.lying(bars, room)
	}
	return widget.Wide(width, p.k.Box(look.Surface, look.Line, pad,
		p.k.Sized(0, float64(room.Height/p.k.MM(1)), drawn)))
}

// most is the longest bar.
func most(bars []dialog.Bar) (m money.Fen) {
	for _, b := range bars {
		m = max(m, b.Value)
	}
	return m
}

// share is how long a bar is. What is below zero has none: its value says so.
func share(v, most money.Fen) float32 {
	if v <= 0 || most <= 0 {
		return 0
	}
	return float32(v) / float32(most)
}

// standing draws bars beside each other, the value above the longest of them, and
// above every bar that has room for it.
func (p *page) standing(bars []dialog.Bar, labels []*canvas.Text) fyne.CanvasObject {
	high := most(bars)
	base := p.k.Fill(look.Edge)
	top := p.k.Line(text.Amount(high), widget.Style{Type: look.Small, Bold: true})
	l := &standing{gap: p.k.MM(1.5), thin: p.k.MM(0.5)}
	objects := []fyne.CanvasObject{top, base}
	for i, b := range bars {
		bar := p.k.Fill(look.Blue)
		bar.CornerRadius = p.k.MM(1)
		l.shares = append(l.shares, share(b.Value, high))
		objects = append(objects, bar, labels[i])
	}
	return container.New(l, objects...)
}

// standing lays out the highest value, the base line, and then a bar and a label
// for each share.
type standing struct {
	shares    []float32
	gap, thin float32
}

func (l *standing) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(0, 2*objects[0].MinSize().Height)
}

func (l *standing) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	line := objects[0].MinSize()
	foot := size.Height - line.Height - l.gap // of the bars
	room := foot - line.Height - l.gap
	step := size.Width / float32(max(1, len(l.shares)))
	objects[1].Move(fyne.NewPos(0, foot))
	objects[1].Resize(fyne.NewSize(size.Width, l.thin))
	thick := min(step*0.72, size.Width/6)
	for i, s := range l.shares {
		middle := step * (float32(i) + 0.5)
		bar, label := objects[2+2*i], objects[3+2*i]
		bar.Move(fyne.NewPos(middle-thick/2, foot-room*s))
		bar.Resize(fyne.NewSize(thick, room*s))
		own := label.MinSize().Width
		label.Move(fyne.NewPos(middle-own/2, foot+l.gap))
		label.Resize(fyne.NewSize(own, line.Height))
		if s == 1 {
			at := min(max(0, middle-line.Width/2), size.Width-line.Width)
			objects[0].Move(fyne.NewPos(at, 0))
			objects[0].Resize(line)
		}
	}
}

// lying draws bars below each other: the longest of them, if there are more than
// there is room for.
func (p *page) lying(bars []dialog.Bar, room fyne.Size) fyne.CanvasObject {
	style := widget.Style{Type: look.Small}
	step := p.k.Line("0", style).MinSize().Height + p.k.MM(2)
	bars = bars[:min(len(bars), max(1, int((room.Height+p.k.MM(2))/step)))]
	high := most(bars)
	names, values := float32(0), float32(0)
	for _, b := range bars {
		names = max(names, p.k.Line(b.Label, style).MinSize().Width)
		values = max(values, p.k.Line(text.Amount(b.Value), style).MinSize().Width)
	}
	names = min(names, room.Width*0.35)
	column := p.k.Column(2)
	for _, b := range bars {
		bar := p.k.Fill(look.Blue)
		bar.CornerRadius = p.k.MM(1)
		value := p.k.Line(text.Amount(b.Value), widget.Style{Type: look.Small, Align: fyne.TextAlignTrailing})
		column.Add(p.k.Row(3, widget.Wide(names, p.k.Clipped(b.Label, style, names)),
			widget.Grow(widget.Part(share(b.Value, high), bar)), widget.Wide(values, value)))
	}
	return column
}
