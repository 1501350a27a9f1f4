package bath

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"quancun/bathcode"
	"quancun/water"
)

// sealAll seals the slots in which no code opens any more: they and the grace are
// over, and nobody showers. Their reports are signed at once, since a later setup has
// other keys.
func (b *Controller) sealAll(now time.Time) {
	today := bathcode.DayOf(now)
	for d := b.from; d <= today; d++ {
		if b.sealDay(d, now) && d == b.from && d < today {
			b.from++
		}
	}
}

// sealDay seals the slots of a day that are over, and reports whether none is left.
func (b *Controller) sealDay(d bathcode.Day, now time.Time) (done bool) {
	k, ok := b.setup.Key(d)
	done = ok
	for _, t := range b.setup.Times {
		id := slotID{d, t.No}
		_, to := t.On(d)
		end := to.Add(b.setup.Grace.Duration())
		if _, sealed := b.sealed[id]; sealed || end.Before(b.born) { // before, nobody has asked this controller
			continue
		}
		if !ok || now.Before(end) || b.showering(id) {
			done = false
			continue
		}
		line := string(b.report(id, true).Seal(k))
		if b.write(record{Kind: wasSealed, At: now.Unix(), Slot: b.slot(id), Line: line}) != nil {
			return false
		}
		b.seal(id, line)
	}
	return done
}

func (b *Controller) seal(id slotID, line string) {
	if _, again := b.sealed[id]; !again {
		b.order = append(b.order, id)
	}
	b.sealed[id] = line
}

// sealMore seals slots again of which more is known than was said: that somebody has
// come, or could not.
func (b *Controller) sealMore() {
	now, _ := b.now()
	for _, id := range b.stale {
		line, sealed := b.sealed[id]
		k, ok := b.setup.Key(id.day)
		if !sealed || !ok {
			continue
		}
		fresh := string(b.report(id, true).Seal(k))
		if fresh == line {
			continue
		}
		if b.write(record{Kind: wasSealed, At: now.Unix(), Slot: b.slot(id), Line: fresh}) != nil {
			return
		}
		b.seal(id, fresh)
	}
	b.stale = nil
}

// saidAway reports whether a slot's report has said that the controller was away.
func (b *Controller) saidAway(id slotID) bool {
	var r water.Report
	_, body, _ := strings.Cut(b.sealed[id], " ")
	return json.Unmarshal([]byte(body), &r) == nil && r.Away
}

func (b *Controller) showering(id slotID) bool {
	for _, p := range b.panels {
		if p.use != nil && p.id.day == id.day && p.id.slot == id.slot {
			return true
		}
	}
	return false
}

// report returns what there is to say of a slot. A shower that is under way is not
// told of.
func (b *Controller) report(id slotID, final bool) water.Report {
	r := water.Report{Slot: b.slot(id), Final: final, Uses: []water.Use{}}
	if final {
		r.Away = b.awayIn(id) || b.saidAway(id)
	}
	for c := range b.tried {
		if final && c.day == id.day && c.slot == id.slot && b.uses[c] == nil {
			r.Tried = append(r.Tried, int(c.n))
		}
	}
	slices.Sort(r.Tried)
	for c, u := range b.uses {
		if c.day == id.day && c.slot == id.slot && !b.under(c) {
			r.Uses = append(r.Uses, *u)
		}
	}
	slices.SortFunc(r.Uses, func(a, b water.Use) int { return cmp.Compare(a.N, b.N) })
	return r
}

// under reports whether a code's shower is under way.
func (b *Controller) under(c codeID) bool {
	for _, p := range b.panels {
		if p.use != nil && p.id == c {
			return true
		}
	}
	return false
}

// Log returns all signed reports, a line each: of the slots that are over, and of
// those that are not, if somebody has showered already. It may be taken as often as
// anybody likes.
func (b *Controller) Log() (lines []byte) {
	b.tick()
	for _, id := range b.order {
		lines = append(append(lines, b.sealed[id]...), '\n')
	}
	var open []slotID
	for c := range b.uses {
		id := slotID{c.day, c.slot}
		if _, done := b.sealed[id]; !done && !slices.Contains(open, id) && len(b.report(id, false).Uses) > 0 {
			open = append(open, id)
		}
	}
	slices.SortFunc(open, func(a, b slotID) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.slot, b.slot))
	})
	for _, id := range open {
		if k, ok := b.setup.Key(id.day); ok {
			lines = append(append(lines, b.report(id, false).Seal(k)...), '\n')
		}
	}
	return lines
}
