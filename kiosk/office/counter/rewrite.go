package counter

import (
	"context"
	"errors"
	"slices"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of the name on a card.
const (
	notOnCard  dialog.Word = "centre.name.card"      // the card keeps the old one until it is replaced
	onCardNext dialog.Word = "centre.name.card.next" // the card can be given it, under [Rewrite]
	nameSame   dialog.Word = "centre.rewrite.same"
	nameDone   dialog.Word = "centre.rewrite.done"
	nameOpen   dialog.Word = "centre.rewrite.open"  // nobody knows what the card says; see [Open]
	nameLeft   dialog.Word = "centre.rewrite.left"  // given up: it is seen when the card is laid down again
	layTwice   dialog.Word = "centre.rewrite.twice" // the same card, which fell silent
	askStays   dialog.Word = "centre.rewrite.stays" // the name stays: replace the card?
	replaceNow dialog.Word = "centre.rewrite.replace"
	leaveIt    dialog.Word = "centre.rewrite.leave"
	factOnCard dialog.Word = "centre.fact.on.card"
	factToCard dialog.Word = "centre.fact.to.card"
)

// renaming is a card that is to say something else of its holder.
type renaming struct {
	making
	says, wants purse.Holder // cut to what the card has room for
}

// rewrite has a card say its holder's name and number as the upstream has them now.
func (s *serving) rewrite(ctx context.Context) (dialog.Report, error) {
	m, err := s.layRenamed(ctx, askCard)
	if err != nil {
		return dialog.Report{}, err
	}
	defer m.letGo()
	switch {
	case !s.mayUse(m.plan.CardNo):
		return dialog.Report{}, dialog.Refuse(noActive, nil)
	case m.same():
		return dialog.Report{Facts: s.renamed(m), Next: nameSame}, nil
	case !s.Profile.Holder.Update || s.refuses(m.plan.CardNo):
		return s.stays(ctx, m)
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.Confirm(ctx, sure, s.renamed(m)...); err != nil {
		return dialog.Report{}, err
	}
	if err := s.Work(ctx, writing); err != nil {
		return dialog.Report{}, err
	}
	m.ref = s.Ref()
	if _, err := s.Book.Append(ctx, s.intent(s.rewritten(m), 0)); err != nil {
		return dialog.Report{}, err
	}
	return s.rename(ctx, m)
}

// layRenamed has a card laid down, and finds whose it is.
func (s *serving) layRenamed(ctx context.Context, ask dialog.Word) (*renaming, error) {
	c, err := s.Card(ctx, ask)
	if err != nil {
		return nil, err
	}
	s.tell(ctx)
	m := &renaming{making: making{card: c}, says: purse.Holder{Name: c.Info.Name, Number: c.Info.HolderNo}}
	m.plan.CardNo = c.Info.CardNo.Full()
	if err = s.lookUp(ctx, centre.Find{Card: m.plan.CardNo}); err == nil {
		err = s.mustBeOpen()
	}
	if err != nil {
		m.letGo()
		return nil, err
	}
	m.wants = purse.OnCard(s.Profile, purse.Holder{Name: s.holder.Name, Number: s.holder.Number})
	return m, nil
}

// mayUse reports whether the holder may use a card.
func (s *serving) mayUse(no string) bool {
	for _, c := range s.holder.Cards {
		if c.No == no {
			return c.Status == client.CardActive
		}
	}
	return false
}

// same reports whether the card says it already. A number that the card does not
// give is not one to change.
func (m *renaming) same() bool {
	return m.says.Name == m.wants.Name && (m.says.Number == m.wants.Number || m.says.Number == "")
}

func (s *serving) renamed(m *renaming) []dialog.Fact {
	line := func(h purse.Holder) string { return h.Name + "  " + h.Number }
	return s.with(dialog.Text(factCard, end(m.plan.CardNo)), dialog.Text(factOnCard, line(m.says)),
		dialog.Fact{Name: factToCard, Text: line(m.wants), Strong: true})
}

// rewritten is the act of a card that says the name.
func (s *serving) rewritten(m *renaming) centre.Act {
	return centre.Act{
		Ref: m.ref, Kind: centre.Rewritten, Account: s.holder.Account, Document: s.seen.document,
		Card: m.plan.CardNo, Name: s.holder.Name,
	}
}

// rename writes the card, tells the upstream, and ends what the journal has begun.
// The card is silent: it is asked for again, and who has gone by then leaves it open
// for [Open].
func (s *serving) rename(ctx context.Context, m *renaming) (dialog.Report, error) {
	r := dialog.Report{No: short(m.ref), Facts: s.renamed(m)}
	for {
		err := s.renameNow(ctx, m)
		if err == nil {
			break
		}
		if errors.Is(err, purse.ErrUnchanged) {
			return s.notRenamed(ctx, m, err)
		}
		if ctx.Err() != nil {
			return r, inDoubt(nameOpen, ctx.Err())
		}
		s.Log.Warn("card may not say the name", "ref", m.ref, "err", err)
		m.letGo()
		c, lost := s.Card(ctx, layTwice, s.masked()...)
		if lost != nil {
			return r, inDoubt(nameOpen, err)
		}
		m.card = c
	}
	// The card says it. From here on it is done, whoever has heard.
	if err := s.Work(ctx, doing); err != nil {
		return r, inDoubt(nameOpen, err)
	}
	done, err := s.ask(ctx, s.rewritten(m), nil)
	if err == nil {
		err = s.end(ctx, m.ref, journal.Done)
	}
	if err != nil {
		return r, inDoubt(nameOpen, err)
	}
	r.Facts, r.Next = append(r.Facts, dialog.Moment(factDone, done.At)), nameDone
	return r, nil
}

// renameNow has the card that lies there say the name, if it is the one.
func (s *serving) renameNow(ctx context.Context, m *renaming) error {
	if err := s.Work(ctx, writing); err != nil {
		return err
	}
	info, err := purse.Open(m.card, s.Profile)
	if err != nil {
		return err
	}
	if info.CardNo.Full() != m.plan.CardNo {
		return errOther
	}
	h := purse.Holder{Name: s.holder.Name, Number: s.holder.Number}
	return purse.Rewrite(m.card, s.Profile, h, func(o pboc.Order) ([]byte, error) {
		return s.Centre.HolderCommand(ctx, s.clerk, centre.Rewrite{CardNo: m.plan.CardNo, Order: o})
	})
}

// notRenamed ends what was seen not to have happened. A card that has refused, or of
// which nobody has the key, keeps the name.
func (s *serving) notRenamed(ctx context.Context, m *renaming, err error) (dialog.Report, error) {
	s.Log.Warn("card keeps the name", "ref", m.ref, "err", err)
	if err := s.end(ctx, m.ref, journal.NotDone); err != nil {
		return dialog.Report{}, checked(err)
	}
	no, refused := refusal(err)
	switch {
	case refused && why(no) != notOnCard:
		return dialog.Report{}, no
	case !refused && !apdu.Answered(err) && !errors.Is(err, purse.ErrNoRoom):
		return dialog.Report{}, dialog.Refuse(away, err)
	}
	s.stubborn[m.plan.CardNo] = true
	if word := apdu.Status(0); errors.As(err, &word) {
		s.untold = append(s.untold, centre.NameRefused{
			Ref: m.ref, CardNo: m.plan.CardNo, Status: uint16(word), At: s.Now(),
		})
		s.tell(ctx)
	}
	return s.stays(ctx, m)
}

// refuses reports whether a card has refused another name before, at this desk or at
// another.
func (s *serving) refuses(no string) bool {
	return s.stubborn[no] || slices.ContainsFunc(s.holder.Cards, func(c centre.Card) bool {
		return c.No == no && c.Refused != 0
	})
}

// tell tells the upstream which cards have refused. What it does not hear now it is told
// when the next card is to be written; until then this desk alone knows.
func (s *serving) tell(ctx context.Context) {
	s.untold = slices.DeleteFunc(s.untold, func(r centre.NameRefused) bool {
		err := s.Centre.RefuseName(ctx, s.clerk, r)
		if err != nil {
			s.Log.Warn("refusal of a card is not told upstream", "ref", r.Ref, "err", err)
		}
		no := (*centre.Refusal)(nil)
		return err == nil || errors.As(err, &no) && no.Reason == centre.CardUnknown
	})
}

// stays says that the name on the card stays until it is replaced, and offers that to
// a clerk who may.
func (s *serving) stays(ctx context.Context, m *renaming) (dialog.Report, error) {
	m.letGo()
	if !s.Member().Role.May(staff.Replace) {
		return dialog.Report{}, dialog.Refuse(notOnCard, nil)
	}
	n, err := s.Choose(ctx, askStays, []dialog.Option{{Word: replaceNow}, {Word: leaveIt}}, s.renamed(m)...)
	if err != nil {
		return dialog.Report{}, err
	}
	if n == 1 {
		return dialog.Report{}, dialog.Refuse(notOnCard, nil)
	}
	return s.replaceFound(ctx, kiosk.NewRef())
}

// openRewrite goes on with a card of which nobody knows what it says, or gives it up.
func (s *serving) openRewrite(ctx context.Context, e journal.Entry) (dialog.Report, error) {
	how, err := s.Choose(ctx, askGoOn, []dialog.Option{{Word: goOnWord}, {Word: giveUp}},
		s.with(dialog.Text(factCard, end(e.Card)), dialog.Moment(factSince, e.At))...)
	if err != nil {
		return dialog.Report{}, err
	}
	if how == 1 {
		return s.leaveName(ctx, e)
	}
	m, err := s.layRenamed(ctx, layTwice)
	if err != nil {
		return dialog.Report{}, err
	}
	defer m.letGo()
	if m.plan.CardNo != e.Card {
		return dialog.Report{}, dialog.Refuse(otherBlank, errOther)
	}
	m.ref = e.Ref
	return s.rename(ctx, m)
}

// leaveName gives up a card that has not come back. Its next visit shows what it says.
func (s *serving) leaveName(ctx context.Context, e journal.Entry) (dialog.Report, error) {
	r := dialog.Report{No: short(e.Ref), Facts: s.with(dialog.Text(factCard, end(e.Card))), Next: nameLeft}
	if err := s.Confirm(ctx, sure, r.Facts...); err != nil {
		return dialog.Report{}, err
	}
	if err := s.Work(ctx, doing); err != nil {
		return r, err
	}
	_, was, err := s.Centre.Close(ctx, e.Ref)
	if err == nil {
		err = s.end(ctx, e.Ref, outcome(was))
	}
	if err != nil {
		return r, checked(err)
	}
	if was {
		r.Next = nameDone
	}
	return r, nil
}

// settleRewritten ends what the upstream was told. What it was not told takes the
// card: see [Open].
func (d *Desk) settleRewritten(ctx context.Context, intent journal.Entry) error {
	_, err := d.Centre.Did(ctx, intent.Ref)
	no := (*centre.Refusal)(nil)
	if errors.As(err, &no) && no.Reason == centre.ActUnknown {
		return nil
	}
	if err != nil {
		return err
	}
	return d.endBy(ctx, intent.Ref, intent.Operator, journal.Done)
}
