package bath

import (
	"errors"
	"time"

	"quancun/upstream/bath"
)

// Settings are what the school has decided, as the configuration's [bath] says it.
// What it leaves out is as in [Usual].
type Settings struct {
	DaysAhead    int `toml:"days_ahead"`    // that can be reserved after today
	OpenMax      int `toml:"open_max"`      // reservations that a holder may have at a time
	NoShows      int `toml:"no_shows"`      // who has not come so often in no_show_days reserves no more,
	NoShowDays   int `toml:"no_show_days"`  // until the oldest of them is so long ago
	GraceMinutes int `toml:"grace_minutes"` // a code opens so long before its slot and after it
	ReleaseHours int `toml:"release_hours"` // after its slot, if no controller says anything
}

// Usual returns the settings of a school that has decided nothing.
func Usual() Settings {
	p := bath.Usual()
	return Settings{
		DaysAhead: p.DaysAhead, OpenMax: p.OpenMax, NoShows: p.NoShows, NoShowDays: int(p.Span / day),
		GraceMinutes: int(p.Grace / time.Minute), ReleaseHours: int(p.ReleasedIn / time.Hour),
	}
}

const day = 24 * time.Hour

// Check refuses what cannot be.
func (s Settings) Check() error {
	switch {
	case s.DaysAhead < 0 || s.DaysAhead > 30: // a controller has keys until the end of the next month
		return errors.New("bath: days_ahead is not between 0 and 30")
	case s.OpenMax < 1 || s.OpenMax > 20:
		return errors.New("bath: open_max is not between 1 and 20")
	case s.NoShows < 1 || s.NoShowDays < 1 || s.NoShowDays > 366:
		return errors.New("bath: no_shows is below 1, or no_show_days not between 1 and 366")
	case s.GraceMinutes < 0 || s.GraceMinutes > 60:
		return errors.New("bath: grace_minutes is not between 0 and 60")
	case s.ReleaseHours < 1 || s.ReleaseHours > 7*24:
		return errors.New("bath: release_hours is not between 1 and 168")
	}
	return nil
}

func (s Settings) policy() bath.Policy {
	return bath.Policy{
		DaysAhead: s.DaysAhead, OpenMax: s.OpenMax, NoShows: s.NoShows, Span: time.Duration(s.NoShowDays) * day,
		Grace:      time.Duration(s.GraceMinutes) * time.Minute,
		ReleasedIn: time.Duration(s.ReleaseHours) * time.Hour,
	}
}
