// Package water is what the upstream and the water controllers of a bath (水控)
// bring each other, with no network between them: the setup that a controller is
// given, with its keys, its timetable and its price; and the reports in which it
// says which codes were used, for how much water. Both are files that a person
// carries. Section numbers refer to the project's notes on services, chapter 5.
//
// # What it promises
//
// A report is signed with the key of its place and month. So whoever carries it
// can lose it, or bring it twice, and cannot change it.
//
// # What it refuses to know
//
// Holders, reservations and accounts: a controller knows none, and finds its
// place, slot and serial number only in a code.
package water

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/bathcode"
	"quancun/money"
)

// Tariff is what water costs.
type Tariff struct {
	PerLitre       money.Fen `json:"fen_per_litre"`
	PulsesPerLitre int64     `json:"pulses_per_litre"` // of the meter
}

// PulsesMax is more than a meter counts in any shower.
const PulsesMax = 1 << 32

// Price returns what so many pulses cost. A part of a fen is not charged, and
// nothing is rounded before the end (section 5.2).
func (t Tariff) Price(pulses int64) money.Fen {
	return money.Fen(pulses) * t.PerLitre / money.Fen(t.PulsesPerLitre)
}

// Time is a slot of every day. It ends on the day on which it begins.
type Time struct {
	No   uint8 `json:"slot"`
	From int   `json:"from_min"` // minutes after midnight
	To   int   `json:"to_min"`
}

// On returns when the slot begins and ends on a day.
func (t Time) On(d bathcode.Day) (from, to time.Time) {
	midnight := d.Start()
	return midnight.Add(time.Duration(t.From) * time.Minute), midnight.Add(time.Duration(t.To) * time.Minute)
}

// Seconds is a duration as it is written into a setup.
type Seconds int

// Duration returns s as Go has it.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Setup is what a controller is given. It holds keys, so it is a secret.
type Setup struct {
	Hall   uint16   `json:"hall"`
	Stall  uint16   `json:"stall"`  // 0: a code opens whichever stall of the hall is free
	Stalls []uint16 `json:"stalls"` // that this controller works
	Name   string   `json:"name"`   // of the hall, for people

	Tariff Tariff    `json:"tariff"`
	Cap    money.Fen `json:"cap_fen"` // the valve closes there
	Times  []Time    `json:"times"`

	Grace    Seconds `json:"grace_s"`     // a code opens so long before its slot and after it
	NoFlow   Seconds `json:"no_flow_s"`   // with no water for so long, the valve closes and waits
	PauseMax Seconds `json:"pause_max_s"` // then for so long, and the shower is over

	Keys []MonthKey `json:"keys"`
}

// MonthKey is the key of the place for the month that a day is in. It prints as
// nothing.
type MonthKey struct {
	Day bathcode.Day `json:"day"`
	Key Secret       `json:"key"`
}

// Secret is a key that goes into a setup's file and nowhere else.
type Secret [32]byte

// Format keeps the key out of every log and message.
func (Secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, "secret") }

// MarshalText writes the key in hex.
func (k Secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText has written.
func (k *Secret) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(k[:], text[:min(len(text), 2*len(k))]); err != nil || n != len(k) || len(text) != 2*n {
		return errors.New("not a key") // hex's words may quote it
	}
	return nil
}

// Place returns where the controller's codes open.
func (s Setup) Place() bathcode.Place { return bathcode.Place{Hall: s.Hall, Stall: s.Stall} }

// Key returns the key for a day, if the setup has it.
func (s Setup) Key(d bathcode.Day) (k bathcode.Key, ok bool) {
	for _, m := range s.Keys {
		k = bathcode.LoadKey(s.Place(), m.Day, m.Key)
		if k.Covers(bathcode.Slot{Place: s.Place(), Day: d}) {
			return k, true
		}
	}
	return bathcode.Key{}, false
}

// Time returns when a slot is, if the setup has it.
func (s Setup) Time(no uint8) (t Time, ok bool) {
	i := slices.IndexFunc(s.Times, func(t Time) bool { return t.No == no })
	if i < 0 {
		return Time{}, false
	}
	return s.Times[i], true
}

// Encode returns the setup as it is written to a file.
func (s Setup) Encode() []byte {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		panic("water: internal error: " + err.Error()) // of plain values
	}
	return append(b, '\n')
}

// ErrSetup means that a file is no setup, or one that no controller can work by.
var ErrSetup = errors.New("water: not a setup")

// ParseSetup reads what [Setup.Encode] has written, and checks it.
func ParseSetup(b []byte) (s Setup, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Setup{}, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return s, s.check()
}

func (s Setup) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrSetup, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Hall == 0 || len(s.Stalls) == 0 || slices.Contains(s.Stalls, 0):
		return bad("it names no hall or no stall")
	case s.Stall != 0 && !slices.Equal(s.Stalls, []uint16{s.Stall}):
		return bad("its key is of stall %d, and it works %d", s.Stall, s.Stalls)
	case s.Tariff.PerLitre <= 0 || s.Tariff.PerLitre > money.Yuan*100 || s.Tariff.PulsesPerLitre <= 0:
		return bad("water has no price")
	case s.Cap <= 0 || s.Grace < 0 || s.NoFlow <= 0 || s.PauseMax <= 0:
		return bad("a limit is missing")
	case len(s.Times) == 0 || len(s.Keys) == 0:
		return bad("it has no slots or no keys")
	}
	for i, t := range s.Times {
		if t.From < 0 || t.To <= t.From || t.To > 24*60 {
			return bad("slot %d is from minute %d to %d", t.No, t.From, t.To)
		}
		if slices.ContainsFunc(s.Times[:i], func(o Time) bool { return o.No == t.No }) {
			return bad("slot %d is there twice", t.No)
		}
	}
	return nil
}
