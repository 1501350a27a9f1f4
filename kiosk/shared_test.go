package kiosk

import (
	"testing"
	"time"
)

// TestClockSetInTheDark: the machine's clock is set while the upstream does not
// answer, and what the upstream has said holds on. By another time a code that a
// phone shows would be none of these minutes, and a list of yesterday too old.
func TestClockSetInTheDark(t *testing.T) {
	noon := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	for _, ahead := range []time.Duration{0, time.Second, -3 * time.Hour, 20 * 365 * 24 * time.Hour} {
		wall, up := noon.Add(ahead), 6*time.Hour
		c := NewClock(func() time.Time { return wall }, func() time.Duration { return up })
		pass := func(d time.Duration) { wall, up = wall.Add(d), up+d }
		check := func(when string, now time.Time) {
			t.Helper()
			if off := c.Now().Sub(now).Abs(); off >= driftMin {
				t.Errorf("%v ahead, %s: the clock is %v off", ahead, when, off)
			}
			if off := (c.Drift() - wall.Sub(now)).Abs(); off >= driftMin {
				t.Errorf("%v ahead, %s: the drift is %v off", ahead, when, off)
			}
		}
		if !c.Now().Equal(wall) || c.Drift() != 0 {
			t.Errorf("%v ahead: not the machine's time before anybody said another: %v", ahead, c.Now())
		}
		c.set(ahead)
		check("told", noon)
		pass(time.Hour)
		check("an hour later", noon.Add(time.Hour))
		wall = wall.Add(8 * time.Hour)
		check("set forward", noon.Add(time.Hour))
		wall = time.Unix(0, 0)
		pass(time.Minute)
		check("set to 1970", noon.Add(61*time.Minute))
		c.set(wall.Sub(noon.Add(61 * time.Minute)))
		check("told again", noon.Add(61*time.Minute))
	}
}
