package kiosk

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/reader"
)

// Session walks one person after the other through the flow, for as long as
// the terminal runs. It owns the View; the [Desk] owns the card.
type Session struct {
	Desk   *Desk
	Clock  Clock
	Cards  <-chan reader.State // from reader.Watch
	Inputs <-chan Input        // from the screen
	Health <-chan Health       // from the Keeper
	Show   func(View)          // must not block
	Log    *slog.Logger

	Services []service.Service
	Paper    dialog.Paper // for what came of a visit; nil: there is no printer

	// What follows belongs to the goroutine of Run.
	view    View
	slot    reader.State
	visit   int                // counts steps, so that a late result is known as late
	tried   uint32             // insertion that was looked at last
	cancel  context.CancelFunc // of the act, if one is under way
	ends    time.Time          // of the step, by the monotonic clock; zero: never
	timer   *time.Timer
	jobs    chan job
	results chan result
	talk    *dialog.Conversation // of a service, or what it waits for; nil: none
	pages   int                  // of dialogs, shown so far
	slips   chan slip            // to the printer
	printed chan slip            // and back
}

// outcome is what came of an act: an event for the flow, or 0 for none, and
// what the screen may know of it.
type outcome struct {
	event Event
	patch func(*View)
}

// progress tells the screen something in the middle of an act.
type progress func(func(*View))

// act performs what a step asks for. It runs on the Desk's goroutine, one at a
// time, and returns early, with nothing done, when ctx ends; from the point of
// no return on it finishes whatever ctx says.
type act func(ctx context.Context, tell progress) outcome

type job struct {
	ctx   context.Context
	visit int
	act   act
}

type result struct {
	visit int
	outcome
}

// Run serves until ctx ends, and returns ctx's error. Between two persons
// nothing of the first is left.
func (s *Session) Run(ctx context.Context) error {
	s.jobs, s.results = make(chan job, 16), make(chan result)
	s.slips, s.printed = make(chan slip, 16), make(chan slip)
	s.timer = time.NewTimer(0)
	defer s.timer.Stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.perform(ctx) })
	g.Go(func() error { return s.walk(ctx) })
	g.Go(func() error { return s.feed(ctx) })
	return g.Wait()
}

// perform is the Desk's goroutine. Before it returns the card is let go.
func (s *Session) perform(ctx context.Context) error {
	defer s.Desk.leave()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-s.jobs:
			tell := func(patch func(*View)) { s.deliver(ctx, result{j.visit, outcome{0, patch}}) }
			s.deliver(ctx, result{j.visit, j.act(j.ctx, tell)})
		}
	}
}

func (s *Session) deliver(ctx context.Context, r result) {
	select {
	case s.results <- r:
	case <-ctx.Done():
	}
}

func (s *Session) walk(ctx context.Context) error {
	s.offer()
	s.enter(ctx, Home, Input{}, nil)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case in := <-s.Inputs:
			s.input(ctx, in)
		case state := <-s.Cards:
			s.card(ctx, state)
		case health := <-s.Health:
			s.health(ctx, health)
		case r := <-s.results:
			if r.visit != s.visit {
				continue // the person has gone on; what it did is in the journal
			}
			s.settle(ctx, r.outcome)
		case p := <-s.printed:
			s.onPaper(p)
		case q := <-s.talk.Asks():
			s.asked(ctx, q)
		case e := <-s.talk.Ended():
			s.ended(ctx, e)
		case <-s.timer.C:
			if s.tick(ctx); s.view.Step == OutOfOrder && s.due() {
				return ErrRestart
			}
		}
	}
}

// due reports whether the step has come to its end.
func (s *Session) due() bool { return !s.ends.IsZero() && time.Until(s.ends) <= 0 }

// input takes what a person did. The PIN is the Desk's from here on, or wiped.
func (s *Session) input(ctx context.Context, in Input) {
	switch {
	case in.Event == MoreTime && !s.view.Warning:
		return // nobody was asked
	case in.Event == MoreTime:
		s.view.Warning = false
		s.arm(s.timeout(s.view.Step))
		s.Show(s.view)
		return
	case in.Event == Pace:
		s.view.Unhurried = in.Unhurried && s.view.Step == Home // no page shows it
		return
	case in.Event == 0 && in.Dialog.Event != 0:
		s.said(ctx, in.Dialog)
		return
	case in.Event > Leave && in.Event != ChoseService && in.Event != ChoseOpenService:
		s.Log.Error("screen sent an event that is not a person's", "event", int(in.Event))
		return
	}
	if !s.allowed(in) || !s.event(ctx, in.Event, in) {
		in.PIN.Wipe()
	}
}

// allowed refuses what the flow allows and the moment does not.
func (s *Session) allowed(in Input) bool {
	switch in.Event {
	case Typed:
		return in.PIN != nil && in.PIN.Full()
	case TypedAmount:
		return in.Amount >= s.view.Range.Min && in.Amount <= s.view.Range.Max
	case ChoseTopUp:
		return s.view.Step != Home || s.view.Health.Upstream && s.view.Health.Reader
	case ChoseService, ChoseOpenService:
		return s.canServe(in)
	case Back:
		return s.view.Step != Served || s.view.SignedIn()
	case ChoseAccount:
		return s.view.Step == Home && s.view.Health.Reader || s.view.Step == Done && !s.view.CardAway
	}
	return true
}

// card turns a change of the reader into events. A card that was swapped
// between two looks is one that left and one that came.
func (s *Session) card(ctx context.Context, now reader.State) {
	before := s.slot
	s.slot = now
	if before.Card && (!now.Card || now.Insertions != before.Insertions) {
		if !s.staysWithout() {
			s.event(ctx, CardOut, Input{})
		}
		s.cardLeft()
		s.cardTaken()
	}
	if now.Card && (!before.Card || now.Insertions != before.Insertions) {
		s.event(ctx, CardIn, Input{})
		s.cardBack()
	}
	if s.view.Step == Done && s.view.CardAway != s.cardAway() {
		s.view.CardAway = s.cardAway()
		s.Show(s.view)
	}
	if now.Connected != before.Connected {
		s.health(ctx, s.view.Health)
	}
}

// staysWithout reports whether the step goes on when the card is taken away, which ends
// others: nobody's card is needed for it, or somebody is to be told what the printer does.
func (s *Session) staysWithout() bool {
	switch s.view.Step {
	case Serving:
		return !s.view.SignedIn()
	case Done, OnAccount:
		return s.view.Dialog.Printed == dialog.Printing
	}
	return false
}

// cardLeft reminds a person who takes the card along while paying that it is
// needed once more. It may stay away until then.
func (s *Session) cardLeft() {
	if s.view.Step == Pay {
		s.view.Notice = CardLeftPay
		s.Show(s.view)
	}
}

// cardBack takes that back.
func (s *Session) cardBack() {
	if s.view.Step == Pay {
		s.view.Notice = NoNotice
		s.Show(s.view)
	}
}

// health shows what the machine can do, and closes it to the public when it
// could take money without being able to write it down.
func (s *Session) health(ctx context.Context, h Health) {
	h.Reader = s.slot.Connected
	s.view.Health = h
	moved := false
	if h.Fault != 0 {
		moved = s.event(ctx, Broken, Input{})
	} else {
		moved = s.event(ctx, Mended, Input{})
	}
	if !moved {
		s.Show(s.view)
	}
}

// tick is the timer: first the warning, then the end.
func (s *Session) tick(ctx context.Context) {
	left := time.Until(s.ends)
	switch {
	case s.ends.IsZero():
	case s.due():
		s.event(ctx, Timeout, Input{})
	case s.view.Step.Rule().Warns && left <= warnBefore && !s.view.Warning:
		s.view.Warning = true
		s.Show(s.view)
		fallthrough
	default:
		s.rearm()
	}
}

// arm sets when the step ends by itself; 0 means never. The screen is told by
// the clock on the wall, which may be put right in mid-step; the step itself
// goes by the monotonic one.
func (s *Session) arm(d time.Duration) {
	s.ends, s.view.Ends = time.Time{}, time.Time{}
	if d > 0 {
		s.ends, s.view.Ends = time.Now().Add(d), s.Clock.Now().Add(d)
	}
	s.rearm()
}

// rearm sets the timer to the warning or to the end, whichever comes next.
func (s *Session) rearm() {
	if s.ends.IsZero() {
		s.timer.Stop()
		return
	}
	left := time.Until(s.ends)
	if s.view.Step.Rule().Warns && !s.view.Warning && left > warnBefore {
		left -= warnBefore
	}
	s.timer.Reset(max(left, 0))
}

// settle takes what came of an act: it moves the flow, or only the screen.
func (s *Session) settle(ctx context.Context, o outcome) {
	if next, ok := s.view.Step.Next(o.event); ok {
		s.move(ctx, next, o.event, Input{}, o.patch)
		return
	}
	if o.patch != nil {
		o.patch(&s.view)
		s.Show(s.view)
	}
}

// event moves the flow, and reports whether e meant anything.
func (s *Session) event(ctx context.Context, e Event, in Input) bool {
	next, ok := s.view.Step.Next(e)
	if ok {
		s.move(ctx, next, e, in, nil)
	}
	return ok
}

func (s *Session) move(ctx context.Context, next Step, e Event, in Input, patch func(*View)) {
	s.Log.Info("step", "from", int(s.view.Step), "event", int(e), "to", int(next))
	in.Event = e
	s.enter(ctx, next, in, patch)
}

// enter ends the act of the step before, shows the new step, and begins what
// it asks for.
func (s *Session) enter(ctx context.Context, step Step, in Input, patch func(*View)) {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
	s.visit++
	in.nobody = s.view.Step == Home
	if in.Service != "" {
		s.view.Chosen = in.Service
	}
	s.view = s.view.at(step, in.Event)
	if patch != nil {
		patch(&s.view)
	}
	if in.Event == CardIn {
		s.tried = s.slot.Insertions
	}
	s.view.CardAway = s.cardAway()
	s.offerPaper()
	s.arm(s.timeout(step))
	s.Show(s.view)
	s.converse(ctx)
	if do := s.Desk.act(s.view, in); do != nil {
		var work context.Context
		work, s.cancel = context.WithCancel(ctx)
		s.begin(ctx, job{work, s.visit, do})
	}
	if e := s.already(); e != 0 {
		s.event(ctx, e, Input{})
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
func (s *Session) already() Event {
	switch s.view.Step {
	case Home:
		if s.view.Health.Fault != 0 {
			return Broken
		}
	case Present:
		if s.slot.Card {
			return CardIn // it has been lying there
		}
	case TakeCard:
		if !s.slot.Card {
			return CardOut
		}
	case Replace, Doubt:
		if s.slot.Card && s.slot.Insertions != s.tried {
			return CardIn // it came back before it was asked for
		}
	case Account, ReenterPIN:
		if s.view.CardAway {
			return CardOut // it left while nobody could be stopped
		}
	case Serving:
		if s.view.CardAway && s.view.SignedIn() {
			return CardOut
		}
	}
	return 0
}

// cardAway reports whether the card of this session is no longer there. Another
// one in its place is as good as none.
func (s *Session) cardAway() bool { return !s.slot.Card || s.slot.Insertions != s.tried }

// restartAfter is how long a machine whose journal has failed says so before it
// starts anew. Only a restart can tell what is on the disk.
const restartAfter = 10 * time.Second

// ErrRestart ends a Session whose journal has failed, once nobody's money is on
// its way.
var ErrRestart = errors.New("kiosk: the journal has failed; start the program again")

// timeout is the step's own, but for an order, which has its own end, and for a
// machine that has to be started again.
func (s *Session) timeout(step Step) time.Duration {
	if step == OutOfOrder && s.view.Fault == CodeJournal {
		return restartAfter
	}
	if step == Pay && !s.view.TopUp.Expires.IsZero() {
		return max(s.view.TopUp.Expires.Sub(s.Clock.Now()), time.Second)
	}
	if s.view.Unhurried && step.waits() {
		return unhurried * step.Rule().Timeout
	}
	return step.Rule().Timeout
}
