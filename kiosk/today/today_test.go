package today

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"quancun/journal"
)

// noon is when each story begins, in a boot that is six hours old.
var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

const years = 3 * 365 * 24 * time.Hour

// machine writes entries as a ledger dates them.
type machine struct {
	line      Timeline
	now, boot time.Time     // really
	off       time.Duration // by which its clock is ahead
	at        time.Time     // of the last entry
}

func newMachine() *machine { return &machine{now: noon, boot: noon.Add(-6 * time.Hour)} }

func (m *machine) wall() time.Time { return m.now.Add(m.off) }

func (m *machine) entry(e journal.Entry) Mark {
	m.now = m.now.Add(time.Second)
	e.At, e.Uptime, e.Clock = m.wall(), m.now.Sub(m.boot), journal.ClockAlone
	if !e.At.After(m.at) {
		e.At, e.Clock = m.at.Add(time.Millisecond), journal.ClockUnsure
	}
	m.at = e.At
	return m.line.Add(e)
}

func (m *machine) sale() Mark { return m.entry(journal.Entry{Kind: journal.CodeSale}) }

// set sets the clock, which is journalled before what is written next.
func (m *machine) set(off time.Duration) {
	m.off = off
	m.entry(journal.Entry{Kind: journal.ClockStep, Details: json.RawMessage(
		fmt.Sprintf(`{"expected":%q,"wall":%q,"step_ms":1}`, journal.AtLayout, m.wall().Format(journal.AtLayout)))})
}

// start starts the machine again, with a clock that is off.
func (m *machine) start(off time.Duration) {
	m.boot = m.now
	if m.now.Add(off).Before(m.at) {
		m.set(off)
	}
	m.off = off
	m.entry(journal.Entry{Kind: journal.Started})
}

// TestWhen tells stories in which something is written at noon, and asks an hour or more
// later when that was.
func TestWhen(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(m *machine) Mark
		want  time.Time // at the latest
	}{
		{"nothing happens", func(m *machine) Mark { return m.sale() }, noon},
		{"the clock is slewed", func(m *machine) Mark {
			for range 20 {
				m.off += 2 * time.Second
				m.sale()
			}
			return m.sale()
		}, noon.Add(60 * time.Second)},
		{"it jumps ahead while the program is off", func(m *machine) Mark {
			m.sale()
			m.off = years
			m.entry(journal.Entry{Kind: journal.Started})
			return m.sale()
		}, noon.Add(years)},
		{"it jumps ahead", func(m *machine) Mark {
			s := m.sale()
			m.set(years)
			return s
		}, noon.Add(years)},
		{"it jumps ahead and back", func(m *machine) Mark {
			s := m.sale()
			m.set(years)
			m.set(0)
			return s
		}, noon},
		{"it was ahead", func(m *machine) Mark {
			m.off = years
			s := m.sale()
			m.set(0)
			return s
		}, noon},
		{"it has been ahead", func(m *machine) Mark {
			m.off = years
			m.sale()
			m.set(0)
			for range 10 {
				m.sale()
			}
			return m.sale()
		}, noon},
		{"it was ahead until the next start", func(m *machine) Mark {
			m.off = years
			s := m.sale()
			m.now = noon.Add(20 * time.Hour)
			m.start(0)
			return s
		}, noon.Add(20 * time.Hour)},
		{"it was ahead days ago", func(m *machine) Mark {
			m.off = years
			m.sale()
			m.set(0)
			s := m.sale()
			for range 3 {
				m.now = m.now.Add(24 * time.Hour)
				m.start(0)
				m.now = m.now.Add(time.Hour)
				m.sale()
			}
			return s
		}, noon},
		{"its battery was flat", func(m *machine) Mark {
			m.start(0)
			s := m.sale()
			m.start(-years * 19)
			m.sale()
			m.set(0)
			return s
		}, noon},
		{"its battery is flat", func(m *machine) Mark {
			m.sale()
			m.start(-years * 19)
			s := m.sale()
			m.now = noon.Add(time.Hour)
			m.set(0)
			return s
		}, noon},
		{"its battery was flat until the next start", func(m *machine) Mark {
			m.sale()
			m.start(-years * 19)
			s := m.sale()
			m.now = noon.Add(time.Hour)
			m.start(0)
			return s
		}, noon.Add(time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			at := tt.story(m)
			if got := m.line.When(at); got.Sub(tt.want).Abs() > time.Minute {
				t.Errorf("written at %v, want %v", got, tt.want)
			}
		})
	}
}

// TestCarried: what a new epoch has carried over was written before.
func TestCarried(t *testing.T) {
	m := newMachine()
	old := journal.Entry{
		Terminal: "C01", Epoch: journal.Epoch{1}, Seq: 7, Kind: journal.CodeSale, Ref: "s1", Account: "1001",
		Merchant: "canteen", Amount: 100, At: noon.Add(-30 * time.Hour), Clock: journal.ClockSynced,
	}
	at := m.entry(carry(old))
	if got := m.line.When(at); !got.Equal(old.At) {
		t.Errorf("written at %v, want %v", got, old.At)
	}
	old.At = noon.Add(years) // by a clock that was ahead
	at = m.entry(carry(old))
	if got := m.line.When(at); got.Sub(noon).Abs() > time.Minute {
		t.Errorf("written at %v, want %v", got, noon)
	}
}

// carry returns the entry that carries e over into a new epoch.
func carry(e journal.Entry) journal.Entry {
	return journal.Carry(e.Position(), e.Encode(journal.Hash{}))
}

// TestForget lets go of what is old, and of nothing else.
func TestForget(t *testing.T) {
	all := map[string][]int{"a": {1, 5, 2, 6}, "b": {1, 2}, "c": {7}}
	Forget(all, func(n int) bool { return n < 3 })
	if want := map[string][]int{"a": {5, 6}, "c": {7}}; !reflect.DeepEqual(all, want) {
		t.Errorf("left are %v, want %v", all, want)
	}
}
