package pay

import (
	"context"
	"errors"
	"fmt"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// What is asked and being done.
const (
	askAmount dialog.Word = "pay.amount"
	askOther  dialog.Word = "pay.other.amount"
	otherWord dialog.Word = "pay.other"
	askSure   dialog.Word = "pay.sure"
	paying    dialog.Word = "pay.paying"
)

// What is told.
const (
	factAvailable dialog.Word = "pay.fact.available"
	factKept      dialog.Word = "pay.fact.kept" // only the card may spend it
	factAmount    dialog.Word = "pay.fact.amount"
	factAfter     dialog.Word = "pay.fact.after"
	factPaid      dialog.Word = "pay.fact.paid"
	factRecord    dialog.Word = "pay.fact.record" // the biller's own number
	factHeld      dialog.Word = "pay.fact.held"
	factFree      dialog.Word = "pay.fact.free"  // it was held, and is not any more
	factUntil     dialog.Word = "pay.fact.until" // by then it is sent or released
	lookLater     dialog.Word = "pay.later"
	taken         dialog.Word = "pay.taken" // from the account
)

// paidTitles say at once what has come of a payment.
var paidTitles = map[bill.BillerKind]dialog.Word{
	bill.Network: "pay.paid.network", bill.Electricity: "pay.paid.electricity",
}

// Why a bill is not paid, or is not yet.
const (
	notPaid    dialog.Word = "pay.not"
	saysNo     dialog.Word = "pay.no"
	down       dialog.Word = "pay.down"
	never      dialog.Word = "pay.never" // the order has not arrived
	absent     dialog.Word = "pay.absent"
	notEnough  dialog.Word = "pay.not.enough"
	forCard    dialog.Word = "pay.for.card" // it would be enough, and only the card may spend it
	outOfRange dialog.Word = "pay.out.of.range"
	away       dialog.Word = "pay.away" // and nothing has happened
	noBiller   dialog.Word = "pay.none"

	unsure   dialog.Word = "pay.unsure" // being checked
	waiting  dialog.Word = "pay.waiting"
	referred dialog.Word = "pay.referred"
)

// causes says which words a bill has that was released.
var causes = map[bill.Cause]dialog.Word{
	bill.CauseRefused: saysNo, bill.CauseDown: down, bill.CauseEnded: never, bill.CauseAbsent: absent,
	bill.CausePeople: notPaid,
}

// refusal returns the upstream's "no" to an order in words. Others have a code.
func refusal(no *client.Refusal) error {
	switch no.Reason {
	case client.NotEnough:
		return dialog.Refuse(lacking(no.Kept > 0), no)
	case client.AmountOutOfRange:
		return dialog.Refuse(outOfRange, no)
	}
	return no
}

// Nothing returns an error of a look-up, which changes nothing: a refusal as it is,
// and silence, or an answer that says nothing, in words that say so.
func Nothing(err error) error {
	no := (*client.Refusal)(nil)
	if err == nil || errors.As(err, &no) && no.Reason != client.NotSaid || errors.Is(err, context.Canceled) {
		return err
	}
	return dialog.Refuse(away, fmt.Errorf("%w: %w", service.ErrSilent, err))
}

// Billers returns those of a kind, and a refusal if there is none.
func (d *Desk) Billers(ctx context.Context, k bill.BillerKind) (of []bill.Biller, err error) {
	all, err := d.Upstream.Billers(ctx)
	if err != nil {
		return nil, Nothing(err)
	}
	for _, b := range all {
		if b.Kind == k {
			of = append(of, b)
		}
	}
	if len(of) == 0 {
		return nil, dialog.Refuse(noBiller, nil)
	}
	return of, nil
}

// amounts are what is offered besides a biller's own default.
var amounts = []money.Fen{20 * money.Yuan, 30 * money.Yuan, 50 * money.Yuan, 100 * money.Yuan}

// Amount asks how much is to be paid to b: its default first. What the account does
// not have is shown and cannot be chosen.
func Amount(ctx context.Context, v *service.Visit, b bill.Biller, facts []dialog.Fact) (money.Fen, error) {
	have := v.Account.Spendable()
	most := min(b.Max, have)
	if most < b.Min {
		return 0, dialog.Refuse(whyNot(v.Account, b.Min), nil)
	}
	offered := []money.Fen{b.Default}
	for _, f := range amounts {
		if f != b.Default && f >= b.Min && f <= b.Max {
			offered = append(offered, f)
		}
	}
	var options []dialog.Option
	for _, f := range offered {
		o := dialog.Option{Text: "¥" + f.String()}
		if f > have {
			o.Note = whyNot(v.Account, f)
		}
		options = append(options, o)
	}
	options = append(options, dialog.Option{Word: otherWord})
	facts = append(facts[:len(facts):len(facts)], dialog.Amount(factAvailable, have))
	if v.Account.Kept > 0 {
		facts = append(facts, dialog.Amount(factKept, v.Account.Kept))
	}
	n, err := v.Choose(ctx, askAmount, options, facts...)
	if err != nil || n < len(offered) {
		return offered[min(n, len(offered)-1)], err
	}
	return v.Talk.Amount(ctx, askOther, b.Min, most, facts...)
}

// Without ends a visit for which no amount was chosen. Where it is the card's reserve
// that stands against it, it says how much that is.
func Without(v *service.Visit, facts []dialog.Fact, err error) (dialog.Report, error) {
	if r := (*dialog.Refusal)(nil); errors.As(err, &r) && r.Why == forCard {
		facts = append(facts[:len(facts):len(facts)], dialog.Amount(factKept, v.Account.Kept))
	}
	return dialog.Report{Facts: facts}, err
}

// whyNot says why an account cannot pay f, which is more than it may spend on bills.
func whyNot(a client.Account, f money.Fen) dialog.Word { return lacking(f <= a.Available) }

// lacking says what an account lacks: money, or only what is not kept for the card.
func lacking(kept bool) dialog.Word {
	if kept {
		return forCard
	}
	return notEnough
}
