package channel

import (
	"fmt"
	"time"

	"quancun/beijing"
)

// Day is a business day: a day of the calendar in Beijing, such as
// "2026-03-01". Days compare as they follow each other. Stored as it is.
type Day string

// DayOf returns the day on which t falls.
func DayOf(t time.Time) Day { return Day(t.In(beijing.Zone).Format(time.DateOnly)) }

// ParseDay reads a day such as "2026-03-01".
func ParseDay(s string) (Day, error) {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", fmt.Errorf("channel: %q is not a day such as 2026-03-01", s)
	}
	return Day(s), nil
}

// Start returns the first moment of d. It panics if d is not a day, which only
// a mistake in this program can make.
func (d Day) Start() time.Time {
	t, err := time.ParseInLocation(time.DateOnly, string(d), beijing.Zone)
	if err != nil {
		panic("channel: internal error: not a day: " + string(d))
	}
	return t
}

// Add returns the day that is n days after d, or before it.
func (d Day) Add(n int) Day { return DayOf(d.Start().AddDate(0, 0, n)) }
