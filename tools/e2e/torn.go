package main

import (
	"fmt"

	"quancun/journal"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/money"
)

// side is what the fourth key of the till costs.
const side = 3 * money.Yuan

// saleTorn has a card torn off at one till, and its holder go to the next: first
// when the card has paid and the till has not heard it, of which the counter that
// the next till reads is proof enough; and then when it has not paid. Of that a
// counter tells nothing, so that the next till hears of the open claim and asks
// the card's log.
func saleTorn(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	first := s.here
	next, err := s.another("demo02")
	if err != nil {
		return err
	}
	return s.steps(
		func() error { return s.tornAt(first, next, tear{"after", "F1", journal.Elsewhere}) },
		func() error { return s.spent(before, 2*lunch) },
		func() error { return s.tornAt(first, next, tear{"before", "F4", journal.ElsewhereNot}) },
		func() error { return s.said(next, journal.Evidence, journal.NotWritten) },
		func() error { return s.spent(before, 2*lunch+side) },
	)
}

// tear is how a card leaves a sale, and what became of that.
type tear struct {
	when string          // after or before the debit
	key  string          // of what is sold, at both tills
	want journal.Outcome // in the first till's journal
}

// tornAt tears the card off at the first till and sells the same at the next,
// and checks that the first hears from the upstream what the card said there.
func (s *stage) tornAt(first, next *window, t tear) error {
	return s.steps(
		s.keyed(t.key), s.at(till.Present),
		func() error { return s.lab("tear", t.when, "debit", "--card", s.card) },
		s.lay, s.at(till.Doubt),
		// The doubt is upstream before the holder is at the next till.
		func() error { return s.written(first, func(r ledger.Report) bool { return r.Acked == r.Entries }) },

		s.goTo(next),
		s.keyed(t.key), s.at(till.Present), s.lay, s.at(till.Sold), s.again,

		s.goTo(first),
		func() error { return s.settled(first) },
		func() error { return s.said(first, journal.SaleEnd, t.want) },
		func() error { return s.here.display.Press("Escape") }, s.at(till.Unknown),
		s.back,
	)
}

// said checks that the last entry of a kind in a window's journal has an
// outcome.
func (s *stage) said(w *window, kind journal.Kind, want journal.Outcome) error {
	var last journal.Entry
	err := ledger.ReadFile(s.ctx, w.journal(), func(snapshot ledger.Snapshot) error {
		for line, err := range snapshot.Lines(snapshot.Head.Seq) {
			if err != nil {
				return err
			}
			if line.Entry.Kind == kind {
				last = line.Entry
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if last.Outcome != want {
		return fmt.Errorf("journal %s says %v in its last %s (entry %d), not %v",
			w.journal(), last.Outcome, kind, last.Seq, want)
	}
	return nil
}
