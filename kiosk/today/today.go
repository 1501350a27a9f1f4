// Package today says which entries of a journal are today's, whatever the machine's
// clock has said meanwhile.
//
// An entry is dated by the clock as it was when it was written, and never before the
// entry before it. A clock that has run ahead for an hour dates all that is written in
// the years after by the millisecond; what was sold today would be nobody's day, and a
// day's allowance would never be used up. So entries are placed by the time since boot,
// which nobody can set, against the clock as it was set last: a clock that is set takes
// what was written before along, forward and back. An entry of an earlier boot was
// written before the next one began, and no later.
//
// What this cannot know is a clock that was wrong over a whole boot and is right, or
// wrong by something else, after the next.
package today

import (
	"encoding/json"
	"slices"
	"time"

	"quancun/journal"
)

// earliest is a date before which this program did not exist: a clock that says so
// is lost, and says nothing about the day.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Timeline places a journal's entries. It is empty at first.
type Timeline struct {
	boots []boot
	at    time.Time // of the last entry, as it is dated
}

// boot is what was written between two starts of the machine.
type boot struct {
	zero        time.Time     // when it began, by the clock as it was set last
	first, last time.Duration // since then, of its entries
}

// Mark is an entry's place on a Timeline.
type Mark struct {
	boot int
	up   time.Duration
	most time.Time // when it was first written, if it was carried over; zero if not
}

// Add places the next entry of the journal.
func (t *Timeline) Add(e journal.Entry) Mark {
	zero, after := e.At.Add(-e.Uptime), e.At.Sub(t.at)
	t.at = e.At
	n := len(t.boots)
	if n == 0 || e.Uptime < t.boots[n-1].last || e.Clock == journal.ClockUnknown {
		t.boots = append(t.boots, boot{zero: zero, first: e.Uptime})
		n++
	}
	b := &t.boots[n-1]
	b.last = e.Uptime
	if wall, set := wallOf(e); set {
		b.zero = wall.Add(-e.Uptime)
	} else if after > time.Millisecond || after <= 0 { // else it is dated by the entry before it
		b.zero = zero
	}
	m := Mark{boot: n - 1, up: e.Uptime}
	if inner, err := e.Inner(); err == nil && e.Kind == journal.Carried {
		m.most = inner.At
	}
	return m
}

// wallOf returns what the clock said after it was set, if e is about that.
func wallOf(e journal.Entry) (time.Time, bool) {
	var step struct {
		Wall string `json:"wall"`
	}
	if e.Kind != journal.ClockStep || json.Unmarshal(e.Details, &step) != nil {
		return time.Time{}, false
	}
	wall, err := time.Parse(journal.AtLayout, step.Wall)
	return wall, err == nil
}

// When returns when an entry was written, at the latest, by the clock as it was set
// last.
func (t *Timeline) When(m Mark) time.Time {
	var next time.Time // when the boot after began; zero if there is none
	for i := len(t.boots) - 1; i > m.boot; i-- {
		next = t.boots[i].at(t.boots[i].first, next)
	}
	at := t.boots[m.boot].at(m.up, next)
	if !m.most.IsZero() && m.most.Before(at) {
		return m.most
	}
	return at
}

// Forget lets go of all that is old, and of who has nothing left.
func Forget[K comparable, T any](all map[K][]T, old func(T) bool) {
	for k, list := range all {
		if all[k] = slices.DeleteFunc(list, old); len(all[k]) == 0 {
			delete(all, k)
		}
	}
}

// at returns when up was, at the latest, if the next boot began at next.
func (b boot) at(up time.Duration, next time.Time) time.Time {
	at := b.zero.Add(up)
	if !next.IsZero() && (at.After(next) || at.Before(earliest)) {
		return next
	}
	return at
}
