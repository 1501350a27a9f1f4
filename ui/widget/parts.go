package widget

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fyneWidget "fyne.io/fyne/v2/widget"

	"quancun/ui/look"
)

// Stages lists the steps of a work that goes on: those before now are done,
// now is being done, the rest is to come. It does not move: each stage is one
// thing that really happened.
func (k Kit) Stages(words []string, now int, width float32) fyne.CanvasObject {
	column := k.Column(7)
	for i, w := range words {
		style := Style{Type: look.Lead, Colour: look.Soft}
		if i == now {
			style.Bold, style.Colour = true, look.Ink
		}
		text := k.Text(w, style, width-k.MM(18+7))
		column.Add(k.Row(7, CentreY(k.stageMark(i, now)), Grow(CentreY(text))))
	}
	return column
}

func (k Kit) stageMark(i, now int) fyne.CanvasObject {
	c := k.Disc(look.Surface, look.Edge, 0.8)
	number := k.Line(fmt.Sprint(i+1), Style{Type: look.Body, Bold: true, Colour: look.Soft})
	inside := Centre(number)
	switch {
	case i < now:
		c = k.Disc(look.Good, look.Good, 0.8)
		inside = k.Inset(4, k.Sign("check", 8, look.Good))
	case i == now:
		c = k.Disc(look.Blue, look.Blue, 0.8)
		number.Color = k.Paint(look.Surface)
	}
	return k.Sized(16, 16, Pile(c, inside))
}

// Numbered is a list of things to do, one after the other.
func (k Kit) Numbered(words []string, width float32) fyne.CanvasObject {
	column := k.Column(5)
	for i, w := range words {
		c := k.Disc(look.BlueTint, look.Blue, 0.5)
		n := k.Line(fmt.Sprint(i+1), Style{Type: look.Body, Bold: true, Colour: look.Blue})
		text := k.Text(w, Style{Type: look.Body}, width-k.MM(13+5))
		column.Add(k.Row(5, CentreY(k.Sized(13, 13, Pile(c, Centre(n)))), Grow(CentreY(text))))
	}
	return column
}

// Pager turns pages by two keys; nothing scrolls.
type Pager struct {
	Number, Count  int    // Number counts from 0
	Previous, Next string // labels
	Words          string // "page 1 of 3"
	OnTurn         func(number int)
}

// Pager lays out p.
func (k Kit) Pager(p Pager) fyne.CanvasObject {
	previous := k.Button(Face{Name: "previous", Label: p.Previous, Icon: "back", Type: look.Body,
		Disabled: p.Number <= 0}, func() { p.OnTurn(p.Number - 1) })
	next := k.Button(Face{Name: "next", Label: p.Next, Icon: "next", After: true, Type: look.Body,
		Disabled: p.Number >= p.Count-1}, func() { p.OnTurn(p.Number + 1) })
	words := k.Line(p.Words, Style{Type: look.Body, Colour: look.Soft})
	return k.Row(5, previous, CentreY(words), next)
}

// Overlay lies over a whole page with a box in the middle, or where a person who
// sits can reach it. Nothing under it can be tapped; a tap beside the box calls
// onBeside.
func (k Kit) Overlay(box fyne.CanvasObject, onBeside func()) *fyne.Container {
	place := Centre(box)
	if k.Low() {
		place = k.Column(0, Spring(), k.Inset(14, CentreX(box)))
	}
	return Pile(newShade(k.Paint(look.Shade), onBeside), place)
}

// shade takes every tap that is meant for what lies under it.
type shade struct {
	fyneWidget.BaseWidget
	colour color.Color
	onTap  func()
}

var _ fyne.Tappable = (*shade)(nil)

func newShade(colour color.Color, onTap func()) *shade {
	s := &shade{colour: colour, onTap: onTap}
	s.ExtendBaseWidget(s)
	return s
}

func (s *shade) Tapped(*fyne.PointEvent) { s.onTap() }

func (s *shade) CreateRenderer() fyne.WidgetRenderer {
	return fyneWidget.NewSimpleRenderer(canvas.NewRectangle(s.colour))
}
