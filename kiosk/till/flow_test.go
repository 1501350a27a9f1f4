package till

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/money"
	"quancun/reader/purse"
)

// last is the highest number of a step and of an event of the flow.
const (
	lastStep  = Office
	lastEvent = PINCode
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
	waits := []Step{Locked, OutOfOrder, PaidBefore, Unknown, Office}
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

// TestNext: what is not in the table leaves the step alone, and every event means
// something somewhere.
func TestNext(t *testing.T) {
	used := map[Event]bool{}
	for s := Locked; s <= lastStep; s++ {
		for e := Event(0); e <= lastEvent+1; e++ {
			want, listed := steps[s][e]
			used[e] = used[e] || listed
			if !listed {
				want = s
			}
			if got, ok := s.Next(e); got != want || ok != listed {
				t.Errorf("Step(%d).Next(%d) = %d, %v; want %d, %v", s, e, got, ok, want, listed)
			}
		}
	}
	for e := Event(0); e <= lastEvent+1; e++ {
		named := e >= Priced && e <= Read || e >= CardIn && e <= lastEvent
		if used[e] != named {
			t.Errorf("event %d: used %v, and there is such an event: %v", e, used[e], named)
		}
	}
}

// TestFlowKeepsMoney: a step that has money on its way is left for one that has
// none only by what says where the money is, by giving it back before anything
// was written, or by a person who has read that nobody knows.
func TestFlowKeepsMoney(t *testing.T) {
	ends := map[Owner][]Event{
		Held:     {Leave, Timeout, CardOut, CardGone, Failed}, // the card is untouched
		InCard:   {Paid, Failed, CardGone, Repeated, EarlierWas},
		Payment:  {Paid, Failed},
		Suspense: {Leave},
	}
	for s := Locked; s <= lastStep; s++ {
		for e, next := range steps[s] {
			if s.Held() && !next.Held() && !slices.Contains(ends[s.Rule().Holds], e) {
				t.Errorf("step %d: event %d drops the money on the way to %d", s, e, next)
			}
		}
	}
}

// TestUnknownIsNoRefusal: a sale of which nobody knows becomes paid, not paid,
// or stays unknown; a card that was silent is never called declined.
func TestUnknownIsNoRefusal(t *testing.T) {
	for _, s := range []Step{Doubt, Settling, Unknown} {
		for e, next := range steps[s] {
			if next == Declined || next == Ready && s != Unknown {
				t.Errorf("step %d: event %d turns a doubt into %d", s, e, next)
			}
		}
	}
}

// TestViewForgets: nothing of a customer is left when the next price is asked
// for, and nothing of a cashier when the till is locked.
func TestViewForgets(t *testing.T) {
	sale := Result{Ref: "r", Amount: 12 * money.Yuan, Holder: "张*三", With: ByCard}
	full := View{
		Step: Sold, Operator: Operator{"c7", "李*"}, Place: "p", Amount: sale.Amount, Holder: kiosk.Holder{Name: "张*三"},
		Balance: 1, Known: true, Sale: sale, Last: sale, PIN: PINHint{Wrong: true, TriesLeft: 2}, Notice: CardLeft,
		Short: true, Taps: 3, Fault: kiosk.CodeHot, Health: kiosk.Health{Terminal: "T1", Fault: kiosk.CodeFull},
	}
	for _, step := range []Step{Ready, Looking, Locked, OutOfOrder} {
		got := full.at(step, Timeout)
		if got.Step != step || got.Holder != (kiosk.Holder{}) || got.Balance != 0 || got.Known || got.Amount != 0 ||
			got.Sale != (Result{}) || got.PIN != (PINHint{}) || got.Notice != 0 || got.Short || got.Taps != 0 {
			t.Errorf("step %d still has %+v", step, got)
		}
		if got.Last.Ref != sale.Ref || got.Place != full.Place || !reflect.DeepEqual(got.Health, full.Health) {
			t.Errorf("step %d has lost what is the till's: %+v", step, got)
		}
	}
	if got := full.at(Locked, Lock); got.Operator != (Operator{}) || got.Last.Holder != "" {
		t.Errorf("locked, and it shows %+v of %q", got.Operator, got.Last.Holder)
	}
	full.News = []News{{Ref: "a"}, {Ref: "b"}}
	if got := full.at(Locked, Lock).News; len(got) != 2 {
		t.Errorf("locked, and of the news it has %+v", got)
	}
	if got := full.at(Ready, Read).News; len(got) != 1 || got[0].Ref != "b" {
		t.Errorf("read one, left is %+v", got)
	}
	if got := full.at(OutOfOrder, Broken).Fault; got != kiosk.CodeFull {
		t.Errorf("out of order with fault %d", got)
	}
	if got := full.at(Present, Priced); got.Holder != (kiosk.Holder{}) || got.Amount != full.Amount {
		t.Errorf("next sale shows %+v for %s", got.Holder, got.Amount)
	}
	if got := full.at(Unknown, NotKnown).Fault; got != kiosk.CodeSaleDoubt {
		t.Errorf("unknown with fault %d", got)
	}
}

// TestRecent: the same card with the same price is asked about for a while, a
// re-tap is answered for longer, and what nobody asks about is forgotten.
func TestRecent(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, beijing.Zone)
	mine, other := purse.CardNo{1}, purse.CardNo{2}
	var r recent
	r.add(mine, Result{Ref: "a", Amount: money.Yuan, At: start}, start.Add(repeatWithin))
	for _, tt := range []struct {
		card   purse.CardNo
		amount money.Fen
		after  time.Duration
		want   bool
	}{
		{mine, money.Yuan, repeatWithin - 1, true},
		{mine, money.Yuan, repeatWithin, false},
		{mine, money.Yuan + 1, 0, false},
		{other, money.Yuan, 0, false},
	} {
		before, got := r.repeats(tt.card, Result{Amount: tt.amount, At: start.Add(tt.after)})
		if got != tt.want || got && before.Ref != "a" {
			t.Errorf("%+v: %v, %+v", tt, got, before)
		}
	}
	if got := r.of(mine, start.Add(lookedAt)); got.Ref != "a" {
		t.Errorf("re-tap is told of %+v", got)
	}
	if got := r.of(mine, start.Add(lookedAt+1)); got != (Result{}) {
		t.Errorf("re-tap is told of %+v, too late", got)
	}
	for i := range 3 * 24 * 60 { // a sale a minute, and nobody ever looks
		at := start.Add(time.Duration(i) * time.Minute)
		r.add(other, Result{Ref: "b", Amount: money.Yuan, At: at}, at.Add(repeatWithin))
	}
	if len(r) > 12 {
		t.Errorf("after three days %d sales are kept", len(r))
	}
}

// TestRecentAfterStart: a sale of before a start is asked about for its whole
// time, even if it was made long before.
func TestRecentAfterStart(t *testing.T) {
	made := time.Date(2026, 11, 26, 12, 0, 0, 0, beijing.Zone)
	started := made.Add(lookedAt - time.Minute)
	var r recent
	r.add(purse.CardNo{1}, Result{Ref: "a", Amount: money.Yuan, At: made}, started.Add(restartWithin))
	later := started.Add(restartWithin - time.Second)
	r.of(purse.CardNo{1}, later)
	r.add(purse.CardNo{2}, Result{Ref: "b", At: later}, later.Add(repeatWithin))
	if _, is := r.repeats(purse.CardNo{1}, Result{Amount: money.Yuan, At: later}); !is {
		t.Error("a sale of before the start is forgotten too early")
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
		at, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-26 "+clock, beijing.Zone)
		if got := p.Now(at.UTC()).Price; err != nil || got != want {
			t.Errorf("at %s everybody pays %s, want %s", clock, got, want)
		}
	}
	for _, bad := range []Plan{
		{},
		{Merchant: "m", Products: []Product{{Name: "free"}}},
		{Merchant: "m", Products: []Product{{Name: "dear", Price: 1000 * money.Yuan}}},
		{Merchant: "m", Products: []Product{{"a", 100, "B-BREAD-1"}, {"b", 200, "B-BREAD-1"}}},
		{Merchant: "m", Meals: []Meal{{"never", to, from, money.Yuan}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
