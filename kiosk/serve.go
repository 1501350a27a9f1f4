package kiosk

import (
	"context"
	"errors"
	"slices"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
)

// serves reports whether a service has the screen.
func (s Step) serves() bool { return s == Serving || s == AtWork || s == Served }

// offer says which services there are.
func (s *Session) offer() {
	for _, one := range s.Services {
		if !one.Unlisted {
			s.view.Services = append(s.view.Services, Offer{one.Name, one.SignIn, one.SignIn || one.Online, one.Inside})
		}
	}
}

// find returns the service of that name, or nil.
func (s *Session) find(name dialog.Word) *service.Service {
	i := slices.IndexFunc(s.Services, func(one service.Service) bool { return one.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Services[i]
}

// canServe reports whether what was chosen is there now.
func (s *Session) canServe(in Input) bool {
	one := s.find(in.Service)
	if one == nil || one.SignIn != (in.Event == ChoseService) {
		return false
	}
	if other, ok := s.view.Health.Other(string(one.Name)); ok && !other.Works() {
		return false
	}
	return s.view.Step != Home || (!one.SignIn || s.view.Health.Reader) &&
		(!one.SignIn && !one.Online || s.view.Health.Upstream)
}

// converse begins the service that was chosen where it has the screen, and ends one
// that was left at a question.
func (s *Session) converse(ctx context.Context) {
	switch {
	case s.view.Step == AtWork && s.talk == nil:
		one := s.find(s.view.Chosen)
		var holder service.Holder
		if who := s.Desk.signed.Load(); who != nil && one.SignIn {
			holder = *who
		}
		s.talk = dialog.Begin(ctx, NewRef(), func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
			return one.Run(ctx, &service.Visit{Talk: t, Holder: holder})
		})
	case !s.view.Step.serves():
		s.hush()
	}
}

// hush ends the conversation, if there is one.
func (s *Session) hush() {
	if s.talk != nil {
		s.talk.Stop()
		s.talk = nil
	}
}

// asked shows what the service asks, or that it works.
func (s *Session) asked(ctx context.Context, q dialog.Question) {
	s.pages++
	page := dialog.View{Page: dialog.Asking, No: s.pages, Task: s.view.Chosen, Question: q}
	o := outcome{0, func(v *View) { v.Dialog = page }}
	if q.Kind != dialog.Working {
		o.event = Asked
	}
	s.settle(ctx, o)
}

// said takes what a person did at a page of the service. A page that is over, and an
// answer that its question does not take, say nothing.
func (s *Session) said(ctx context.Context, in dialog.Input) {
	if in.No != 0 && in.No != s.view.Dialog.No {
		in.Answer.PIN.Wipe()
		return
	}
	switch s.view.Step {
	case Serving:
		if a, ok := s.view.Dialog.Question.Reply(in); ok {
			talk := s.talk
			s.event(ctx, Answered, Input{})
			talk.Answer(a)
		}
	case Served:
		in.Answer.PIN.Wipe()
		switch in.Event {
		case dialog.Left:
			if !s.goOn(ctx) {
				s.input(ctx, Input{Event: Back})
			}
		case dialog.PrintIt:
			s.print()
		}
	case Done, OnAccount:
		in.Answer.PIN.Wipe()
		if in.Event == dialog.PrintIt {
			s.print()
		}
	default:
		in.Answer.PIN.Wipe()
	}
}

// goOn goes on to what the person came for, if that waits behind the service that has
// ended and can be had now.
func (s *Session) goOn(ctx context.Context) bool {
	then := s.view.then
	s.view.then = pursuit{}
	switch {
	case s.cardAway():
	case then.service == TopUpService:
		return s.event(ctx, WentOnTopUp, Input{})
	case then.service == OtherService && s.canServe(Input{Event: ChoseService, Service: then.chosen}):
		return s.event(ctx, WentOnService, Input{Service: then.chosen})
	}
	return false
}

// ended shows how the service ended, or what came of what was being checked. Who has
// left it needs no telling.
func (s *Session) ended(ctx context.Context, e dialog.End) {
	s.talk = nil
	how, code, why := HowEnded(e.Err)
	switch {
	case ctx.Err() != nil:
		return // the program ends; the journal has what was begun
	case errors.Is(e.Err, dialog.ErrLeft) && s.view.SignedIn():
		s.event(ctx, WentBack, Input{})
		return
	case errors.Is(e.Err, dialog.ErrLeft):
		s.event(ctx, WentAway, Input{})
		return
	case e.Err != nil:
		s.Log.Warn("service ended", "service", string(s.view.Chosen), "outcome", int(how), "err", e.Err)
	}
	switch {
	case s.view.Step != Served:
	case s.view.Dialog.Outcome == dialog.Done:
		s.renew(ctx, e)
		return
	case how == dialog.Unknown && why == "":
		return // the page says so already, and there is nothing new to say
	}
	s.pages++
	follow := e.Report.Follow
	e.Report.Follow = nil // the screen compares what it is shown
	page := dialog.View{Page: dialog.Ended, No: s.pages, Task: s.view.Chosen, Report: e.Report, Outcome: how, Why: why,
		Followed: how == dialog.Unknown && follow != nil,
		CanPrint: s.Paper != nil && (how != dialog.Refused || !e.Report.Bare())}
	s.settle(ctx, outcome{Ended, func(v *View) { v.Dialog, v.Fault = page, code }})
	if how != dialog.Refused {
		s.follow(ctx, follow)
	}
	if e.Report.Print && how != dialog.Refused {
		s.print()
	}
}

// follow waits for what there is to say after a report, unless that is nil.
func (s *Session) follow(ctx context.Context, follow func(context.Context) (dialog.Report, error)) {
	if follow == nil {
		return
	}
	s.talk = dialog.Begin(ctx, "", func(ctx context.Context, _ *dialog.Talk) (dialog.Report, error) {
		return follow(ctx)
	})
}

// renew shows what there is newer to say of what is done. It is the same page: it has no
// more time for that, and comes on paper again only if somebody asks for it.
func (s *Session) renew(ctx context.Context, e dialog.End) {
	if e.Err != nil {
		return // it is done all the same
	}
	follow := e.Report.Follow
	e.Report.Follow = nil
	s.settle(ctx, outcome{0, func(v *View) { v.Dialog.Report = e.Report }})
	s.follow(ctx, follow)
}

// slip is a report on its way to the printer, and then what came of it.
type slip struct {
	visit  int
	report dialog.Report
	state  dialog.PrintState
	why    dialog.Word
}

// feed is the printer's goroutine. A printer that is silent keeps nobody from their card.
func (s *Session) feed(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-s.slips:
			p.state, p.why = s.put(ctx, p.report)
			select {
			case s.printed <- p:
			case <-ctx.Done():
			}
		}
	}
}

// put prints a report, and returns what came of it.
func (s *Session) put(ctx context.Context, r dialog.Report) (state dialog.PrintState, why dialog.Word) {
	err := s.Paper.Print(ctx, r)
	if err == nil {
		return dialog.Printed, ""
	}
	s.Log.Warn("report not printed", "service", string(r.Title), "err", err)
	if no := (*dialog.Refusal)(nil); errors.As(err, &no) {
		why = no.Why
	}
	return dialog.NotYet, why
}

// paperMax is longer than a printer takes for a report, or to be given up.
const paperMax = 45 * time.Second

// print has the report of the page printed, and says so on the page, which stays until
// the printer has said how that went.
func (s *Session) print() {
	d := &s.view.Dialog
	if !d.CanPrint || d.Printed == dialog.Printing {
		return
	}
	d.Printed, d.NoPaper = dialog.Printing, ""
	select {
	case s.slips <- slip{visit: s.visit, report: d.Titled()}:
		s.stay(paperMax)
	default: // the printer is far behind
		d.Printed = dialog.NotYet
	}
	s.Show(s.view)
}

// onPaper says what came of printing to whoever still stands there, for as long as it
// takes to read.
func (s *Session) onPaper(p slip) {
	if p.visit != s.visit {
		return
	}
	s.view.Dialog.Printed, s.view.Dialog.NoPaper = p.state, p.why
	s.stay(servedAfter)
	s.Show(s.view)
}

// stay has the page stand that long at least.
func (s *Session) stay(least time.Duration) {
	if !s.ends.IsZero() && time.Until(s.ends) < least {
		s.arm(least)
	}
}

// offerPaper makes the receipt of a page at which a top-up ends one that can be printed.
func (s *Session) offerPaper() {
	if s.view.Step != Done && s.view.Step != OnAccount || s.view.Receipt == (Receipt{}) {
		return
	}
	s.pages++
	s.view.Dialog = dialog.View{No: s.pages, Report: s.view.receipt(), CanPrint: s.Paper != nil}
}

// servedAfter is how long what came of a service is still shown to who has taken the
// card: the next one must not read it.
const servedAfter = 2 * warnBefore

// cardTaken shortens the time of a page that is read with the card in the hand.
func (s *Session) cardTaken() {
	if s.view.Step == Served && (s.ends.IsZero() || time.Until(s.ends) > servedAfter) {
		s.arm(servedAfter)
		s.Show(s.view)
	}
}
