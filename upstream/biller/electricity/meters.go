package electricity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"quancun/upstream/biller/vendor"
)

// On two of the wires a room with several meters is there once for each, under names
// such as 415照明 and 415空调. These are then one room, whose ID has the vendor's own
// for each meter: "照明=6415|空调=6416".

// meterNames are what vendors call meters.
var meterNames = []string{"照明", "空调", "热水", "插座", "动力"}

// part is one meter of a room that has several.
type part struct{ name, id string }

// cutMeter cuts a meter's name off a room's.
func cutMeter(name string) (room, meter string) {
	for _, m := range meterNames {
		if room, ok := strings.CutSuffix(name, m); ok && room != "" {
			return strings.TrimRight(room, " -"), m
		}
	}
	return name, ""
}

// join makes one room of those that are there once for each of their meters. What
// would not fit, or could not be taken apart again, stays as the vendor has it.
func join(rooms []Place) (joined []Place) {
	meters := map[string][]part{}
	for _, r := range rooms {
		if name, meter := cutMeter(r.Name); meter != "" {
			meters[name] = append(meters[name], part{meter, r.ID})
		}
	}
	for _, r := range rooms {
		name, meter := cutMeter(r.Name)
		id, ok := idOf(meters[name])
		switch {
		case meter == "" || !ok:
			joined = append(joined, r)
		case meters[name][0].id == r.ID:
			joined = append(joined, Place{Room, id, name})
		}
	}
	return joined
}

func idOf(parts []part) (id string, ok bool) {
	var texts, names []string
	for _, p := range parts {
		if strings.ContainsAny(p.id, "=|") || slices.Contains(names, p.name) {
			return "", false
		}
		texts, names = append(texts, p.name+"="+p.id), append(names, p.name)
	}
	id = strings.Join(texts, "|")
	return id, len(parts) > 1 && len(id) <= idLenMax
}

// parts takes the ID of a joined room apart; nil for any other.
func (p Path) parts() (all []part) {
	id := p.at(Room).ID
	if !strings.Contains(id, "|") {
		return nil
	}
	for _, text := range strings.Split(id, "|") {
		name, one, ok := strings.Cut(text, "=")
		if !ok {
			return nil
		}
		all = append(all, part{name, one})
	}
	return all
}

// with returns p to the room that the vendor has under an ID.
func (p Path) with(id string) Path {
	q := slices.Clone(p)
	q[len(q)-1].ID = id
	return q
}

// offline reports whether a vendor has answered for a meter that says nothing itself. A no
// of which nobody knows what it means is none of that.
func offline(err error) bool {
	return errors.Is(err, vendor.ErrNotSaid) && !errors.As(err, new(*vendor.Unclear))
}

// one returns the only meter of a room. One that says nothing is there without a number.
func one(m Meter, err error) ([]Meter, error) {
	switch {
	case offline(err):
		return []Meter{{}}, nil
	case err != nil:
		return nil, err
	}
	return []Meter{m}, nil
}

// metersOf asks for each meter of a room. One that is not heard of is there without a
// number as long as the vendor answers for another.
func metersOf(ctx context.Context, room Path, ask func(context.Context, Path) (Meter, error)) ([]Meter, error) {
	parts := room.parts()
	if parts == nil {
		return one(ask(ctx, room))
	}
	var all []Meter
	var first error
	answers := false
	for _, p := range parts {
		m, err := ask(ctx, room.with(p.id))
		if err != nil {
			m = Meter{}
			if first == nil {
				first = err
			}
		}
		answers = answers || err == nil || offline(err)
		m.ID, m.Name = p.id, p.name
		all = append(all, m)
	}
	if !answers {
		return nil, first
	}
	return all, nil
}

// paid returns the way to the meter that is paid for. A room that has several needs
// one of them named.
func (t target) paid() (Path, error) {
	parts := t.Room.parts()
	if parts == nil {
		return t.Room, nil
	}
	if !slices.ContainsFunc(parts, func(p part) bool { return p.id == t.Meter }) {
		return nil, fmt.Errorf("%w: the room has no such meter", vendor.ErrNoTarget)
	}
	return t.Room.with(t.Meter), nil
}
