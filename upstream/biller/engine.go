package biller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
)

// AlarmStuck means that a biller has not said for long what became of an order.
const AlarmStuck store.AlarmKind = "bill stuck" // order

// stuckTries is how often a biller is asked about a bill before it is referred to
// people. By then about an hour has passed.
const stuckTries = 20

// Longest pauses.
const (
	retryMax = 5 * time.Minute
	watchMax = time.Hour
)

// Order writes b down, holds its amount, and tells the biller. It returns as soon
// as something is known, or that nothing is. The same bill again is returned as
// it stands, and the biller is not told again. With other content it is
// [store.ErrConflict]; [*NotEnoughError], [ErrEnded] and [ErrNoBiller] are
// refusals too.
func (d *Desk) Order(ctx context.Context, b Bill) (Bill, error) {
	if _, ok := d.billers[b.Biller]; !ok {
		return Bill{}, ErrNoBiller
	}
	now := d.now()
	b.Created, b.Deadline, b.State = now, now.Add(d.pace.Send), Held
	b.Next = now.Add(2 * d.pace.Call) // by then this call has ended, or has died
	b, err := d.create(ctx, b)
	if err != nil || b.State != Held {
		return b, err
	}
	give := d.locks.Take(b.No, ctx.Done())
	if give == nil {
		return Bill{}, ctx.Err()
	}
	defer give()
	if b, err = d.Bill(ctx, b.No); err != nil || b.State != Held || b.Tries > 0 {
		return b, err // somebody else was here first
	}
	return d.begin(context.WithoutCancel(ctx), b) // from here on the biller may book it
}

// End ends a bill that has not been sent. One that has is returned as it stands.
// One that is not in the books is put there as released, so that a request for it
// that is still on its way comes too late. Either is watched, since books that were
// restored may have forgotten that it was sent.
func (d *Desk) End(ctx context.Context, b Bill) (Bill, error) {
	give := d.locks.Take(b.No, ctx.Done())
	if give == nil {
		return Bill{}, ctx.Err()
	}
	defer give()
	b.Created = d.now()
	b.Deadline, b.Next, b.State = b.Created, b.Created, Released
	b, err := d.create(ctx, b)
	if err != nil || b.State != Held {
		return b, err
	}
	b, _, err = d.advance(ctx, b, step{to: Released, cause: CauseEnded, next: d.now()})
	return b, err
}

// attend sees to a bill that is due.
func (d *Desk) attend(ctx context.Context, no string) error {
	give := d.locks.Take(no, ctx.Done())
	if give == nil {
		return ctx.Err()
	}
	defer give()
	ctx = context.WithoutCancel(ctx)
	b, err := d.Bill(ctx, no)
	if err != nil {
		return err
	}
	switch b.State {
	case Held:
		_, err = d.begin(ctx, b)
	case Sent: // whoever told the biller has died meanwhile
		_, err = d.inDoubt(ctx, b, errors.New("cut off"))
	case Checking, Referred:
		_, err = d.ask(ctx, b)
	case Released:
		_, err = d.watch(ctx, b)
	case Paid: // moved since it was due
	}
	return err
}

// begin sends a bill, or releases it if its deadline has passed, and watches it as [Desk.End]
// does.
func (d *Desk) begin(ctx context.Context, b Bill) (Bill, error) {
	if d.now().Before(b.Deadline) {
		return d.send(ctx, b)
	}
	b, _, err := d.advance(ctx, b, step{to: Released, cause: CauseDown, next: d.now()})
	return b, err
}

func (b Bill) charge() vendor.Charge {
	return vendor.Charge{OrderNo: b.No, Target: b.Target, Amount: b.Amount, Created: b.Created}
}

// send tells the biller, once. That it may hear of it is written down first: a
// crash must not tell it again.
func (d *Desk) send(ctx context.Context, b Bill) (Bill, error) {
	b, won, err := d.advance(ctx, b, step{to: Sent, tries: b.Tries, next: d.now().Add(3 * d.pace.Call)})
	if err != nil || !won {
		return b, err
	}
	call, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	receipt, err := d.biller(b.Biller).Pay(call, b.charge())
	d.Note(b.Biller, err)
	switch {
	case err == nil:
		return d.paid(ctx, b, receipt)
	case errors.Is(err, vendor.ErrNotSent):
		d.log.Warn("biller not reached", "order", b.No, "biller", b.Biller, "err", err)
		return d.again(ctx, b)
	case errors.Is(err, vendor.ErrRefused):
		return d.refused(ctx, b, err)
	}
	return d.inDoubt(ctx, b, err)
}

// again leaves a bill that has certainly not left, to be sent a little later, or
// released at its deadline.
func (d *Desk) again(ctx context.Context, b Bill) (Bill, error) {
	next := d.later(d.pace.Retry, retryMax, b.Tries)
	if next.After(b.Deadline) {
		next = b.Deadline
	}
	b, _, err := d.advance(ctx, b, step{to: Held, tries: b.Tries + 1, next: next, unsent: true})
	return b, err
}

// refused releases what a biller has said no to. One that can be asked is held
// against its own records first: codes that say no have been wrong before.
func (d *Desk) refused(ctx context.Context, b Bill, why error) (Bill, error) {
	d.log.Info("biller refuses", "order", b.No, "biller", b.Biller, "err", why)
	if asker, ok := d.biller(b.Biller).(vendor.Asker); ok {
		receipt, err := d.query(ctx, asker, b)
		switch {
		case err == nil:
			return d.paid(ctx, b, receipt)
		case !errors.Is(err, vendor.ErrAbsent):
			return d.inDoubt(ctx, b, err)
		}
	}
	b, _, err := d.advance(ctx, b, step{to: Released, cause: CauseRefused, next: d.watchFrom(b, 0)})
	return b, err
}

// inDoubt leaves a bill of which nobody knows to be asked about, or to people if
// the biller cannot be asked.
func (d *Desk) inDoubt(ctx context.Context, b Bill, why error) (Bill, error) {
	d.log.Warn("bill not decided", "order", b.No, "biller", b.Biller, "err", why)
	if _, ok := d.biller(b.Biller).(vendor.Asker); !ok {
		detail := "the biller has not answered, and cannot be asked"
		if errors.Is(why, vendor.ErrNotSaid) { // its own words
			detail = "the biller cannot be asked, and its answer does not say: " + why.Error()
		}
		return d.refer(ctx, b, detail, time.Time{})
	}
	if errors.Is(why, vendor.ErrMismatch) {
		return d.refer(ctx, b, why.Error(), time.Time{})
	}
	b, _, err := d.advance(ctx, b, step{to: Checking, next: d.later(d.pace.Retry, retryMax, 0)})
	return b, err
}

func (d *Desk) query(ctx context.Context, asker vendor.Asker, b Bill) (vendor.Receipt, error) {
	ctx, stop := context.WithTimeout(ctx, d.pace.Call)
	defer stop()
	r, err := asker.Ask(ctx, b.charge())
	d.Note(b.Biller, err)
	return r, err
}

// ask asks what became of a bill. That there is no such order is believed only
// after a while: it may still be on its way there, or in a queue. One that stays
// without an end is left to people, and asked about all the same: whoever knows first
// ends it.
func (d *Desk) ask(ctx context.Context, b Bill) (Bill, error) {
	asker, ok := d.biller(b.Biller).(vendor.Asker)
	if !ok {
		return d.refer(ctx, b, "the biller cannot be asked", time.Time{})
	}
	receipt, err := d.query(ctx, asker, b)
	switch {
	case err == nil:
		return d.paid(ctx, b, receipt)
	case errors.Is(err, vendor.ErrMismatch):
		return d.refer(ctx, b, err.Error(), time.Time{})
	case errors.Is(err, vendor.ErrAbsent) && !d.now().Before(b.SentAt.Add(d.pace.Settle)):
		b, _, err := d.advance(ctx, b, step{to: Released, cause: CauseAbsent, next: d.watchFrom(b, 0)})
		return b, err
	}
	tries := b.Tries + 1
	if b.State == Checking && tries >= stuckTries {
		return d.stuck(ctx, b, err)
	}
	b, _, err = d.advance(ctx, b, step{to: b.State, tries: tries, next: d.later(d.pace.Retry, retryMax, tries)})
	return b, err
}

// stuck tells people of a bill that the biller does not end.
func (d *Desk) stuck(ctx context.Context, b Bill, why error) (Bill, error) {
	d.log.Error("bill stuck", "order", b.No, "biller", b.Biller, "err", why)
	detail := fmt.Sprintf("%d questions to %s without an answer that ends it", stuckTries, b.Biller)
	if _, err := d.books.Alarm(ctx, store.Alarm{Kind: AlarmStuck, Ref: b.No, Detail: detail}); err != nil {
		return b, err
	}
	if errors.Is(why, vendor.ErrNotSaid) { // its own words; other errors may have an address in them
		detail += ": " + why.Error()
	}
	detail += "; it is asked further, and this line closes when it answers"
	return d.refer(ctx, b, detail, d.later(retryMax, retryMax, 0))
}

// watch looks whether a bill that was released has been booked all the same.
func (d *Desk) watch(ctx context.Context, b Bill) (Bill, error) {
	asker, ok := d.biller(b.Biller).(vendor.Asker)
	if !ok {
		b, _, err := d.advance(ctx, b, step{to: Released})
		return b, err
	}
	receipt, err := d.query(ctx, asker, b)
	switch {
	case err == nil:
		d.log.Warn("bill booked after it was released", "order", b.No, "biller", b.Biller)
		return d.paid(ctx, b, receipt)
	case errors.Is(err, vendor.ErrMismatch):
		return d.tooLate(ctx, b, err.Error())
	}
	next := d.watchFrom(b, b.Tries+1)
	if !errors.Is(err, vendor.ErrAbsent) && next.IsZero() && b.Cause != CausePeople {
		// The last question is one that was answered, unless people have asked too.
		next = d.later(watchMax, watchMax, 0)
	}
	b, _, err = d.advance(ctx, b, step{to: Released, tries: b.Tries + 1, next: next})
	return b, err
}

// watchFrom returns when to look again at a bill that was released; zero is
// never.
func (d *Desk) watchFrom(b Bill, tries int) time.Time {
	next := d.later(d.pace.Watch, watchMax, tries)
	if _, ok := d.biller(b.Biller).(vendor.Asker); !ok || next.After(b.Created.Add(d.pace.Late)) {
		return time.Time{}
	}
	return next
}

// paid has the account pay what the biller has booked.
func (d *Desk) paid(ctx context.Context, b Bill, r vendor.Receipt) (Bill, error) {
	paid, err := d.capture(ctx, b, r)
	var little *NotEnoughError
	if errors.As(err, &little) { // it was released, and the holder has spent it
		return d.tooLate(ctx, b, fmt.Sprintf("%s; record %s", err, r.RecordNo))
	}
	return paid, err
}

// later returns when to try again after so many tries: doubling, with jitter.
func (d *Desk) later(first, longest time.Duration, tries int) time.Time {
	pause := min(first<<min(tries, 20), longest)
	return d.now().Add(pause*3/4 + rand.N(pause/2))
}
