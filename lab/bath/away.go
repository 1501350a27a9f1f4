package bath

import (
	"slices"
	"time"
)

// A controller that has nothing else to write down writes now and then that it is there.
// So it knows afterwards when it was away: without power, or without its clock.
const (
	hereEvery = 5 * time.Minute
	awayMin   = 2 * hereEvery
	awayKept  = 72 * time.Hour // longer than any slot waits to be told of
)

// span is a time in which no code has opened a stall.
type span struct{ from, to time.Time }

// here writes down that the controller is there, and how long its clock was not.
func (b *Controller) here(now time.Time) {
	if since := b.lost; !since.IsZero() {
		b.lost = time.Time{}
		b.cameBack(since, now)
	}
	if b.broken == nil && now.Sub(b.latest) >= hereEvery {
		_ = b.write(record{Kind: wasHere, At: now.Unix()}) // without a disk nothing is done any more
	}
}

// cameBack writes down that the controller was away since a moment, if that is long ago.
func (b *Controller) cameBack(since, now time.Time) {
	if b.born.IsZero() || now.Sub(since) < awayMin {
		return
	}
	if b.write(record{Kind: wasAway, At: now.Unix(), Since: since.Unix()}) == nil {
		b.wasAway(span{since, now})
	}
}

func (b *Controller) wasAway(s span) {
	b.away = append(b.away, s)
	b.away = slices.DeleteFunc(b.away, func(o span) bool { return s.to.Sub(o.to) > awayKept })
}

// awayIn reports whether the controller was away for a while in a slot: who has not
// showered then may have stood before it in vain.
func (b *Controller) awayIn(id slotID) bool {
	t, _ := b.setup.Time(id.slot)
	from, to := t.On(id.day)
	return slices.ContainsFunc(b.away, func(s span) bool { return s.from.Before(to) && s.to.After(from) })
}
