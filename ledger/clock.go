package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clock compares the wall clock, which anybody can set, with the time since
// boot, which nobody can. Its fields are guarded by Book.mu.
type clock struct {
	now     func() time.Time
	uptime  func() time.Duration
	stepMax time.Duration

	last reading // zero before the first
}

// reading is both clocks at one moment.
type reading struct {
	wall time.Time
	up   time.Duration
}

func (c *clock) read() reading {
	return reading{c.now().UTC().Round(0), c.uptime()}
}

// step returns the [ClockStep] entry that belongs before whatever is written
// at r, and false if the clock has run as it should. written is the time of
// the journal's last entry, the only witness there is before the first reading.
func (c *clock) step(r reading, written time.Time) (Entry, bool) {
	expected, backward := written, false
	if c.last.wall.IsZero() {
		backward = r.wall.Before(written.Add(-c.stepMax))
	} else {
		expected = c.last.wall.Add(r.up - c.last.up)
		backward = r.wall.Before(c.last.wall) || expected.Sub(r.wall) > c.stepMax
	}
	forward := !c.last.wall.IsZero() && r.wall.Sub(expected) > c.stepMax
	if !backward && !forward {
		return Entry{}, false
	}
	details := fmt.Sprintf(`{"expected":%q,"wall":%q,"step_ms":%d}`,
		expected.Format(atLayout), r.wall.Format(atLayout), r.wall.Sub(expected).Milliseconds())
	return Entry{Kind: ClockStep, Details: json.RawMessage(details)}, true
}

// uptime is the time since boot, with the time the machine slept.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("ledger: internal error: CLOCK_BOOTTIME: " + err.Error()) // every kernel has it since 2.6.39
	}
	return time.Duration(t.Nano())
}
