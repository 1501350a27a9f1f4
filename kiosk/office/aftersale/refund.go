package aftersale

import (
	"context"
	"errors"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/refund"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
)

// voidWithin is how long the last sale can be voided: the customer still stands
// there.
const voidWithin = 10 * time.Minute

// refund gives some or all of a sale back.
func (c *Config) refund(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	ref, err := c.choose(ctx, t, whichSale, isSale)
	if err != nil {
		return dialog.Report{}, err
	}
	s, err := c.look(ctx, ref)
	switch {
	case err != nil:
		return dialog.Report{}, err
	case s.Left == 0:
		return dialog.Report{Facts: c.facts(s)}, dialog.Refuse(nothingLeft, nil)
	}
	q := refund.Request{Ref: t.Ref(), Sale: ref, Amount: s.Left}
	part, err := t.Choose(ctx, howMuch, []dialog.Option{{Word: allOfIt}, {Word: partOfIt}}, c.facts(s)...)
	if err == nil && part == 1 {
		q.Amount, err = t.Amount(ctx, amountBack, 1, s.Left, c.facts(s)...)
	}
	if err != nil {
		return dialog.Report{}, err
	}
	return c.giveBack(ctx, t, s, q)
}

// void takes the last sale back, as if it had not been.
func (c *Config) void(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	ref, begun, err := c.begunLast(ctx)
	if err != nil {
		return dialog.Report{}, err
	}
	if ref == "" {
		return dialog.Report{}, dialog.Refuse(noLast, nil)
	}
	s, err := c.look(ctx, ref)
	switch {
	case err != nil:
		return dialog.Report{}, err
	case s.Given > 0:
		return dialog.Report{Facts: c.facts(s)}, dialog.Refuse(partVoid, nil)
	case c.Now().Sub(begun).Abs() > voidWithin:
		return dialog.Report{Facts: c.facts(s)}, dialog.Refuse(lateVoid, nil)
	}
	return c.giveBack(ctx, t, s, refund.Request{Ref: t.Ref(), Sale: ref, Amount: s.Left, Void: true})
}

// begunLast returns the sale that was begun last, and when; no reference if there is
// none. What the journal has last may be how a sale of hours ago was settled.
func (c *Config) begunLast(ctx context.Context) (ref string, begun time.Time, err error) {
	ends, err := c.last(ctx, isSale)
	if err != nil {
		return "", begun, err
	}
	for _, end := range ends {
		at, err := c.begun(ctx, end)
		if err != nil {
			return "", begun, err
		}
		if ref == "" || at.After(begun) {
			ref, begun = end.Ref, at
		}
	}
	return ref, begun, nil
}

// giveBack asks why and for the last word, has a second person release what is
// above the limit, and gives back what q says of s.
func (c *Config) giveBack(ctx context.Context, t *office.Talk, s refund.Standing, q refund.Request,
) (dialog.Report, error) {
	why, sure := whyBack, sureRefund
	if q.Void {
		why, sure = whyVoid, sureVoid
	}
	var options []dialog.Option
	for _, r := range reasons {
		options = append(options, dialog.Option{Word: r.word})
	}
	i, err := t.Choose(ctx, why, options, c.facts(s)...)
	if err != nil {
		return dialog.Report{}, err
	}
	q.Operator, q.Reason, q.Alone = t.Member().No, reasons[i].kept, !c.Online()
	back := dialog.Amount(fBack, q.Amount)
	back.Strong = true
	facts := []dialog.Fact{
		back, dialog.Said(fSource, goesTo[s.Source]), dialog.Said(fWhy, reasons[i].word),
		dialog.Text(fOriginal, c.number(s.Sale)), dialog.Moment(fTime, s.Sale.At),
	}
	if err := t.Confirm(ctx, sure, facts...); err != nil {
		return dialog.Report{}, err
	}
	if q.Amount > c.Refunds.Limit {
		r, err := t.Second(ctx, staff.RefundAbove)
		if err != nil {
			return dialog.Report{}, err
		}
		q.Released = r.By.No
		facts = append(facts, dialog.Text(fSecond, r.By.Name))
	} else if r := t.Release(); r != nil {
		q.Released = r.By.No
	}
	if err := t.Work(ctx, workRefund); err != nil {
		return dialog.Report{}, err
	}
	return c.done(ctx, q, facts)
}

// done gives back, and says what came of it. Nobody stops it from here on.
func (c *Config) done(ctx context.Context, q refund.Request, facts []dialog.Fact) (dialog.Report, error) {
	done, err := c.Refunds.Refund(context.WithoutCancel(ctx), q)
	switch {
	case errors.Is(err, tender.ErrUnknown):
		return dialog.Report{Facts: facts}, dialog.Refuse(refundOpen, err)
	case errors.Is(err, tender.ErrOffline):
		return dialog.Report{Facts: facts}, dialog.Refuse(noWallet, err)
	case errors.Is(err, tender.ErrRefused):
		return dialog.Report{Facts: facts}, dialog.Refuse(walletNo, err)
	case err != nil:
		return dialog.Report{Facts: facts}, named(err)
	}
	return dialog.Report{
		No: c.number(done.Entry), Ref: done.Entry.Ref, Print: true,
		Facts: append(facts, dialog.Amount(fLeft, done.Left)),
	}, nil
}
