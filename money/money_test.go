package money_test

import (
	"math"
	"testing"

	"quancun/money"
)

func TestString(t *testing.T) {
	for _, tt := range []struct {
		fen  money.Fen
		want string
	}{
		{0, "0.00"},
		{1, "0.01"},
		{99, "0.99"},
		{20 * money.Yuan, "20.00"},
		{-1, "-0.01"}, // a sign that integer division would drop
		{-1230, "-12.30"},
		{math.MaxInt64, "92233720368547758.07"},
		{math.MinInt64, "-92233720368547758.08"}, // -f overflows
	} {
		if got := tt.fen.String(); got != tt.want {
			t.Errorf("Fen(%d) = %q, want %q", int64(tt.fen), got, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want money.Fen
		bad  bool
	}{
		{in: "0", want: 0},
		{in: "12", want: 1200},
		{in: "12.3", want: 1230},
		{in: "0.29", want: 29}, // 28 when computed in binary
		{in: "007.05", want: 705},
		{in: "92233720368547758.07", want: math.MaxInt64},
		{in: "92233720368547758.08", bad: true},
		{in: "", bad: true},
		{in: ".5", bad: true},
		{in: "5.", bad: true},
		{in: "1.234", bad: true},
		{in: "-1", bad: true},
		{in: "+1", bad: true},
		{in: "1e2", bad: true},
		{in: " 1", bad: true},
		{in: "1.-2", bad: true},
		{in: "1_0", bad: true},
	} {
		got, err := money.Parse(tt.in)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("Parse(%q) = %v, %v; want %v, error %v", tt.in, got, err, tt.want, tt.bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("12.30")
	f.Add("0.29")
	f.Fuzz(func(t *testing.T, s string) {
		fen, err := money.Parse(s)
		if err != nil {
			return
		}
		if again, err := money.Parse(fen.String()); err != nil || again != fen {
			t.Errorf("Parse(%q) = %d, which prints as %q and reads as %d, %v", s, fen, fen, again, err)
		}
	})
}
