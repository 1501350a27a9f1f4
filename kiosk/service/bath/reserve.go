package bath

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
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
		w, err := t.want(ctx, hall, ahead, wrong)
		if err != nil {
			return dialog.Report{}, err
		}
		if err := t.Confirm(ctx, sure, t.terms(w)...); err != nil {
			return dialog.Report{}, err
		}
		report, err := t.take(ctx, w)
		no := (*bath.Refusal)(nil)
		if !errors.As(err, &no) || no.Reason != bath.SlotFull {
			return report, err
		}
		wrong = taken // somebody was faster: nothing has happened
	}
}

// wanted is the place that the holder wants.
type wanted struct {
	day   bath.Day
	slot  bath.Slot
	stall uint16 // 0: whichever is free
}

// want asks when, and which stall.
func (t *visit) want(ctx context.Context, h bath.Hall, ahead int, wrong dialog.Word) (w wanted, err error) {
	if w.day, w.slot, err = t.slot(ctx, h, ahead, wrong); err != nil {
		return w, err
	}
	w.stall, err = t.stall(ctx, w)
	return w, err
}

// stall asks which, where a code opens one stall only. 0 is whichever the upstream
// gives.
func (t *visit) stall(ctx context.Context, w wanted) (uint16, error) {
	free := w.slot.Stalls
	if w.day.Hall.Whole || len(free) < 2 {
		return 0, nil
	}
	options := []dialog.Option{{Word: assigned}}
	for _, n := range free {
		options = append(options, dialog.Option{Text: strconv.Itoa(int(n))})
	}
	i, err := t.Choose(ctx, askStall, options, dialog.Text(factHall, w.day.Hall.Name), w.when())
	if err != nil || i == 0 {
		return 0, err
	}
	return free[i-1], nil
}

func (w wanted) when() dialog.Fact { return slot(bath.Reservation{From: w.slot.From, To: w.slot.To}) }

// place is which stall it will be.
func (w wanted) place() dialog.Fact {
	switch {
	case w.day.Hall.Whole:
		return dialog.Said(factStall, anyStall)
	case w.stall == 0:
		return dialog.Said(factStall, assigned)
	}
	return dialog.Count(factStall, int64(w.stall))
}

// facts are what is asked for, while nobody knows whether it was given.
func (w wanted) facts() []dialog.Fact {
	return []dialog.Fact{
		dialog.Text(factHall, w.day.Hall.Name), w.place(), w.when(),
		dialog.Amount(factHeld, w.day.Hall.Cap),
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
		all = append(all, dialog.Option{When: dialog.Day("", t.halls.Today.In(beijing.Zone).AddDate(0, 0, n))})
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
		dialog.Text(factHall, h.Name), dialog.Day(factDay, day.Start.In(beijing.Zone)),
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
	if !slices.ContainsFunc(slots, func(s bath.Slot) bool { return s.Free > 0 }) {
		q.Wrong = allFull
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
func (t *visit) terms(w wanted) []dialog.Fact {
	hall := w.day.Hall
	till := dialog.Moment(factCancel, w.slot.From.Add(-hall.CancelFor).In(beijing.Zone))
	if t.Now().After(till.At) {
		till = dialog.Said(factCancel, tooLate)
	}
	return []dialog.Fact{
		dialog.Text(factHall, hall.Name),
		w.place(),
		strong(w.when()),
		dialog.Amount(factHeld, hall.Cap),
		dialog.Amount(factLitre, hall.Litre),
		till,
		dialog.Said(factRule, rule),
		dialog.Count(factNoShows, int64(t.halls.NoShows)),
		dialog.Count(factDays, int64(t.halls.NoShowDays)),
	}
}

// note is what the journal keeps of a reservation; see docs/JOURNAL.md.
type note struct {
	Hall  uint16 `json:"hall"`
	Day   string `json:"day"` // 2006-01-02
	Slot  uint8  `json:"slot"`
	Stall uint16 `json:"stall,omitempty"` // if one was chosen; of a reservation that was made: which it is

	// Of a reservation that was made.
	N     *uint8 `json:"n,omitempty"`
	Cap   int64  `json:"cap,omitempty"`   // fen
	Litre int64  `json:"litre,omitempty"` // fen
}

// take reserves a place. What is refused because it is full comes back as the
// upstream's refusal.
func (t *visit) take(ctx context.Context, w wanted) (dialog.Report, error) {
	if err := t.Work(ctx, reserving); err != nil {
		return dialog.Report{}, err
	}
	q := bath.Request{Ref: t.name(), Hall: w.day.Hall.No, Slot: w.slot.No, Day: w.day.Start, Stall: w.stall}
	n := note{Hall: q.Hall, Day: q.Day.In(beijing.Zone).Format(time.DateOnly), Slot: q.Slot, Stall: q.Stall}
	a := &asked{
		Desk: t.Desk, service: Service, ref: q.Ref, about: w.facts(), told: codeReport, unsure: unsure, never: never,
		what: n, came: n.made,
		do: func(ctx context.Context) (bath.Reservation, error) { return t.Upstream.Reserve(ctx, t.Session, q) },
	}
	return a.run(ctx, t.Account.No)
}

// made is what an upstream that has lost a reservation needs to have it again.
func (n note) made(r bath.Reservation) any {
	n.Stall, n.N, n.Cap, n.Litre = r.Stall, r.Number, int64(r.Cap), int64(r.Litre)
	return n
}

// codeReport shows the code, to be typed at the controller.
func codeReport(r bath.Reservation) dialog.Report {
	return dialog.Report{
		Title: reserved, No: short(r.Ref), QR: r.Code, Print: true, Next: nextUse,
		Facts: append([]dialog.Fact{strong(dialog.Code(factCode, r.Code))}, about(r)...),
	}
}

// about is what a reservation is of.
func about(r bath.Reservation) []dialog.Fact {
	all := where(r)
	if r.State == bath.Reserved {
		all = append(all, dialog.Text(factOpens, span(r.Opens, r.OpensTill)),
			dialog.Moment(factCancel, r.CancelTill.In(beijing.Zone)))
	}
	if r.Hold == bath.Held {
		all = append(all, dialog.Amount(factHeld, r.Cap))
	}
	return all
}

// where is the place of a reservation.
func where(r bath.Reservation) []dialog.Fact {
	stall := dialog.Said(factStall, anyStall)
	if r.Stall != 0 {
		stall = dialog.Count(factStall, int64(r.Stall))
	}
	return []dialog.Fact{dialog.Text(factHall, r.HallName), stall, slot(r)}
}

// short is what people call a reference: its end.
func short(ref string) string { return strings.ToUpper(ref[max(len(ref)-8, 0):]) }
