package rules

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"quancun/money"
)

// table is the offline rules as a school signs them off, with the default
// limits: amounts in yuan, ages in hours, "-" for an age that nobody knows.
const table = `
	amount  purse  hot  list  spent  here  count  queued  -      sum     entries  PIN  → verdict
	12      200    no   0     0      0     0      0       0      0       0        no   → yes
	12      12     no   0     0      0     0      0       0      0       0        no   → yes
	12      11     no   0     0      0     0      0       0      0       0        no   → purse
	12      200    yes  0     0      0     0      0       0      0       0        yes  → hot
	12      200    no   -     0      0     0      0       0      0       0        yes  → list
	50      200    no   0     0      0     0      0       0      0       0        no   → yes
	51      200    no   0     0      0     0      0       0      0       0        no   → PIN
	51      200    no   0     0      0     0      0       0      0       0        yes  → yes
	10      200    no   0     41     0     0      0       0      0       0        no   → PIN
	10      200    no   0     40     0     0      0       0      0       0        no   → yes
	100     200    no   0     0      0     0      0       0      0       0        yes  → yes
	101     200    no   0     0      0     0      0       0      0       0        yes  → sale
	50      200    no   0     150    150   3      0       0      0       0        yes  → yes
	51      200    no   0     150    150   3      0       0      0       0        yes  → day
	1       200    no   0     19     19    19     0       0      0       0        no   → yes
	1       200    no   0     20     20    20     0       0      0       0        no   → day
	50      200    no   73    0      0     0      0       0      0       0        no   → yes
	51      200    no   73    0      0     0      0       0      0       0        yes  → sale
	30      200    no   73    75     75    3      0       0      0       0        yes  → day
	1       200    no   169   0      0     0      0       0      0       0        no   → list
	50      200    no   0     0      0     0      25      0      0       0        no   → yes
	51      200    no   0     0      0     0      25      0      0       0        yes  → sale
	30      200    no   0     0      0     0      73      0      0       0        no   → yes
	31      200    no   0     0      0     0      73      0      0       0        no   → sale
	1       200    no   0     0      0     0      169     0      0       0        no   → queue
	12      200    no   0     0      0     0      0       0      99988   0        no   → yes
	12      200    no   0     0      0     0      0       0      99989   0        no   → queue
	12      200    no   0     0      0     0      0       0      0       100000   no   → queue
`

func TestAlone(t *testing.T) {
	verdicts := map[string]error{
		"yes": nil, "purse": ErrPurse, "hot": ErrHot, "list": ErrList, "PIN": ErrPIN, "sale": ErrSale,
		"day": ErrDay, "queue": ErrQueue,
	}
	lines := 0
	for line := range strings.Lines(table) {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "amount" {
			continue
		}
		lines++
		n := func(i int) int64 {
			v, err := strconv.ParseInt(w[i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		yuan := func(i int) money.Fen { return money.Fen(n(i)) * money.Yuan }
		s := Sale{
			Amount: yuan(0), Purse: yuan(1), Hot: w[2] == "yes", ListAge: math.MaxInt64, Spent: yuan(4), Here: yuan(5),
			HereCount: int(n(6)), QueueAge: time.Duration(n(7)) * time.Hour, QueueAmount: yuan(9), QueueCount: n(10),
			PIN: w[11] == "yes",
		}
		if w[3] != "-" {
			s.ListAge = time.Duration(n(3)) * time.Hour
		}
		want, ok := verdicts[w[13]]
		if got := Default().Alone(s); !errors.Is(got, want) || !ok {
			t.Errorf("%s: %v", strings.TrimSpace(line), got)
		}
	}
	if lines != 28 {
		t.Errorf("%d lines were read", lines)
	}
}

// TestBudget: what may still be sold in the dark shrinks as the list and the
// queue age, and never below nothing.
func TestBudget(t *testing.T) {
	const yuan = money.Yuan
	hours := func(n int) time.Duration { return time.Duration(n)*time.Hour + 1 }
	for _, tt := range []struct {
		facts Sale
		want  Budget
	}{
		{Sale{}, Budget{100 * yuan, 20_000 * yuan, 20_000 * yuan}},
		{Sale{QueueAmount: 400 * yuan, QueueCount: 9, QueueHour: 300 * yuan}, Budget{100 * yuan, 19_700 * yuan, 20_000 * yuan}},
		{Sale{QueueAmount: 90_000 * yuan, QueueHour: 300 * yuan}, Budget{100 * yuan, 10_000 * yuan, 100_000 * yuan}},
		{Sale{QueueAmount: 30_000 * yuan, QueueHour: 20_001 * yuan}, Budget{0, 0, 20_000 * yuan}},
		{Sale{QueueAmount: 99_970 * yuan}, Budget{30 * yuan, 30 * yuan, 100_000 * yuan}},
		{Sale{QueueAmount: 200_000 * yuan}, Budget{0, 0, 100_000 * yuan}},
		{Sale{ListAge: hours(72)}, Budget{50 * yuan, 10_000 * yuan, 10_000 * yuan}},
		{Sale{QueueAge: hours(72)}, Budget{30 * yuan, 10_000 * yuan, 10_000 * yuan}},
		{Sale{ListAge: hours(7 * 24)}, Budget{0, 0, 100_000 * yuan}},
		{Sale{ListAge: math.MaxInt64}, Budget{0, 0, 100_000 * yuan}},
	} {
		if got := Default().Budget(tt.facts); got != tt.want {
			t.Errorf("%+v leaves %+v, want %+v", tt.facts, got, tt.want)
		}
	}
}

// TestHour: what a terminal has sold in the last hour bounds cards and codes, and
// less with a list that is old.
func TestHour(t *testing.T) {
	const yuan = money.Yuan
	allowance := Allowance{CodeMax: 100 * yuan, DayMax: 200 * yuan}
	for _, tt := range []struct {
		hour money.Fen
		age  time.Duration
		want error
	}{
		{19_988 * yuan, 0, nil}, {19_989 * yuan, 0, ErrHour}, {9_988 * yuan, 47 * time.Hour, nil},
		{9_988 * yuan, 73 * time.Hour, nil}, {9_989 * yuan, 73 * time.Hour, ErrHour},
	} {
		r := Default()
		r.CodeStop = 100
		s := Sale{Amount: 12 * yuan, Purse: 50 * yuan, ListAge: tt.age, QueueHour: tt.hour, QueueAmount: tt.hour}
		if card, code := r.Alone(s), r.AloneCode(s, allowance); card != tt.want || code != tt.want {
			t.Errorf("after %s, list of %v: card %v, code %v, want %v", tt.hour, tt.age, card, code, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	r, err := Parse([]byte(`{"offline_sale_max_fen":2000,"hotlist_stop_hours":48,"of_a_later_program":{"x":1}}`))
	want := Default()
	want.SaleMax, want.ListStop = 2000, 48
	if err != nil || r != want {
		t.Errorf("Parse = %+v, %v; want %+v", r, err, want)
	}
	for _, bad := range []string{
		``, `[]`, `{"offline_sale_max_fen":-1}`, `{"offline_sale_max_fen":0.5}`, `{"queue_stop_hours":10000}`,
		`{"queue_stop_hours":-1}`, `{"offline_day_count_max":-1}`,
	} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestCheck refuses what a terminal would not take, or would take for something
// else, and says where it is.
func TestCheck(t *testing.T) {
	r, err := Check([]byte("{\n\"offline_sale_max_fen\": 2000\n}\n"))
	want := Default()
	want.SaleMax = 2000
	if err != nil || r != want {
		t.Errorf("Check = %+v, %v; want %+v", r, err, want)
	}
	for _, tt := range []struct{ content, want string }{
		{"", "line 1: settings: unexpected end"},
		{"null", "null is no settings"},
		{"[]", "line 1: settings: json: cannot unmarshal array"},
		{"{\n\"daily_limit_fen\": 50.5\n}", "line 2: settings: json: cannot unmarshal number 50.5"},
		{"{\n\"daily_limit_fen\": 5000,\n}", "line 3: settings: invalid character"},
		{"{\n\n\"queue_stop_hours\": 10000}", "line 3: settings: queue_stop_hours is not between 0 and 744"},
		{"{\n\n\"queue_max_fen\": -1}", "line 3: settings: queue_max_fen is below zero"},
		{"{\n\"daily_limit_fen\": 1,\n\"daily_limit\": 1}", `line 3: settings: "daily_limit" is not a setting`},
		{`{"Daily_Limit_Fen": 1}`, `line 1: settings: "Daily_Limit_Fen" is not a setting`},
		{`{} {}`, "line 1: settings: invalid character"},
	} {
		if _, err := Check([]byte(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check(%q) = %v, want %q", tt.content, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"offline_sale_max_fen":2000}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if r.SaleMax < 0 || r.QueueStop > hoursMax || r.Alone(Sale{Amount: 1, Hot: true}) == nil {
			t.Errorf("%s gives %+v", b, r)
		}
	})
}

// TestUnknownDay: where nobody can tell what a card has spent here today, nothing more is
// sold to it alone, however little.
func TestUnknownDay(t *testing.T) {
	s := Sale{Amount: 1, Purse: 100 * money.Yuan, PIN: true}
	if err := Default().Alone(s); err != nil {
		t.Fatal(err)
	}
	s.Unknown = true
	if err := Default().Alone(s); !errors.Is(err, ErrPast) {
		t.Errorf("Alone = %v, want ErrPast", err)
	}
}

// TestDark: what is said before anybody pays is what each sale would hear, also of a
// school that sells to nobody without upstream, or whose limits are halved to nothing.
func TestDark(t *testing.T) {
	const yuan = money.Yuan
	day := func(most money.Fen, times int) Rules {
		r := Default()
		r.DayMax, r.DayCount = most, times
		return r
	}
	few := Default()
	few.DailyLimit = 0
	for name, tt := range map[string]struct {
		rules      Rules
		facts      Sale
		card, code error
	}{
		"fresh":               {Default(), Sale{}, nil, nil},
		"a price":             {Default(), Sale{Amount: 50 * yuan}, nil, nil},
		"for the PIN":         {Default(), Sale{Amount: 51 * yuan}, nil, ErrAllowance},
		"all of a sale":       {Default(), Sale{Amount: 100 * yuan}, nil, ErrAllowance},
		"too dear":            {Default(), Sale{Amount: 101 * yuan}, ErrSale, ErrSale},
		"the rest":            {Default(), Sale{Amount: 30 * yuan, QueueAmount: 99_970 * yuan}, nil, nil},
		"more than the rest":  {Default(), Sale{Amount: 31 * yuan, QueueAmount: 99_970 * yuan}, ErrSale, ErrSale},
		"nothing is left":     {Default(), Sale{QueueAmount: 100_000 * yuan}, ErrSale, ErrSale},
		"the hour is sold":    {Default(), Sale{QueueHour: 20_000 * yuan}, ErrSale, ErrSale},
		"nobody can tell":     {Default(), Sale{Unknown: true}, ErrPast, ErrPast},
		"nor is anything old": {Default(), Sale{Unknown: true, QueueHour: 20_000 * yuan}, ErrPast, ErrPast},
		"old list":            {Default(), Sale{Unknown: true, ListAge: 169 * time.Hour}, ErrList, ErrKeys},
		"lost phones":         {Default(), Sale{ListAge: 49 * time.Hour}, nil, ErrKeys},
		"a small day":         {day(20*yuan, 20), Sale{Amount: 21 * yuan}, ErrSale, ErrSale},
		"no day":              {day(0, 20), Sale{}, ErrSale, ErrSale},
		"never":               {day(200*yuan, 0), Sale{}, ErrSale, ErrSale},
		"once, halved":        {day(200*yuan, 1), Sale{QueueAge: 25 * time.Hour}, ErrSale, ErrSale},
		"always with a PIN":   {few, Sale{}, nil, ErrAllowance},
	} {
		card, code := tt.rules.Dark(tt.facts), tt.rules.DarkCode(tt.facts)
		if !errors.Is(card, tt.card) || !errors.Is(code, tt.code) {
			t.Errorf("%s: card %v, code %v; want %v, %v", name, card, code, tt.card, tt.code)
		}
		s := tt.facts
		s.Amount, s.Purse, s.PIN = max(s.Amount, 1), 1000*yuan, true
		if err := tt.rules.Alone(s); (err == nil) != (card == nil) {
			t.Errorf("%s: it says %v, and a card hears %v", name, card, err)
		}
		s.PIN = false
		err := tt.rules.AloneCode(s, Allowance{CodeMax: 1000 * yuan, DayMax: 1000 * yuan})
		if (err == nil) != (code == nil) {
			t.Errorf("%s: it says %v, and a code hears %v", name, code, err)
		}
	}
}
