package screen

import (
	"time"

	"fyne.io/fyne/v2"

	"quancun/kiosk"
	"quancun/ui/look"
	"quancun/ui/widget"
)

// leaving is the word for leaving instead of taking more time.
func (s *Screen) leaving() string {
	if word := leaving(s.view); word != "leave.cancel" {
		return word
	}
	return "leave.finish" // beside a question, "cancel" could mean either
}

// warning asks whether the person is still there. It does not take the page
// away: what was typed is still there under it.
func (s *Screen) warning(now time.Time) fyne.CanvasObject {
	k, t := s.stage.Kit, s.stage.Texts
	width := k.MM(200)
	more := func() { s.stage.On(kiosk.Input{Event: kiosk.MoreTime}) }

	words := func(now time.Time) string {
		return t.T("warning.body", "seconds", secondsLeft(s.view.Ends, now))
	}
	centred := widget.Style{Type: look.Lead, Colour: look.Soft, Align: fyne.TextAlignCenter}
	left := k.Line(words(now), centred)
	s.ticks = append(s.ticks, tick(left, words))

	keys := k.Column(6, k.Sized(0, 32, k.Button(widget.Face{Name: "more-time", Label: t.T("warning.more"),
		Type: look.Heading, Rank: widget.Primary}, more)))
	if _, ok := s.view.Step.Next(kiosk.Leave); ok {
		keys.Add(k.Sized(0, 22, k.Button(widget.Face{Name: "leave-now", Label: t.T(s.leaving())}, s.Leave)))
	}
	title := k.Text(t.T("warning.title"),
		widget.Style{Type: look.Title, Bold: true, Align: fyne.TextAlignCenter}, width)
	return k.Overlay(k.Box(look.Surface, look.Edge, 14, widget.Wide(width, k.Column(8,
		widget.CentreX(k.Icon("clock", 30, 30, look.Neutral)), title, left, k.Gap(2), keys))), more)
}
