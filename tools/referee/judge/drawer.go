package judge

import (
	"encoding/json"
	"fmt"
)

// drawer is what a report of a shift has to say.
type drawer struct {
	z, x        int64
	from, last  int64 // last is the number of the last entry that was no clock step
	part        bool
	shift       string
	float       int64
	over, short int64
	counted     bool
	noSales     int64
	sums        map[string]*sum
	perpetual   int64
}

type sum struct {
	N   int64 `json:"n"`
	Fen int64 `json:"fen"`
}

// sumNames are the sums of a report, by the kinds that they add up.
var sumNames = map[int]string{
	62: "cash_in", 63: "cash_out", 60: "top_ups", 61: "pay_outs",
	41: "card", 45: "code", 46: "channel", 50: "refunds", 70: "fees",
}

func (d *drawer) sum(name string) *sum {
	if d.sums[name] == nil {
		d.sums[name] = &sum{}
	}
	return d.sums[name]
}

// check holds a report against the entries before it.
func (d *drawer) check(e entry, totals map[string]int64) error {
	z, x := d.z, d.x
	if e.kind == 66 {
		z++
	} else {
		x++
	}
	till := -totals["till/"+e.terminal]
	in := d.float + d.sum("cash_in").Fen + d.sum("top_ups").Fen + d.over
	out := d.sum("cash_out").Fen + d.sum("pay_outs").Fen + d.short
	want := map[string]any{
		"z": z, "x": x, "from": d.from, "float": d.float, "over": d.over, "short": d.short, "till": till,
		"brought": till - in + out, "counted": d.counted, "no_sales": d.noSales,
		"suspense": totals["suspense/"+e.terminal], "perpetual": d.perpetual,
	}
	if d.part {
		want["part"] = true
	}
	if d.shift != "" {
		want["shift"] = d.shift
	}
	for _, name := range sumNames {
		want[name] = *d.sum(name)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(e.details, &got); err != nil {
		return fmt.Errorf("a report without details: %w", err)
	}
	for _, seen := range []string{"unsynced", "clock_steps", "reason", "released"} {
		delete(got, seen)
	}
	return d.compare(e, got, want)
}

func (d *drawer) compare(e entry, got map[string]json.RawMessage, want map[string]any) error {
	for name, v := range want {
		text, err := json.Marshal(v)
		if err != nil || string(got[name]) != string(text) {
			return fmt.Errorf("its %s is %s, and the entries come to %s", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("a report has %d members, and not %d", len(got), len(want))
	}
	var till int64
	if err := json.Unmarshal(got["till"], &till); err != nil || e.amount != max(till, 0) || e.origin < d.last {
		return fmt.Errorf("a report of %d fen, over entry %d, after entry %d", e.amount, e.origin, d.last)
	}
	return nil
}

// add adds an entry, or the one that it carries over.
func (d *drawer) add(e entry) error {
	at, carried := e.seq, e.kind == 3
	if d.from == 0 {
		d.from = at
	}
	if e.kind != 30 {
		d.last = at
	}
	if carried {
		var c struct{ Body []byte }
		if err := json.Unmarshal(e.details, &c); err != nil {
			return err
		}
		var err error
		if e, _, err = read(c.Body); err != nil {
			return err
		}
	}
	switch e.kind {
	case 2:
		d.part = d.part || !carried
	case 66, 67:
		return d.next(e, at, carried)
	case 65:
		d.shift, d.float, d.counted = e.ref, d.float+e.amount, false
	case 60, 61, 62:
		d.counted = false
	case 68:
		d.noSales, d.counted = d.noSales+1, false
	case 64:
		d.count(e)
	}
	d.tally(e)
	return nil
}

// tally adds what belongs into one of the sums.
func (d *drawer) tally(e entry) {
	name, ok := sumNames[e.kind]
	if !ok || e.kind == 41 && e.outcome != 11 && e.outcome != 13 {
		return
	}
	s := d.sum(name)
	s.N, s.Fen = s.N+1, s.Fen+e.amount
	if e.kind == 41 || e.kind == 45 || e.kind == 46 {
		d.perpetual += e.amount
	}
}

// count adds what was found too much or too little.
func (d *drawer) count(e entry) {
	d.counted = true
	for _, p := range e.postings {
		if p.account != "over-short/"+e.terminal {
			continue
		}
		if p.amount > 0 {
			d.over += p.amount
		} else {
			d.short -= p.amount
		}
	}
}

// next begins anew after a Z, and counts an X.
func (d *drawer) next(e entry, at int64, carried bool) error {
	var r struct{ Z, X, Perpetual int64 }
	if err := json.Unmarshal(e.details, &r); err != nil {
		return err
	}
	d.x = r.X
	if e.kind == 66 {
		*d = drawer{
			z: r.Z, x: r.X, from: at + 1, last: d.last, part: carried, perpetual: r.Perpetual, sums: map[string]*sum{},
		}
	}
	return nil
}
