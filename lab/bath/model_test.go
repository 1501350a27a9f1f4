package bath

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/water"
)

// model is what somebody saw who stood beside the panels.
type model struct {
	*box
	opened map[codeID]uint16 // by a code that was typed, and where
	ran    map[codeID]int64  // pulses that were seen
	lost   map[codeID]int64  // that a power cut may have cost at most
	vain   map[codeID]bool   // typed, and refused
	maybe  map[codeID]bool   // the same, when the power went
}

// TestModel does anything in any order, with the power cut at any byte of any write,
// and the clock lost now and then. Whatever happens: a code opens one stall once,
// in its slot; nobody pays for water that has not run, nor above the cap; no more
// than a litre is given away at a power cut; and in the end every slot's report says
// of each code that has opened what it was used for (M8).
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			box: newBox(t, rapid.Bool().Draw(t, "whole")), opened: map[codeID]uint16{}, ran: map[codeID]int64{},
			lost: map[codeID]int64{}, vain: map[codeID]bool{}, maybe: map[codeID]bool{},
		}
		m.at(16, 45)
		t.Repeat(map[string]func(*rapid.T){
			"type":  m.typeCode,
			"key":   func(t *rapid.T) { m.do(m.Press(m.stall(t), rapid.SampledFrom([]byte("##*0")).Draw(t, "key"))) },
			"water": m.water,
			"time": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "seconds")) * time.Second)
				m.do(m.Tick())
			},
			"cut":   func(*rapid.T) { m.power() },
			"torn":  func(t *rapid.T) { m.disk.cut = rapid.IntRange(0, 500).Draw(t, "bytes") },
			"clock": func(t *rapid.T) { m.box.lost = rapid.Bool().Draw(t, "lost"); m.do(m.Tick()) },
			"":      func(t *rapid.T) { m.look(t) },
		})
		m.over(t)
	})
}

func (m *model) stall(t *rapid.T) uint16 { return rapid.SampledFrom(m.setup.Stalls).Draw(t, "stall") }

// do restarts the controller if the power went in the middle.
func (m *model) do(err error) {
	if errors.Is(err, errPower) {
		m.power()
	} else if err != nil {
		m.t.Fatal(err)
	}
}

// power is off and on. What has run and is not written down yet is lost, also of the
// shower that is just ending.
func (m *model) power() {
	for _, p := range m.panels {
		m.lost[p.id] += m.setup.Tariff.PulsesPerLitre
	}
	m.start()
}

func (m *model) typeCode(t *rapid.T) {
	stall, slot, n := m.stall(t), rapid.Uint8Range(0, 1).Draw(t, "slot"), rapid.Uint8Range(0, 3).Draw(t, "n")
	before := m.panels[stall].step
	for _, key := range []byte("#" + m.code(slot, n)) {
		err := m.Press(stall, key)
		p := m.panels[stall]
		if before == Entering && p.step == Running {
			m.entered(t, stall, codeID{today, slot, n})
		}
		if before == Entering && p.step == Idle && p.notice == "预约码不对" {
			m.vain[codeID{today, slot, n}] = true
		}
		if before = p.step; err != nil {
			m.maybe[codeID{today, slot, n}] = true
			m.do(err)
			return
		}
	}
}

// entered is a valve that a code has just opened.
func (m *model) entered(t *rapid.T, stall uint16, id codeID) {
	if where, before := m.opened[id]; before {
		t.Fatalf("code %+v has opened stall %d, and now %d", id, where, stall)
	}
	from, to := m.setup.Times[id.slot].On(today)
	grace := m.setup.Grace.Duration()
	if m.box.lost || m.now.Before(from.Add(-grace)) || !m.now.Before(to.Add(grace)) {
		t.Fatalf("code %+v has opened at %v, clock lost: %v", id, m.now, m.box.lost)
	}
	m.opened[id] = stall
}

func (m *model) water(t *rapid.T) {
	p := m.panels[m.stall(t)]
	id, open := p.id, p.step == Running
	ran, err := m.Flow(p.stall, int64(rapid.IntRange(1, 700).Draw(t, "pulses")))
	if ran > 0 && !open {
		t.Fatalf("%d pulses ran through a closed valve", ran)
	}
	m.ran[id] += ran
	m.do(err)
}

// look checks what may be said at any time.
func (m *model) look(t *rapid.T) {
	for _, p := range m.panels {
		if p.step == Running && p.use == nil {
			t.Fatalf("water runs for nobody at stall %d", p.stall)
		}
	}
	for _, r := range m.reports() {
		m.check(t, r)
	}
	if err := m.broken; err != nil {
		m.do(err)
	}
}

func (m *model) check(t *rapid.T, r water.Report) {
	from, to := m.setup.Times[r.Slot.No].On(r.Slot.Day)
	if r.Final && m.now.Before(to) {
		t.Fatalf("final before its end: %+v", r)
	}
	for _, u := range r.Uses {
		id := codeID{r.Slot.Day, r.Slot.No, u.N}
		stall, typed := m.opened[id]
		switch {
		case typed && stall != u.Stall:
			t.Fatalf("%+v was used at stall %d", u, stall)
		case !typed && u.Pulses > 0: // the power may go between the record and the valve
			t.Fatalf("%+v was never opened", u)
		case u.Pulses > m.ran[id] || m.ran[id]-u.Pulses > m.lost[id]:
			t.Fatalf("%+v, and %d pulses ran, of which %d may be lost", u, m.ran[id], m.lost[id])
		case u.Amount > m.setup.Cap || u.Amount > m.setup.Tariff.Price(u.Pulses):
			t.Fatalf("%+v costs too much", u)
		case !u.Within(from, to, m.setup.Grace.Duration()):
			t.Fatalf("%+v outside of its slot", u)
		}
	}
}

// over lets the day end, and looks for each code that was opened.
func (m *model) over(t *rapid.T) {
	m.box.lost, m.disk.cut = false, -1
	m.at(23, 0)
	m.power()
	told, came, finals := map[codeID]bool{}, map[codeID]bool{}, 0
	for _, r := range m.reports() {
		m.check(t, r)
		if r.Final && r.Slot.Day == today {
			finals++
			for _, u := range r.Uses {
				told[codeID{r.Slot.Day, r.Slot.No, u.N}] = true
			}
			for _, n := range r.Tried {
				came[codeID{r.Slot.Day, r.Slot.No, uint8(n)}] = true
			}
		}
	}
	if finals != len(m.setup.Times) {
		t.Fatalf("%d slots were told of", finals)
	}
	for id := range m.opened {
		if !told[id] {
			t.Fatalf("nothing was told of %+v", id)
		}
	}
	for id := range m.vain {
		if !came[id] && !told[id] {
			t.Fatalf("nothing was told of %+v, which was typed out of its time", id)
		}
	}
	for id := range came { // the power may go between the record and what the panel shows
		if !m.vain[id] && !m.maybe[id] || told[id] {
			t.Fatalf("%+v was not typed out of its time, or was used", id)
		}
	}
}
