package water

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/money"
)

var (
	master = bathcode.Master{1, 2, 3}
	today  = bathcode.Day(9826) // 26 November 2026
)

func setup() Setup {
	k := func(d bathcode.Day) MonthKey {
		return MonthKey{d, Secret(master.Key(bathcode.Place{Hall: 1, Stall: 7}, d).Bytes())}
	}
	return Setup{
		Hall: 1, Stall: 7, Stalls: []uint16{7}, Name: "第一浴室",
		Tariff: Tariff{PerLitre: 4, PulsesPerLitre: 300}, Cap: 5 * money.Yuan,
		Times: []Time{{0, 17 * 60, 17*60 + 30}, {1, 17*60 + 30, 18 * 60}},
		Grace: 600, NoFlow: 90, PauseMax: 480, Keys: []MonthKey{k(9801), k(9831)},
	}
}

// TestPrice rounds down, and once.
func TestPrice(t *testing.T) {
	for pulses, want := range map[int64]money.Fen{0: 0, 74: 0, 75: 1, 149: 1, 150: 2, 300: 4, 3001: 40, PulsesMax: 57266230} {
		if got := (Tariff{4, 300}).Price(pulses); got != want {
			t.Errorf("%d pulses cost %s, want %s", pulses, got, want)
		}
	}
}

func TestSetup(t *testing.T) {
	s := setup()
	got, err := ParseSetup(s.Encode())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("read as %+v, %v", got, err)
	}
	for day, want := range map[bathcode.Day]bool{today: true, today + 10: true, today - 30: false, today + 60: false} {
		k, ok := got.Key(day)
		if ok != want || ok && k != master.Key(s.Place(), day) {
			t.Errorf("key of day %d: %v, %v", day, k, ok)
		}
	}
	from, to := s.Times[1].On(today)
	if !from.Equal(time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)) || to.Sub(from) != 30*time.Minute {
		t.Errorf("slot 1 is from %v to %v", from, to)
	}
	if _, ok := s.Time(2); ok {
		t.Error("there is a slot 2")
	}
	if text := fmt.Sprintf("%v %+v %x", s, s, s.Keys); strings.Contains(text, fmt.Sprintf("%x", s.Keys[0].Key[:4])) {
		t.Error("a setup prints its key")
	}
}

func TestSetupRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Setup){
		"no hall":        func(s *Setup) { s.Hall = 0 },
		"another stall":  func(s *Setup) { s.Stalls = []uint16{8} },
		"no stall":       func(s *Setup) { s.Stall, s.Stalls = 0, nil },
		"free water":     func(s *Setup) { s.Tariff.PerLitre = 0 },
		"no meter":       func(s *Setup) { s.Tariff.PulsesPerLitre = 0 },
		"no cap":         func(s *Setup) { s.Cap = 0 },
		"no slots":       func(s *Setup) { s.Times = nil },
		"slot twice":     func(s *Setup) { s.Times[1].No = 0 },
		"over midnight":  func(s *Setup) { s.Times[1].To = 24*60 + 1 },
		"no keys":        func(s *Setup) { s.Keys = nil },
		"endless pauses": func(s *Setup) { s.PauseMax = 0 },
	} {
		s := setup()
		spoil(&s)
		if _, err := ParseSetup(s.Encode()); !errors.Is(err, ErrSetup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := bytes.Replace(setup().Encode(), []byte(`"key": "`), []byte(`"key": "0`), 1)
	if _, err := ParseSetup(short); !errors.Is(err, ErrSetup) {
		t.Errorf("key of 65 digits: %v", err)
	}
}

func report() Report {
	return Report{
		Slot: bathcode.Slot{Place: bathcode.Place{Hall: 1, Stall: 7}, Day: today, No: 1}, Final: true,
		Uses: []Use{
			{N: 0, Stall: 7, Start: 1795685460, End: 1795685900, Pulses: 12000, Amount: 160, Pauses: 1, Ending: ByKey},
			{N: 2, Stall: 7, Start: 1795686000, End: 1795686010, Ending: ByPower},
		},
	}
}

// TestReport knows a report again, and none that somebody has touched.
func TestReport(t *testing.T) {
	r := report()
	line := r.Seal(master.Key(r.Slot.Place, today))
	got, err := Open(line, master.Key)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("read as %+v, %v", got, err)
	}
	for i := range line {
		changed := bytes.Clone(line)
		changed[i] ^= 1
		if got, err := Open(changed, master.Key); err == nil {
			t.Errorf("with byte %d changed, it is %+v", i, got)
		}
	}
	if _, err := Open(line, bathcode.Master{9}.Key); !errors.Is(err, ErrSignature) {
		t.Errorf("of another master key: %v", err)
	}
	u := r.Uses[0]
	from, to := time.Unix(u.Start+600, 0), time.Unix(u.Start+900, 0)
	if !u.Within(from, to, 600*time.Second) || u.Within(from, to, 599*time.Second) {
		t.Error("the grace is another")
	}
}

func TestReportRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Report){
		"number beyond":      func(r *Report) { r.Uses[1].N = 4 },
		"number twice":       func(r *Report) { r.Uses[1].N = 0 },
		"no stall":           func(r *Report) { r.Uses[0].Stall = 0 },
		"water runs back":    func(r *Report) { r.Uses[0].Pulses = -1 },
		"pays the holder":    func(r *Report) { r.Uses[0].Amount = -1 },
		"ends before":        func(r *Report) { r.Uses[0].End = r.Uses[0].Start - 1 },
		"ended by nothing":   func(r *Report) { r.Uses[0].Ending = 0 },
		"paused never at no": func(r *Report) { r.Uses[0].Pauses = -1 },
	} {
		r := report()
		spoil(&r)
		if _, err := Open(r.Seal(master.Key(r.Slot.Place, today)), master.Key); !errors.Is(err, ErrReport) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "x", "00 {}", "00 {", strings.Repeat("0", ReportMax) + " {}"} {
		if _, err := Open([]byte(text), master.Key); err == nil {
			t.Errorf("%.20q is a report", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := report()
	f.Add(r.Seal(master.Key(r.Slot.Place, today)))
	f.Add([]byte("00 {}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, err := Open(line, master.Key); err == nil {
			again, err := Open(r.Seal(master.Key(r.Slot.Place, r.Slot.Day)), master.Key)
			if err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%q is %+v and then %+v, %v", line, r, again, err)
			}
		}
	})
}

func FuzzParseSetup(f *testing.F) {
	f.Add(setup().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseSetup(b); err == nil {
			if again, err := ParseSetup(s.Encode()); err != nil || !reflect.DeepEqual(again, s) {
				t.Errorf("%q is %+v and then %+v, %v", b, s, again, err)
			}
		}
	})
}
