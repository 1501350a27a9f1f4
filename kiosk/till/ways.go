package till

import (
	"context"
	"maps"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/money"
)

// Foreteller is a [Seller] that knows of something for which it would refuse whoever
// pays.
type Foreteller interface {
	// Outlook may be called while something is sold.
	Outlook(ctx context.Context) tender.Outlook
}

// dark is why nothing may be sold without the upstream.
type dark struct{ card, code Reason }

// sources are the ways of paying in the order in which a cashier asks for them,
// each with the reason if it is not there.
func (s *Session) sources(d dark) []Source {
	h, card := s.view.Health, Source{Kind: ByCard}
	switch {
	case !h.Reader:
		card.Why = NoReader
	case s.SAM != nil && !s.sam.Card: // without which no card pays
		card.Why = NoSAM
	case !h.Upstream:
		card.Why = d.card
	}
	all := []Source{card}
	for _, kind := range []Kind{ByCode, ByAlipay} {
		all = append(all, Source{kind, s.codeReason(kind, d)})
	}
	return all
}

func (s *Session) codeReason(kind Kind, d dark) Reason {
	for _, w := range s.Desk.Ways {
		switch {
		case w.Kind != kind:
		case w.Online && !s.view.Health.Upstream:
			return NoUpstream
		case s.known[kind].Closed != nil:
			return Closed
		case s.view.Health.Upstream:
			return NoReason
		default:
			return d.code
		}
	}
	return NotBuilt
}

// alone is why nothing is sold for a price without the upstream; may are the rules. A
// price of 0 is none.
func alone(may func(rules.Sale) error, facts rules.Sale, price money.Fen) Reason {
	err := may(facts)
	if err == nil {
		facts.Amount = price
		if may(facts) != nil {
			return TooDear
		}
		return NoReason
	}
	switch kiosk.Explain(err) { // which a refusal says, too
	case kiosk.CodeOldList:
		return OldList
	case kiosk.CodePast:
		return PastGone
	}
	return NoDark
}

// outlooks is what is known of the ways of paying.
type outlooks map[Kind]tender.Outlook

// foretellEvery is how soon the list says what nothing has told of, such as that it is
// another day.
const foretellEvery = time.Minute

// tellers are those who know something beforehand.
func (d *Desk) tellers() map[Kind]Foreteller {
	all := map[Kind]Foreteller{ByCard: d.Cards}
	for _, w := range d.Ways {
		if teller, can := w.Seller.(Foreteller); can {
			all[w.Kind] = teller
		}
	}
	return all
}

// foretell finds out for the list what every sale would be refused for, until ctx ends.
// It reads the journal, for which no page waits.
func (s *Session) foretell(ctx context.Context, tellers map[Kind]Foreteller) error {
	tick := time.NewTicker(foretellEvery)
	defer tick.Stop()
	for {
		all := make(outlooks)
		for kind, teller := range tellers {
			all[kind] = teller.Outlook(ctx)
		}
		select {
		case s.foretold <- all:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-s.ask:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookAhead has it found out anew, and says meanwhile what is known.
func (s *Session) lookAhead() {
	select {
	case s.ask <- struct{}{}:
	default:
	}
	s.look()
}

// hearOutlook takes what was found out.
func (s *Session) hearOutlook(all outlooks) {
	same := maps.EqualFunc(all, s.known, func(a, b tender.Outlook) bool {
		return a.Unknown == b.Unknown && (a.Closed == nil) == (b.Closed == nil)
	})
	for kind, o := range all {
		if o.Closed != nil && s.known[kind].Closed == nil {
			s.Log.Warn("way of paying is closed", "kind", int(kind), "err", o.Closed)
		}
	}
	s.known = all
	if !same {
		s.look()
		s.show()
	}
}
