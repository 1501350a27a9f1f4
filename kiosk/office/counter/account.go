package counter

import (
	"context"
	"errors"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of an account.
const (
	askWhich  dialog.Word = "centre.which" // of several cards
	askLimit  dialog.Word = "centre.limit.new"
	askName   dialog.Word = "centre.name.new"
	whichName dialog.Word = "centre.name.which"
	typeName  dialog.Word = "centre.name.type"
	askNew    dialog.Word = "centre.temporary.number"
	askUntil  dialog.Word = "centre.temporary.until"
	askPIN    dialog.Word = "centre.pin.new"
	askAgain  dialog.Word = "centre.pin.again"
	sure      dialog.Word = "centre.sure"
	factNew   dialog.Word = "centre.fact.new"
	factDone  dialog.Word = "centre.fact.done"
	spread    dialog.Word = "centre.lost.spread" // how soon every till knows it
	noActive  dialog.Word = "centre.no.active"
	noHot     dialog.Word = "centre.no.hot"
	isThere   dialog.Word = "centre.is.there"
	oneWeek   dialog.Word = "centre.until.week"
	oneMonth  dialog.Word = "centre.until.month"
	oneTerm   dialog.Word = "centre.until.term"
	oneYear   dialog.Word = "centre.until.year"
	byCode    dialog.Word = "centre.temporary.code" // the holder pays by virtual card
)

// limitMax is the highest daily limit, as the upstream has it.
const limitMax = 1000 * money.Yuan

// nameMax is the longest name, as the upstream has it.
const nameMax = 40

// new names an act of this task.
func (s *serving) new(k centre.Kind) centre.Act { return centre.Act{Ref: s.Ref(), Kind: k} }

// confirmed asks for the last word, does the act, and reports it.
func (s *serving) confirmed(ctx context.Context, a centre.Act, facts ...dialog.Fact) (dialog.Report, error) {
	facts = s.with(facts...)
	if err := s.Confirm(ctx, sure, facts...); err != nil {
		return dialog.Report{}, err
	}
	done, err := s.do(ctx, a, nil)
	if err != nil {
		return dialog.Report{No: short(a.Ref)}, err
	}
	return dialog.Report{No: short(a.Ref), Facts: append(facts, dialog.Moment(factDone, done.At))}, nil
}

// lost reports a card lost.
func (s *serving) lost(ctx context.Context) (dialog.Report, error) {
	return s.mark(ctx, centre.Lost, client.CardActive)
}

// found undoes that.
func (s *serving) found(ctx context.Context) (dialog.Report, error) {
	return s.mark(ctx, centre.Found, client.CardHot)
}

// mark does an act with a card of the holder that has a status.
func (s *serving) mark(ctx context.Context, k centre.Kind, has client.CardStatus) (dialog.Report, error) {
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	no, err := s.which(ctx, has)
	if err != nil {
		return dialog.Report{}, err
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	a := s.new(k)
	a.Card = no
	r, err := s.confirmed(ctx, a, dialog.Text(factCard, end(no)))
	if k == centre.Lost {
		r.Next = spread
	}
	return r, err
}

// which asks which card with a status is meant, if there are several.
func (s *serving) which(ctx context.Context, has client.CardStatus) (string, error) {
	var nos []string
	var options []dialog.Option
	for _, c := range s.holder.Cards {
		if c.Status == has {
			nos, options = append(nos, c.No), append(options, dialog.Option{Text: end(c.No)})
		}
	}
	switch {
	case len(nos) == 0 && has == client.CardHot:
		return "", dialog.Refuse(noHot, nil)
	case len(nos) == 0:
		return "", dialog.Refuse(noActive, nil)
	case len(nos) == 1:
		return nos[0], nil
	}
	n, err := s.Choose(ctx, askWhich, options, s.masked()...)
	if err != nil {
		return "", err
	}
	return nos[n], nil
}

// limit changes the daily limit.
func (s *serving) limit(ctx context.Context) (dialog.Report, error) {
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	was := dialog.Amount(factLimit, s.holder.DailyLimit)
	a := s.new(centre.Limited)
	var err error
	if a.Limit, err = s.Amount(ctx, askLimit, 0, limitMax, s.with(was)...); err != nil {
		return dialog.Report{}, err
	}
	return s.confirmed(ctx, a, was, dialog.Fact{Name: factNew, Kind: dialog.IsAmount, Amount: a.Limit, Strong: true})
}

// name corrects the name.
func (s *serving) name(ctx context.Context) (dialog.Report, error) {
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	a := s.new(centre.Named)
	var err error
	if a.Name, err = s.askName(ctx, s.holder.Number, s.whole()...); err != nil {
		return dialog.Report{}, err
	}
	r, err := s.confirmed(ctx, a, dialog.Fact{Name: factNew, Text: a.Name, Strong: true})
	if r.Next = onCardNext; !s.Profile.Holder.Update {
		r.Next = notOnCard
	}
	return r, err
}

// askName asks for a name: the one that the school's register has under a number,
// or another one in letters, since nobody can type Chinese here.
func (s *serving) askName(ctx context.Context, number string, facts ...dialog.Fact) (string, error) {
	if err := s.Work(ctx, looking); err != nil {
		return "", err
	}
	known, err := s.Centre.Registered(ctx, s.clerk, number)
	switch no := (*centre.Refusal)(nil); {
	case err == nil:
		n, err := s.Choose(ctx, whichName, []dialog.Option{{Text: known}, {Word: typeName}}, facts...)
		if err != nil || n == 0 {
			return known, err
		}
	case !errors.As(err, &no) || no.Reason != centre.HolderUnknown:
		return "", nothing(err)
	}
	typed, err := s.Text(ctx, askName, nameMax, facts...)
	return strings.TrimSpace(typed), err
}

// stays are for how long somebody may be there for a time.
var stays = []struct {
	word dialog.Word
	days int
}{{oneWeek, 7}, {oneMonth, 31}, {oneTerm, 180}, {oneYear, 365}}

// temporary opens an account for somebody without a card, who pays by code.
func (s *serving) temporary(ctx context.Context) (dialog.Report, error) {
	a := s.new(centre.Opened)
	no, err := s.Number(ctx, askNew, numberMax)
	if err != nil {
		return dialog.Report{}, err
	}
	if a.Account, err = no, s.mustBeNew(ctx, no); err != nil {
		return dialog.Report{}, err
	}
	if a.Name, err = s.askName(ctx, no, dialog.Text(factNumber, no)); err != nil {
		return dialog.Report{}, err
	}
	s.holder = centre.Holder{Account: no, Number: no, Name: a.Name, MaskedName: a.Name}
	var options []dialog.Option
	for _, x := range stays {
		options = append(options, dialog.Option{Word: x.word})
	}
	n, err := s.Choose(ctx, askUntil, options, s.masked()...)
	if err != nil {
		return dialog.Report{}, err
	}
	a.Until = lastMoment(s.Now(), stays[n].days)
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	return s.opened(ctx, a)
}

// opened does the act, with the PIN that the holder chooses.
func (s *serving) opened(ctx context.Context, a centre.Act) (dialog.Report, error) {
	pin, err := s.NewPIN(ctx, askPIN, askAgain)
	if err != nil {
		return dialog.Report{}, err
	}
	defer pin.Wipe()
	facts := s.with(day(factUntil, a.Until))
	if err := s.Confirm(ctx, sure, facts...); err != nil {
		return dialog.Report{}, err
	}
	done, err := s.do(ctx, a, pin)
	if err != nil {
		return dialog.Report{No: short(a.Ref)}, err
	}
	facts = append(facts, dialog.Moment(factDone, done.At))
	return dialog.Report{No: short(a.Ref), Facts: facts, Next: byCode}, nil
}

// mustBeNew refuses a number that somebody has.
func (s *serving) mustBeNew(ctx context.Context, no string) error {
	err := s.lookUp(ctx, centre.Find{Account: no})
	if err == nil {
		return dialog.Refuse(isThere, nil)
	}
	if why(err) == noHolder {
		return nil
	}
	return err
}

// lastMoment is the end of the day that is so many days after now's, at the campus.
func lastMoment(now time.Time, days int) time.Time {
	return beijing.Midnight(now).AddDate(0, 0, days+1).Add(-time.Second)
}
