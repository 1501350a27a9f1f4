package staff

import (
	"errors"
	"strings"
	"testing"
)

// mayTable is who may do what, as a campus signs it off.
const mayTable = `
	                             cashier  supervisor  clerk  admin
	sell                         x        x           .      .
	query                        x        x           x      .
	void                         x        x           .      .
	refund                       x        x           .      .
	refund above the limit       .        x           .      .
	receipts                     x        x           x      x
	open shift                   x        x           x      .
	close shift                  x        x           x      .
	close somebody else's shift  .        x           .      .
	cash in or out               .        x           .      .
	drop                         x        x           x      .
	open the drawer              .        x           .      .
	count                        x        x           x      .
	sign a count                 x        x           x      .
	X report                     x        x           x      .
	serve a holder               .        .           x      .
	issue a card                 .        .           x      .
	cash top-up                  .        .           x      .
	pay-out                      .        .           x      .
	change or reset a PIN        .        .           x      .
	change a daily limit         .        .           x      .
	correct personal data        .        .           x      .
	temporary holder             .        .           x      .
	replace a card               .        .           x      .
	undo a loss report           .        .           x      .
	unlock                       .        x           .      x
	settings                     .        .           .      x
	diagnose                     .        x           .      x
`

func TestPrivileges(t *testing.T) {
	lines := strings.Split(strings.Trim(mayTable, "\n\t"), "\n")[1:]
	if len(lines) != len(Privileges()) {
		t.Errorf("%d privileges are signed off, there are %d", len(lines), len(Privileges()))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		marks := fields[len(fields)-4:]
		p := Privilege(strings.Join(fields[:len(fields)-4], " "))
		for i, r := range []Role{Cashier, Supervisor, Clerk, Admin} {
			if got := r.May(p); got != (marks[i] == "x") {
				t.Errorf("%s may %s: %t", r, p, got)
			}
		}
	}
	for _, p := range Privileges() {
		if Role(0).May(p) || Role(9).May(p) {
			t.Errorf("a role that nobody knows may %s", p)
		}
	}
}

func TestAllow(t *testing.T) {
	cashier, other := Member{No: "c7", Role: Cashier}, Member{No: "c8", Role: Cashier}
	boss := Member{No: "s1", Role: Supervisor}
	good := Release{What: NoSale, For: "R1", Of: cashier, By: boss}
	for name, tt := range map[string]struct {
		by      Member
		what    Privilege
		release func(*Release)
		ok      bool
	}{
		"ByOneself":      {by: boss, what: NoSale, ok: true},
		"NotReleased":    {by: cashier, what: NoSale},
		"Released":       {by: cashier, what: NoSale, release: func(*Release) {}, ok: true},
		"ForAnother":     {by: other, what: NoSale, release: func(*Release) {}},
		"SomethingElse":  {by: cashier, what: CashMove, release: func(*Release) {}},
		"AnotherTime":    {by: cashier, what: NoSale, release: func(r *Release) { r.For = "R2" }},
		"ByACashier":     {by: cashier, what: NoSale, release: func(r *Release) { r.By = other }},
		"ByNobody":       {by: cashier, what: NoSale, release: func(r *Release) { r.By = Member{} }},
		"ByOneselfAgain": {by: cashier, what: NoSale, release: func(r *Release) { r.By = cashier }},
		"Nobody":         {what: Sell, release: func(*Release) {}},
	} {
		var r *Release
		if tt.release != nil {
			copied := good
			tt.release(&copied)
			r = &copied
		}
		if err := tt.by.Allow(tt.what, "R1", r); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
