package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// What is asked, and said, of cash.
const (
	noShift    dialog.Word = "centre.no.shift"
	askCash    dialog.Word = "centre.cash"
	cashIn     dialog.Word = "centre.cash.in"  // count it, then confirm
	cashOut    dialog.Word = "centre.cash.out" // count it out, then confirm
	cashUnsure dialog.Word = "centre.cash.unsure"
	cashKept   dialog.Word = "centre.cash.kept" // it is on the account
	noRoom     dialog.Word = "centre.no.room"
	drawerLow  dialog.Word = "centre.drawer.low"
	notEnough  dialog.Word = "centre.not.enough"
	retireOnce dialog.Word = "centre.retire.later"
	retireLost dialog.Word = "centre.retire.doubt" // a sale in doubt may turn out not to have been made

	factCash  dialog.Word = "centre.fact.cash"
	factPaid  dialog.Word = "centre.fact.paid"
	factAfter dialog.Word = "centre.fact.after"
)

// topUp takes cash onto an account.
func (s *serving) topUp(ctx context.Context) (dialog.Report, error) {
	if err := s.mustHaveShift(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if s.holder.TopUpMax < 1 {
		return dialog.Report{}, dialog.Refuse(noRoom, nil)
	}
	amount, err := s.Amount(ctx, askCash, 1, s.holder.TopUpMax, s.whole()...)
	if err != nil {
		return dialog.Report{}, err
	}
	facts := s.with(dialog.Fact{Name: factCash, Kind: dialog.IsAmount, Amount: amount, Strong: true})
	if err := s.Confirm(ctx, cashIn, facts...); err != nil {
		return dialog.Report{}, err
	}
	e, err := s.takeCash(ctx, s.Ref(), amount)
	if err != nil {
		return dialog.Report{}, err
	}
	facts = append(facts, dialog.Amount(factAfter, s.holder.Balance+amount), dialog.Moment(factDone, e.At))
	return dialog.Report{No: short(e.Ref), Facts: facts, Print: true}, nil
}

// mustHaveShift refuses cash for which no drawer answers.
func (s *serving) mustHaveShift(ctx context.Context) error {
	state, err := s.Shift.State(ctx)
	if err == nil && !state.Open {
		err = dialog.Refuse(noShift, nil)
	}
	return err
}

// takeCash takes cash onto the holder's account, if the upstream lets it. After an
// error nobody has it written down, and it is given back, unless that is unknown.
func (s *serving) takeCash(ctx context.Context, ref string, amount money.Fen) (journal.Entry, error) {
	if err := s.Work(ctx, doing); err != nil {
		return journal.Entry{}, err
	}
	e := journal.Entry{
		Kind: journal.CashTopUp, Ref: ref, Account: s.holder.Account, Operator: s.Member().No, Amount: amount,
	}
	return s.moveHeld(ctx, e, func(epoch journal.Epoch, seq int64) (passed bool, err error) {
		err = s.Centre.AllowCash(ctx, s.clerk, centre.Cash{
			Epoch: epoch, Seq: seq, Attempt: ref, Account: e.Account, Amount: amount,
		})
		if no := (*centre.Refusal)(nil); errors.As(err, &no) && no.Reason == centre.NumberPassed {
			return true, nil
		}
		return false, err
	})
}

// retire closes an account, and gives back in cash what is on it.
func (s *serving) retire(ctx context.Context) (dialog.Report, error) {
	if err := s.mustHaveShift(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := s.findOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if h := s.holder; keepsOpen(h) || h.Available != h.Balance || h.Balance < 0 {
		return dialog.Report{Facts: s.with(s.underWay()...)}, dialog.Refuse(leftOver, nil)
	}
	if err := s.document(ctx); err != nil {
		return dialog.Report{}, err
	}
	paid, ref := s.holder.Balance, s.Ref()
	facts := s.with(dialog.Fact{Name: factPaid, Kind: dialog.IsAmount, Amount: paid, Strong: true})
	facts = append(facts, s.underWay()...)
	ask := sure
	if paid > 0 {
		ask = cashOut
	}
	if err := s.Confirm(ctx, ask, facts...); err != nil {
		return dialog.Report{}, err
	}
	if paid > 0 {
		if err := s.payOut(ctx, ref+payOutSuffix, paid); err != nil {
			return dialog.Report{}, err
		}
	}
	report := dialog.Report{No: short(ref), Facts: facts, Print: paid > 0}
	if len(s.holder.Open) > 0 {
		report.Next = retireLost
	}
	if err := s.emptied(ctx); err != nil {
		report.Next = retireOnce // the cash is out, and the account is empty: nothing can be lost
		return report, nil       //nolint:nilerr // it is said
	}
	done, err := s.do(ctx, centre.Act{Ref: ref, Kind: centre.Retired}, nil)
	if err == nil {
		report.Facts = append(report.Facts, dialog.Moment(factDone, done.At))
		return report, nil
	}
	if paid > 0 && !errors.Is(err, tender.ErrUnknown) { // it is not closed, and the cash is out
		report.Next = retireOnce
		return report, nil
	}
	return report, err
}

// lefts say what is open of an account.
var lefts = map[client.OpenKind]dialog.Word{
	client.OpenTopUpChecking: "centre.left.topup", client.OpenLoadDoubt: "centre.left.load",
	client.OpenPurchaseDoubt: "centre.left.sale", client.OpenHold: "centre.left.hold",
	client.OpenPurchaseLost: "centre.left.lost", client.OpenBill: "centre.left.bill",
	client.OpenBath: "centre.left.bath",
}

// keepsOpen reports whether something is under way that has to end before the account.
func keepsOpen(h centre.Holder) bool {
	return slices.ContainsFunc(h.Open, func(o centre.Open) bool { return o.Kind != client.OpenPurchaseLost })
}

// underWay is what is open of the account.
func (s *serving) underWay() (all []dialog.Fact) {
	for _, o := range s.holder.Open {
		if name, known := lefts[o.Kind]; known {
			all = append(all, dialog.Amount(name, o.Amount), dialog.Moment(factSince, o.Since.In(beijing.Zone)))
		}
	}
	return all
}

// What references of money that goes with an act end in.
const (
	payOutSuffix = ".out"
	cashSuffix   = ".in"
	feeSuffix    = ".fee"
)

// payOut gives cash from the drawer for money of the account.
func (s *serving) payOut(ctx context.Context, ref string, amount money.Fen) error {
	if err := s.Work(ctx, doing); err != nil {
		return err
	}
	_, err := s.spend(ctx, journal.Entry{
		Kind: journal.PayOut, Ref: ref, Account: s.holder.Account, Operator: s.Member().No, Amount: amount,
	})
	if errors.Is(err, ledger.ErrShort) {
		return dialog.Refuse(drawerLow, err)
	}
	return err
}

// How long the upstream is waited for, in looks.
const (
	triesMax = 40
	emptyMax = 60
)

// spend writes an entry that takes money off the account, once the upstream holds
// it. After an error nothing was written, unless that is unknown.
func (s *serving) spend(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	return s.moveHeld(ctx, e, func(epoch journal.Epoch, seq int64) (passed bool, err error) {
		a, err := s.Money.Authorize(ctx, client.AuthorizeRequest{
			Epoch: epoch, Seq: seq, Attempt: e.Ref, Account: e.Account, Amount: e.Amount,
		})
		switch {
		case err != nil || a.Approved:
			return false, err
		case a.Reason == client.NumberPassed:
			return true, nil
		case a.Reason == client.NotEnough:
			return false, dialog.Refuse(notEnough, nil)
		}
		return false, dialog.Refuse(refusedWord, &client.Refusal{Reason: a.Reason})
	})
}

// hold has the upstream hold what an entry needs, under the number that it will
// have. passed means that this number is another entry's.
type hold func(epoch journal.Epoch, seq int64) (passed bool, err error)

// moveHeld writes an entry under the number under which the upstream holds what it
// needs. It waits until the upstream has the journal that far, since what goes
// before may be what there is to spend. After an error nothing was written, unless
// that is unknown.
func (s *serving) moveHeld(ctx context.Context, e journal.Entry, ask hold) (journal.Entry, error) {
	for range triesMax {
		epoch, seq, err := s.Book.Next(ctx)
		if err != nil {
			return e, err
		}
		passed, err := ask(epoch, seq)
		switch behind := (*journal.PushError)(nil); {
		case errors.As(err, &behind):
			s.Push.Heard(behind.Head, true)
		case err != nil:
			return e, nothing(err)
		case !passed:
			written, err := s.Book.AppendAt(ctx, e, epoch, seq)
			if !errors.Is(err, ledger.ErrBehind) {
				return written, cashErr(err)
			}
			continue // somebody else has written, which lets go of what was held
		}
		if err := s.sleep(ctx); err != nil {
			return e, err
		}
	}
	return e, dialog.Refuse(away, errors.New("the upstream does not catch up with the journal"))
}

// emptied waits until the upstream has booked what was paid out.
func (s *serving) emptied(ctx context.Context) error {
	if err := s.Work(ctx, waiting); err != nil {
		return err
	}
	for range emptyMax {
		h, err := s.Centre.Find(ctx, s.clerk, centre.Find{Account: s.holder.Account})
		if err == nil && h.Balance == 0 && h.Available == 0 && !keepsOpen(h) {
			return nil
		}
		if err := s.sleep(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("account %s is not empty upstream after %v", s.holder.MaskedName, emptyMax*s.Pause)
}
