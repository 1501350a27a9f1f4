package main

import (
	"fmt"

	"quancun/journal"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/money"
)

// side and drink are what the fourth and the sixth key of the till cost.
const (
	side  = 3 * money.Yuan
	drink = 2 * money.Yuan
)

// saleTorn has a card torn off at one till, and its holder go to the next. First
// the card has paid and the till has not heard it, of which the counter that the
// next till reads is proof enough. Then it has not paid: of that a counter tells
// nothing, so that the next till hears of the open claim and asks the card's log.
// At last it has paid, and no till can ask the upstream, which finds out from what
// both journals say later.
func saleTorn(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	first := s.here
	next, err := s.another("demo02", cashier)
	if err != nil {
		return err
	}
	return s.steps(
		s.tornAt(first, "after", "F1"), s.upstreamHas(first), s.soldAt(next, "F1"),
		s.hearsAt(first, journal.Elsewhere),
		func() error { return s.spent(before, 2*lunch) },

		s.tornAt(first, "before", "F4"), s.upstreamHas(first), s.soldAt(next, "F4"),
		func() error { return s.said(next, journal.Evidence, journal.NotWritten) },
		s.hearsAt(first, journal.ElsewhereNot),
		func() error { return s.spent(before, 2*lunch+side) },

		s.stack.Upstream.Stop,
		s.tornAt(first, "after", "F6"), s.soldAt(next, "F6"),
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
		s.hearsAt(first, journal.Elsewhere),
		func() error { return s.spent(before, 2*lunch+side+2*drink) },
	)
}

// tornAt has a card torn off at a window, before or after it has done the debit of
// what a key of the till costs.
func (s *stage) tornAt(w *window, when, key string) func() error {
	return func() error {
		return s.steps(
			s.goTo(w), s.keyed(key), s.at(till.Present),
			func() error { return s.lab("tear", when, "debit", "--card", s.card) },
			s.lay, s.at(till.Doubt),
		)
	}
}

// soldAt sells at a window what a key of the till costs.
func (s *stage) soldAt(w *window, key string) func() error {
	return func() error {
		return s.steps(s.goTo(w), s.keyed(key), s.at(till.Present), s.lay, s.at(till.Sold), s.again)
	}
}

// upstreamHas waits until the upstream has all that a window's journal says.
func (s *stage) upstreamHas(w *window) func() error {
	return func() error {
		return s.written(w, func(r ledger.Report) bool { return r.Acked == r.Entries })
	}
}

// hearsAt waits until a window that is in doubt has heard from the upstream what
// became of the sale, and goes back to the price there.
func (s *stage) hearsAt(w *window, want journal.Outcome) func() error {
	return func() error {
		return s.steps(
			s.goTo(w),
			func() error { return s.settled(w) },
			func() error { return s.said(w, journal.SaleEnd, want) },
			func() error { return s.here.display.Press("Escape") }, s.at(till.Unknown),
			s.back,
		)
	}
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
