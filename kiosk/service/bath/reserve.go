package bath

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/tender"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
)

// reserve asks where and when, and reserves.
func (t *visit) reserve(ctx context.Context) (dialog.Report, error) {
	hall, err := t.hall(ctx)
	if err != nil {
		return dialog.Report{}, err
	}
	ahead, err := t.day(ctx, hall)
	if err != nil {
		return dialog.Report{}, err
	}
	for wrong := dialog.Word(""); ; {
		day, slot, err := t.slot(ctx, hall, ahead, wrong)
		if err != nil {
			return dialog.Report{}, err
		}
		if err := t.Confirm(ctx, sure, t.terms(day, slot)...); err != nil {
			return dialog.Report{}, err
		}
		report, err := t.take(ctx, day, slot)
		no := (*bath.Refusal)(nil)
		if !errors.As(err, &no) || no.Reason != bath.SlotFull {
			return report, err
		}
		wrong = taken // somebody was faster: nothing has happened
	}
}

// hall asks which.
func (t *visit) hall(ctx context.Context) (bath.Hall, error) {
	var all []dialog.Option
	for _, h := range t.halls.Halls {
		o := dialog.Option{Text: h.Name}
		for _, open := range h.Open {
			o.Text += " " + since(open.From) + "-" + since(open.To)
		}
		if h.Closed || h.Stalls == 0 {
			o.Note = closed
		}
		all = append(all, o)
	}
	i, err := t.Choose(ctx, askHall, all)
	if err != nil {
		return bath.Hall{}, err
	}
	return t.halls.Halls[i], nil
}

// day asks how many days from now.
func (t *visit) day(ctx context.Context, h bath.Hall) (ahead int, err error) {
	words := []dialog.Word{today, tomorrow, afterTomorrow}
	var all []dialog.Option
	for n := range t.halls.DaysAhead + 1 {
		if n < len(words) {
			all = append(all, dialog.Option{Word: words[n]})
			continue
		}
		all = append(all, dialog.Option{Text: t.halls.Today.In(kiosk.Beijing).AddDate(0, 0, n).Format(time.DateOnly)})
	}
	if len(all) == 1 {
		return 0, nil
	}
	return t.Choose(ctx, askDay, all, dialog.Text(factHall, h.Name), dialog.Count(factStalls, int64(h.Stalls)))
}

// slot asks when, of what is not over.
func (t *visit) slot(ctx context.Context, h bath.Hall, ahead int, wrong dialog.Word) (bath.Day, bath.Slot, error) {
	if err := t.Work(ctx, looking); err != nil {
		return bath.Day{}, bath.Slot{}, err
	}
	day, err := t.Upstream.Day(ctx, h.No, ahead)
	if err != nil {
		return day, bath.Slot{}, nothing(err)
	}
	var slots []bath.Slot
	q := dialog.Question{Kind: dialog.AskChoice, Name: askSlot, Wrong: wrong, Facts: []dialog.Fact{
		dialog.Text(factHall, h.Name), dialog.Text(factDay, day.Start.In(kiosk.Beijing).Format(time.DateOnly)),
	}}
	for _, s := range day.Slots {
		if s.Places == 0 {
			continue // it is over
		}
		o := dialog.Option{Text: fmt.Sprintf("%s  %d/%d", span(s.From, s.To), s.Free, s.Places)}
		if s.Free == 0 {
			o.Note = full
		}
		q.Options, slots = append(q.Options, o), append(slots, s)
	}
	if len(slots) == 0 {
		return day, bath.Slot{}, dialog.Refuse(noSlots, nil)
	}
	for {
		a, err := t.Visit.Ask(ctx, q)
		if err != nil {
			return day, bath.Slot{}, err
		}
		if i := a.Choice; i >= 0 && i < len(slots) && slots[i].Free > 0 {
			return day, slots[i], nil
		}
	}
}

// terms are what the holder agrees to, before anything is held.
func (t *visit) terms(d bath.Day, s bath.Slot) []dialog.Fact {
	till := dialog.Moment(factCancel, s.From.Add(-d.Hall.CancelFor).In(kiosk.Beijing))
	if t.Now().After(till.At) {
		till = dialog.Said(factCancel, tooLate)
	}
	return []dialog.Fact{
		dialog.Text(factHall, d.Hall.Name),
		strong(dialog.Text(factSlot, slot(bath.Reservation{From: s.From, To: s.To}))),
		dialog.Amount(factHeld, d.Hall.Cap),
		dialog.Amount(factLitre, d.Hall.Litre),
		till,
		dialog.Said(factRule, rule),
		dialog.Text(factNoShows, fmt.Sprintf("%d / %d", t.halls.NoShows, t.halls.NoShowDays)),
	}
}

// note is what the journal keeps of a reservation; see docs/JOURNAL.md.
type note struct {
	Hall uint16 `json:"hall"`
	Day  string `json:"day"` // 2006-01-02
	Slot uint8  `json:"slot"`
}

// take reserves a place, whichever is free. What is refused because it is full comes
// back as the upstream's refusal.
func (t *visit) take(ctx context.Context, d bath.Day, s bath.Slot) (dialog.Report, error) {
	if err := t.Work(ctx, reserving); err != nil {
		return dialog.Report{}, err
	}
	ref := t.Ref()
	if t.refs++; t.refs > 1 {
		ref = kiosk.NewRef()
	}
	p := &place{Desk: t.Desk, session: t.Session, request: bath.Request{
		Ref: ref, Hall: d.Hall.No, Slot: s.No, Day: d.Start,
	}, about: []dialog.Fact{
		dialog.Text(factHall, d.Hall.Name), dialog.Text(factSlot, slot(bath.Reservation{From: s.From, To: s.To})),
		dialog.Amount(factHeld, d.Hall.Cap),
	}}
	outcome, err := t.Requests.Do(ctx, request.Request{
		Ref: ref, Service: Service, Account: t.Account.No,
		What: note{d.Hall.No, d.Start.In(kiosk.Beijing).Format(time.DateOnly), s.No},
	}, p.ask)
	report := p.report(err)
	if outcome == 0 {
		report.Follow = p.follow
	}
	return report, err
}

// place is a place that was asked for.
type place struct {
	*Desk
	session client.Session
	request bath.Request
	about   []dialog.Fact
	lost    bool             // an answer was, so that it may be made
	made    bath.Reservation // zero until the upstream has said so
}

// ask reserves, and asks once more if the answer is lost: it is the same reservation.
func (p *place) ask(ctx context.Context) (journal.Outcome, error) {
	outcome, err := p.once(ctx)
	if outcome == 0 && sleep(ctx, p.Pause) == nil {
		outcome, err = p.once(ctx)
	}
	if outcome == 0 {
		return 0, fmt.Errorf("%w: %w", dialog.Refuse(unsure, nil), err)
	}
	return outcome, err
}

func (p *place) once(ctx context.Context) (journal.Outcome, error) {
	made, err := p.Upstream.Reserve(ctx, p.session, p.request)
	switch {
	case err == nil:
		p.made = made
		return journal.Done, nil
	case p.lost && atDoor(err):
		return p.whether(ctx, err)
	case isRefused(err):
		return journal.NotDone, refusal(err)
	}
	p.lost = true
	p.Log.Warn("answer to a reservation was lost", "ref", p.request.Ref, "err", err)
	return 0, err
}

// whether says what an answer has said that was lost, where the holder is not let in
// any more to ask again: that is no word about the reservation.
func (p *place) whether(ctx context.Context, no error) (journal.Outcome, error) {
	reserved, err := p.Upstream.End(ctx, p.request.Ref)
	switch {
	case err != nil:
		return 0, err
	case reserved:
		return journal.Done, nil
	}
	return journal.NotDone, refusal(no)
}

// follow asks until there is an answer, for as long as the holder waits.
func (p *place) follow(ctx context.Context) (dialog.Report, error) {
	for {
		if err := sleep(ctx, p.Pause); err != nil {
			return dialog.Report{}, errors.Join(tender.ErrUnknown, err)
		}
		outcome, err := p.once(ctx)
		if outcome == 0 {
			continue
		}
		p.Requests.End(ctx, Service, p.request.Ref, outcome)
		return p.report(err), err
	}
}

func (p *place) report(err error) dialog.Report {
	switch {
	case err != nil && !errors.Is(err, tender.ErrUnknown):
		return refusedReport(err)
	case p.made.Ref != "":
		return codeReport(p.made)
	}
	return dialog.Report{No: short(p.request.Ref), Facts: p.about, Next: lookLater}
}

// codeReport shows the code, to be typed at the controller.
func codeReport(r bath.Reservation) dialog.Report {
	return dialog.Report{
		No: short(r.Ref), QR: r.Code, Print: true, Next: nextUse,
		Facts: append([]dialog.Fact{strong(dialog.Code(factCode, r.Code))}, about(r)...),
	}
}

// about is what a reservation is of.
func about(r bath.Reservation) []dialog.Fact {
	stall := dialog.Said(factStall, anyStall)
	if r.Stall != 0 {
		stall = dialog.Count(factStall, int64(r.Stall))
	}
	all := []dialog.Fact{dialog.Text(factHall, r.HallName), stall, dialog.Text(factSlot, slot(r))}
	if r.State == bath.Reserved {
		all = append(all, dialog.Text(factOpens, span(r.Opens, r.OpensTill)),
			dialog.Moment(factCancel, r.CancelTill.In(kiosk.Beijing)))
	}
	if r.Hold == bath.Held {
		all = append(all, dialog.Amount(factHeld, r.Cap))
	}
	return all
}

// short is what people call a reference: its end.
func short(ref string) string { return strings.ToUpper(ref[max(len(ref)-8, 0):]) }
