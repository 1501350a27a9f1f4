package bath

import (
	"slices"
	"time"

	"quancun/bathcode"
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
	b.dark = false
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
	told := func(s span) bool { return !since.Before(s.from) && !now.After(s.to) }
	if b.born.IsZero() || now.Sub(since) < awayMin || slices.ContainsFunc(b.away, told) {
		return
	}
	if b.write(record{Kind: wasAway, At: now.Unix(), Since: since.Unix()}) == nil {
		b.wasAway(span{since, now})
	}
}

// stopped notes since when there is no clock. One that was set back had run ahead: what
// was sealed by it is still to come, and until then no code is taken. If the power or the
// clock was away besides, nobody can tell since when: the journal has that by the clock
// that ran ahead. Then whoever had a slot lately may have stood before it in vain.
func (b *Controller) stopped() {
	if b.lost.IsZero() {
		b.lost = b.latest
	}
	back, good := b.clock()
	if b.dark = b.dark || !good; good && !b.seen.Equal(b.latest) {
		since := back
		if b.dark || len(b.away) > 0 { // what is known of those is by the wrong clock, too
			since = back.Add(-awayKept)
		}
		b.cameBack(since, b.latest)
		if b.write(record{Kind: wasHere, At: b.latest.Unix(), Since: back.Unix()}) == nil {
			b.seen = b.latest
		}
	}
	b.sealMore()
}

func (b *Controller) wasAway(s span) {
	b.away = append(b.away, s)
	for _, id := range b.order {
		if b.meets(s, id) {
			b.stale = append(b.stale, id)
		}
	}
	b.away = slices.DeleteFunc(b.away, func(o span) bool { return s.to.Sub(o.to) > awayKept })
}

// awayIn reports whether the controller was away for a while in a slot: who has not
// showered then may have stood before it in vain.
func (b *Controller) awayIn(id slotID) bool {
	return slices.ContainsFunc(b.away, func(s span) bool { return b.meets(s, id) })
}

func (b *Controller) meets(s span, id slotID) bool {
	t, _ := b.setup.Time(id.slot)
	from, to := t.On(id.day)
	return s.from.Before(to) && s.to.After(from)
}

// outOfTime returns which code of any slot these digits are: its holder is here, and
// either it is not their time, or the clock is wrong. It opens nothing, and is a wrong
// code like every other.
func (b *Controller) outOfTime(c bathcode.Code) (id codeID, found bool) {
	const month = 31
	for _, m := range b.setup.Keys {
		k := bathcode.LoadKey(b.setup.Place(), m.Day, m.Key)
		for d := m.Day - month; d <= m.Day+month; d++ {
			if is, ok := b.codeOf(k, d, c); ok {
				id, found = is, true
			}
		}
	}
	return id, found
}

// codeOf returns which code of a day a key makes of these digits.
func (b *Controller) codeOf(k bathcode.Key, d bathcode.Day, c bathcode.Code) (id codeID, found bool) {
	for _, t := range b.setup.Times {
		if n, ok := k.Check(c, b.slot(slotID{d, t.No})); ok {
			id, found = codeID{d, t.No, n}, true
		}
	}
	return id, found
}

// cameTo notes that the holder of a code was here, out of its time.
func (b *Controller) cameTo(id codeID) {
	b.tried[id] = true
	b.stale = append(b.stale, slotID{id.day, id.slot})
}
