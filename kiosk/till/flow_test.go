package till

import (
	"slices"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/money"
)

// last is the highest number of a step and of an event of the flow.
const (
	lastStep  = OutOfOrder
	lastEvent = Mended
)

// TestFlowHasNoDeadEnd walks the table: every step can be reached from Locked,
// and leads back to Ready.
func TestFlowHasNoDeadEnd(t *testing.T) {
	for s := Locked; s <= lastStep; s++ {
		if len(steps[s]) == 0 {
			t.Errorf("step %d leads nowhere", s)
		}
		if reach := reachable(Locked); !reach[s] {
			t.Errorf("step %d is never reached", s)
		}
		if reach := reachable(s); !reach[Ready] {
			t.Errorf("step %d never leads to Ready", s)
		}
	}
}

func reachable(from Step) map[Step]bool {
	found := map[Step]bool{}
	for queue := []Step{from}; len(queue) > 0; queue = queue[1:] {
		if s := queue[0]; !found[s] {
			found[s] = true
			for _, next := range steps[s] {
				queue = append(queue, next)
			}
		}
	}
	return found
}

// TestFlowEnds: every step has an owner for its money and ends by itself, but
// for those at which nobody stands and those that a person has to have read.
func TestFlowEnds(t *testing.T) {
	works := []Step{Selling, Levelling, Settling, CheckingPIN, Paying, Querying} // their work ends
	waits := []Step{Locked, OutOfOrder, PaidBefore, Unknown}
	for s := Locked; s <= lastStep; s++ {
		rule := s.Rule()
		if rule.Holds == 0 {
			t.Errorf("step %d: nobody owns the money", s)
		}
		if (rule.Timeout == 0) != slices.Contains(waits, s) {
			t.Errorf("step %d ends after %v", s, rule.Timeout)
		}
		if _, ends := steps[s][Timeout]; rule.Timeout > 0 && ends == slices.Contains(works, s) {
			t.Errorf("step %d: ends by the clock: %v", s, ends)
		}
	}
}

// TestNobodyAborts: while a card is being written nothing that a person, a card
// or the clock does leads out; and what nobody knows is never shown as a no.
func TestNobodyAborts(t *testing.T) {
	for _, s := range []Step{Selling, Levelling, Settling} {
		for _, e := range []Event{Leave, Lock, Priced, Scanned, CardIn, CardOut, Timeout, Broken} {
			if next, ok := s.Next(e); ok {
				t.Errorf("step %d: event %d leads to %d", s, e, next)
			}
		}
	}
	for s := Locked; s <= lastStep; s++ {
		for _, e := range []Event{Silent, NotKnown} {
			if next, ok := s.Next(e); ok && next != Doubt && next != Unknown {
				t.Errorf("step %d: event %d leads to %d", s, e, next)
			}
		}
		for e := Priced; e <= lastEvent; e++ {
			next, ok := s.Next(e)
			if ok && s.Rule().Holds == InCard && (next == Locked || next == Ready || next == OutOfOrder) {
				t.Errorf("step %d: event %d drops a card that is being written", s, e)
			}
		}
	}
}

// TestPlan: a meal has its time, to the minute.
func TestPlan(t *testing.T) {
	from, err1 := ParseMinute("10:30")
	to, err2 := ParseMinute("13:00")
	p := Plan{Merchant: "m", Meals: []Meal{{"lunch", from, to, 12 * money.Yuan}}}
	if err1 != nil || err2 != nil || p.Check() != nil {
		t.Fatal(err1, err2, p.Check())
	}
	for clock, want := range map[string]money.Fen{
		"10:29": 0, "10:30": 12 * money.Yuan, "12:59": 12 * money.Yuan, "13:00": 0,
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-26 "+clock, kiosk.Beijing)
		if got := p.Now(at.UTC()).Price; err != nil || got != want {
			t.Errorf("at %s everybody pays %s, want %s", clock, got, want)
		}
	}
	for _, bad := range []Plan{
		{},
		{Merchant: "m", Products: []Product{{"free", 0}}},
		{Merchant: "m", Products: []Product{{"dear", 1000 * money.Yuan}}},
		{Merchant: "m", Meals: []Meal{{"never", to, from, money.Yuan}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
