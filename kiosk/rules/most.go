package rules

import (
	"time"

	"quancun/money"
)

// Most is the most that a terminal can have sold without asking upstream in so long a
// time, of which upstream has heard nothing. It is a bound and no estimate: every hour
// was sold out, the list was fresh when it began, and nothing was waiting.
func (r Rules) Most(dark time.Duration) money.Fen {
	dark = max(0, min(dark, r.ListStop.long(), r.QueueStop.long()))
	fresh := min(dark, r.ListHalve.long(), r.QueueHalve.long())
	most := hours(fresh) * r.HourMax
	if dark > fresh {
		most += hours(dark-fresh) * (r.HourMax / 2)
	}
	return min(most, r.QueueMax)
}

// Stops is how long after it was last told anything a terminal sells nothing more.
func (r Rules) Stops() time.Duration { return min(r.ListStop.long(), r.QueueStop.long()) }

func (h Hours) long() time.Duration { return time.Duration(h) * time.Hour }

// hours is in how many hours, of those that no limit may be passed in, a time can lie:
// one sells at its beginning, and again when the first hour is over.
func hours(d time.Duration) money.Fen { return money.Fen(d/time.Hour) + 1 }
