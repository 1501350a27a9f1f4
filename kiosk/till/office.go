package till

import (
	"context"
	"errors"

	"quancun/kiosk/dialog"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/reader"
)

// serveOffice serves whoever is signed in at the office, until they leave it. The
// card is the office's meanwhile. Who may not sell leaves the till with it.
func (d *Desk) serveOffice(ctx context.Context, slot reader.State) outcome {
	d.Cards.Drop(ctx)
	d.leave()
	m := d.member
	if d.Staff == nil {
		m = staff.Member{No: d.Plan.Operator.No, Name: d.Plan.Operator.Name, Role: staff.Cashier}
	}
	err := d.Office.Serve(ctx, m, slot)
	switch {
	case ctx.Err() != nil:
		return outcome{}
	case errors.Is(err, office.ErrLock), !m.Role.May(staff.Sell):
		return outcome{event: Lock}
	case err != nil:
		d.Log.Error("office ended", "err", err)
	}
	return outcome{event: Leave}
}

// openOffice takes what the office shows.
func (s *Session) openOffice() {
	if s.Desk.Office == nil {
		return
	}
	s.office = make(chan office.View, 1)
	s.Desk.Office.Show = func(v office.View) {
		select {
		case <-s.office: // the screen wants the newest
		default:
		}
		s.office <- v // only the office sends
	}
}

// showOffice shows a page of the office, unless it has been left since.
func (s *Session) showOffice(v office.View) {
	if s.view.Step != Office {
		return
	}
	if v.No != s.view.Office.No {
		s.pad.forget()
	}
	s.view.Office, s.view.Taps = v, 0
	s.show()
}

// atOffice hands on what a person did at a page of the office, which alone knows
// whether it may be left now.
func (s *Session) atOffice(in Input) {
	in.PIN.Wipe()
	page := s.view.Office
	switch in.Event {
	case 0:
		if in.Office.Answer.PIN != nil && !s.onPanel() {
			break
		}
		s.Desk.Office.Send(in.Office)
		return
	case Leave:
		s.Desk.Office.Send(dialog.Input{No: page.No, Event: dialog.Left})
	case Lock:
		s.Desk.Office.Send(dialog.Input{Event: dialog.LockUp})
	case Scanned:
		if keysheet.Is(in.Code) {
			s.sheetAtOffice(in.Code)
			break
		}
		if in.Code == "" || !page.WantsCode() {
			s.answer()
			break
		}
		s.Desk.Office.Send(dialog.Input{No: page.No, Event: dialog.Answered, Answer: dialog.Answer{Text: in.Code}})
	}
	in.Office.Answer.PIN.Wipe()
}

// sheetAtOffice takes a key's code, which answers no question: it leaves a page, or
// the till.
func (s *Session) sheetAtOffice(text string) {
	switch k, _ := s.key(text); k {
	case keysheet.No:
		s.Desk.Office.Send(dialog.Input{No: s.view.Office.No, Event: dialog.Left})
	case keysheet.Lock:
		s.Desk.Office.Send(dialog.Input{Event: dialog.LockUp})
	default:
		s.answer()
	}
}
