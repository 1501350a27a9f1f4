package office

import (
	"context"
	"errors"

	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
	"quancun/reader"
	"quancun/reader/purse"
)

// Talk is a task's end of its conversation with who stands at the till, who can be
// asked for cards and for the release of a second person, too.
type Talk struct {
	*dialog.Talk
	desk   *Desk
	member staff.Member
	given  *staff.Release // for the task as a whole; nil: none was needed
}

// Member is who does the task.
func (t *Talk) Member() staff.Member { return t.member }

// Release is what a second person has said to the task as a whole; nil for
// nobody, because nobody had to.
func (t *Talk) Release() *staff.Release { return t.given }

// Card is a holder's card on the reader. Whoever asked for it closes it.
type Card struct {
	reader.Card
	Info purse.Info
}

// Card asks for a card and reads who it is. One that cannot be read is asked for
// again, with the reason; one that may not be used is returned all the same: at
// the desk that is what it is about.
func (t *Talk) Card(ctx context.Context, name dialog.Word, facts ...dialog.Fact) (*Card, error) {
	q := dialog.Question{Kind: dialog.AskCard, Name: name, Facts: facts}
	for {
		if _, err := t.Ask(ctx, q); err != nil {
			return nil, err
		}
		if err := t.Work(ctx, ReadingCard); err != nil {
			return nil, err
		}
		c, err := t.desk.connect()
		if err == nil {
			return c, nil
		}
		t.desk.Log.Warn("card not read", "err", err)
		q.Wrong = WrongCard
	}
}

// connect powers the card and reads who it is.
func (d *Desk) connect() (*Card, error) {
	card, err := d.Device.Connect()
	if err != nil {
		return nil, err
	}
	info, err := purse.Open(card, d.Profile)
	if err != nil {
		return nil, errors.Join(err, card.Close())
	}
	return &Card{card, info}, nil
}

// AnyCard asks for a card that need not be one of ours, such as a blank. The caller
// closes it.
func (t *Talk) AnyCard(ctx context.Context, name dialog.Word, facts ...dialog.Fact) (reader.Card, error) {
	q := dialog.Question{Kind: dialog.AskCard, Name: name, Facts: facts}
	for {
		if _, err := t.Ask(ctx, q); err != nil {
			return nil, err
		}
		if err := t.Work(ctx, ReadingCard); err != nil {
			return nil, err
		}
		c, err := t.desk.Device.Connect()
		if err == nil {
			return c, nil
		}
		t.desk.Log.Warn("card not powered", "err", err)
		q.Wrong = WrongCard
	}
}

// Own has who is there show card and PIN again, because the upstream does not know
// them any more. Somebody else's are [WrongPerson].
func (t *Talk) Own(ctx context.Context) error {
	if t.desk.Staff == nil {
		return dialog.Refuse(NoSecond, staff.ErrForbidden)
	}
	card := dialog.Question{Kind: dialog.AskStaffCard, Name: OwnCard}
	pin := dialog.Question{Kind: dialog.AskStaffPIN, Name: OwnPIN}
	for {
		info, err := t.staffCard(ctx, card)
		if err != nil {
			return err
		}
		a, err := t.Ask(ctx, pin)
		if err != nil {
			return err
		}
		if err := t.Work(ctx, CheckingPIN); err != nil {
			a.PIN.Wipe()
			return err
		}
		err = t.desk.Staff.Unlock(ctx, info, a.PIN)
		var wrong *staff.PINWrong
		switch {
		case errors.As(err, &wrong):
			card.Wrong = WrongPIN
		case errors.Is(err, staff.ErrForbidden), errors.Is(err, staff.ErrNobody):
			card.Wrong = WrongPerson
		default:
			return err
		}
	}
}

// Need has a second person release p, if who is there may not do it alone. It
// returns nil if they may. The person is asked for a card and a PIN, and may be
// anybody who may do p.
func (t *Talk) Need(ctx context.Context, p staff.Privilege) (*staff.Release, error) {
	if t.member.Role.May(p) {
		return nil, nil
	}
	return t.Second(ctx, p)
}

// Second has a second person say yes to p, whatever who is there may do.
func (t *Talk) Second(ctx context.Context, p staff.Privilege) (*staff.Release, error) {
	return t.SecondFor(ctx, p, t.Ref())
}

// SecondFor is [Talk.Second] for a part of the task that has a name of its own.
func (t *Talk) SecondFor(ctx context.Context, p staff.Privilege, ref string) (*staff.Release, error) {
	if t.desk.Staff == nil {
		return nil, dialog.Refuse(NoSecond, staff.ErrForbidden)
	}
	what := staff.Ask{Privilege: p, Ref: ref}
	card := dialog.Question{Kind: dialog.AskStaffCard, Name: SecondCard, Of: Privilege(p)}
	for {
		info, err := t.staffCard(ctx, card)
		if err != nil {
			return nil, err
		}
		var r *staff.Release
		if r, card.Wrong, err = t.staffPIN(ctx, info, what); r != nil || err != nil {
			return r, err
		}
	}
}

// staffCard asks for a card of the staff and lets it go again: a PIN of the staff
// is shown to the upstream and never to a card.
func (t *Talk) staffCard(ctx context.Context, q dialog.Question) (purse.Info, error) {
	for {
		if _, err := t.Ask(ctx, q); err != nil {
			return purse.Info{}, err
		}
		c, err := t.desk.connect()
		if err == nil {
			return c.Info, c.Close()
		}
		t.desk.Log.Warn("staff card not read", "err", err)
		q.Wrong = WrongCard
	}
}

// staffPIN asks for the PIN that belongs to a card, until it is right. It returns
// why another card is needed, if it is.
func (t *Talk) staffPIN(ctx context.Context, info purse.Info, what staff.Ask) (*staff.Release, dialog.Word, error) {
	q := dialog.Question{Kind: dialog.AskStaffPIN, Name: SecondPIN, Of: Privilege(what.Privilege)}
	for {
		a, err := t.Ask(ctx, q)
		if err != nil {
			return nil, "", err
		}
		if err := t.Work(ctx, CheckingPIN); err != nil {
			a.PIN.Wipe()
			return nil, "", err
		}
		r, err := t.desk.Staff.Release(ctx, info, a.PIN, what)
		var wrong *staff.PINWrong
		switch {
		case err == nil:
			return r, "", nil
		case errors.As(err, &wrong):
			q.Wrong = WrongPIN
		case errors.Is(err, staff.ErrForbidden):
			return nil, WrongPerson, nil
		default:
			return nil, "", err
		}
	}
}
