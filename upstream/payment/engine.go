package payment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/store"
)

// The alarms of this package: people have to look.
const (
	AlarmMismatch store.AlarmKind = "payment of another amount" // order
	AlarmStuck    store.AlarmKind = "payment stuck"             // order
)

// stuckTries is how often a payment is asked about before somebody is told. By
// then about an hour has passed.
const stuckTries = 20

// Longest pauses: see the engine of top-ups, which is as patient.
const (
	retryMax = 5 * time.Minute
	watchMax = time.Hour
)

// Pay writes p down and has the channel ask whoever shows code. It returns as
// soon as something is known, or that nothing is. The same payment again is
// returned as it stands, and no code is used for it. With other content it is
// [store.ErrConflict].
func (d *Desk) Pay(ctx context.Context, p Payment, code string) (Payment, error) {
	p.Created = d.now()
	p.Expires = p.Created.Add(d.pace.Pay)
	p.Next, p.State = p.Created.Add(3*d.pace.Call), Created // by then this call has ended, or has died
	p, err := d.create(ctx, p)
	if err != nil || p.State != Created {
		return p, err
	}
	give := d.locks.Take(p.No, ctx.Done())
	if give == nil {
		return Payment{}, ctx.Err()
	}
	defer give()
	if p, err = d.Payment(ctx, p.No); err != nil || p.State != Created {
		return p, err // somebody else was here first
	}
	return d.show(context.WithoutCancel(ctx), p, code) // from here on the payer may have paid
}

// show shows the channel the code, once. Whatever it answers is no word about
// the payment but a reason to ask, or to cancel at once what was turned down.
func (d *Desk) show(ctx context.Context, p Payment, code string) (Payment, error) {
	waiting, err := d.wait(ctx, p) // written down first: a crash must not use the code again
	if errors.Is(err, store.ErrBackward) {
		return d.Payment(ctx, p.No) // another upstream was here first
	}
	if err != nil {
		return p, err
	}
	p = waiting
	call, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	err = d.ch.PayByCode(call, channel.Order{
		No: p.No, Amount: p.Amount, Subject: "校园消费 " + p.Merchant, Terminal: p.Terminal,
		// The channel closes it by itself if we are gone, and not before we would.
		Life: d.pace.Pay + time.Minute,
	}, code)
	switch {
	case errors.Is(err, channel.ErrRefused):
		d.log.Info("code refused", "order", p.No, "err", err)
		return d.finish(ctx, p, causeOf(err))
	case err != nil:
		d.log.Info("payment not decided", "order", p.No, "err", err)
		return p, nil
	}
	return d.attend(ctx, p)
}

func causeOf(err error) Cause {
	switch {
	case errors.Is(err, channel.ErrCode):
		return CauseCode
	case errors.Is(err, channel.ErrPayer):
		return CausePayer
	}
	return CauseChannel
}

// End ends a payment that nobody waits for any more. One that is being checked
// already is asked about at its own pace, however often somebody wants its end.
// One that is not in the books is put there as closed, so that a request for it
// that is still on its way shows nobody's code; it is watched like any that is closed,
// since books that were restored may have forgotten that it was paid. The number of
// another payment is [store.ErrConflict].
func (d *Desk) End(ctx context.Context, p Payment) (Payment, error) {
	give := d.locks.Take(p.No, ctx.Done())
	if give == nil {
		return Payment{}, ctx.Err()
	}
	defer give()
	p.Created = d.now()
	p.Expires, p.Next, p.State = p.Created, p.Created, Closed
	p, err := d.create(ctx, p)
	if err != nil || p.State == Paid || p.State == Closed || p.State == Returned {
		return p, err
	}
	if p.State == Checking && d.now().Before(p.Next) {
		return p, nil
	}
	return d.finish(context.WithoutCancel(ctx), p, NoCause)
}

// ask asks the channel about a due payment, and acts on the answer.
func (d *Desk) ask(ctx context.Context, no string) error {
	give := d.locks.Take(no, ctx.Done())
	if give == nil {
		return ctx.Err()
	}
	defer give()
	p, err := d.Payment(ctx, no)
	if err != nil {
		return err
	}
	switch p.State {
	case Created, Waiting:
		_, err = d.attend(ctx, p)
	case Checking:
		_, err = d.finish(ctx, p, NoCause)
	case Closed:
		_, err = d.watchClosed(ctx, p)
	case Paid, Returned: // moved since it was due
	}
	return err
}

// attend asks about a payment that is waited for, and cancels it right after
// the last question.
func (d *Desk) attend(ctx context.Context, p Payment) (Payment, error) {
	t, err := d.query(ctx, p)
	if done, p, err := d.settle(ctx, p, t, err); done {
		return p, err
	}
	if !d.now().Before(p.Expires) {
		return d.cancel(ctx, p, CauseTime)
	}
	if err != nil {
		d.log.Warn("payment not asked", "order", p.No, "err", err)
	}
	return d.wait(ctx, p)
}

// wait leaves a payment waiting, to be asked about a little later, and at its
// end at the latest.
func (d *Desk) wait(ctx context.Context, p Payment) (Payment, error) {
	next := d.now().Add(d.pace.Wait)
	if d.now().Before(p.Expires) && next.After(p.Expires) {
		next = p.Expires
	}
	return d.advance(ctx, p, step{to: Waiting, next: next, tries: p.Tries + 1})
}

// finish ends a payment: it asks, and cancels what is not paid. A crash in
// between finds the payment as it was, and does it again. One of which the
// channel was paid another amount is not cancelled: people have to look at it.
func (d *Desk) finish(ctx context.Context, p Payment, why Cause) (Payment, error) {
	t, err := d.query(ctx, p)
	if done, p, err := d.settle(ctx, p, t, err); done {
		return p, err
	}
	if p.Mismatch {
		return d.check(ctx, p, step{})
	}
	return d.cancel(ctx, p, why)
}

// cancel tells the channel to end a payment, right after a question. That is
// written down first: a crash must not let it look payable, and no other upstream
// on the same books may ask meanwhile. It would hear "paid" of what is on its way
// back to the payer, and a till would sell for it.
func (d *Desk) cancel(ctx context.Context, p Payment, why Cause) (Payment, error) {
	tries := 0
	if p.State == Checking {
		tries = p.Tries
	}
	p, err := d.advance(ctx, p, step{to: Checking, cause: why, tries: tries, next: d.now().Add(d.cancelling())})
	if err != nil {
		return p, err
	}
	call, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	status, err := d.ch.Cancel(call, p.No)
	if err == nil {
		switch status {
		case channel.Closed:
			return d.close(ctx, p, true)
		case channel.Returned:
			return d.returned(ctx, p, "")
		default:
			err = fmt.Errorf("cancel left it in status %d", status)
		}
	}
	d.log.Warn("payment not cancelled", "order", p.No, "err", err)
	return d.check(ctx, p, step{})
}

func (d *Desk) query(ctx context.Context, p Payment) (channel.Trade, error) {
	ctx, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	t, err := d.ch.Query(ctx, p.No)
	if err == nil && t.OrderNo != p.No {
		err = fmt.Errorf("asked about %s, answered about %s", p.No, t.OrderNo)
	}
	return t, err
}

// settle acts on an answer that ends a payment, and reports whether it was one.
// That there is no trade ends nothing: the code may still be on its way.
func (d *Desk) settle(ctx context.Context, p Payment, t channel.Trade, err error) (bool, Payment, error) {
	if err != nil {
		return false, p, nil
	}
	switch t.Status {
	case channel.Paid:
		p, err = d.paid(ctx, p, t)
	case channel.Closed:
		p, err = d.close(ctx, p, true)
	case channel.Returned:
		p, err = d.returned(ctx, p, t.TradeNo)
	default:
		return false, p, nil
	}
	return true, p, err
}

// paid notes that a payment was made, if what was paid is what was asked.
func (d *Desk) paid(ctx context.Context, p Payment, t channel.Trade) (Payment, error) {
	if t.Amount != p.Amount {
		d.log.Error("channel was paid another amount", "order", p.No, "ours", p.Amount, "theirs", t.Amount)
		detail := fmt.Sprintf("ours %s, theirs %s, trade %s", p.Amount, t.Amount, t.TradeNo)
		_, err := d.books.Alarm(ctx, store.Alarm{Kind: AlarmMismatch, Ref: p.No, Detail: detail})
		if err != nil {
			return p, err
		}
		return d.check(ctx, p, step{mismatch: true})
	}
	at := t.PaidAt
	if at.IsZero() {
		at = d.now()
	}
	return d.advance(ctx, p, step{to: Paid, tradeNo: t.TradeNo, paidAt: at})
}

// returned notes that the payer has the money again. Where that was taken for paid
// before, and a till has sold for it, people are told.
func (d *Desk) returned(ctx context.Context, p Payment, tradeNo string) (Payment, error) {
	no := p.No
	p, err := d.advance(ctx, p, step{to: Returned, tradeNo: tradeNo})
	return p, d.books.Reversed(context.WithoutCancel(ctx), no, err)
}

// cancelling is for how long nobody else asks about a payment that is being cancelled.
func (d *Desk) cancelling() time.Duration { return 2 * d.pace.Call }

// check leaves a payment in checking, to be asked about again a little later
// each time.
func (d *Desk) check(ctx context.Context, p Payment, s step) (Payment, error) {
	if p.State == Checking {
		s.tries = p.Tries + 1
	}
	if s.tries == stuckTries {
		d.log.Error("payment stuck", "order", p.No)
		detail := fmt.Sprintf("%d questions without an answer that ends it", s.tries)
		if _, err := d.books.Alarm(ctx, store.Alarm{Kind: AlarmStuck, Ref: p.No, Detail: detail}); err != nil {
			return p, err
		}
	}
	s.to, s.next = Checking, d.later(d.pace.Retry, retryMax, s.tries)
	return d.advance(ctx, p, s)
}

// close leaves a payment closed, to be asked about at growing intervals for as
// long as money may come all the same. The last question is one that was
// answered: silence says nothing about money.
func (d *Desk) close(ctx context.Context, p Payment, answered bool) (Payment, error) {
	tries := 0
	if p.State == Closed {
		tries = p.Tries + 1
	}
	next := d.later(d.pace.Watch, watchMax, tries)
	if answered && next.After(p.Created.Add(d.pace.Late)) {
		next = time.Time{}
	}
	return d.advance(ctx, p, step{to: Closed, tries: tries, next: next})
}

// watchClosed looks for money that has crossed its cancellation, and gives it
// back: the till has been told that this sale was not paid.
func (d *Desk) watchClosed(ctx context.Context, p Payment) (Payment, error) {
	t, err := d.query(ctx, p)
	switch {
	case err == nil && t.Status == channel.Returned:
		return d.returned(ctx, p, t.TradeNo)
	case err != nil || t.Status == channel.Closed || t.Status == channel.Absent:
		return d.close(ctx, p, err == nil)
	}
	d.log.Warn("payment came after it was closed", "order", p.No, "status", t.Status)
	call, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	status, err := d.ch.Cancel(call, p.No)
	if errors.Is(err, channel.ErrRefused) && t.Status == channel.Paid { // too late to cancel
		status, err = channel.Returned, d.ch.Refund(call, p.No, lateRefund, t.Amount)
	}
	switch {
	case err != nil:
		d.log.Warn("payment not given back", "order", p.No, "err", err)
	case status == channel.Returned:
		return d.returned(ctx, p, t.TradeNo)
	}
	return d.close(ctx, p, false)
}

// lateRefund names, within its own payment, the refund of what came too late.
const lateRefund = "LATE"

// later returns when to ask again after so many tries: doubling, with jitter,
// so that an outage does not end in everybody asking at once.
func (d *Desk) later(first, longest time.Duration, tries int) time.Time {
	pause := min(first<<min(tries, 16), longest)
	return d.now().Add(pause*3/4 + rand.N(pause/2+1))
}
