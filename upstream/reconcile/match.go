// Package reconcile compares our books with those of the services that hold
// our money or sell for us, such as Alipay and the electricity biller, line by
// line, and says of every fen that does not match who has to do what about it.
//
// Matching is pure: it knows no database, no clock and no network. An order is
// compared whole, with all that either side has of it on whatever day, so that
// a payment in the last second of a day, booked here in the first of the next,
// is no difference, and a refund finds the payment of last week.
package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
)

// Source is whose books ours are compared with, by the name of its account in
// our ledger, such as "channel/alipay" or "biller/network". Stored.
type Source string

// Biller reports whether s sells for us. Otherwise it is paid for us.
func (s Source) Biller() bool { return strings.HasPrefix(string(s), "biller/") }

// Entry is a movement on a source's account in our books.
type Entry struct {
	ID       string // the ledger's
	OrderNo  string
	RefundNo string // of a refund
	Kind     channel.Kind
	Amount   money.Fen // more than zero, whatever the kind
	At       time.Time // when it moved: by the source's clock if our books have that, else by ours
}

// Line is a line of a source's statement.
type Line struct {
	channel.Line
	Day channel.Day // of the statement
	No  int         // in the statement, from 1
}

// About names what l is about: the order, or for a stranger's line without one
// the trade.
func (l Line) About() string { return About(l.Line) }

// About names what a line of a statement is about.
func About(l channel.Line) string {
	if l.OrderNo == "" {
		return "trade " + l.TradeNo
	}
	return l.OrderNo
}

// Order is what our books know of an order, whether or not anything was booked
// for it.
type Order struct {
	Account  string // whose it is
	Returned bool   // the source has said that it was paid and given back
	Sale     bool   // a till's, by the payer's own code: its journal books it
}

// Books are what both sides have of some orders: everything on both sides, of
// each order that occurs at all.
type Books struct {
	Source  Source
	Entries []Entry
	Lines   []Line
	Orders  map[string]Order // by number

	// Stated reports whether the statement of a day is there.
	Stated func(channel.Day) bool
}

// Slack is how far our clock and a source's may be apart. An entry that close
// to midnight may be in the statement of either day.
const Slack = 10 * time.Minute

// Pair is a movement that both sides have.
type Pair struct {
	Entry Entry
	Line  Line
}

// Result is what a comparison came to. Every entry and every line is in it
// once.
type Result struct {
	Matched  []Pair
	Even     Even    // what comes to the same on both sides of an order
	Waiting  []Entry // the statement that may have it is not there yet
	Findings []Finding
}

// Even is what matches as a whole and not movement by movement: a payment that
// was given back there without our booking either, an entry that we undid, a
// difference that an entry has corrected.
type Even struct {
	Entries []Entry
	Lines   []Line
}

// Match compares two sides.
func Match(b Books) Result {
	orders := map[string]*order{}
	of := func(no string) *order {
		if orders[no] == nil {
			orders[no] = &order{}
		}
		return orders[no]
	}
	for _, e := range b.Entries {
		o := of(e.OrderNo)
		o.entries = append(o.entries, e)
	}
	for _, l := range b.Lines {
		o := of(l.About())
		o.lines = append(o.lines, l)
	}
	var r Result
	for _, no := range slices.Sorted(maps.Keys(orders)) {
		orders[no].match(b, &r)
	}
	r.tellTwins()
	return r
}

// order is all of one order. What has been explained is taken out of it.
type order struct {
	entries []Entry // ours
	lines   []Line  // theirs
	matched []Line
}

// match explains what it can, from the strongest reason to the weakest, and
// reports the rest.
func (o *order) match(b Books, r *Result) {
	slices.SortStableFunc(o.entries, func(x, y Entry) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortStableFunc(o.lines, func(x, y Line) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.No, y.No))
	})
	same := func(e Entry, l Line) bool { return e.Kind == l.Kind && e.Amount == l.Amount }
	o.pair(func(e Entry, l Line) bool { return same(e, l) && e.RefundNo == l.RefundNo }, r)
	o.pair(same, r) // a source may not name a refund as we do
	if o.even(r) {
		return
	}
	waiting := o.waiting(b)
	if o.even(r) {
		r.Waiting = append(r.Waiting, waiting...)
		return
	}
	o.entries = append(o.entries, waiting...)
	o.differ(b, r)
	o.leftLines(b, r)
	o.leftEntries(b, r)
}

// even takes out everything if it comes to the same on both sides.
func (o *order) even(r *Result) bool {
	if net(o.entries, Entry.signed) != net(o.lines, Line.signed) {
		return false
	}
	r.Even.Entries = append(r.Even.Entries, o.entries...)
	r.Even.Lines = append(r.Even.Lines, o.lines...)
	return true
}

// waiting takes out the entries whose statements are not all there.
func (o *order) waiting(b Books) (all []Entry) {
	o.entries = slices.DeleteFunc(o.entries, func(e Entry) bool {
		if b.awaited(e) {
			all = append(all, e)
		}
		return b.awaited(e)
	})
	return all
}

// awaited reports whether a statement is not there yet that might have an entry.
func (b Books) awaited(e Entry) bool {
	return !b.Stated(channel.DayOf(e.At.Add(-Slack))) || !b.Stated(channel.DayOf(e.At.Add(Slack)))
}

// pair takes out every entry with the first line that fits it.
func (o *order) pair(fit func(Entry, Line) bool, r *Result) {
	o.entries = slices.DeleteFunc(o.entries, func(e Entry) bool {
		i := slices.IndexFunc(o.lines, func(l Line) bool { return fit(e, l) })
		if i < 0 {
			return false
		}
		r.Matched = append(r.Matched, Pair{e, o.lines[i]})
		o.matched = append(o.matched, o.lines[i])
		o.lines = slices.Delete(o.lines, i, i+1)
		return true
	})
}

func (e Entry) signed() money.Fen { return sign(e.Kind, e.Amount) }
func (l Line) signed() money.Fen  { return sign(l.Kind, l.Amount) }

func sign(k channel.Kind, f money.Fen) money.Fen {
	if k == channel.Refund {
		return -f
	}
	return f
}

// net is what movements come to together.
func net[T any](all []T, signed func(T) money.Fen) (sum money.Fen) {
	for _, m := range all {
		sum += signed(m)
	}
	return sum
}

// differ reports what both sides have, with different amounts.
func (o *order) differ(b Books, r *Result) {
	o.entries = slices.DeleteFunc(o.entries, func(e Entry) bool {
		i := slices.IndexFunc(o.lines, func(l Line) bool {
			other := e.RefundNo != "" && l.RefundNo != "" && e.RefundNo != l.RefundNo
			return e.Kind == l.Kind && !other
		})
		if i < 0 {
			return false
		}
		r.add(b, Finding{Difference: AmountDiffers, Entry: e, Line: o.lines[i]})
		o.matched = append(o.matched, o.lines[i])
		o.lines = slices.Delete(o.lines, i, i+1)
		return true
	})
}

// leftLines reports what only they have.
func (o *order) leftLines(b Books, r *Result) {
	for _, l := range o.lines {
		f := Finding{Difference: OnlyTheirs, Line: l}
		twin := func(m Line) bool { return m.Kind == l.Kind && m.TradeNo == l.TradeNo && m.RefundNo == l.RefundNo }
		switch {
		case slices.ContainsFunc(o.matched, twin):
			f.Difference = LineTwice
		case l.Kind == channel.Payment && slices.ContainsFunc(o.matched, func(m Line) bool { return m.Kind == l.Kind }):
			f.Difference = PaidTwice
		}
		o.matched = append(o.matched, l)
		r.add(b, f)
	}
}

// leftEntries reports what only we have, as soon as every statement is there
// that might have it.
func (o *order) leftEntries(b Books, r *Result) {
	for _, e := range o.entries {
		if b.awaited(e) {
			r.Waiting = append(r.Waiting, e)
			continue
		}
		f := Finding{Difference: OnlyOurs, Entry: e}
		corrects := e.Kind == channel.Refund && e.RefundNo == "" // what was booked since by its own name
		if (e.Kind == channel.Payment || corrects) &&
			slices.ContainsFunc(o.matched, func(l Line) bool { return l.Kind == e.Kind }) {
			f.Difference = BookedTwice
		}
		r.add(b, f)
	}
}
