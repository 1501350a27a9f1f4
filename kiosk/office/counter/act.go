package counter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// What is being done.
const (
	looking dialog.Word = "centre.looking"
	doing   dialog.Word = "centre.doing"
	writing dialog.Word = "centre.writing"
	waiting dialog.Word = "centre.waiting"
)

// Why something is not done.
const (
	away        dialog.Word = "centre.away" // and nothing has happened
	signInAgain dialog.Word = "centre.session"
	notAClerk   dialog.Word = "centre.forbidden"
	noCard      dialog.Word = "centre.no.card"
	refusedWord dialog.Word = "centre.refused"
	noBlanks    dialog.Word = "centre.no.blanks"
	pinWrong    dialog.Word = "centre.pin.wrong"
	tooMuch     dialog.Word = "centre.too.much"
	leftOver    dialog.Word = "centre.left.over"
	unsure      dialog.Word = "centre.unsure"
)

// whys says which words a refusal of the upstream has.
var whys = map[centre.Reason]dialog.Word{
	centre.SessionOver: signInAgain, centre.Forbidden: notAClerk, centre.HolderUnknown: noHolder,
	centre.CardUnknown: noCard, centre.NoBlanks: noBlanks, centre.PINWrong: pinWrong, centre.PINLocked: pinLocked,
	centre.NotMadeHere:      notOnCard,
	centre.CardRefuses:      notOnCard,
	centre.AmountOutOfRange: tooMuch, centre.AccountClosed: closedWord, centre.LeftOver: leftOver,
}

// refusal returns the upstream's "no" in words, and whether err is one.
func refusal(err error) (error, bool) {
	no := (*centre.Refusal)(nil)
	if !errors.As(err, &no) {
		return err, false
	}
	why, ok := whys[no.Reason]
	if !ok {
		why = refusedWord
	}
	return dialog.Refuse(why, err), true
}

// nothing returns an error of something that changes nothing: whatever it is,
// nothing has happened.
func nothing(err error) error {
	if no, ok := refusal(err); ok {
		return no
	}
	said, no := (*dialog.Refusal)(nil), (*client.Refusal)(nil)
	if errors.As(err, &said) || errors.As(err, &no) || errors.Is(err, context.Canceled) {
		return err
	}
	return dialog.Refuse(away, err)
}

// checked returns err as one after which nobody knows: it is being checked. Whatever
// the error says of itself, the page says that.
func checked(err error) error { return inDoubt(unsure, err) }

func inDoubt(why dialog.Word, err error) error {
	return fmt.Errorf("%w: %w", tender.ErrUnknown, dialog.Refuse(why, err))
}

// intent returns what is written down before an act is asked for. The fee is what
// goes with it, or 0.
func (s *serving) intent(a centre.Act, fee money.Fen) journal.Entry {
	said := journal.CentreAct{
		Act: int(a.Kind), Document: int(a.Document), Evidence: s.seen.evidence,
		Limit: int64(a.Limit), Fee: int64(fee),
	}
	if !a.Until.IsZero() {
		said.Until = a.Until.In(beijing.Zone).Format(time.DateOnly)
	}
	if r := s.Release(); r != nil {
		said.Released = r.By.No
	}
	text, err := json.Marshal(said)
	if err != nil {
		panic("counter: internal error: " + err.Error()) // texts and numbers
	}
	return journal.Entry{
		Kind: journal.CentreIntent, Ref: a.Ref, Account: a.Account, Card: a.Card, Operator: s.Member().No,
		Details: text,
	}
}

// do does an act that writes no card: written down, done upstream, written down. No
// error is "done", an [dialog.Refusal] is "nothing has happened", and every other
// error is "being checked", which the next task goes on with. pin may be nil.
func (s *serving) do(ctx context.Context, a centre.Act, pin *kiosk.PIN) (centre.Done, error) {
	if err := s.Work(ctx, doing); err != nil {
		return centre.Done{}, err
	}
	a.Account, a.Document = s.account(a), s.seen.document
	if _, err := s.Book.Append(ctx, s.intent(a, 0)); err != nil {
		return centre.Done{}, err
	}
	done, err := s.ask(ctx, a, pin)
	if no, ok := refusal(err); ok {
		return centre.Done{}, errors.Join(no, s.end(ctx, a.Ref, journal.NotDone))
	}
	if err != nil {
		return centre.Done{}, checked(err)
	}
	if err := s.end(ctx, a.Ref, journal.Done); err != nil {
		return centre.Done{}, checked(err)
	}
	return done, nil
}

func (s *serving) account(a centre.Act) string {
	if a.Account != "" {
		return a.Account
	}
	return s.holder.Account
}

// ask has the upstream do an act. Where its answer is lost, the act is asked after
// at once, so that few are left open.
func (s *serving) ask(ctx context.Context, a centre.Act, pin *kiosk.PIN) (centre.Done, error) {
	var digits *[kiosk.PINLength]byte
	if pin != nil {
		digits = pin.Digits()
	}
	done, err := s.Centre.Do(ctx, s.clerk, a, digits)
	if _, refused := refusal(err); err == nil || refused {
		return done, err
	}
	s.Log.Warn("answer to an act was lost", "ref", a.Ref, "err", err)
	if err := s.sleep(ctx); err != nil {
		return done, err
	}
	if withCard(a.Kind) { // it can still be done later, with the card that is made
		return s.Centre.Do(ctx, s.clerk, a, digits)
	}
	done, was, lost := s.Centre.Close(ctx, a.Ref)
	switch {
	case lost != nil:
		return done, errors.Join(err, lost)
	case !was:
		return done, &centre.Refusal{Reason: centre.ActClosed, Why: "its answer was lost, and it was not done"}
	}
	return done, nil
}

// end writes down what came of an act of this task.
func (s *serving) end(ctx context.Context, ref string, o journal.Outcome) error {
	return s.endBy(ctx, ref, s.Member().No, o)
}

func (d *Desk) endBy(ctx context.Context, ref, operator string, o journal.Outcome) error {
	_, err := d.Book.Append(ctx, journal.Entry{Kind: journal.CentreEnd, Ref: ref, Operator: operator, Outcome: o})
	return err
}

// move writes down what cash or a balance has to follow. A journal that fails may
// have it all the same: nobody knows then, and it is not done again.
func (d *Desk) move(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	written, err := d.Book.Append(ctx, e)
	return written, cashErr(err)
}

// cashErr is what writing about cash has come to, of which nobody may know.
func cashErr(err error) error {
	if errors.Is(err, ledger.ErrFailed) {
		return inDoubt(cashUnsure, err)
	}
	return err
}

func (d *Desk) sleep(ctx context.Context) error {
	select {
	case <-time.After(d.Pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle ends what was left open and takes nobody to end. A card that was begun is
// left to who has it in hand.
func (d *Desk) settle(ctx context.Context) {
	open, err := d.Book.OpenItems(ctx)
	if err != nil {
		d.Log.Error("open items not read", "err", err)
		return
	}
	for _, intent := range open {
		if intent.Kind != journal.CentreIntent {
			continue
		}
		if err := d.settleOne(ctx, intent); err != nil {
			d.Log.Warn("act is still open", "ref", intent.Ref, "err", err)
		}
	}
}

func (d *Desk) settleOne(ctx context.Context, intent journal.Entry) error {
	a, err := intent.Centre()
	if err != nil || centre.Kind(a.Act) == centre.Issued {
		return err
	}
	if centre.Kind(a.Act) == centre.Rewritten {
		return d.settleRewritten(ctx, intent)
	}
	_, was, err := d.Centre.Close(ctx, intent.Ref)
	if err != nil {
		return err
	}
	return d.endBy(ctx, intent.Ref, intent.Operator, outcome(was))
}

// withCard reports whether an act is done with a card in hand, so that only somebody
// who has that card can end it.
func withCard(k centre.Kind) bool { return k == centre.Issued || k == centre.Rewritten }

func outcome(done bool) journal.Outcome {
	if done {
		return journal.Done
	}
	return journal.NotDone
}

// why returns the words of a refusal, or "".
func why(err error) dialog.Word {
	if r := (*dialog.Refusal)(nil); !errors.Is(err, tender.ErrUnknown) && errors.As(err, &r) {
		return r.Why
	}
	return ""
}
