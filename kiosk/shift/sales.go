package shift

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/money"
)

// DayOf returns the day of a moment, as 2006-01-02.
func DayOf(t time.Time) string { return t.In(beijing.Zone).Format(time.DateOnly) }

// Meal is a time of day with a name, such as lunch. It may go on over midnight.
type Meal struct {
	Name     string
	From, To time.Duration // since midnight; From counts, To does not
}

func (m Meal) has(at time.Duration) bool {
	if m.From <= m.To {
		return m.From <= at && at < m.To
	}
	return at >= m.From || at < m.To
}

// By says how sales are put together.
type By int

// The ways. They are never stored.
const (
	ByDay By = iota
	ByHour
	ByItem
	ByMeal
)

// Line is what was sold and given back under one key.
type Line struct {
	Key     string // day, hour as 2006-01-02 15:00, item, or meal; "" for what has none
	Sales   journal.Sum
	Refunds journal.Sum
}

// Net is what the line has brought.
func (l Line) Net() money.Fen { return l.Sales.Amount - l.Refunds.Amount }

// Period is from one moment until before another.
type Period struct{ From, Until time.Time }

func (p Period) has(t time.Time) bool { return !t.Before(p.From) && t.Before(p.Until) }

// Sales returns what was sold in a period, in the order of the keys. Meals are
// asked in their order; only [ByMeal] needs any. Times are the journal's: where
// the clock was wrong, they are too, and no sale is missed or counted twice for
// it.
func Sales(ctx context.Context, book Book, p Period, by By, meals ...Meal) ([]Line, error) {
	s := newSorting(by, meals)
	s.earlier = func(at journal.Position) (sale, error) { return find(ctx, book, at) }
	return s.all(since(ctx, book, p.From), p)
}

// SalesIn is [Sales] for entries of a journal from some number on, in order. Sales
// before them are not known, so items of theirs that were given back have no name.
func SalesIn(entries iter.Seq2[journal.Entry, error], p Period, by By, meals ...Meal) ([]Line, error) {
	return newSorting(by, meals).all(entries, p)
}

func newSorting(by By, meals []Meal) *sorting {
	return &sorting{
		by: by, meals: meals, lines: map[string]*Line{}, items: map[string][]tender.Item{},
		sales: map[journal.Position]sale{}, earlier: func(journal.Position) (sale, error) { return sale{}, nil },
	}
}

func (s *sorting) all(entries iter.Seq2[journal.Entry, error], p Period) ([]Line, error) {
	var copies journal.Copies
	for e, err := range entries {
		var said journal.Entry
		if err == nil {
			said, err = e.Inner()
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("read sales: %w", err)
		case e.Kind == journal.Carried && copies.Again(said):
		case p.has(said.At):
			if err := s.add(said); err != nil {
				return nil, fmt.Errorf("read sales: %w", err)
			}
		case e.Kind != journal.Carried && e.Kind != journal.EpochOpened && !e.At.Before(p.Until):
			return s.sorted(), nil
		}
	}
	return s.sorted(), nil
}

// since yields the entries from a moment on.
func since(ctx context.Context, book Book, from time.Time) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		next, err := firstAt(ctx, book, from)
		for err == nil {
			var page []journal.Entry
			if page, err = book.Since(ctx, next, pageLen); err == nil && len(page) == 0 {
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				next = e.Seq + 1
			}
		}
		yield(journal.Entry{}, err)
	}
}

// firstAt returns the number of the first entry that is not before a moment.
// Entries' times only go forward.
func firstAt(ctx context.Context, book Book, at time.Time) (int64, error) {
	head, err := book.Head(ctx)
	low, high := int64(1), head.Seq+1
	for err == nil && low < high {
		middle := low + (high-low)/2
		var page []journal.Entry
		if page, err = book.Since(ctx, middle, 1); err == nil && len(page) == 1 && page[0].At.Before(at) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, err
}

// sorting is sales on their way into lines.
type sorting struct {
	by    By
	meals []Meal
	lines map[string]*Line
	items map[string][]tender.Item // of sales that have begun, by Ref

	// What refunds may give back: sales with items so far, and how to find one from
	// before the period.
	sales   map[journal.Position]sale
	earlier func(journal.Position) (sale, error)
}

// sale is what was sold, as far as keys have said it.
type sale struct {
	amount money.Fen
	items  []tender.Item
}

// find returns a sale of this journal, or the zero sale.
func find(ctx context.Context, book Book, at journal.Position) (sale, error) {
	page, err := book.Since(ctx, at.Seq, 1)
	if err != nil || len(page) == 0 || page[0].Position() != at || page[0].Ref == "" {
		return sale{}, err
	}
	i, err := book.Get(ctx, page[0].Ref)
	return sale{page[0].Amount, tender.DetailsOf(i.First.Details).Items}, err
}

// add adds an entry, as it was when it was written: what was carried over into a
// new epoch was sold before that.
func (s *sorting) add(e journal.Entry) error {
	switch {
	case e.Kind == journal.SaleIntent:
		s.items[e.Ref] = tender.DetailsOf(e.Details).Items
	case e.Kind == journal.SaleEnd:
		items, begun := s.items[e.Ref]
		delete(s.items, e.Ref)
		switch {
		case !e.Outcome.Happened():
			return nil
		case !begun && s.by == ByItem: // it was before the period
			of, err := s.earlier(e.Position())
			if err != nil {
				return err
			}
			items = of.items
		}
		s.sold(e, items)
	case e.Kind == journal.CodeSale, e.Kind == journal.ChannelSale:
		s.sold(e, tender.DetailsOf(e.Details).Items)
	case e.Kind == journal.Refund:
		return s.back(e)
	}
	return nil
}

// sold adds a sale. Items that do not come to its amount leave the rest under no
// name.
func (s *sorting) sold(e journal.Entry, items []tender.Item) {
	if s.by != ByItem {
		s.put(s.key(e), journal.Sum{Count: 1, Amount: e.Amount}, journal.Sum{})
		return
	}
	if len(items) > 0 {
		s.sales[e.Position()] = sale{e.Amount, items}
	}
	rest := e.Amount
	for _, i := range items {
		s.put(i.Name, journal.Sum{Count: i.Count, Amount: i.Price}, journal.Sum{})
		rest -= i.Price
	}
	if rest != 0 || len(items) == 0 {
		s.put("", journal.Sum{Count: 1, Amount: rest}, journal.Sum{})
	}
}

// back adds a refund. One of a whole sale gives back its items; one of a part gives
// back the item that has cost as much, if only one has. The rest is under no name.
func (s *sorting) back(e journal.Entry) error {
	if s.by != ByItem {
		s.put(s.key(e), journal.Sum{}, journal.Sum{Count: 1, Amount: e.Amount})
		return nil
	}
	of, known := s.sales[e.Origin]
	if !known {
		var err error
		if of, err = s.earlier(e.Origin); err != nil {
			return err
		}
	}
	rest := e.Amount
	for _, i := range of.given(e.Amount) {
		s.put(i.Name, journal.Sum{}, journal.Sum{Count: i.Count, Amount: i.Price})
		rest -= i.Price
	}
	if rest != 0 {
		s.put("", journal.Sum{}, journal.Sum{Count: 1, Amount: rest})
	}
	return nil
}

// given returns what of a sale was given back with an amount of it.
func (s sale) given(amount money.Fen) (items []tender.Item) {
	if amount == s.amount {
		return s.items
	}
	for _, i := range s.items {
		if i.Price == amount {
			items = append(items, i)
		}
	}
	if len(items) > 1 {
		return nil
	}
	return items
}

func (s *sorting) put(key string, sales, refunds journal.Sum) {
	l := s.lines[key]
	if l == nil {
		l = &Line{Key: key}
		s.lines[key] = l
	}
	l.Sales.Count += sales.Count
	l.Sales.Amount += sales.Amount
	l.Refunds.Count += refunds.Count
	l.Refunds.Amount += refunds.Amount
}

func (s *sorting) key(e journal.Entry) string {
	at := e.At.In(beijing.Zone)
	switch s.by {
	case ByDay:
		return at.Format(time.DateOnly)
	case ByHour:
		return at.Format("2006-01-02 15:00")
	case ByMeal:
		for _, m := range s.meals {
			if m.has(at.Sub(beijing.Midnight(at))) {
				return m.Name
			}
		}
	}
	return ""
}

func (s *sorting) sorted() []Line {
	var all []Line
	for _, key := range slices.Sorted(maps.Keys(s.lines)) {
		all = append(all, *s.lines[key])
	}
	return all
}

// WriteCSV writes lines as a table (RFC 4180), amounts in yuan.
func WriteCSV(w io.Writer, lines []Line) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := [][]string{{"key", "sales", "sold", "refunds", "refunded", "net"}}
	for _, l := range lines {
		rows = append(rows, []string{
			l.Key, strconv.FormatInt(l.Sales.Count, 10), l.Sales.Amount.String(),
			strconv.FormatInt(l.Refunds.Count, 10), l.Refunds.Amount.String(), l.Net().String(),
		})
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
