package counter

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of a new card.
const (
	askFee     dialog.Word = "centre.fee"
	feeCash    dialog.Word = "centre.fee.cash"
	feeAccount dialog.Word = "centre.fee.account"
	layBlank   dialog.Word = "centre.blank"
	layAgain   dialog.Word = "centre.blank.again" // the same one, which was not written to its end
	notBlank   dialog.Word = "centre.not.blank"
	hasCard    dialog.Word = "centre.has.card"
	hasNone    dialog.Word = "centre.has.none"
	wasIssued  dialog.Word = "centre.was.issued"
	blankOpen  dialog.Word = "centre.blank.open" // it was begun, and goes on under "open"
	cardNext   dialog.Word = "centre.card.next"  // what to tell the holder
	feeOwed    dialog.Word = "centre.fee.owed"   // the account has not as much as the fee
	pinLeft    dialog.Word = "centre.pin.left"   // the card has no PIN yet

	factFee     dialog.Word = "centre.fact.fee"
	factFrom    dialog.Word = "centre.fact.fee.from"
	factNewCard dialog.Word = "centre.fact.card.new"
	factOld     dialog.Word = "centre.fact.card.old"
)

// making is a card that is being made for a holder.
type making struct {
	ref  string
	plan centre.Plan
	fee  money.Fen // 0 for none
	cash bool      // the fee is taken in cash
	uid  string
	card reader.Card // on the reader; nil: it has to be laid down again

	begun bool // the upstream has given uid this number
}

// issue makes the first card of a holder.
func (s *serving) issue(ctx context.Context) (dialog.Report, error) {
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if len(s.current()) > 0 {
		return dialog.Report{}, dialog.Refuse(hasCard, nil)
	}
	return s.make(ctx, s.Ref(), 0)
}

// replace makes a card in place of one that was lost or is broken, for a fee.
func (s *serving) replace(ctx context.Context) (dialog.Report, error) {
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	return s.replaceFound(ctx, s.Ref())
}

// replaceFound does it for the holder who was found, under a reference of its own.
func (s *serving) replaceFound(ctx context.Context, ref string) (dialog.Report, error) {
	if len(s.current()) == 0 {
		return dialog.Report{}, dialog.Refuse(hasNone, nil)
	}
	return s.make(ctx, ref, s.holder.ReplacementFee)
}

// current is the cards that the holder has, as far as they are shown.
func (s *serving) current() (ends []string) {
	for _, c := range s.holder.Cards {
		if c.Status != client.CardRetired {
			ends = append(ends, end(c.No))
		}
	}
	return ends
}

func (s *serving) make(ctx context.Context, ref string, fee money.Fen) (dialog.Report, error) {
	if !s.holder.Until.IsZero() {
		return dialog.Report{}, dialog.Refuse(byCode, nil)
	}
	if err := s.noneBegun(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	m := &making{ref: ref, fee: fee}
	defer m.letGo()
	if err := s.askFee(ctx, m); err != nil {
		return dialog.Report{}, err
	}
	pin, err := s.NewPIN(ctx, askPIN, askAgain)
	if err != nil {
		return dialog.Report{}, err
	}
	defer pin.Wipe()
	if err := s.layBlank(ctx, m); err != nil {
		return dialog.Report{}, err
	}
	ask := sure
	if m.cash {
		ask = cashIn
	}
	if err := s.Confirm(ctx, ask, s.making(m)...); err != nil {
		return dialog.Report{}, err
	}
	if err := s.begin(ctx, m); err != nil {
		return dialog.Report{}, err
	}
	return s.goOn(ctx, m, pin)
}

// noneBegun refuses to begin a second card while one is on its way.
func (s *serving) noneBegun(ctx context.Context) error {
	begun, err := s.begun(ctx)
	for _, e := range begun {
		a, err := e.Centre()
		if err == nil && centre.Kind(a.Act) == centre.Issued && e.Account == s.holder.Account {
			return dialog.Refuse(blankOpen, nil)
		}
	}
	return err
}

// askFee asks where the fee comes from.
func (s *serving) askFee(ctx context.Context, m *making) error {
	if m.fee == 0 {
		return nil
	}
	account := dialog.Option{Word: feeAccount}
	if s.holder.Available < m.fee {
		account.Note = notEnough
	}
	n, err := s.Choose(ctx, askFee, []dialog.Option{{Word: feeCash}, account}, s.with(dialog.Amount(factFee, m.fee))...)
	if m.cash = n == 0; err != nil || !m.cash {
		return err
	}
	return s.mustHaveShift(ctx)
}

// layBlank has a blank laid down. One that falls silent is asked for again, and so
// is another one than was begun: a number and its keys are for one chip.
func (s *serving) layBlank(ctx context.Context, m *making) (err error) {
	ask := layBlank
	for {
		if m.card, err = s.AnyCard(ctx, ask, s.masked()...); err != nil {
			return err
		}
		b, err := purse.GetUID{}.Send(m.card)
		uid := fmt.Sprintf("%X", b) // a reader with contacts tells none
		if answered := err == nil || apdu.Answered(err); answered && (!m.begun || uid == m.uid) {
			m.uid = uid
			break
		}
		m.letGo()
		ask = layAgain
	}
	info, err := purse.Open(m.card, s.Profile)
	if err == nil && info.Enabled && (m.plan.CardNo == "" || info.CardNo.Full() != m.plan.CardNo) {
		return dialog.Refuse(wasIssued, purse.ErrIssued)
	}
	return nil
}

func (m *making) letGo() {
	if m.card != nil {
		_ = m.card.Close() // it may be gone
		m.card = nil
	}
}

func (s *serving) making(m *making) []dialog.Fact {
	facts := s.masked()
	for _, old := range s.current() {
		facts = append(facts, dialog.Text(factOld, old))
	}
	if m.fee > 0 {
		from := feeAccount
		if m.cash {
			from = feeCash
		}
		facts = append(facts, dialog.Fact{Name: factFee, Kind: dialog.IsAmount, Amount: m.fee, Strong: true},
			dialog.Said(factFrom, from))
	}
	return facts
}

// begin gives the card its number, writes down that it is made, and takes the fee
// if it is paid in cash: from then on the cash is the holder's.
func (s *serving) begin(ctx context.Context, m *making) (err error) {
	if err := s.Work(ctx, doing); err != nil {
		return err
	}
	blank := centre.Blank{Ref: m.ref, Account: s.holder.Account, UID: m.uid}
	if m.plan, err = s.Centre.Begin(ctx, s.clerk, blank); err != nil {
		return nothing(err)
	}
	m.begun = true
	if _, err := s.Book.Append(ctx, s.intent(s.issued(m), m.fee)); err != nil {
		return err
	}
	if !m.cash {
		return nil
	}
	_, err = s.takeCash(ctx, m.ref+cashSuffix, m.fee)
	if err != nil && !errors.Is(err, tender.ErrUnknown) { // else the cash may be on the account
		return errors.Join(err, s.end(ctx, m.ref, journal.NotDone))
	}
	if err == nil {
		s.kept = cashKept
	}
	return err
}

// issued is the act of a card that is made.
func (s *serving) issued(m *making) centre.Act {
	return centre.Act{
		Ref: m.ref, Kind: centre.Issued, Account: s.holder.Account, Document: s.seen.document, Card: m.plan.CardNo,
	}
}

// goOn makes the card from wherever it stands: writes it, has it issued, takes the
// fee, and gives it its PIN. What is left open goes on under [Open].
func (s *serving) goOn(ctx context.Context, m *making, pin *kiosk.PIN) (dialog.Report, error) {
	r := dialog.Report{No: short(m.ref), Facts: append(s.making(m), dialog.Text(factNewCard, end(m.plan.CardNo)))}
	if err := s.writeCard(ctx, m); err != nil {
		return r, err
	}
	if err := s.Work(ctx, doing); err != nil {
		return r, inDoubt(blankOpen, err)
	}
	_, err := s.ask(ctx, s.issued(m), nil)
	if no, ok := refusal(err); ok {
		if w := why(no); w == signInAgain || w == notAClerk {
			// That says nothing about the card, which may be issued: it goes on once
			// whoever may has signed in.
			return r, inDoubt(blankOpen, err)
		}
		if m.cash {
			no = dialog.Refuse(givenUp, no)
		}
		return r, errors.Join(no, s.end(ctx, m.ref, journal.NotDone))
	}
	if err != nil {
		return r, inDoubt(blankOpen, err)
	}
	r.Next, r.Print = cardNext, true
	owed, err := s.charge(ctx, m)
	if err == nil {
		s.kept = "" // the fee is paid
		err = s.end(ctx, m.ref, journal.Done)
	}
	if err != nil {
		return r, inDoubt(blankOpen, err)
	}
	switch {
	case s.newPIN(ctx, m, pin) != nil:
		r.Next = pinLeft
	case owed:
		r.Next = feeOwed
	}
	r.Facts = append(r.Facts, dialog.Moment(factDone, s.Now()))
	return r, nil
}

// writeCard writes the card. What was not written to its end goes on with the same
// card. A blank of another maker's ends it.
func (s *serving) writeCard(ctx context.Context, m *making) error {
	start, expiry := purse.DateOf(m.plan.Start.In(beijing.Zone)), purse.DateOf(m.plan.Expiry.In(beijing.Zone))
	n := purse.NewCard{Name: m.plan.Name, Number: m.plan.Number, Start: start, Expiry: expiry}
	var err error
	if n.CardNo, err = purse.ParseCardNo(m.plan.CardNo); err != nil {
		return err
	}
	for {
		if err := s.Work(ctx, writing); err != nil {
			return inDoubt(blankOpen, err)
		}
		err := s.personalise(ctx, m, n)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, purse.ErrNotBlank):
			return s.drop(ctx, m, err)
		case ctx.Err() != nil:
			return inDoubt(blankOpen, ctx.Err())
		}
		s.Log.Warn("card not written", "ref", m.ref, "err", err)
		if _, refused := refusal(err); refused || !cards(err) {
			return inDoubt(blankOpen, err)
		}
		m.letGo()
		if err := s.layBlank(ctx, m); err != nil {
			// Not as the error that it is: who has left is told, too.
			return inDoubt(blankOpen, fmt.Errorf("no card to go on with: %v", err)) //nolint:errorlint // see above
		}
	}
}

// drop ends a card that cannot be made of this blank. Cash that was taken for it is
// on the account.
func (s *serving) drop(ctx context.Context, m *making, why error) error {
	_, was, err := s.Centre.Close(ctx, m.ref)
	if err == nil {
		err = s.end(ctx, m.ref, outcome(was))
	}
	if err != nil || was {
		return inDoubt(blankOpen, errors.Join(why, err))
	}
	return dialog.Refuse(notBlank, why)
}

// cards reports whether err is about the card, so that another try may do.
func cards(err error) bool {
	var status apdu.Status
	return errors.As(err, &status) || errors.Is(err, reader.ErrGone) || errors.Is(err, reader.ErrSilent) ||
		errors.Is(err, apdu.ErrNoAnswer) || errors.Is(err, purse.ErrForeign)
}

func (s *serving) personalise(ctx context.Context, m *making, n purse.NewCard) error {
	if m.card == nil {
		return reader.ErrGone
	}
	uid, err := hex.DecodeString(m.uid)
	if err != nil {
		return err
	}
	factor, err := n.Factor(s.Profile, uid)
	if err != nil {
		return err
	}
	return purse.Personalise(m.card, s.Profile, n, func(o pboc.Order) ([]byte, error) {
		return s.Centre.Command(ctx, s.clerk, centre.Command{Ref: m.ref, Factor: factor, Order: o})
	})
}

// charge takes the fee, once, and reports whether the holder owes it: somebody may
// have spent the money while the card was made. The card is issued all the same, so
// the fee is posted below zero, as a sale in the dark is; the next top-up pays it.
func (s *serving) charge(ctx context.Context, m *making) (owed bool, err error) {
	if m.fee == 0 {
		return false, nil
	}
	ref := m.ref + feeSuffix
	if charged, err := s.has(ctx, ref); err != nil || charged {
		return false, err
	}
	fee := journal.Entry{
		Kind: journal.Fee, Ref: ref, Account: s.holder.Account, Operator: s.Member().No, Amount: m.fee,
	}
	_, err = s.spend(ctx, fee)
	if owed = why(err) == notEnough; owed {
		_, err = s.move(ctx, fee)
	}
	return owed, err
}
