package counter

import (
	"context"
	"errors"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of what was left open.
const (
	nothingOpen dialog.Word = "centre.nothing.open"
	askOpen     dialog.Word = "centre.open.which"
	askGoOn     dialog.Word = "centre.open.how"
	goOnWord    dialog.Word = "centre.open.go.on"
	otherBlank  dialog.Word = "centre.open.other"
	giveUp      dialog.Word = "centre.open.give.up"
	givenUp     dialog.Word = "centre.given.up" // what was taken in cash is on the account
	factSince   dialog.Word = "centre.fact.since"
)

// begun returns the acts that were begun here and are not at their end.
func (d *Desk) begun(ctx context.Context) (all []journal.Entry, err error) {
	open, err := d.Book.OpenItems(ctx)
	for _, e := range open {
		if e.Kind == journal.CentreIntent {
			all = append(all, e)
		}
	}
	return all, err
}

// open shows what was left open here, and goes on with it or gives it up.
func (s *serving) open(ctx context.Context) (dialog.Report, error) {
	begun, err := s.begun(ctx)
	if err != nil || len(begun) == 0 {
		return dialog.Report{Facts: []dialog.Fact{dialog.Said(Open, nothingOpen)}}, err
	}
	var options []dialog.Option
	for _, e := range begun {
		at := e.At.In(beijing.Zone).Format(time.DateTime)
		options = append(options, dialog.Option{Text: at + "  " + end(e.Account)})
	}
	n, err := s.Choose(ctx, askOpen, options)
	if err != nil {
		return dialog.Report{}, err
	}
	e := begun[n]
	if err := s.lookUp(ctx, centre.Find{Account: e.Account}); err != nil {
		return dialog.Report{}, err
	}
	if a, err := e.Centre(); err == nil && centre.Kind(a.Act) == centre.Rewritten {
		s.seen = seen{centre.Document(a.Document), a.Evidence}
		return s.openRewrite(ctx, e)
	}
	m, err := s.resumed(ctx, e)
	if err != nil {
		return dialog.Report{}, err
	}
	defer m.letGo()
	how, err := s.Choose(ctx, askGoOn, []dialog.Option{{Word: goOnWord}, {Word: giveUp}},
		append(s.making(m), dialog.Moment(factSince, e.At))...)
	if err != nil {
		return dialog.Report{}, err
	}
	if how == 1 {
		return s.giveUp(ctx, m)
	}
	return s.resume(ctx, m)
}

// resumed returns the card that an intent has begun, as the journal knows it.
func (s *serving) resumed(ctx context.Context, e journal.Entry) (*making, error) {
	a, err := e.Centre()
	if err != nil {
		return nil, err
	}
	if centre.Kind(a.Act) != centre.Issued {
		return nil, dialog.Refuse(away, errors.New("the upstream was not asked yet what became of it"))
	}
	s.seen = seen{centre.Document(a.Document), a.Evidence}
	m := &making{ref: e.Ref, fee: money.Fen(a.Fee)}
	m.plan.CardNo = e.Card
	charged, err := s.has(ctx, e.Ref+feeSuffix)
	if err != nil {
		return nil, err
	}
	if charged {
		m.fee = 0
	}
	if m.cash, err = s.has(ctx, e.Ref+cashSuffix); m.cash && !charged {
		s.kept = cashKept
	}
	return m, err
}

// has reports whether something is in the journal.
func (d *Desk) has(ctx context.Context, ref string) (bool, error) {
	_, err := d.Book.Get(ctx, ref)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// resume goes on with a card. A fee that was not taken before the power failed is
// taken now.
func (s *serving) resume(ctx context.Context, m *making) (dialog.Report, error) {
	taken := m.cash
	if !taken {
		if err := s.askFee(ctx, m); err != nil {
			return dialog.Report{}, err
		}
	}
	pin, err := s.NewPIN(ctx, askPIN, askAgain)
	if err != nil {
		return dialog.Report{}, err
	}
	defer pin.Wipe()
	if err := s.layBlank(ctx, m); err != nil {
		return dialog.Report{}, err
	}
	if err := s.Work(ctx, doing); err != nil {
		return dialog.Report{}, err
	}
	m.plan, err = s.Centre.Begin(ctx, s.clerk, centre.Blank{Ref: m.ref, Account: s.holder.Account, UID: m.uid})
	if no := (*centre.Refusal)(nil); errors.As(err, &no) && no.Reason == centre.ActConflict {
		return dialog.Report{}, dialog.Refuse(otherBlank, err)
	}
	if err != nil {
		return dialog.Report{}, nothing(err)
	}
	m.begun = true
	if m.cash && !taken {
		if _, err := s.takeCash(ctx, m.ref+cashSuffix, m.fee); err != nil {
			return dialog.Report{}, err
		}
		s.kept = cashKept
	}
	return s.goOn(ctx, m, pin)
}

// giveUp ends a card that is not to be made any more. If it was issued all the
// same, it stays so.
func (s *serving) giveUp(ctx context.Context, m *making) (dialog.Report, error) {
	r := dialog.Report{No: short(m.ref), Facts: s.making(m), Next: givenUp}
	if err := s.Confirm(ctx, sure, r.Facts...); err != nil {
		return dialog.Report{}, err
	}
	if err := s.Work(ctx, doing); err != nil {
		return r, err
	}
	_, was, err := s.Centre.Close(ctx, m.ref)
	if err != nil {
		return r, checked(err)
	}
	if was {
		if _, err := s.charge(ctx, m); err != nil {
			return r, checked(err)
		}
		r.Next = pinLeft
	}
	if err := s.end(ctx, m.ref, outcome(was)); err != nil {
		return r, checked(err)
	}
	return r, nil
}
