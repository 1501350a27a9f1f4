package rules_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"quancun/kiosk/rules"
	"quancun/money"
)

// TestMost sells in the dark as greedily as the rules let anybody, to a new card each
// time, under rules drawn by chance: what it comes to is never above the bound, and
// under the school's own comes near it.
func TestMost(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that is the same each time
	for round := range 60 {
		r := rules.Default()
		if round > 0 {
			r.HourMax = money.Fen(random.IntN(40)) * 100 * money.Yuan
			r.QueueMax = money.Fen(random.IntN(40)) * 2000 * money.Yuan
			for _, h := range []*rules.Hours{&r.ListHalve, &r.ListStop, &r.QueueHalve, &r.QueueSmall, &r.QueueStop} {
				*h = rules.Hours(random.IntN(40))
			}
		}
		sold, near := greedy(r, 50*time.Hour, func(dark time.Duration, sold money.Fen) {
			if most := r.Most(dark); sold > most {
				t.Fatalf("%+v: %s sold after %v, and the bound is %s", r, sold, dark, most)
			}
		}), r.Most(50*time.Hour)
		if round == 0 && sold < near*9/10 {
			t.Errorf("the school's own rules: %s sold, and the bound is %s", sold, near)
		}
	}
}

// greedy sells as much as r lets it every ten minutes.
func greedy(r rules.Rules, long time.Duration, check func(time.Duration, money.Fen)) (sold money.Fen) {
	const step = 10 * time.Minute
	var hour [7]money.Fen // of each of the last ten minutes; an hour has both its ends
	for at := time.Duration(0); at <= long; at += step {
		copy(hour[1:], hour[:])
		hour[0] = 0
		for {
			s := rules.Sale{
				Amount: min(r.SaleMax, r.DailyLimit), Purse: r.SaleMax, ListAge: at, QueueAge: at, QueueAmount: sold,
			}
			for _, f := range hour[:6] {
				s.QueueHour += f
			}
			if s.Amount = min(s.Amount, r.Budget(s).Sale); s.Amount == 0 || r.Alone(s) != nil {
				break
			}
			sold, hour[0] = sold+s.Amount, hour[0]+s.Amount
		}
		check(at, sold)
	}
	return sold
}
