package kiosk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"quancun/beijing"
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
	read  today.Reader
	cards map[string][]sold
	open  map[string]bool // sales that count until they are known not to have been made
	gap   bool            // an older journal has a part of the day, and cannot be read
	log   *slog.Logger
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
	now := s.Clock.Now()
	date := purse.DateOf(now.In(beijing.Zone))
	s.today.Lock()
	err := s.readDay(ctx, now)
	all, gap := s.day.spent(a.Card.CardNo.Full(), s.dayOf(now).Begins()), s.day.gap
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
	return tender.Outlook{Unknown: s.readDay(ctx, s.Clock.Now()) == nil && s.day.gap}
}

func (s *Seller) dayOf(now time.Time) today.Day { return today.DayOf(now, s.Clock.Drift()) }

// readDay brings the day's sums up to the journal's head. Its caller has today.
func (s *Seller) readDay(ctx context.Context, now time.Time) error {
	s.day.log = s.Log
	return s.day.read.Read(ctx, s.Book, s.dayOf(now), &s.day)
}

func (d *day) Begin(gap error) {
	if d.gap = gap != nil; d.gap {
		d.log.Error("cannot read what cards have spent today in an older epoch", "err", gap)
	}
	d.cards, d.open = make(map[string][]sold), make(map[string]bool)
}

func (d *day) Add(e journal.Entry, at today.Mark) {
	switch {
	case e.Kind == journal.SaleIntent && !d.open[e.Ref]:
		d.open[e.Ref] = true
		d.cards[e.Card] = append(d.cards[e.Card], sold{e.Ref, e.Amount, at})
	case e.Kind == journal.SaleEnd && !e.Outcome.Happened() && d.open[e.Ref]:
		delete(d.open, e.Ref)
		d.cards[e.Card] = slices.DeleteFunc(d.cards[e.Card], func(s sold) bool { return s.ref == e.Ref })
	}
}

func (d *day) Forget(since time.Time) {
	today.Forget(d.cards, func(s sold) bool {
		old := d.read.When(s.when).Before(since)
		if old {
			delete(d.open, s.ref)
		}
		return old
	})
}

// spent returns what a card has spent since midnight. What is dated after now is
// today's.
func (d *day) spent(card string, midnight time.Time) (sum spending) {
	for _, s := range d.cards[card] {
		if !d.read.When(s.when).Before(midnight) {
			sum.here, sum.count = sum.here+s.amount, sum.count+1
		}
	}
	return sum
}

// dateOf returns the day of a card's stamp.
func dateOf(s pboc.Stamp) purse.Date { return purse.DateOf(stampTime(s)) }
