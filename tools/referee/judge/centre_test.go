package judge

import "testing"

// TestCentre: the referee sees what a clerk's entry may not say.
func TestCentre(t *testing.T) {
	sound := entry{kind: 90, account: "1001", operator: "k7", details: []byte(`{"act":3,"document":2,"evidence":"123X"}`)}
	if err := sound.centre(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*entry){
		"no clerk":     func(e *entry) { e.operator = "" },
		"no account":   func(e *entry) { e.account = "" },
		"money":        func(e *entry) { e.amount = 1 },
		"merchant":     func(e *entry) { e.merchant = "m1" },
		"whole number": func(e *entry) { e.details = []byte(`{"act":3,"document":2,"evidence":"12345"}`) },
		"no document":  func(e *entry) { e.details = []byte(`{"act":3}`) },
		"no outcome":   func(e *entry) { e.kind = 91 },
	} {
		e := sound
		spoil(&e)
		if e.centre() == nil {
			t.Errorf("%s: the referee sees nothing", name)
		}
	}
}
