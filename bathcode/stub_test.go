package bathcode_test

import (
	"testing"

	"quancun/bathcode"
	"quancun/money"
)

// TestStub finds what a shower has cost in the eight digits that its controller shows,
// and in no other shower's.
func TestStub(t *testing.T) {
	const most = 500
	for _, p := range []bathcode.Place{{Hall: 1, Stall: 7}, {Hall: 1}} {
		s := bathcode.Slot{Place: p, Day: 9826, No: 3}
		k := bathcode.Master{1}.Key(p, s.Day)
		for cost := money.Fen(0); cost <= most; cost += 25 {
			c := k.Stub(s, 2, cost)
			if got, ok := k.Cost(c, s, 2, most); !ok || got != cost {
				t.Fatalf("%s says %s, %t; want %s", c, got, ok, cost)
			}
			if c == k.Code(s, 2) {
				t.Errorf("%s opens the shower too", c)
			}
		}
		stub := k.Stub(s, 2, 120)
		later := s
		later.No++
		for name, no := range map[string]func() bool{
			"another code's":  func() bool { _, ok := k.Cost(stub, s, 3, most); return ok },
			"another slot's":  func() bool { _, ok := k.Cost(stub, later, 2, most); return ok },
			"above what held": func() bool { _, ok := k.Cost(stub, s, 2, 119); return ok },
			"no digits":       func() bool { _, ok := k.Cost("", s, 2, most); return ok },
		} {
			if no() {
				t.Errorf("%+v: a stub that is %s is taken", p, name)
			}
		}
	}
}
