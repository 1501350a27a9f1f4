package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/server/due"
	"quancun/upstream/server/hub"
	"quancun/upstream/store"
)

// Pace is how often the engine asks the channel. Zero fields take the values
// given here.
type Pace struct {
	Start time.Duration // 60 s: after which an order that was never shown is ended
	Wait  time.Duration // 3 s: between questions about an order that is waited for
	Grace time.Duration // 10 s: after an order's expiry, before the engine ends it by itself
	Retry time.Duration // 2 s: first pause while an outcome is unknown; doubles
	Watch time.Duration // 1 min: first pause after an order was closed; doubles
	Late  time.Duration // 25 h: after its creation, until when a closed order is watched
	Call  time.Duration // 5 s: for one question to the channel
}

// stuckTries is how often an order is asked about before somebody is told. By
// then about an hour has passed.
const stuckTries = 20

// Longest pauses. retryMax is what a person who waits for a "checking" to end
// can bear; watchMax is about how often the channel itself would notify.
const (
	retryMax = 5 * time.Minute
	watchMax = time.Hour
)

func (p Pace) orDefault() Pace {
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{
		{&p.Start, time.Minute},
		{&p.Wait, 3 * time.Second},
		{&p.Grace, 10 * time.Second},
		{&p.Retry, 2 * time.Second},
		{&p.Watch, time.Minute},
		{&p.Late, 25 * time.Hour},
		{&p.Call, 5 * time.Second},
	} {
		if *d.of == 0 {
			*d.of = d.is
		}
	}
	return p
}

// engine moves orders on: it asks the channel, and writes down what it says.
//
// Everything that it needs is in the order's row, so it goes on after a crash
// wherever it stood. It never believes a notification, and credits only what
// it has asked for itself.
type engine struct {
	books  Books
	ch     channel.Channel
	policy Policy
	pace   Pace
	now    func() time.Time
	log    *slog.Logger

	hub.Hub
	locks hub.Locks
	clerk *due.Clerk[store.Order]
}

func newEngine(c Config) *engine {
	e := &engine{
		books: c.Books, ch: c.Channel, policy: c.Policy, pace: c.Pace.orDefault(), now: c.Now, log: c.Log,
	}
	e.clerk = due.NewClerk(e.work())
	return e
}

// start makes a created order known to the channel. While the outcome is
// unknown it tries again under the same number; if it stays unknown, the order
// is ended, so that nobody can pay what nobody was shown.
func (e *engine) start(ctx context.Context, no string) (store.Order, error) {
	give := e.locks.Take(no, ctx.Done())
	if give == nil {
		return store.Order{}, ctx.Err()
	}
	defer give()
	o, err := e.books.Order(ctx, no)
	if err != nil || o.State != store.OrderCreated {
		return o, err // somebody else was here first
	}
	qr, err := e.precreate(ctx, o)
	ctx = context.WithoutCancel(ctx) // the channel may know the order now
	switch {
	case err == nil:
		return e.advance(ctx, o, store.OrderStep{
			To: store.OrderWaiting, QR: qr, Next: e.now().Add(e.pace.Wait),
		})
	case errors.Is(err, channel.ErrRefused):
		e.log.Warn("channel refused order", "order", no, "err", err)
		_, err2 := e.close(ctx, o)
		return store.Order{}, errors.Join(err, err2)
	}
	return e.finish(ctx, o)
}

// precreate tries for one and a half calls' time, which leaves enough of the
// terminal's patience for a query and a cancellation.
func (e *engine) precreate(ctx context.Context, o store.Order) (qr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.pace.Call*3/2)
	defer cancel()
	for i := range 3 {
		if i > 0 && !sleep(ctx, e.jitter(e.pace.Retry/4)) {
			break
		}
		if qr, err = e.precreateOnce(ctx, o); err == nil || errors.Is(err, channel.ErrRefused) {
			break
		}
		e.log.Warn("precreate unknown", "order", o.No, "try", i+1, "err", err)
	}
	return qr, err
}

func (e *engine) precreateOnce(ctx context.Context, o store.Order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, e.pace.Call)
	defer cancel()
	return e.ch.Precreate(ctx, channel.Order{
		No: o.No, Amount: o.Amount, Subject: "校园卡充值 " + o.Account.No(), Terminal: o.Terminal,
		// The channel closes it by itself if we are gone, and not before we would.
		Life: e.policy.Pay + e.pace.Grace + time.Minute,
	})
}

// end ends an order that nobody waits for any more. An order that is being
// checked already is asked about at its own pace, however often somebody wants
// its end: the channel is not asked more, and what is said of it is no older.
func (e *engine) end(ctx context.Context, no string) (store.Order, error) {
	give := e.locks.Take(no, ctx.Done())
	if give == nil {
		return store.Order{}, ctx.Err()
	}
	defer give()
	o, err := e.books.Order(ctx, no)
	if err != nil || o.State == store.OrderPaid || o.State == store.OrderReturned || o.State == store.OrderClosed {
		return o, err
	}
	if o.State == store.OrderChecking && e.now().Before(o.Next) {
		return o, nil
	}
	return e.finish(context.WithoutCancel(ctx), o)
}

// ask asks the channel about a due order, and acts on the answer.
func (e *engine) ask(ctx context.Context, no string) error {
	give := e.locks.Take(no, ctx.Done())
	if give == nil {
		return ctx.Err()
	}
	defer give()
	o, err := e.books.Order(ctx, no)
	if err != nil {
		return err
	}
	switch o.State {
	case store.OrderCreated, store.OrderChecking:
		_, err = e.finish(ctx, o)
	case store.OrderWaiting:
		_, err = e.attend(ctx, o)
	case store.OrderClosed:
		_, err = e.watchClosed(ctx, o)
	case store.OrderPaid, store.OrderReturned: // moved since it was due
	}
	return err
}

// attend asks about an order that is waited for.
func (e *engine) attend(ctx context.Context, o store.Order) (store.Order, error) {
	t, err := e.query(ctx, o)
	if done, o, err := e.settle(ctx, o, t, err); done {
		return o, err
	}
	if e.now().After(o.Expires.Add(e.pace.Grace)) {
		return e.cancel(ctx, o) // the terminal should have done it
	}
	if err != nil {
		e.log.Warn("query unknown", "order", o.No, "err", err)
	}
	return e.advance(ctx, o, store.OrderStep{To: o.State, Tries: o.Tries + 1, Next: e.now().Add(e.pace.Wait)})
}

// watchClosed looks for a payment that has crossed its cancellation.
func (e *engine) watchClosed(ctx context.Context, o store.Order) (store.Order, error) {
	t, err := e.query(ctx, o)
	answered := err == nil
	if answered && t.Status == channel.Closed {
		err = errStillClosed
	}
	if done, o, err := e.settle(ctx, o, t, err); done {
		return o, err
	}
	return e.keepClosed(ctx, o, answered)
}

var errStillClosed = errors.New("server: still closed")

// finish ends an order: it queries, and cancels what is not paid. A crash in
// between finds the order as it was, and does it again. An order of which the
// channel was paid another amount is not cancelled, because that would give
// the money back behind the books: people have to look at it.
func (e *engine) finish(ctx context.Context, o store.Order) (store.Order, error) {
	t, err := e.query(ctx, o)
	if done, o, err := e.settle(ctx, o, t, err); done {
		return o, err
	}
	if o.Mismatch {
		return e.check(ctx, o, false)
	}
	return e.cancel(ctx, o)
}

// cancel tells the channel to end an order, right after a query. That is written
// down first: a crash must not let it look payable, and no other upstream on the
// same books may ask meanwhile. It would hear "paid", and credit, what is on its
// way back to the payer.
func (e *engine) cancel(ctx context.Context, o store.Order) (store.Order, error) {
	tries := 0
	if o.State == store.OrderChecking {
		tries = o.Tries
	}
	o, err := e.advance(ctx, o, store.OrderStep{
		To: store.OrderChecking, Tries: tries, Next: e.now().Add(2 * e.pace.Call),
	})
	if err != nil {
		return o, err
	}
	call, stop := context.WithTimeout(ctx, e.pace.Call)
	defer stop()
	status, err := e.ch.Cancel(call, o.No)
	if err == nil {
		switch status {
		case channel.Closed:
			return e.close(ctx, o)
		case channel.Returned:
			return e.returned(ctx, o, "")
		default:
			err = fmt.Errorf("cancel left it in status %d", status)
		}
	}
	e.log.Warn("cancel unknown", "order", o.No, "err", err)
	return e.check(ctx, o, false)
}

func (e *engine) query(ctx context.Context, o store.Order) (channel.Trade, error) {
	ctx, stop := context.WithTimeout(ctx, e.pace.Call)
	defer stop()
	t, err := e.ch.Query(ctx, o.No)
	if err == nil && t.OrderNo != o.No {
		err = fmt.Errorf("asked about %s, answered about %s", o.No, t.OrderNo)
	}
	return t, err
}

// settle acts on an answer that ends an order, and reports whether it was one.
func (e *engine) settle(ctx context.Context, o store.Order, t channel.Trade, err error) (bool, store.Order, error) {
	if err != nil {
		return false, o, nil
	}
	switch t.Status {
	case channel.Paid:
		o, err = e.pay(ctx, o, t)
	case channel.Closed:
		o, err = e.close(ctx, o)
	case channel.Returned:
		o, err = e.returned(ctx, o, t.TradeNo)
	default:
		return false, o, nil
	}
	return true, o, err
}

// returned notes that the payer has the money again. Where it was credited before,
// people are told.
func (e *engine) returned(ctx context.Context, o store.Order, tradeNo string) (store.Order, error) {
	no := o.No
	o, err := e.advance(ctx, o, store.OrderStep{To: store.OrderReturned, TradeNo: tradeNo})
	return o, e.books.Reversed(context.WithoutCancel(ctx), no, err)
}

// pay credits an order, if what was paid is what was asked.
func (e *engine) pay(ctx context.Context, o store.Order, t channel.Trade) (store.Order, error) {
	if t.Amount != o.Amount {
		return e.mismatch(ctx, o, t)
	}
	at := t.PaidAt
	if at.IsZero() {
		at = e.now()
	}
	o, err := e.advance(ctx, o, store.OrderStep{To: store.OrderPaid, TradeNo: t.TradeNo, PaidAt: at, Asked: &o})
	if err == nil && o.State == store.OrderPaid && o.Late {
		e.log.Warn("order paid after it was closed", "order", o.No)
	}
	return o, err
}

func (e *engine) mismatch(ctx context.Context, o store.Order, t channel.Trade) (store.Order, error) {
	e.log.Error("channel was paid another amount", "order", o.No, "ours", o.Amount, "theirs", t.Amount)
	_, err := e.books.Alarm(ctx, store.Alarm{Kind: store.AlarmAmountMismatch, Ref: o.No,
		Detail: fmt.Sprintf("ours %s, theirs %s, trade %s", o.Amount, t.Amount, t.TradeNo)})
	if err != nil {
		return o, err
	}
	return e.check(ctx, o, true)
}

// check leaves an order in checking, to be asked about again a little later
// each time.
func (e *engine) check(ctx context.Context, o store.Order, mismatch bool) (store.Order, error) {
	tries := 0
	if o.State == store.OrderChecking {
		tries = o.Tries + 1
	}
	if tries == stuckTries {
		e.log.Error("order stuck", "order", o.No)
		_, err := e.books.Alarm(ctx, store.Alarm{Kind: store.AlarmOrderStuck, Ref: o.No,
			Detail: fmt.Sprintf("%d questions without an answer that ends it", tries)})
		if err != nil {
			return o, err
		}
	}
	return e.advance(ctx, o, store.OrderStep{
		To: store.OrderChecking, Mismatch: mismatch, Tries: tries, Next: e.later(e.pace.Retry, retryMax, tries),
	})
}

// close leaves an order closed.
func (e *engine) close(ctx context.Context, o store.Order) (store.Order, error) {
	return e.keepClosed(ctx, o, true)
}

// keepClosed leaves an order closed, to be asked about at growing intervals for as
// long as a late payment may come. The last question is one that was answered:
// silence says nothing about a payment.
func (e *engine) keepClosed(ctx context.Context, o store.Order, answered bool) (store.Order, error) {
	tries := 0
	if o.State == store.OrderClosed {
		tries = o.Tries + 1
	}
	next := e.later(e.pace.Watch, watchMax, tries)
	if answered && next.After(o.Created.Add(e.pace.Late)) {
		next = time.Time{}
	}
	return e.advance(ctx, o, store.OrderStep{To: store.OrderClosed, Tries: tries, Next: next})
}

// advance writes a step down and tells everybody who waits. What the channel
// has said is written down even if nobody waits any more.
func (e *engine) advance(ctx context.Context, o store.Order, s store.OrderStep) (store.Order, error) {
	was := o.State
	o, err := e.books.Advance(context.WithoutCancel(ctx), o.No, s)
	if err != nil {
		return store.Order{}, err
	}
	if o.State != was {
		e.log.Info("order moved", "order", o.No, "from", was, "to", o.State)
		e.Move(o.No)
	}
	e.clerk.Hasten()
	return o, nil
}

// later returns when to ask again after so many tries: doubling, with jitter,
// so that an outage does not end in everybody asking at once.
func (e *engine) later(first, longest time.Duration, tries int) time.Time {
	return e.now().Add(e.jitter(min(first<<min(tries, 16), longest)))
}

// jitter returns d, up to a quarter more or less.
func (e *engine) jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
