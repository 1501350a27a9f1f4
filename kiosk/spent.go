package kiosk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/kiosk/today"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/purse"
)

// spending is what a card has spent today.
type spending struct {
	here  money.Fen // at this terminal
	count int       // sales, at this terminal
	card  money.Fen // everywhere, as the card's own log says; it may say nothing

	// unknown is whether there may have been more here than here, count and the card's
	// log say.
	unknown bool
}

// day is what cards have spent at this terminal since midnight.
type day struct {
	date  purse.Date
	next  int64 // entry to go on from
	epoch journal.Epoch
	line  today.Timeline
	cards map[string][]sold
	open  map[string]bool // sales that count until they are known not to have been made
	gap   bool            // an older journal has a part of the day, and cannot be read
}

// sold is a sale that counts.
type sold struct {
	ref    string
	amount money.Fen
	when   today.Mark
}

// spent returns what the card has spent today. Its own log is read where
// nobody else can be asked; a card that keeps it to itself says nothing.
func (s *Seller) spent(ctx context.Context, card purse.Card, a attempt) (spending, error) {
	s.today.Lock()
	err := s.readDay(ctx)
	all, date, gap := s.day.spent(a.Card.CardNo.Full(), s.midnight()), s.day.date, s.day.gap
	s.today.Unlock()
	if err != nil {
		return spending{}, err
	}
	if !a.Alone {
		return all, nil
	}
	log, err := purse.ReadHistory(card, s.Profile)
	if err != nil && !apdu.Answered(err) {
		return all, fmt.Errorf("%w: %w", ErrCardGone, err)
	}
	times := 0
	for _, r := range log {
		if r.Type == s.Profile.Purse.Kind.PurchaseType() && dateOf(r.At) == date {
			all.card += r.Amount
			times++
		}
	}
	if gap { // the card knows what it has paid here, if its log goes back to yesterday
		all.here, all.count = max(all.here, all.card), max(all.count, times)
		n := s.Profile.Log.Records
		all.unknown = err != nil || len(log) >= n && dateOf(log[len(log)-1].At) == date
	}
	return all, nil
}

// Outlook says what every card would be refused for, whoever lays it down. Where the
// journal does not know the day a card's own log does, unless it wants a PIN, which no
// sale has asked for yet.
func (s *Seller) Outlook(ctx context.Context) tender.Outlook {
	if !s.Profile.PIN.ForLog {
		return tender.Outlook{}
	}
	s.today.Lock()
	defer s.today.Unlock()
	return tender.Outlook{Unknown: s.readDay(ctx) == nil && s.day.gap}
}

// dayPage is how many entries are read at once.
const dayPage = 500

// midnight returns when today began, by the machine's clock, which dates the journal.
func (s *Seller) midnight() time.Time {
	y, m, d := s.Clock.Now().In(Beijing).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, Beijing).Add(s.Clock.Drift())
}

// readDay brings the day's sums up to the journal's head. A clock that has been set is
// in the journal before anything is sold by it. Its caller has today.
func (s *Seller) readDay(ctx context.Context) error {
	epoch, next, err := s.Book.Next(ctx)
	if err != nil {
		return err
	}
	date := purse.DateOf(s.Clock.Now().In(Beijing))
	another := s.day.date != date
	if s.day.date == 0 || s.day.epoch != epoch || another && s.day.gap {
		d, err := s.newDay(ctx, date, journal.Head{Epoch: epoch, Seq: next - 1})
		if err != nil {
			return err // what was read of it is no day
		}
		s.day = d
	}
	for s.day.next < next {
		page, err := s.Book.Since(ctx, s.day.next, dayPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			s.day.add(e)
		}
		s.day.next = page[len(page)-1].Seq + 1
	}
	if another {
		s.day.forget(s.midnight())
		s.day.date = date
	}
	return nil
}

// newDay finds where today begins in the journal. If that is younger, an older epoch
// has the beginning. Where that cannot be read there is a gap, and no new budget.
func (s *Seller) newDay(ctx context.Context, date purse.Date, head journal.Head) (day, error) {
	d := day{date: date, next: 1, epoch: head.Epoch, cards: make(map[string][]sold), open: make(map[string]bool)}
	since := s.midnight()
	for from := head.Seq - dayPage; from > 0; from -= dayPage {
		page, err := s.Book.Since(ctx, from, 1)
		if err != nil {
			return d, err
		}
		if len(page) > 0 && page[0].At.Before(since) && page[0].Clock != journal.ClockUnsure {
			d.next = from
			return d, nil
		}
	}
	older, err := s.Book.Before(ctx, since)
	if ctx.Err() != nil {
		return d, ctx.Err()
	}
	if d.gap = err != nil; d.gap {
		s.Log.Error("cannot read what cards have spent today in an older epoch", "err", err)
	}
	for _, e := range older {
		d.add(e)
	}
	return d, nil
}

// add counts an entry. What a new epoch has carried over of an older one counts once,
// whichever of them it is read in.
func (d *day) add(e journal.Entry) {
	when := d.line.Add(e)
	e, err := e.Inner()
	if err != nil {
		return
	}
	switch {
	case e.Kind == journal.SaleIntent && !d.open[e.Ref]:
		d.open[e.Ref] = true
		d.cards[e.Card] = append(d.cards[e.Card], sold{e.Ref, e.Amount, when})
	case e.Kind == journal.SaleEnd && !e.Outcome.Happened() && d.open[e.Ref]:
		delete(d.open, e.Ref)
		d.cards[e.Card] = slices.DeleteFunc(d.cards[e.Card], func(s sold) bool { return s.ref == e.Ref })
	}
}

// spent returns what a card has spent since midnight. What is dated after now is
// today's.
func (d *day) spent(card string, midnight time.Time) (sum spending) {
	for _, s := range d.cards[card] {
		if !d.line.When(s.when).Before(midnight) {
			sum.here, sum.count = sum.here+s.amount, sum.count+1
		}
	}
	return sum
}

// forget lets go of what counts no more: a day more is kept, since a clock may be set.
func (d *day) forget(midnight time.Time) {
	since := midnight.Add(-24 * time.Hour)
	today.Forget(d.cards, func(s sold) bool {
		old := d.line.When(s.when).Before(since)
		if old {
			delete(d.open, s.ref)
		}
		return old
	})
}

// dateOf returns the day of a card's stamp.
func dateOf(s pboc.Stamp) purse.Date { return purse.DateOf(stampTime(s)) }
