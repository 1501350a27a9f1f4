package bathcode

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"quancun/beijing"
)

var (
	master = func() (m Master) {
		for i := range m {
			m[i] = byte(i)
		}
		return m
	}()
	today = DayOf(time.Date(2026, 11, 26, 8, 0, 0, 0, beijing.Zone))
)

// The codes were computed by a second program, in another language, from the
// description alone.
func TestVectors(t *testing.T) {
	if today != 9826 {
		t.Fatalf("26 November 2026 is day %d", today)
	}
	for _, c := range []struct {
		slot Slot
		n    uint8
		want Code
	}{
		{Slot{Place{1, 0}, 9826, 3}, 0, "94028291"},
		{Slot{Place{1, 0}, 9826, 3}, 99, "73824368"},
		{Slot{Place{1, 0}, 9831, 3}, 42, "55274589"}, // of another month
		{Slot{Place{513, 7}, 9826, 255}, 0, "60199475"},
		{Slot{Place{513, 7}, 9826, 255}, 3, "81479615"},
		{Slot{Place{65535, 65535}, 36524, 0}, 1, "30404947"},
	} {
		if got := master.Key(c.slot.Place, c.slot.Day).Code(c.slot, c.n); got != c.want {
			t.Errorf("%+v, %d: %s, want %s", c.slot, c.n, got, c.want)
		}
	}
}

// TestCheck has every code of a slot say which it is, and open nothing else.
func TestCheck(t *testing.T) {
	for _, p := range []Place{{3, 0}, {3, 12}} {
		s := Slot{p, today, 5}
		k := master.Key(p, today)
		loaded := LoadKey(p, today, k.Bytes())
		seen := map[Code]bool{}
		for n := range p.Codes() {
			c := k.Code(s, uint8(n))
			if seen[c] {
				t.Errorf("%+v: %s is twice", p, c)
			}
			seen[c] = true
			if got, ok := loaded.Check(c, s); !ok || int(got) != n {
				t.Errorf("%+v: code %d is taken for %d, %v", p, n, got, ok)
			}
			for what, other := range map[string]Slot{
				"slot": {p, today, 6}, "day": {p, today + 1, 5},
			} {
				if _, ok := k.Check(c, other); ok {
					t.Errorf("%+v: code %d opens in another %s", p, n, what)
				}
			}
			for _, place := range []Place{{4, p.Stall}, {3, p.Stall + 1}} {
				if _, ok := master.Key(place, today).Check(c, Slot{place, today, 5}); ok {
					t.Errorf("%+v: code %d opens %+v", p, n, place)
				}
			}
		}
	}
}

// TestOldKey finds no code with the key of another month or place.
func TestOldKey(t *testing.T) {
	p := Place{3, 0}
	s := Slot{p, today, 5}
	c := master.Key(p, today).Code(s, 0)
	for _, k := range []Key{master.Key(p, today+30), master.Key(Place{3, 1}, today)} {
		if _, ok := k.Check(c, s); ok {
			t.Errorf("%v opens what is not its own", k)
		}
	}
}

// TestGuess guesses often, and is right no more often than chance allows. The
// seed is fixed.
func TestGuess(t *testing.T) {
	if testing.Short() {
		t.Skip("two hundred thousand guesses")
	}
	s := Slot{Place{3, 0}, today, 5}
	k := master.Key(s.Place, today)
	dice, hits := rand.New(rand.NewPCG(1, 2)), 0
	for range 200_000 {
		if _, ok := k.Check(Code(fmt.Sprintf("%08d", dice.IntN(1e8))), s); ok {
			hits++
		}
	}
	if hits > 3 { // 0.2 are expected
		t.Errorf("%d of 200000 guesses were right", hits)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Code{
		"12345678": "12345678", " 1234 5678": "12345678", "1234-5678": "12345678", "１２３４　５６７８": "12345678",
		"1234567": "", "123456789": "", "1234567x": "", "": "", "１２３４５６７": "",
	} {
		got, err := Parse(text)
		if got != want || (want == "") != errors.Is(err, ErrCode) {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	if got := Code("12345678").Grouped(); got != "1234 5678" {
		t.Errorf("grouped: %q", got)
	}
}

func TestDay(t *testing.T) {
	for at, want := range map[time.Time]Day{
		time.Date(2000, 1, 1, 0, 0, 0, 0, beijing.Zone):      0,
		time.Date(2026, 11, 26, 23, 59, 59, 0, beijing.Zone): 9826,
		time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC):       9827, // midnight in Beijing
		time.Date(2026, 11, 26, 15, 59, 59, 999, time.UTC):   9826,
		time.Date(2026, 12, 1, 0, 0, 0, 0, beijing.Zone):     9831,
	} {
		if got := DayOf(at); got != want {
			t.Errorf("%v is day %d, want %d", at, got, want)
		}
	}
	if at := time.Date(2026, 11, 26, 0, 0, 0, 0, beijing.Zone); !Day(9826).Start().Equal(at) || DayOf(Day(9826).Start()) != 9826 {
		t.Errorf("day 9826 begins at %v, want %v", Day(9826).Start(), at)
	}
	if Day(9830).month() != 202611 || Day(9831).month() != 202612 {
		t.Error("December does not begin on its first day")
	}
}

// TestSign knows a message again, and no other by it.
func TestSign(t *testing.T) {
	k, other := master.Key(Place{3, 12}, today), master.Key(Place{3, 0}, today)
	signed := k.Sign([]byte("used"))
	if k.Sign([]byte("used")) != signed || k.Sign([]byte("user")) == signed || other.Sign([]byte("used")) == signed {
		t.Error("a signature is not of its message and key alone")
	}
}

// TestSecret prints no key.
func TestSecret(t *testing.T) {
	k := master.Key(Place{3, 0}, today)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%x %+v", k, k), fmt.Sprintf("%#v", k)} {
		if want := "key of hall 3, stall 0, 202611"; text != want && text != want+" "+want {
			t.Errorf("printed as %q", text)
		}
	}
	if text := fmt.Sprintf("%v%x", master, master); text != "bath master keybath master key" {
		t.Errorf("master key printed as %q", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1234 5678")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err == nil {
			if again, err := Parse(c.Grouped()); again != c || err != nil {
				t.Errorf("%q is %q and then %q, %v", text, c, again, err)
			}
		}
	})
}
