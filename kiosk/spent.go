package kiosk

import (
	"context"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
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

// day adds up what cards have spent at this terminal since midnight.
type day struct {
	date  purse.Date
	next  int64 // entry to go on from
	epoch journal.Epoch
	cards map[string]spending
	open  map[string]bool // sales that count until they are known not to have been made
	gap   bool            // an older journal has a part of the day, and cannot be read
}

// spent returns what the card has spent today. Its own log is read where
// nobody else can be asked; a card that keeps it to itself says nothing.
func (s *Seller) spent(ctx context.Context, card purse.Card, a attempt) (spending, error) {
	s.today.Lock()
	err := s.readDay(ctx)
	all, today, gap := s.day.cards[a.Card.CardNo.Full()], s.day.date, s.day.gap
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
		if r.Type == s.Profile.Purse.Kind.PurchaseType() && dateOf(r.At) == today {
			all.card += r.Amount
			times++
		}
	}
	if gap { // the card knows what it has paid here, if its log goes back to yesterday
		all.here, all.count = max(all.here, all.card), max(all.count, times)
		n := s.Profile.Log.Records
		all.unknown = err != nil || len(log) >= n && dateOf(log[len(log)-1].At) == today
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

// readDay brings the day's sums up to the journal's head. Its caller has today.
func (s *Seller) readDay(ctx context.Context) error {
	head, err := s.Book.Head(ctx)
	if err != nil {
		return err
	}
	today := purse.DateOf(s.Clock.Now().In(Beijing))
	if s.day.date != today || s.day.epoch != head.Epoch {
		d, err := s.newDay(ctx, today, head)
		if err != nil {
			return err // what was read of it is no day
		}
		s.day = d
	}
	for s.day.next <= head.Seq {
		page, err := s.Book.Since(ctx, s.day.next, dayPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			s.day.add(e)
		}
		s.day.next = page[len(page)-1].Seq + 1
	}
	return nil
}

// newDay finds where today begins in the journal. If that is younger, an older epoch
// has the beginning. Where that cannot be read there is a gap, and no new budget.
func (s *Seller) newDay(ctx context.Context, today purse.Date, head journal.Head) (day, error) {
	d := day{date: today, next: 1, epoch: head.Epoch, cards: make(map[string]spending), open: make(map[string]bool)}
	for from := head.Seq - dayPage; from > 0; from -= dayPage {
		page, err := s.Book.Since(ctx, from, 1)
		if err != nil {
			return d, err
		}
		if len(page) > 0 && purse.DateOf(page[0].At.In(Beijing)) < today {
			d.next = from
			return d, nil
		}
	}
	y, m, n := s.Clock.Now().In(Beijing).Date()
	older, err := s.Book.Before(ctx, time.Date(y, m, n, 0, 0, 0, 0, Beijing))
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
	e, err := e.Inner()
	if err != nil {
		return
	}
	sum := d.cards[e.Card]
	switch {
	case e.Kind == journal.SaleIntent && purse.DateOf(e.At.In(Beijing)) == d.date && !d.open[e.Ref]:
		d.open[e.Ref] = true
		sum.here, sum.count = sum.here+e.Amount, sum.count+1
	case e.Kind == journal.SaleEnd && !e.Outcome.Happened() && d.open[e.Ref]:
		delete(d.open, e.Ref)
		sum.here, sum.count = sum.here-e.Amount, sum.count-1
	default:
		return
	}
	d.cards[e.Card] = sum
}

// dateOf returns the day of a card's stamp.
func dateOf(s pboc.Stamp) purse.Date { return purse.DateOf(stampTime(s)) }
