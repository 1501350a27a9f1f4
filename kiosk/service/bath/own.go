package bath

import (
	"context"
	"errors"
	"fmt"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/upstream/client/bath"
)

// own asks which of the holder's reservations it is about, and what is to be done.
func (t *visit) own(ctx context.Context) (dialog.Report, error) {
	var all []dialog.Option
	for _, r := range t.mine {
		all = append(all, dialog.Option{Text: r.HallName, When: unnamed(slot(r))})
	}
	i, err := t.Choose(ctx, askWhich, all)
	if err != nil {
		return dialog.Report{}, err
	}
	r := t.mine[i]
	deeds := t.deeds(r)
	if len(deeds) == 0 {
		report := dialog.Report{No: short(r.Ref), Facts: stands(r), Told: true}
		if r.Hold == bath.Released {
			report.Next = nextFree
		}
		return report, nil
	}
	var options []dialog.Option
	for _, d := range deeds {
		options = append(options, d.option)
	}
	if i, err = t.Choose(ctx, askDeed, options, stands(r)...); err != nil {
		return dialog.Report{}, err
	}
	return deeds[i].do(ctx, r)
}

// deed is something that can be done about a reservation.
type deed struct {
	option dialog.Option
	do     func(context.Context, bath.Reservation) (dialog.Report, error)
}

func (t *visit) deeds(r bath.Reservation) (all []deed) {
	now := t.Now()
	if r.Code != "" {
		all = append(all, deed{dialog.Option{Word: show}, showCode})
	}
	if r.Hold == bath.Held && !now.Before(r.Opens) {
		all = append(all, deed{dialog.Option{Word: settle}, t.settle})
	}
	if r.State == bath.Reserved && now.Before(r.To) {
		o := dialog.Option{Word: cancel}
		if now.After(r.CancelTill) {
			o.Note = tooLate
		}
		all = append(all, deed{o, t.cancel})
	}
	return all
}

func showCode(_ context.Context, r bath.Reservation) (dialog.Report, error) {
	report := codeReport(r)
	report.Print = false // it was, when it was reserved; there is a key for it
	return report, nil
}

var states = map[bath.State]dialog.Word{
	bath.Reserved: isReserved, bath.Cancelled: isCancelled, bath.Used: isUsed, bath.NotUsed: isNotUsed,
	bath.Unknown: isUnknown,
}

// stands is how a reservation stands, and what has become of its money.
func stands(r bath.Reservation) []dialog.Fact {
	all := []dialog.Fact{dialog.Said(factState, states[r.State])}
	if r.State == bath.Used {
		all = append(all, strong(dialog.Amount(factPaid, r.Captured)))
	}
	if u := r.Use; u != nil {
		all = append(all, dialog.Text(factWater, fmt.Sprintf("%d.%d L", u.Millilitres/1000, u.Millilitres%1000/100)))
	}
	all = append(all, about(r)...)
	if r.Hold == bath.Held {
		all = append(all, dialog.Moment(factReleased, r.ReleasedBy.In(beijing.Zone)))
	}
	return all
}

// cancel gives a reservation up. Its code still opens, for no controller hears of it,
// so what it holds is held on for a while.
func (t *visit) cancel(ctx context.Context, r bath.Reservation) (dialog.Report, error) {
	if err := t.Confirm(ctx, cancelSure, append(stands(r), dialog.Said(factRule, cancelRule))...); err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, cancelling); err != nil {
		return dialog.Report{}, err
	}
	a := t.about(r, Cancelling, cancelled, cancelRule)
	a.do = func(ctx context.Context) (bath.Reservation, error) {
		return t.Upstream.Cancel(ctx, t.Session, bath.Act{Ref: a.ref, Reservation: r.Ref})
	}
	return a.run(ctx, t.Account.No)
}

// deedNote is what the journal keeps of what is done about a reservation; see
// docs/JOURNAL.md.
type deedNote struct {
	Reservation string `json:"reservation"`
}

// about returns a request about a reservation, of which title and next tell once it is
// granted.
func (t *visit) about(r bath.Reservation, service string, title, next dialog.Word) *asked {
	return &asked{
		Desk: t.Desk, service: service, ref: t.name(), about: where(r), unsure: unsureOwn, never: neverOwn,
		what: deedNote{r.Ref}, came: func(bath.Reservation) any { return deedNote{r.Ref} },
		told: func(now bath.Reservation) dialog.Report {
			return dialog.Report{Title: title, No: short(r.Ref), Facts: stands(now), Next: next}
		},
	}
}

// settle ends a shower by the eight digits that its controller has shown.
func (t *visit) settle(ctx context.Context, r bath.Reservation) (dialog.Report, error) {
	q := dialog.Question{Kind: dialog.AskNumber, Name: askStub, Length: bathcode.Digits, Facts: about(r)}
	for {
		a, err := t.Visit.Ask(ctx, q)
		if err != nil {
			return dialog.Report{}, err
		}
		if _, err := bathcode.Parse(a.Text); err != nil {
			q.Wrong = wrongStub
			continue
		}
		if err := t.Work(ctx, settling); err != nil {
			return dialog.Report{}, err
		}
		report, err := t.settleBy(ctx, r, a.Text)
		no := (*bath.Refusal)(nil)
		if !errors.As(err, &no) || no.Reason != bath.StubWrong || no.Tries == 0 {
			return report, err
		}
		q.Wrong, q.Facts = wrongStub, append(about(r), dialog.Count(factTries, int64(no.Tries)))
	}
}

func (t *visit) settleBy(ctx context.Context, r bath.Reservation, stub string) (dialog.Report, error) {
	a := t.about(r, Settling, settled, nextSettled)
	a.do = func(ctx context.Context) (bath.Reservation, error) {
		return t.Upstream.Close(ctx, t.Session, bath.Act{Ref: a.ref, Reservation: r.Ref}, stub)
	}
	return a.run(ctx, t.Account.No)
}
