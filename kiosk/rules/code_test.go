package rules

import (
	"errors"
	"math"
	"testing"
	"time"

	"quancun/money"
)

func TestAloneCode(t *testing.T) {
	const yuan = money.Yuan
	allowance := Allowance{CodeMax: 30 * yuan, DayMax: 45 * yuan}
	for _, tt := range []struct {
		name  string
		sale  Sale
		spent money.Fen
		want  error
	}{
		{"lunch", Sale{Amount: 12 * yuan}, 0, nil},
		{"all that a code is good for", Sale{Amount: 30 * yuan}, 0, nil},
		{"more than a code is good for", Sale{Amount: 30*yuan + 1}, 0, ErrAllowance},
		{"the rest of the day", Sale{Amount: 15 * yuan}, 30 * yuan, nil},
		{"more than the rest of the day", Sale{Amount: 15*yuan + 1}, 30 * yuan, ErrAllowance},
		{"what would want a PIN", Sale{Amount: 10 * yuan, Spent: 41 * yuan}, 0, ErrAllowance},
		{"list of two days", Sale{Amount: yuan, ListAge: 48 * time.Hour}, 0, nil},
		{"older list", Sale{Amount: yuan, ListAge: 48*time.Hour + 1}, 0, ErrKeys},
		{"no list", Sale{Amount: yuan, ListAge: math.MaxInt64}, 0, ErrKeys},
		{"too much for this terminal", Sale{Amount: yuan, Here: 200 * yuan}, 0, ErrDay},
		{"what else today", Sale{Amount: yuan, Unknown: true}, 0, ErrPast},
		{"too often", Sale{Amount: yuan, HereCount: 20}, 0, ErrDay},
		{"too much is waiting", Sale{Amount: yuan, QueueCount: 100_000}, 0, ErrQueue},
		{"has waited for too long", Sale{Amount: yuan, QueueAge: 170 * time.Hour}, 0, ErrQueue},
	} {
		a := allowance
		a.Spent = tt.spent
		if err := Default().AloneCode(tt.sale, a); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	small := Sale{Amount: 31 * yuan, QueueAge: 73 * time.Hour}
	if err := Default().AloneCode(small, Allowance{CodeMax: 50 * yuan, DayMax: 50 * yuan}); !errors.Is(err, ErrSale) {
		t.Errorf("more than a small sum: %v, want ErrSale", err)
	}
	for _, bad := range []string{`{"code_life_seconds":29}`, `{"code_life_seconds":61}`, `{"code_list_stop_hours":-1}`} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
