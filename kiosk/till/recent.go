package till

import (
	"context"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/reader/purse"
)

// repeatWithin is how soon the same card with the same price is asked about: a
// card that stayed on the reader, or a key that was pressed twice. Who buys
// lunch for a friend waits longer, or says so.
const repeatWithin = 30 * time.Second

// lookedAt is how long a re-tap is told of the sale before.
const lookedAt = 10 * time.Minute

// restartWithin is how soon after a start a sale of the time before it is asked
// about: the screen may never have said that it was made.
const restartWithin = 5 * time.Minute

// recent are the sales of a moment ago, the newest last.
type recent []past

type past struct {
	card  string // full number
	until time.Time
	Result
}

// add notes a sale, and forgets those that nobody asks about any more: a till
// runs for months.
func (r *recent) add(card purse.CardNo, s Result, until time.Time) {
	*r = slices.DeleteFunc(*r, func(p past) bool { return s.At.Sub(p.At) > lookedAt && !s.At.Before(p.until) })
	*r = append(*r, past{card.Full(), until, s})
}

// repeats reports whether a sale is the same as one of a moment ago, and which.
func (r *recent) repeats(card purse.CardNo, s Result) (Result, bool) {
	for i := len(*r) - 1; i >= 0; i-- {
		if p := (*r)[i]; p.card == card.Full() && p.Amount == s.Amount && s.At.Before(p.until) {
			return p.Result, true
		}
	}
	return Result{}, false
}

// of returns the newest sale to a card, or the zero Result.
func (r *recent) of(card purse.CardNo, now time.Time) (last Result) {
	for _, p := range *r {
		if p.card == card.Full() && now.Sub(p.At) <= lookedAt {
			last = p.Result
		}
	}
	return last
}

// recall is how much of the journal is read at a start.
const recall = 60

// remember reads the sales of a moment ago from the journal, and returns the
// last one that was made: after a power cut nobody else can say whether the
// screen had shown it.
func (d *Desk) remember(ctx context.Context) (last Result, err error) {
	head, err := d.Book.Head(ctx)
	if err != nil {
		return last, err
	}
	page, err := d.Book.Since(ctx, max(head.Seq-recall, 1), recall+1)
	if err != nil {
		return last, err
	}
	now := d.now()
	for _, e := range page {
		if e.Kind != journal.SaleEnd || !e.Outcome.Happened() {
			continue
		}
		item, err := d.Book.Get(ctx, e.Ref)
		if err != nil {
			return last, err
		}
		at := item.First.At.In(beijing.Zone) // its end may have been written hours later
		card, err := purse.ParseCardNo(item.First.Card)
		if err != nil || now.Sub(at) > lookedAt {
			continue
		}
		sale := Result{
			Ref: e.Ref, Amount: item.First.Amount, At: at, Number: e.Seq, With: ByCard,
			Online: tender.DetailsOf(item.First.Details).Approved,
		}
		if !at.Before(last.At) {
			last = sale
		}
		d.recent.add(card, sale, now.Add(restartWithin))
	}
	return last, nil
}
