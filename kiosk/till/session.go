package till

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/kiosk"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/office"
	"quancun/kiosk/rules"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/pinpad"
)

// Session walks one sale after the other through the flow, for as long as the
// till runs. It owns the View; the [Desk] owns the card.
type Session struct {
	Desk    *Desk
	Terms   *kiosk.Terms
	Feeds   kiosk.Feeds
	Cards   <-chan reader.State // from reader.Watch
	SAM     <-chan reader.State // of its slot, from reader.Watch; nil: it is a file, and always there
	Inputs  <-chan Input        // from the screen and the scanner
	Health  <-chan kiosk.Health // from the Keeper
	News    <-chan News         // of what was left open; nil: none
	Printer <-chan Printer      // its newest state; nil: there is none
	Unread  string              // file that News is kept in until it is read; "": it ends with the program
	Show    func(View)          // must not block
	Sheet   keysheet.Sheet      // of codes that are keys; the zero one: there is none
	Log     *slog.Logger

	// Pad is the holder's own PIN pad; nil: the panel takes holders' PINs. PadOrPanel
	// says that it does so, too, while the pad is away.
	Pad        <-chan pinpad.Event
	PadOrPanel bool

	// What follows belongs to the goroutine of Run.
	view    View
	kept    []News // of the view, as the file has it
	slot    reader.State
	sam     reader.State // of its slot
	visit   int          // counts steps, so that a late result is known as late
	tried   uint32       // insertion that was looked at last
	early   uint32       // insertion that came while a card was at work: the same one has bounced, or the next
	paid    uint32       // insertion that a sale was made to
	keyed   bool         // the cashier wants another price than the meal's
	pad     pad
	byCode  bool               // a code pays, so that no card has to stay
	code    string             // that was scanned for the sale on the page
	pressed stroke             // key of the sheet that was scanned last
	cancel  context.CancelFunc // of the act, if one is under way
	ends    time.Time          // of the step, by the monotonic clock; zero: never
	timer   *time.Timer
	jobs    chan job
	results chan result
	office  chan office.View // newest page of the office

	known    outlooks
	foretold chan outlooks
	ask      chan struct{} // to find them out anew
}

type job struct {
	ctx   context.Context
	visit int
	act   act
}

type result struct {
	visit int
	outcome
}

// Run serves until ctx ends, and returns ctx's error.
func (s *Session) Run(ctx context.Context) error {
	s.jobs, s.results = make(chan job, 16), make(chan result)
	s.foretold, s.ask = make(chan outlooks), make(chan struct{}, 1)
	tellers := s.Desk.tellers()
	s.openOffice()
	s.timer = time.NewTimer(0)
	defer s.timer.Stop()
	defer s.pad.forget()
	last, err := s.Desk.remember(ctx)
	if err != nil {
		s.Log.Error("sales of a moment ago not read", "err", err) // the Keeper says what that means
	}
	plan := s.Desk.Plan
	s.view = View{Place: plan.Place, Products: plan.Products, Last: last, HasOffice: s.Desk.Office != nil,
		Printer: s.view.Printer} // of when the till was shown before
	s.view.News = s.unread()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.perform(ctx) })
	g.Go(func() error { return s.walk(ctx) })
	g.Go(func() error { return s.foretell(ctx, tellers) })
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
			r := result{j.visit, j.act(j.ctx)}
			select {
			case s.results <- r:
			case <-ctx.Done():
			}
		}
	}
}

func (s *Session) walk(ctx context.Context) error {
	s.enter(ctx, Locked, Input{}, nil)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case in := <-s.Inputs:
			s.input(ctx, in)
		case state := <-s.Cards:
			s.card(ctx, state)
		case s.sam = <-s.SAM:
			s.health(ctx, s.view.Health)
		case health := <-s.Health:
			s.health(ctx, health)
		case all := <-s.foretold:
			s.hearOutlook(all)
		case v := <-s.office:
			s.showOffice(v)
		case e := <-s.Pad:
			s.onPad(ctx, e)
		case n := <-s.News:
			s.hear(ctx, n)
		case p := <-s.Printer:
			s.view.Printer = p
			s.show()
		case r := <-s.results:
			if r.visit == s.visit { // else the till has gone on; what it did is in the journal
				s.settle(ctx, r.outcome)
			}
		case <-s.timer.C:
			if s.view.Step == OutOfOrder && s.due() {
				return kiosk.ErrRestart
			}
			s.tick(ctx)
		}
	}
}

// input takes what a person did. The PIN is the Desk's from here on, or wiped.
func (s *Session) input(ctx context.Context, in Input) {
	if in.Event > Read {
		s.Log.Error("screen sent an event that is not a person's", "event", int(in.Event))
		return
	}
	if s.view.Step == Office {
		s.atOffice(in)
		return
	}
	if in.Event == Scanned {
		s.scanned(ctx, in)
		return
	}
	if !s.press(ctx, in) {
		in.Wipe()
	}
}

// press does what a key of the page asks for, and reports whether the page has it.
// Who leaves the price of the meal wants to key another one; who leaves one that was
// keyed or scanned meanwhile wants the meal's back.
func (s *Session) press(ctx context.Context, in Input) bool {
	if in.Event == Leave && s.view.Step == Present && (s.fixed() == 0 || s.queueing()) {
		s.keyed = true
	}
	return s.allowed(in) && s.event(ctx, in.Event, in)
}

// allowed refuses what the flow allows and the moment does not.
func (s *Session) allowed(in Input) bool {
	switch in.Event {
	case Typed:
		return in.PIN != nil && in.PIN.Full() && s.onPanel()
	case Priced:
		return in.Amount > 0 && in.Amount <= saleMax
	case Scanned:
		return in.Code != "" && s.view.Amount > 0
	case LoadFirst:
		return s.view.Short
	case AskAgain:
		return s.view.Sale.With != ByCard
	case Lock:
		return s.Desk.Staff != nil
	case OpenOffice:
		return s.Desk.Office != nil
	case Read:
		return len(s.view.News) > 0
	}
	return true
}

// answer says that a card or a code was noticed where it changes nothing.
func (s *Session) answer() {
	s.view.Taps++
	if s.view.Step == Ready || s.view.Step == Glance || s.view.Step == Sold && s.fixed() == 0 {
		s.view.Notice = PriceFirst
	}
	s.show()
}

// card turns a change of the reader into events. A card that was swapped
// between two looks is one that left and one that came.
func (s *Session) card(ctx context.Context, now reader.State) {
	before := s.slot
	s.slot = now
	left := before.Card && (!now.Card || now.Insertions != before.Insertions)
	if left && (s.view.Step != EnterPIN || !s.byCode) {
		s.event(ctx, CardOut, Input{})
	}
	if s.view.Step == Office {
		s.Desk.Office.Card(now)
	}
	if now.Card && (!before.Card || now.Insertions != before.Insertions) {
		s.cardIn(ctx)
	}
	if now.Connected != before.Connected {
		s.health(ctx, s.view.Health)
	}
}

// cardIn answers a card, whatever the till is about: no tap is swallowed.
func (s *Session) cardIn(ctx context.Context) {
	switch s.view.Step {
	case Selling, Settling, CheckingPIN, Levelling, ReadingStaff, Looking:
		s.early = s.slot.Insertions
		return // it is being read, or will be
	case Office:
		if s.view.Office.WantsCard() || s.view.Office.Busy() {
			return
		}
	}
	if !s.event(ctx, s.tapped(), Input{}) && s.view.Step != OutOfOrder {
		s.answer()
	}
}

// tapped is what a card means that has just been laid down.
func (s *Session) tapped() Event {
	switch s.view.Step {
	case Sold:
		if next := s.meal().Input(); next.Amount > 0 {
			s.view.Amount, s.view.Items = next.Amount, next.Items
			return CardIn // the next in the queue
		}
		return Retapped
	case Declined:
		if s.view.Amount == 0 {
			return Retapped
		}
	case Unknown:
		if s.view.Sale.With != ByCard {
			return Retapped // the answer is upstream, not on a card
		}
	}
	return CardIn
}

// fixed is the price that everybody pays now, or 0.
func (s *Session) fixed() money.Fen { return s.meal().Price }

// queueing reports whether the price on the page is the one that everybody pays, so
// that the page waits for the next in the queue.
func (s *Session) queueing() bool { return s.fixed() > 0 && s.view.Amount == s.fixed() }

// meal is what everybody pays now, or one without a price.
func (s *Session) meal() Meal {
	if s.keyed {
		return Meal{}
	}
	return s.Desk.Plan.Now(s.Desk.now())
}

// health shows what the till can do, and closes it when it could take money
// without being able to write it down.
func (s *Session) health(ctx context.Context, h kiosk.Health) {
	h.Reader = s.slot.Connected
	s.view.Health = h
	s.lookAhead()
	if s.Desk.Office != nil {
		s.Desk.Office.Online(h.Upstream)
	}
	moved := false
	if h.Fault != 0 {
		moved = s.event(ctx, Broken, Input{})
	} else {
		moved = s.event(ctx, Mended, Input{})
	}
	if !moved {
		s.show()
	}
}

// look says what may be sold in the dark, and which ways of paying there are.
func (s *Session) look() {
	h, now := s.view.Health, s.Desk.now()
	facts := rules.Sale{
		ListAge: s.Feeds.Status(feed.Hotlist).Age(now), QueueAmount: h.Queue.Amount, QueueCount: h.Queue.Count,
		QueueHour: h.Queue.Hour,
	}
	if h.Queue.Count > 0 {
		facts.QueueAge = now.Sub(h.Queue.Since)
	}
	limits := s.Terms.Rules()
	s.view.Dark = limits.Budget(facts)
	s.view.Meal = s.Desk.Plan.Now(now)
	price := money.Fen(0)
	if s.view.Step == Present {
		price = s.view.Amount
	}
	facts.Unknown = s.known[ByCard].Unknown
	d := dark{card: alone(limits.Dark, facts, price)}
	facts.ListAge, facts.Unknown = s.Feeds.Status(feed.Keys).Age(now), s.known[ByCode].Unknown
	d.code = alone(limits.DarkCode, facts, price)
	if s.known[ByCard].Unknown && s.known[ByCode].Unknown {
		s.view.Dark.Sale, s.view.Dark.Left = 0, 0
	}
	s.view.Ways = s.sources(d)
}
