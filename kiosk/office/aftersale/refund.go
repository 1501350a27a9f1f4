package aftersale

import (
	"context"
	"errors"
	"time"

	"quancun/kiosk/office"
	"quancun/kiosk/refund"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
)

// voidWithin is how long the last sale can be voided: the customer still stands
// there.
const voidWithin = 10 * time.Minute

// refund gives some or all of a sale back.
func (c *Config) refund(ctx context.Context, t *office.Talk) (office.Report, error) {
	ref, err := c.choose(ctx, t, whichSale, isSale)
	if err != nil {
		return office.Report{}, err
	}
	s, err := c.look(ctx, ref)
	switch {
	case err != nil:
		return office.Report{}, err
	case s.Left == 0:
		return office.Report{Facts: c.facts(s)}, office.Refuse(nothingLeft, nil)
	}
	q := refund.Request{Ref: t.Ref(), Sale: ref, Amount: s.Left}
	part, err := t.Choose(ctx, howMuch, []office.Option{{Word: allOfIt}, {Word: partOfIt}}, c.facts(s)...)
	if err == nil && part == 1 {
		q.Amount, err = t.Amount(ctx, amountBack, 1, s.Left, c.facts(s)...)
	}
	if err != nil {
		return office.Report{}, err
	}
	return c.giveBack(ctx, t, s, q)
}

// void takes the last sale back, as if it had not been.
func (c *Config) void(ctx context.Context, t *office.Talk) (office.Report, error) {
	last, err := c.last(ctx, isSale)
	if err != nil {
		return office.Report{}, err
	}
	if len(last) == 0 {
		return office.Report{}, office.Refuse(noLast, nil)
	}
	s, err := c.look(ctx, last[0].Ref)
	switch {
	case err != nil:
		return office.Report{}, err
	case s.Given > 0:
		return office.Report{Facts: c.facts(s)}, office.Refuse(partVoid, nil)
	case c.Now().Sub(s.Sale.At).Abs() > voidWithin:
		return office.Report{Facts: c.facts(s)}, office.Refuse(lateVoid, nil)
	}
	return c.giveBack(ctx, t, s, refund.Request{Ref: t.Ref(), Sale: last[0].Ref, Amount: s.Left, Void: true})
}

// giveBack asks why and for the last word, has a second person release what is
// above the limit, and gives back what q says of s.
func (c *Config) giveBack(ctx context.Context, t *office.Talk, s refund.Standing, q refund.Request,
) (office.Report, error) {
	why, sure := whyBack, sureRefund
	if q.Void {
		why, sure = whyVoid, sureVoid
	}
	var options []office.Option
	for _, r := range reasons {
		options = append(options, office.Option{Word: r.word})
	}
	i, err := t.Choose(ctx, why, options, c.facts(s)...)
	if err != nil {
		return office.Report{}, err
	}
	q.Operator, q.Reason, q.Alone = t.Member().No, reasons[i].kept, !c.Online()
	back := office.Amount(fBack, q.Amount)
	back.Strong = true
	facts := []office.Fact{
		back, office.Said(fSource, goesTo[s.Source]), office.Said(fWhy, reasons[i].word),
		office.Text(fOriginal, c.number(s.Sale)), office.Moment(fTime, s.Sale.At),
	}
	if err := t.Confirm(ctx, sure, facts...); err != nil {
		return office.Report{}, err
	}
	if q.Amount > c.Refunds.Limit {
		r, err := t.Second(ctx, staff.RefundAbove)
		if err != nil {
			return office.Report{}, err
		}
		q.Released = r.By.No
		facts = append(facts, office.Text(fSecond, r.By.Name))
	} else if r := t.Release(); r != nil {
		q.Released = r.By.No
	}
	if err := t.Work(ctx, workRefund); err != nil {
		return office.Report{}, err
	}
	return c.done(ctx, q, facts)
}

// done gives back, and says what came of it. Nobody stops it from here on.
func (c *Config) done(ctx context.Context, q refund.Request, facts []office.Fact) (office.Report, error) {
	done, err := c.Refunds.Refund(context.WithoutCancel(ctx), q)
	switch {
	case errors.Is(err, tender.ErrUnknown):
		return office.Report{Facts: facts}, office.Refuse(refundOpen, err)
	case errors.Is(err, tender.ErrOffline):
		return office.Report{Facts: facts}, office.Refuse(noWallet, err)
	case errors.Is(err, tender.ErrRefused):
		return office.Report{Facts: facts}, office.Refuse(walletNo, err)
	case err != nil:
		return office.Report{Facts: facts}, named(err)
	}
	return office.Report{
		No: c.number(done.Entry), Ref: done.Entry.Ref, Print: true,
		Facts: append(facts, office.Amount(fLeft, done.Left)),
	}, nil
}
