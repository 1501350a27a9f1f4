package till

import (
	"context"

	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/reader/pinpad"
)

// pad is the holder's own PIN pad, and what was typed on it for the page that asks.
type pad struct {
	there     bool
	typed     pin.PIN
	lost, few bool // see [pin.Pad]
}

// forget wipes what was typed: it belongs to one page.
func (p *pad) forget() {
	p.typed.Wipe()
	p.lost, p.few = false, false
}

// padView is what the page may know of the pad; nothing where no holder's PIN is
// asked for.
func (s *Session) padView() pin.Pad {
	if s.Pad == nil || !s.view.AsksHolder() {
		return pin.Pad{}
	}
	return pin.Pad{
		Set: true, There: s.pad.there, Panel: !s.pad.there && s.PadOrPanel,
		Lost: s.pad.lost, Few: s.pad.few, Dots: s.pad.typed.Len(),
	}
}

// onPanel reports whether a holder's PIN may come from the panel now.
func (s *Session) onPanel() bool { return s.padView().OnPanel() }

// onPad takes what happened at the pad. A key that nobody has asked for is forgotten.
func (s *Session) onPad(ctx context.Context, e pinpad.Event) {
	if e.Kind == pinpad.There || e.Kind == pinpad.Away {
		s.plug(e.Kind == pinpad.There)
		return
	}
	if !s.view.AsksHolder() {
		return
	}
	s.pad.lost, s.pad.few = false, false
	switch e.Kind {
	case pinpad.Digit:
		s.pad.typed.Add(e.Digit)
	case pinpad.Back:
		s.pad.typed.Back()
	case pinpad.Cancel:
		s.pad.forget()
		s.leavePIN(ctx)
		return
	case pinpad.Enter:
		if s.pad.typed.Full() {
			s.givePIN(ctx)
			return
		}
		s.pad.few = true
	}
	s.show()
}

// plug takes that the pad was plugged in or pulled out. Half a PIN is forgotten, and
// the page says so.
func (s *Session) plug(in bool) {
	lost := s.pad.typed.Len() > 0 || s.pad.lost
	s.pad.forget()
	s.pad.there, s.pad.lost = in, lost && s.view.AsksHolder()
	if s.view.AsksHolder() {
		s.show()
	}
}

// givePIN gives the PIN to whoever asks for it: the flow, or the office.
func (s *Session) givePIN(ctx context.Context) {
	given := s.pad.typed
	s.pad.forget()
	if s.view.Step == Office {
		s.Desk.Office.Send(dialog.Input{
			No: s.view.Office.No, Event: dialog.Answered, Answer: dialog.Answer{PIN: &given},
		})
		return
	}
	if !s.event(ctx, Typed, Input{PIN: &given}) {
		given.Wipe()
	}
}

// leavePIN leaves the page that asks, as the holder wants it.
func (s *Session) leavePIN(ctx context.Context) {
	if s.view.Step == Office {
		s.Desk.Office.Send(dialog.Input{No: s.view.Office.No, Event: dialog.Left})
		return
	}
	s.event(ctx, Leave, Input{})
}
