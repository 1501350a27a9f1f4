package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"quancun/journal"
)

const (
	// unsureAfter is how far the wall clock may be behind the journal before
	// its times are no longer believed, and how far it may be off upstream's.
	unsureAfter = 5 * time.Minute
)

// clockEarliest is a date before which this program did not exist: a machine
// whose clock is earlier has lost it, as one with a flat battery has.
var clockEarliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock compares the wall clock, which anybody can set, with the time since
// boot, which nobody can. Its fields belong to whoever writes.
type clock struct {
	now     func() time.Time
	uptime  func() time.Duration
	stepMax time.Duration

	last   reading // zero before the first
	synced bool    // compared with upstream since, and found right
	off    bool    // compared with upstream since, and found wrong
}

// reading is both clocks at one moment.
type reading struct {
	wall time.Time
	up   time.Duration
}

func (c *clock) read() reading {
	return reading{c.now().UTC().Round(0), c.uptime()}
}

// step returns the [journal.ClockStep] entry that belongs before whatever is
// written at r, and false if the clock has run as it should. written is the
// time of the journal's last entry, the only witness there is before the first
// reading.
func (c *clock) step(r reading, written time.Time) (journal.Entry, bool) {
	expected, backward := written, false
	if c.last.wall.IsZero() {
		backward = r.wall.Before(written.Add(-c.stepMax))
	} else {
		expected = c.last.wall.Add(r.up - c.last.up)
		backward = r.wall.Before(c.last.wall) || expected.Sub(r.wall) > c.stepMax
	}
	forward := !c.last.wall.IsZero() && r.wall.Sub(expected) > c.stepMax
	if !backward && !forward {
		return journal.Entry{}, false
	}
	details := fmt.Sprintf(`{"expected":%q,"wall":%q,"step_ms":%d}`, expected.Format(journal.AtLayout),
		r.wall.Format(journal.AtLayout), r.wall.Sub(expected).Milliseconds())
	return journal.Entry{Kind: journal.ClockStep, Details: json.RawMessage(details)}, true
}

// heard notes upstream's time.
func (c *clock) heard(at time.Time) {
	c.synced = c.now().Sub(at).Abs() <= unsureAfter
	c.off = !c.synced
}

// stepped forgets upstream's time: somebody has set the clock since.
func (c *clock) stepped() { c.synced, c.off = false, false }

// state says how far a time can be believed that is written at r, after an
// entry of the time written.
func (c *clock) state(r reading, written time.Time) journal.ClockState {
	switch {
	case c.off, r.wall.Before(written.Add(-unsureAfter)), r.wall.Before(clockEarliest):
		return journal.ClockUnsure
	case c.synced:
		return journal.ClockSynced
	}
	return journal.ClockAlone
}

// Uptime is the time since boot, with the time the machine slept.
func Uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("ledger: internal error: CLOCK_BOOTTIME: " + err.Error()) // every kernel has it since 2.6.39
	}
	return time.Duration(t.Nano())
}
