package till

import (
	"context"
	"time"

	"quancun/kiosk"
)

// due reports whether the step has come to its end.
func (s *Session) due() bool { return !s.ends.IsZero() && time.Until(s.ends) <= 0 }

// tick is the timer: the end of the step, or not yet.
func (s *Session) tick(ctx context.Context) {
	switch {
	case s.ends.IsZero():
	case !s.due():
		s.rearm()
	case s.view.Step == Present && s.queueing():
		s.event(ctx, Lock, Input{}) // the next of the queue does not come any more
	default:
		s.event(ctx, Timeout, Input{})
	}
}

// arm sets when the step ends by itself; 0 means never. The screen is told by
// the clock on the wall, which may be put right in mid-step; the step itself
// goes by the monotonic one.
func (s *Session) arm(d time.Duration) {
	s.ends, s.view.Ends = time.Time{}, time.Time{}
	if d > 0 {
		s.ends, s.view.Ends = time.Now().Add(d), s.Desk.now().Add(d)
	}
	s.rearm()
}

func (s *Session) rearm() {
	if s.ends.IsZero() {
		s.timer.Stop()
		return
	}
	s.timer.Reset(max(time.Until(s.ends), 0))
}

// restartAfter is how long a till whose journal has failed says so before it
// starts anew. Only a restart can tell what is on the disk.
const restartAfter = 10 * time.Second

// timeout is the step's own, but for a till that has to be started again, that
// waits for the next of a queue, or that nobody has signed in to.
func (s *Session) timeout(step Step) time.Duration {
	open := s.Desk.Staff == nil // nobody to lock out
	switch {
	case step == OutOfOrder && s.view.Fault == kiosk.CodeJournal:
		return restartAfter
	case step == Ready && open, step == Present && open && s.queueing():
		return 0
	case step == Present && s.queueing():
		return lockAfter
	}
	return step.Rule().Timeout
}

// settle takes what came of an act: it moves the flow, or only the screen.
func (s *Session) settle(ctx context.Context, o outcome) {
	if next, ok := s.view.Step.Next(o.event); ok {
		s.move(ctx, next, Input{Event: o.event}, o.patch)
		return
	}
	if o.patch != nil {
		o.patch(&s.view)
		s.show()
	}
}

// event moves the flow, and reports whether e meant anything.
func (s *Session) event(ctx context.Context, e Event, in Input) bool {
	next, ok := s.view.Step.Next(e)
	if ok {
		in.Event = e
		s.move(ctx, next, in, nil)
	}
	return ok
}

func (s *Session) move(ctx context.Context, next Step, in Input, patch func(*View)) {
	s.Log.Info("step", "from", int(s.view.Step), "event", int(in.Event), "to", int(next))
	s.enter(ctx, next, in, patch)
}

// enter ends the act of the step before, shows the new step, and begins what it
// asks for.
func (s *Session) enter(ctx context.Context, step Step, in Input, patch func(*View)) {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
	s.visit++
	s.pad.forget()
	before := s.view.Step
	s.view = s.view.at(step, in.Event)
	if patch != nil {
		patch(&s.view)
	}
	s.note(before, step, in)
	s.told()
	s.arm(s.timeout(step))
	s.show()
	if do := s.Desk.act(s.view, in, s.slot); do != nil {
		var work context.Context
		work, s.cancel = context.WithCancel(ctx)
		s.begin(ctx, job{work, s.visit, do})
	}
	if e, in := s.already(in.Event); e != 0 {
		s.event(ctx, e, in)
	}
}

// note keeps what later steps have to know of this one, and of the one before.
func (s *Session) note(before, step Step, in Input) {
	if before == Office {
		s.tried = s.slot.Insertions // a card that the office was about does not pay by lying there
	}
	switch {
	case in.Event == CardIn, in.Event == Retapped, step == Settling:
		s.tried = s.slot.Insertions
	case in.Event == Priced:
		s.view.Amount, s.view.Items = in.Amount, in.Items
	case in.Event == SignedIn && s.Desk.Staff != nil:
		s.paid = max(s.tried, s.early) // the cashier's own card pays for nobody
	case step == Sold:
		s.paid, s.keyed = max(s.tried, s.early), false
	case step == Glance && s.Desk.now().Sub(s.view.Sale.At) < repeatWithin:
		s.paid = s.tried // it may have bounced
	case step == Locked:
		s.keyed = false
	}
	switch step {
	case Paying:
		s.byCode = true
	case Selling, Settling, Levelling, Ready:
		s.byCode = false
	}
	if step == Present {
		s.lookAhead() // what may be sold for this price
	}
	if step == Ready {
		s.code = ""
		s.lookAhead() // the meal may be over
		if s.Desk.Staff == nil {
			s.view.Operator = s.Desk.Plan.Operator
		}
	}
}

// begin hands a job to the Desk. What it still says of steps that are over is
// heard meanwhile, so that neither waits for the other.
func (s *Session) begin(ctx context.Context, j job) {
	for {
		select {
		case s.jobs <- j:
			return
		case <-s.results:
		case <-ctx.Done():
			return
		}
	}
}

// already returns the event for which the step waits, if it has happened.
func (s *Session) already(e Event) (Event, Input) {
	there := s.slot.Card
	fresh := there && s.slot.Insertions != s.tried
	switch s.view.Step {
	case Locked:
		if s.view.Health.Fault != 0 {
			return Broken, Input{}
		}
		if s.Desk.Staff == nil {
			return SignedIn, Input{}
		}
	case Ready:
		if s.view.Health.Fault != 0 {
			return Broken, Input{}
		}
		if meal := s.meal(); meal.Price > 0 {
			return Priced, meal.Input()
		}
	case Present:
		if s.waits(e, there, fresh) {
			return CardIn, Input{}
		}
	case Doubt:
		if fresh {
			return CardIn, Input{} // it came back before it was asked for
		}
	case Glance, EnterPIN:
		if s.view.Step == EnterPIN && s.byCode {
			break
		}
		if !there || fresh {
			return CardOut, Input{} // it left while nobody could be stopped
		}
	}
	return 0, Input{}
}

// waits reports whether the card of this sale is lying there already. One that a
// sale was made to is the last customer's, until it has been taken away; and
// what did not work a moment ago is tried again only if somebody asks for it.
func (s *Session) waits(e Event, there, fresh bool) bool {
	switch {
	case e == Confirmed:
		return there
	case e == Priced && s.fixed() == 0:
		return there && s.slot.Insertions != s.paid
	}
	return fresh
}
