package bath_test

import (
	"bytes"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/bathcode"
	lab "quancun/lab/bath"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/store"
)

// memory is a controller's disk. It keeps what was written when the power goes.
type memory struct{ text []byte }

func (m *memory) Load() ([]byte, error) { return bytes.Clone(m.text), nil }

func (m *memory) Append(b []byte) error {
	m.text = append(m.text, b...)
	return nil
}

func (m *memory) Truncate(n int) error {
	m.text = m.text[:n]
	return nil
}

// campus is a world with a controller for each stall of the first hall, and one for
// the whole of the second. They have the world's clock, and nothing else of it.
type campus struct {
	*world
	boxes map[bathcode.Place]*lab.Controller
	disks map[bathcode.Place]*memory
	made  []bath.Reservation
	ran   map[string]int64 // pulses that a reservation's shower had, as its holder saw
	ahead time.Duration    // of the time, the controllers' clocks
}

func newCampus(t *testing.T, w *world) *campus {
	c := &campus{
		world: w, boxes: map[bathcode.Place]*lab.Controller{}, disks: map[bathcode.Place]*memory{},
		ran: map[string]int64{},
	}
	for _, p := range []bathcode.Place{{Hall: byStall, Stall: 1}, {Hall: byStall, Stall: 2}, {Hall: whole}} {
		c.disks[p] = &memory{}
		c.start(p)
	}
	return c
}

// start switches a controller on, off before or not.
func (c *campus) start(p bathcode.Place) {
	c.t.Helper()
	s, err := c.desk.Setup(c.t.Context(), p.Hall, p.Stall)
	c.ok(err)
	c.boxes[p], err = lab.New(s, c.disks[p], func() (time.Time, bool) { return c.clock.Add(c.ahead), true })
	c.ok(err)
}

// shower types a reservation's code at a stall, and lets water run.
func (c *campus) shower(r bath.Reservation, stall uint16, pulses int64) {
	c.t.Helper()
	b := c.boxes[r.Slot.Place]
	for _, key := range []byte("*#" + string(c.desk.Code(r))) {
		c.ok(b.Press(stall, key))
	}
	if v, err := b.View(stall); err != nil || v.Step != lab.Running {
		return // it has been used, or this is not its time
	}
	ran, err := b.Flow(stall, pulses)
	c.ok(err)
	c.ran[r.Ref] += ran
}

// closed brings what the panels of a reservation's place show, which may be of another
// shower.
func (c *campus) closed(r bath.Reservation) {
	c.t.Helper()
	b := c.boxes[r.Slot.Place]
	for _, stall := range b.Stalls() {
		v, err := b.View(stall)
		if c.ok(err); v.Stub == "" {
			continue
		}
		_, err = c.close(r, string(v.Stub))
		if err != nil && !strings.Contains(err.Error(), "refused") {
			c.t.Fatal(err)
		}
	}
}

// carry brings all logs to the upstream, from whatever place it finds them.
func (c *campus) carry() { c.bring(c.logs()) }

// logs are all that the controllers have to say now.
func (c *campus) logs() (lines []byte) {
	for _, b := range c.boxes {
		lines = append(lines, b.Log()...)
	}
	return lines
}

// bring takes logs to the upstream, whenever they were taken.
func (c *campus) bring(lines []byte) {
	c.t.Helper()
	for line := range bytes.Lines(lines) {
		_, err := c.desk.Take(c.t.Context(), "kiosk1", bytes.TrimSpace(line))
		c.ok(err)
	}
}

// TestClockAhead: a controller's clock is ahead, and has sealed a slot before it begins.
// Its log may be brought when the slot is over, and nothing in it says that. Whoever comes
// in time stands before it in vain; the next log says who was there, and that it took no
// code once its clock was set right. Nobody is kept from reserving by a log that may be
// older than the slot.
func TestClockAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.desk = bath.New(bath.Config{Books: w.books, Master: master, Policy: func() bath.Policy {
			p := bath.Usual()
			p.NoShows = 1
			return p
		}()})
		c := newCampus(t, w)
		came, stayed, late := w.reserve(0, whole, 0), w.reserve(1, whole, 0), w.reserve(2, whole, 1)
		w.at(16, 30)
		c.ahead = 80 * time.Minute
		old := c.logs() // at ten to six, by its clock
		w.at(17, 5)
		c.shower(came, 1, 100)
		w.at(17, 35)
		c.ahead = 0
		c.logs()
		w.at(17, 45)
		c.shower(late, 1, 100) // in vain: it says that its clock is wrong
		w.at(18, 15)
		c.bring(old)
		w.stands(came, bath.NotUsed, bath.Released, 0)
		w.stands(stayed, bath.NotUsed, bath.Released, 0)
		for i := range 2 {
			r := w.reserve(i, whole, 3) // by that log nobody is absent
			_, err := w.desk.Cancel(t.Context(), w.act(r))
			w.ok(err)
		}
		c.carry()
		w.stands(came, bath.Unknown, bath.Released, 0)
		w.stands(stayed, bath.NotUsed, bath.Released, 0)
		w.stands(late, bath.Unknown, bath.Released, 0)
		w.listed()
	})
}

// TestDarkAndAhead: a controller's clock was ahead, and then the power was away in the
// slot that it had sealed before. It knows by no clock since when, so it counts against
// nobody that their code was not used; the money is free as before.
func TestDarkAndAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		c := newCampus(t, w)
		came := w.reserve(0, whole, 0)
		w.at(16, 30)
		c.ahead = 80 * time.Minute
		old := c.logs() // at ten to six, by its clock
		w.at(17, 35)    // the power was away since then
		c.ahead = 0
		for p := range c.boxes {
			c.start(p)
		}
		w.at(18, 15)
		c.bring(old)
		w.stands(came, bath.NotUsed, bath.Released, 0)
		c.carry()
		w.stands(came, bath.Unknown, bath.Released, 0)
		w.listed()
	})
}

// TestLab plays a whole evening with the lab's controllers: used, cancelled, not
// used, cut off by the power.
func TestLab(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		c := newCampus(t, w)
		a, b, idle := w.reserve(0, byStall, 0), w.reserve(1, whole, 0), w.reserve(2, whole, 0)
		w.at(17, 5)
		c.shower(a, a.Slot.Place.Stall, 5000)
		c.shower(b, 3, 1250)
		c.start(b.Slot.Place) // the power goes in the middle of it
		c.carry()
		w.stands(a, bath.Reserved, bath.Held, 0) // nobody has ended it yet
		w.ok(c.boxes[a.Slot.Place].Press(a.Slot.Place.Stall, '*'))
		c.carry()
		w.stands(a, bath.Used, bath.Captured, 2*yuan)
		w.at(17, 40)
		c.carry()
		w.stands(b, bath.Used, bath.Captured, 48) // half a litre is given away
		w.stands(idle, bath.NotUsed, bath.Released, 0)
		w.money(0, 18*yuan, 0)
		w.money(1, 20*yuan-48, 0)
		w.money(2, 20*yuan, 0)
		w.listed()
	})
}

// TestEvening does anything in any order, in both sorts of halls, with the power cut
// and logs carried now and then. At the end of the evening nobody has paid for water
// that has not run, each shower is paid but for a litre at each power cut, nothing is
// held any more, and the promises hold.
func TestEvening(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each makes books on a disk
		if err := f.Value.Set("20"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		dsn := filepath.Join(t.TempDir(), "books.db")
		w := newWorld(t, dsn)
		c := newCampus(t, w)
		c.at(16, 30)
		cuts := map[bathcode.Place]int64{}
		steps := map[string]func(){
			"reserve": func() {
				hall := rapid.SampledFrom([]uint16{byStall, whole}).Draw(r, "hall")
				q := w.request(rapid.IntRange(0, 2).Draw(r, "holder"), hall, rapid.Uint8Range(0, 3).Draw(r, "slot"))
				if made, err := w.desk.Reserve(t.Context(), q); err == nil {
					c.made = append(c.made, made)
				} else if !strings.Contains(err.Error(), "refused") {
					t.Fatal(err)
				}
			},
			"cancel": func() {
				if len(c.made) > 0 {
					m := rapid.SampledFrom(c.made).Draw(r, "reservation")
					if _, err := w.desk.Cancel(t.Context(), w.act(m)); err != nil &&
						!strings.Contains(err.Error(), "refused") {
						t.Fatal(err)
					}
				}
			},
			"shower": func() {
				if len(c.made) > 0 {
					m := rapid.SampledFrom(c.made).Draw(r, "reservation")
					stall := m.Slot.Place.Stall
					if stall == 0 {
						stall = rapid.Uint16Range(1, 3).Draw(r, "stall")
					}
					c.shower(m, stall, int64(rapid.IntRange(0, 20000).Draw(r, "pulses")))
				}
			},
			"cut": func() {
				for p := range c.boxes {
					cuts[p] += tariff.PulsesPerLitre
					c.start(p)
				}
			},
			"carry": c.carry,
			"close": func() {
				if len(c.made) > 0 {
					c.closed(rapid.SampledFrom(c.made).Draw(r, "reservation"))
				}
			},
			"time": func() {
				w.clock = w.clock.Add(time.Duration(rapid.IntRange(1, 20).Draw(r, "minutes")) * time.Minute)
			},
		}
		names := []string{"reserve", "reserve", "cancel", "shower", "shower", "cut", "carry", "close", "time", "time"}
		for range rapid.IntRange(5, 40).Draw(r, "steps") {
			steps[rapid.SampledFrom(names).Draw(r, "step")]()
		}
		w.at(23, 0)
		c.carry()
		c.settled(cuts)
		w.whole()
	})
}

// settled looks at what has become of every reservation.
func (c *campus) settled(cuts map[bathcode.Place]int64) {
	c.t.Helper()
	paid := map[store.Account]money.Fen{}
	for _, r := range c.made {
		now, ran := c.now(r), c.ran[r.Ref]
		paid[r.Account] += now.Captured
		least := tariff.Price(max(ran-cuts[r.Slot.Place], 0))
		if now.Hold == bath.Held || now.State == bath.Reserved || now.Captured > min(tariff.Price(ran), r.Cap) ||
			now.Captured < min(least, r.Cap) {
			c.t.Errorf("%d pulses ran, and %+v", ran, now)
		}
	}
	for i := range 3 {
		c.money(i, 20*yuan-paid[holder(i)], 0)
	}
	if odd := slices.DeleteFunc(c.inbox(), func(k string) bool { return k == bath.AfterRelease }); len(odd) > 0 {
		c.t.Error(fmt.Sprint("inbox: ", odd))
	}
}
