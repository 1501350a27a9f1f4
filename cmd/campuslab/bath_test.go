package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/water"
)

// TestBath works a water controller as a hand does, and reads its log as campusd
// does.
func TestBath(t *testing.T) {
	master, dir := bathcode.Master{4, 2}, t.TempDir()
	day, place := bathcode.DayOf(time.Now()), bathcode.Place{Hall: 1, Stall: 7}
	key := master.Key(place, day)
	file := filepath.Join(dir, "stall7.json")
	s := water.Setup{
		Hall: 1, Stall: 7, Stalls: []uint16{7}, Name: "东区浴室", Cap: 5 * money.Yuan,
		Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 300}, Times: []water.Time{{From: 0, To: 24 * 60}},
		Grace: 600, NoFlow: 90, PauseMax: 480,
		Keys: []water.MonthKey{{Day: day, Key: water.Secret(key.Bytes())}},
	}
	if err := os.WriteFile(file, s.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, dir, "--baths", file)
	t.Setenv("CAMPUSLAB", p.Control)
	code := key.Code(bathcode.Slot{Place: place, Day: day}, 2)
	for _, c := range []struct{ line, want string }{
		{"bath", "1/7 idle: 请按确认"},
		{"bath 1/7 confirm " + string(code), "1/7 running"},
		{"bath 1/7 water 10", "0.40 元"},
		{"bath 1/7 power off", "power false"},
		{"bath 1/7 power on", "1/7 paused"},
		{"bath 1/7 confirm", "1/7 running"},
		{"bath 1/7 cancel", "共 0.40 元"},
		{"bath 1/7 clock lost", "clock lost true"},
		{"bath 1/7 clock good", "clock lost false"},
	} {
		if out := do(t, c.line); !strings.Contains(out, c.want) {
			t.Errorf("%s said %q, want %q", c.line, out, c.want)
		}
	}
	r, err := water.Open([]byte(do(t, "bath 1/7 log")), master.Key)
	if err != nil || len(r.Uses) != 1 || r.Uses[0].N != 2 || r.Uses[0].Amount != 40 {
		t.Errorf("log: %+v, %v", r, err)
	}
	for line, want := range map[string]string{
		"bath 1/8 confirm":      "no controller works",
		"bath 1/7":              "keys, or water",
		"bath 1/7 water much":   "no litres",
		"bath 1/7 clock noon":   "no seconds",
		"bath 1/7 sing":         "no key",
		"baths --dir x":         "--baths",
		"baths --baths " + file: "--dir",
	} {
		err := run(t.Context(), strings.Fields(line), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("campuslab %s: %v, want %q", line, err, want)
		}
	}
}
