package kiosk

import (
	"reflect"
	"slices"
	"testing"
)

// last is the highest number of a step and of an event of the flow.
const (
	lastStep  = Served
	lastEvent = WentOnService
)

// allSteps lists the steps. Of the numbers, 7 was one once.
func allSteps() (all []Step) {
	for s := Home; s <= lastStep; s++ {
		if s != 7 {
			all = append(all, s)
		}
	}
	return all
}

// TestFlowHasNoDeadEnd walks the table: every step can be reached from Home and
// leads back to it, and every step in which somebody stands ends by itself.
func TestFlowHasNoDeadEnd(t *testing.T) {
	from := map[Step][]Step{} // steps that lead to a step
	for _, s := range allSteps() {
		if len(steps[s]) == 0 {
			t.Errorf("step %d leads nowhere", s)
		}
		for _, next := range steps[s] {
			from[next] = append(from[next], s)
		}
	}
	home := map[Step]bool{}
	for queue := []Step{Home}; len(queue) > 0; queue = queue[1:] {
		if s := queue[0]; !home[s] {
			home[s] = true
			queue = append(queue, from[s]...)
		}
	}
	reached := map[Step]bool{}
	for queue := []Step{Home}; len(queue) > 0; queue = queue[1:] {
		if s := queue[0]; !reached[s] {
			reached[s] = true
			for _, next := range steps[s] {
				queue = append(queue, next)
			}
		}
	}
	for _, s := range allSteps() {
		if !home[s] || !reached[s] {
			t.Errorf("step %d: reached %v, leads home %v", s, reached[s], home[s])
		}
	}
}

// TestFlowEnds is rule K02: every state has a timeout and an owner of the money
// that is open in it.
func TestFlowEnds(t *testing.T) {
	bounded := []Step{Loading, Settling, AtWork} // the work itself ends, within loadMax or workMax
	for _, s := range allSteps() {
		rule, told := s.Rule(), steps[s]
		if rule.Holds == 0 {
			t.Errorf("step %d: nobody owns the money", s)
		}
		if s == Home || s == OutOfOrder {
			continue
		}
		_, ends := told[Timeout]
		if rule.Timeout == 0 || !ends && !slices.Contains(bounded, s) {
			t.Errorf("step %d: timeout %v, event %v", s, rule.Timeout, ends)
		}
		if rule.Warns && rule.Timeout < 2*warnBefore {
			t.Errorf("step %d: warns %v before its end after %v", s, warnBefore, rule.Timeout)
		}
	}
}

// TestFlowKeepsOrder: a step in which an order may be paid is left only by an
// answer about it, or from Checking, where the person has been told that nobody
// knows yet. A card that leaves, and a machine that breaks, change nothing.
func TestFlowKeepsOrder(t *testing.T) {
	answers := []Event{Paid, Closed, Failed, Ended, Asked, WentBack, WentAway}
	for _, s := range allSteps() {
		if s.Rule().Holds != Order {
			continue
		}
		for e, next := range steps[s] {
			out := next.Rule().Holds == Nobody
			told := s == Checking && (e == Leave || e == Timeout)
			if out && !told && !slices.Contains(answers, e) {
				t.Errorf("step %d: event %d leads out to %d without an answer", s, e, next)
			}
		}
		for _, e := range []Event{CardOut, Broken} {
			if next, ok := s.Next(e); ok {
				t.Errorf("step %d: event %d leads to %d", s, e, next)
			}
		}
	}
}

// TestFlowTells: once an order is paid, nobody comes home without having been
// told where the money is.
func TestFlowTells(t *testing.T) {
	told := []Step{Done, OnAccount}
	for _, s := range allSteps() {
		start, ok := s.Next(Paid)
		if !ok {
			continue
		}
		seen := map[Step]bool{}
		for queue := []Step{start}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			if seen[at] || slices.Contains(told, at) {
				continue
			}
			seen[at] = true
			if at == Home || at == TakeCard {
				t.Errorf("paid in step %d leads to %d untold", s, at)
			}
			for _, next := range steps[at] {
				queue = append(queue, next)
			}
		}
	}
}

// TestFlowWriting: while the card is being written no person can stop it (rule
// A07), and no step of writing follows a step that has not been paid, signed in
// or settled.
func TestFlowWriting(t *testing.T) {
	for _, s := range []Step{Loading, Settling, Ordering, Cancelling, AtWork} {
		for e := ChoseTopUp; e <= Leave; e++ {
			if next, ok := s.Next(e); ok {
				t.Errorf("step %d: a person's event %d leads to %d", s, e, next)
			}
		}
	}
}

// TestNext: what is not in the table leaves the step alone.
func TestNext(t *testing.T) {
	for _, s := range allSteps() {
		for e := Event(0); e <= lastEvent+1; e++ {
			want, listed := steps[s][e]
			if !listed {
				want = s
			}
			if got, ok := s.Next(e); got != want || ok != listed {
				t.Errorf("Step(%d).Next(%d) = %d, %v; want %d, %v", s, e, got, ok, want, listed)
			}
		}
	}
}

// TestViewForgets: nothing of a person outlives the session.
func TestViewForgets(t *testing.T) {
	health := Health{Terminal: "demo01", Upstream: true}
	full := View{
		Step: Done, Service: TopUpService, Health: health, Holder: Holder{Name: "张*三"},
		Balance: Balance{Account: 1}, TopUp: TopUp{OrderNo: "x"}, Receipt: Receipt{OrderNo: "x"}, Fault: CodeHot,
		Open: []Open{{}}, Log: Log{Movements: []Movement{{}}, Read: true}, Amounts: []Choice{{}}, Range: Range{1, 2},
	}
	got := full.at(Home, CardOut)
	if got.Step != Home || !reflect.DeepEqual(got.Health, health) || got.Service != 0 || got.Holder != (Holder{}) ||
		got.Balance != (Balance{}) || got.TopUp != (TopUp{}) || got.Receipt != (Receipt{}) || got.Fault != 0 ||
		got.Open != nil || got.Log.Read || got.Amounts != nil || got.Range != (Range{}) {
		t.Errorf("at Home the view still has %+v", got)
	}
}

// TestReceiptOfDoubt: nobody knows what the card has, so its receipt says neither that the
// amount is on it nor that it is not.
func TestReceiptOfDoubt(t *testing.T) {
	v := View{
		Step: OnAccount, Fault: CodeLoadDoubt, TopUp: TopUp{Amount: 2000}, Receipt: Receipt{OrderNo: "x"},
		Load: Load{Amount: 2000, Stage: LoadWriting}, Balance: Balance{Account: 5000, Purse: 3000},
	}
	r := v.receipt()
	for _, f := range r.Facts {
		if f.Name == factLoaded || f.Name == factPurse {
			t.Errorf("the receipt says %+v", f)
		}
	}
	if r.Title != topUpReceipt || r.Next != onCardOrNot {
		t.Errorf("receipt %+v", r)
	}
	v.Step, v.Fault, v.Load.Stage = Done, 0, LoadFinished
	if r := v.receipt(); r.Next != "" || r.Facts[1].Name != factLoaded || r.Facts[1].Amount != 2000 {
		t.Errorf("receipt of what is done %+v", r)
	}
}
