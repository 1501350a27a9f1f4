package bath

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/bathcode"
	"quancun/money"
	"quancun/water"
)

var (
	master = bathcode.Master{4, 2}
	zone   = time.FixedZone("CST", 8*60*60)
	today  = bathcode.DayOf(time.Date(2026, 11, 26, 0, 0, 0, 0, zone))
)

// setup is that of a whole hall with two stalls, or of stall 7.
func setup(whole bool) water.Setup {
	s := water.Setup{
		Hall: 1, Stall: 7, Stalls: []uint16{7}, Name: "东区浴室", Cap: 2 * money.Yuan,
		Tariff: water.Tariff{PerLitre: 4, PulsesPerLitre: 100},
		Times:  []water.Time{{No: 0, From: 17 * 60, To: 17*60 + 30}, {No: 1, From: 17*60 + 30, To: 18 * 60}},
		Grace:  600, NoFlow: 90, PauseMax: 480,
	}
	if whole {
		s.Stall, s.Stalls = 0, []uint16{1, 2}
	}
	s.Keys = []water.MonthKey{{Day: today, Key: water.Secret(master.Key(s.Place(), today).Bytes())}}
	return s
}

var errPower = errors.New("power cut")

// memory is a Disk that is cut off in the middle of a write, on command.
type memory struct {
	text []byte
	cut  int // bytes until then; negative is never
}

func (m *memory) Load() ([]byte, error) { return bytes.Clone(m.text), nil }

func (m *memory) Append(b []byte) error {
	if m.cut >= 0 && m.cut < len(b) {
		m.text = append(m.text, b[:m.cut]...)
		return errPower
	}
	if m.cut >= 0 {
		m.cut -= len(b)
	}
	m.text = append(m.text, b...)
	return nil
}

func (m *memory) Truncate(n int) error {
	m.text = m.text[:n]
	return nil
}

// box is a controller with its disk and its clock.
type box struct {
	t     rapid.TB
	setup water.Setup
	disk  *memory
	now   time.Time
	lost  bool
	*Controller
}

func newBox(t rapid.TB, whole bool) *box {
	b := &box{
		t: t, setup: setup(whole), disk: &memory{cut: -1}, now: time.Date(2026, 11, 26, 16, 0, 0, 0, zone),
	}
	b.start()
	return b
}

// start is the power coming on, after it went off wherever it did.
func (b *box) start() {
	b.t.Helper()
	b.disk.cut = -1
	var err error
	b.Controller, err = New(b.setup, b.disk, func() (time.Time, bool) { return b.now, !b.lost })
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) at(hour, minute int) { b.now = time.Date(2026, 11, 26, hour, minute, 0, 0, zone) }

// press presses keys, as "#12345678".
func (b *box) press(stall uint16, keys string) {
	b.t.Helper()
	for _, k := range []byte(keys) {
		if err := b.Press(stall, k); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *box) code(slot, n uint8) string {
	s := bathcode.Slot{Place: b.setup.Place(), Day: today, No: slot}
	return string(master.Key(s.Place, today).Code(s, n))
}

// stub is what the panel shows when a shower of today has ended.
func (b *box) stub(slot, n uint8, cost money.Fen) bathcode.Code {
	s := b.slot(slotID{bathcode.DayOf(b.now), slot})
	k, _ := b.setup.Key(s.Day)
	return k.Stub(s, n, cost)
}

func (b *box) shows(stall uint16, step Step, text string) {
	b.t.Helper()
	v, err := b.View(stall)
	if err != nil || v.Step != step || !strings.Contains(v.Text, text) || v.Valve != (step == Running) {
		b.t.Fatalf("stall %d shows %+v, %v; want %s with %q", stall, v, err, step, text)
	}
}

// reports opens the log as the upstream does.
func (b *box) reports() (all []water.Report) {
	b.t.Helper()
	for line := range bytes.Lines(b.Log()) {
		r, err := water.Open(line, master.Key)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// only returns the one use that is told of.
func (b *box) only() water.Use {
	b.t.Helper()
	var uses []water.Use
	for _, r := range b.reports() {
		uses = append(uses, r.Uses...)
	}
	if len(uses) != 1 {
		b.t.Fatalf("uses: %+v", uses)
	}
	return uses[0]
}

// TestGuide does what the card guide says: confirm, the code, the water runs at once,
// confirm pauses, confirm goes on, cancel ends.
func TestGuide(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 5)
	b.shows(7, Idle, "请按确认")
	b.press(7, "1234") // nothing before confirm
	b.shows(7, Idle, "请按确认")
	b.press(7, "#"+b.code(0, 0)[:4])
	b.shows(7, Entering, b.code(0, 0)[:4])
	b.press(7, b.code(0, 0)[4:])
	b.shows(7, Running, "0.00")
	b.Flow(7, 1050)
	b.shows(7, Running, "0.42")
	b.press(7, "#")
	b.shows(7, Paused, "确认继续")
	if ran, _ := b.Flow(7, 100); ran != 0 {
		t.Errorf("%d pulses through a closed valve", ran)
	}
	b.now = b.now.Add(5 * time.Minute)
	b.press(7, "#")
	b.Flow(7, 50)
	b.press(7, "*")
	b.shows(7, Idle, "0.44")
	stub := b.stub(0, 0, 44)
	b.shows(7, Idle, "结算码 "+stub.Grouped())
	if v, err := b.View(7); err != nil || v.Stub != stub {
		t.Errorf("stub %s, %v; want %s", v.Stub, err, stub)
	}
	want := water.Use{
		N: 0, Stall: 7, Start: b.now.Add(-5 * time.Minute).Unix(), End: b.now.Unix(), Pulses: 1100, Amount: 44,
		Pauses: 1, Ending: water.ByKey,
	}
	if got := b.only(); got != want {
		t.Errorf("use %+v, want %+v", got, want)
	}
	b.press(7, "#"+b.code(0, 0))
	b.shows(7, Idle, "已用过")
	b.press(7, "#"+b.code(0, 1)) // who has reserved it again
	b.shows(7, Running, "")
	if v, _ := b.View(7); v.Stub != "" {
		t.Errorf("stub %s of the one before", v.Stub)
	}
}

// TestEndings ends a shower in every way.
func TestEndings(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(b *box)
		want water.Ending
		pays money.Fen
	}{
		"cap":   {func(b *box) { b.Flow(7, 9000) }, water.ByCap, 2 * money.Yuan},
		"pause": {func(b *box) { b.press(7, "#"); b.pass(8 * time.Minute) }, water.ByPause, 40},
		"no flow, then nobody": {func(b *box) {
			b.pass(90 * time.Second)
			b.shows(7, Paused, "")
			b.pass(8 * time.Minute)
		}, water.ByPause, 40},
		"slot over":   {func(b *box) { b.at(17, 40) }, water.ByTime, 40},
		"power":       {func(b *box) { b.start(); b.pass(8 * time.Minute) }, water.ByPower, 40},
		"clock":       {func(b *box) { b.lost = true }, water.ByPower, 40},
		"power clock": {func(b *box) { b.lost = true; b.start(); b.lost = false }, water.ByPower, 40},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, false)
			b.at(17, 5)
			b.press(7, "#"+b.code(0, 3))
			b.Flow(7, 1000)
			tt.do(b)
			b.Tick()
			b.shows(7, Idle, "")
			b.lost = false
			if u := b.only(); u.Ending != tt.want || u.Amount != tt.pays {
				t.Errorf("use %+v, want ending %d and %s", u, tt.want, tt.pays)
			}
		})
	}
}

func (b *box) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.Tick()
}

// TestPowerCut goes on after a power cut, with the same code and not a second time.
func TestPowerCut(t *testing.T) {
	b := newBox(t, true)
	b.at(17, 5)
	b.press(2, "#"+b.code(0, 41))
	b.Flow(2, 250)
	b.start()
	b.shows(2, Paused, "确认继续")
	b.press(1, "#"+b.code(0, 41))
	b.shows(1, Idle, "已用过")
	b.press(2, "#")
	b.Flow(2, 100)
	b.press(2, "*")
	if u := b.only(); u.Pulses != 300 || u.Stall != 2 { // half a litre was given away
		t.Errorf("use %+v", u)
	}
}

// TestSlots takes a code in its slot and in the grace around it, and at no other time
// or place.
func TestSlots(t *testing.T) {
	for at, opens := range map[string]bool{
		"17:19": false, "17:20": true, "17:30": true, "18:00": true, "18:09": true, "18:10": false, "19:00": false,
	} {
		b := newBox(t, false)
		clock, _ := time.Parse("15:04", at)
		b.at(clock.Hour(), clock.Minute())
		b.press(7, "#"+b.code(1, 0))
		if v, _ := b.View(7); (v.Step == Running) != opens {
			t.Errorf("at %s: %+v", at, v)
		}
	}
	b := newBox(t, false)
	b.at(17, 40)
	other := bathcode.Slot{Place: bathcode.Place{Hall: 2, Stall: 7}, Day: today, No: 1}
	b.press(7, "#"+string(master.Key(other.Place, today).Code(other, 0)))
	b.shows(7, Idle, "不对")
}

// TestLockOut locks after five wrong codes, longer each time, also over a power cut.
func TestLockOut(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 1)
	for range 5 {
		b.press(7, "#00000000")
		b.shows(7, Idle, "不对")
	}
	for _, minutes := range []int{1, 2, 4} {
		b.start()
		b.pass(time.Duration(minutes)*time.Minute - time.Second)
		b.press(7, "#"+b.code(0, 0))
		b.shows(7, Idle, "错误次数过多，请等 1 分钟")
		b.pass(time.Second)
		b.press(7, "#00000000")
		b.shows(7, Idle, "不对")
	}
	b.pass(8 * time.Minute)
	b.press(7, "#"+b.code(0, 0))
	b.shows(7, Running, "")
	b.press(7, "*#00000000#00000000#")
	b.shows(7, Entering, "") // a good code has ended the row
}

// TestHallLock stops all panels of a hall after fifty wrong codes in an hour.
func TestHallLock(t *testing.T) {
	b := newBox(t, true)
	b.at(16, 0)
	for range 50 {
		b.panels[1].locked = time.Time{}
		b.press(1, "#00000000")
	}
	b.at(16, 59)
	b.press(2, "#")
	b.shows(2, Idle, "错误次数过多")
	b.at(17, 0)
	b.press(2, "#"+b.code(0, 0))
	b.shows(2, Running, "")
}

// TestClock takes no code while the clock is lost, or earlier than it was.
func TestClock(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 20)
	b.press(7, "#"+b.code(0, 0)+"*")
	b.at(17, 17) // set back by three minutes: an empty battery goes further
	b.press(7, "#"+b.code(0, 1))
	b.shows(7, Idle, "时钟故障")
	b.at(17, 19)
	b.press(7, "#"+b.code(0, 1)+"*")
	b.lost = true
	b.start()
	b.press(7, "#"+b.code(0, 2))
	b.shows(7, Idle, "时钟故障")
	b.lost = false
	b.press(7, "#"+b.code(0, 2))
	b.shows(7, Running, "")
}

// TestSealed says of every slot that is over which codes were used, for good, and
// takes none of it any more.
func TestSealed(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 5)
	b.press(7, "#"+b.code(0, 2))
	b.at(17, 38)
	b.Flow(7, 100)
	if all := b.reports(); len(all) != 0 {
		t.Errorf("a shower under way is told of: %+v", all)
	}
	b.at(17, 40)
	b.Tick()
	all := b.reports()
	if len(all) != 1 || !all[0].Final || len(all[0].Uses) != 1 || all[0].Slot.No != 0 {
		t.Fatalf("after the first slot: %+v", all)
	}
	b.at(17, 39) // within what a clock may be set back
	b.press(7, "#"+b.code(0, 1))
	b.shows(7, Idle, "不对")
	first, _, _ := bytes.Cut(b.Log(), []byte("\n"))
	b.now = b.now.Add(26 * time.Hour) // the power was away for a day
	b.start()
	if all := b.reports(); len(all) != 4 || !all[3].Final || all[3].Slot.Day != today+1 || len(all[3].Uses) != 0 {
		t.Errorf("a day later: %+v", all)
	}
	if again, _, _ := bytes.Cut(b.Log(), []byte("\n")); !bytes.Equal(again, first) {
		t.Error("the report of a slot that is over has changed")
	}
}

// TestAway: where the power or the clock was away for a while, the controller says so of
// the slots of that time, also after another power cut.
func TestAway(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(b *box)
		want map[uint8]bool
	}{
		"there":       {func(b *box) { b.minutes(70); b.start() }, map[uint8]bool{0: false, 1: false}},
		"power":       {func(b *box) { b.minutes(1); b.at(17, 28); b.start(); b.start() }, map[uint8]bool{0: true, 1: false}},
		"power, both": {func(b *box) { b.minutes(1); b.at(17, 45); b.start(); b.start() }, map[uint8]bool{0: true, 1: true}},
		"clock": {func(b *box) {
			b.minutes(35)
			b.lost = true
			b.minutes(15)
			b.lost = false
			b.Tick()
			b.start()
		}, map[uint8]bool{0: false, 1: true}},
		"clock, and the power": {func(b *box) {
			b.minutes(1)
			b.lost = true
			b.minutes(15)
			b.start()
			b.lost = false
			b.Tick()
		}, map[uint8]bool{0: true, 1: false}},
		"a moment": {func(b *box) { b.minutes(1); b.lost = true; b.minutes(4); b.lost = false }, map[uint8]bool{0: false, 1: false}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, true)
			b.at(17, 0)
			b.Tick()
			tt.do(b)
			for b.now.Hour() < 19 {
				b.minutes(1)
			}
			got := map[uint8]bool{}
			for _, r := range b.reports() {
				if !r.Final {
					t.Errorf("not final: %+v", r)
				}
				got[r.Slot.No] = r.Away
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("away in the slots %v, want %v", got, tt.want)
			}
		})
	}
}

// TestOutOfTime: a code that is typed when it is not its time opens nothing, and the last
// word about its slot says that its holder was there, also if that word was said before,
// as by a clock that is ahead, and whenever the power goes.
func TestOutOfTime(t *testing.T) {
	for cut := -1; cut < 400; cut += 7 {
		b := newBox(t, true)
		b.Tick()
		b.press(1, "#"+b.code(0, 5)+"#"+b.code(1, 9)) // too early
		b.at(17, 20)
		b.press(1, "#"+b.code(0, 5)+"*") // which is used in the end
		b.at(19, 0)
		if all := b.reports(); len(all) != 2 || len(all[0].Tried) != 0 || !slices.Equal(all[1].Tried, []int{9}) {
			t.Fatalf("before anybody comes late: %+v", all)
		}
		b.disk.cut = cut
		for _, key := range []byte("#" + b.code(0, 7)) {
			_ = b.Press(2, key) // the power may go
		}
		_, after, _ := bytes.Cut(b.disk.text, []byte(`"use":{"n":7`))
		typed := bytes.Contains(after, []byte("\n"))
		b.start()
		b.press(2, "#"+b.code(0, 3)+"#"+b.code(0, 3)+"#"+b.code(0, 5))
		want := []int{3}
		if typed {
			want = []int{3, 7}
		}
		b.start()
		if all := b.reports(); len(all) != 2 || !slices.Equal(all[0].Tried, want) || len(all[0].Uses) != 1 ||
			all[0].Away || !slices.Equal(all[1].Tried, []int{9}) {
			t.Fatalf("cut after %d: %+v, want %v tried", cut, all, want)
		}
	}
}

// TestSetBack: a clock that had run ahead is set right. Until the time that it has shown
// comes, no code is taken, and the last word about the slots until then, which was said by
// the wrong clock, is said again with that.
func TestSetBack(t *testing.T) {
	for back, want := range map[time.Duration]bool{8 * time.Minute: false, 55 * time.Minute: true} {
		b := newBox(t, false)
		b.at(17, 0)
		b.Tick()
		b.minutes(52) // the second slot is not sealed yet
		b.now = b.now.Add(-back)
		b.press(7, "#"+b.code(1, 0))
		b.shows(7, Idle, "时钟故障")
		for range 2 {
			if all := b.reports(); len(all) != 1 || all[0].Away != want {
				t.Errorf("set back by %v: %+v, want away %v", back, all, want)
			}
			b.start()
		}
		if n := bytes.Count(b.disk.text, []byte(`{"kind":8,`)); n > 1 {
			t.Errorf("set back by %v: that is written down %d times", back, n)
		}
		b.minutes(80)
		if all := b.reports(); len(all) != 2 || all[0].Away != want || all[1].Away != want {
			t.Errorf("set back by %v: in the end %+v, want away %v", back, all, want)
		}
	}
}

// TestDarkAndAhead: a clock has run ahead and sealed a slot before it begins, and then the
// power or the clock goes, and the clock comes back right. Nobody can tell how much of the
// slot was dark, so its last word is said again with that; once, however often the power
// goes afterwards.
func TestDarkAndAhead(t *testing.T) {
	for name, dark := range map[string]func(b *box){
		"power":                    func(b *box) { b.at(17, 40); b.start() },
		"power and clock":          func(b *box) { b.lost = true; b.start(); b.at(17, 40); b.lost = false },
		"clock":                    func(b *box) { b.lost = true; b.Tick(); b.at(17, 40); b.lost = false },
		"power, while it is ahead": func(b *box) { b.at(18, 8); b.start(); b.at(17, 40) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, false)
			b.at(16, 30)
			b.Tick()
			b.at(17, 52) // it leaps
			if all := b.reports(); len(all) != 1 || all[0].Away {
				t.Fatalf("by the clock that is ahead: %+v", all)
			}
			dark(b)
			for range 3 {
				if all := b.reports(); len(all) != 1 || !all[0].Away {
					t.Errorf("once the clock is right: %+v", all)
				}
				b.start()
			}
			if n := bytes.Count(b.disk.text, []byte(`{"kind":8,`)); n > 2 {
				t.Errorf("that is written down %d times", n)
			}
		})
	}
}

// TestSaidAway: what was sealed of a slot stays, also if somebody types a code of it when
// nobody remembers any more that the controller was away then.
func TestSaidAway(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 0)
	b.Tick()
	for range 2 {
		b.now = b.now.Add(96 * time.Hour) // without power
		b.start()
	}
	b.press(7, "#"+b.code(0, 1))
	if r := b.reports()[0]; r.Slot.Day != today || !r.Away || !slices.Equal(r.Tried, []int{1}) {
		t.Errorf("%+v, want one away and one tried", r)
	}
}

// minutes lets some pass, one after the other.
func (b *box) minutes(n int) {
	for range n {
		b.pass(time.Minute)
	}
}

// TestJournal cuts a torn line off, and works with no broken one.
func TestJournal(t *testing.T) {
	b := newBox(t, false)
	b.at(17, 5)
	b.press(7, "#"+b.code(0, 0)+"*")
	whole := bytes.Clone(b.disk.text)
	for n := range whole {
		m := &memory{text: bytes.Clone(whole[:n]), cut: -1}
		if _, err := New(b.setup, m, func() (time.Time, bool) { return b.now, true }); err != nil {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	m := &memory{text: bytes.Clone(whole), cut: -1}
	m.text[20] ^= 1
	if _, err := New(b.setup, m, func() (time.Time, bool) { return b.now, true }); !errors.Is(err, errJournal) {
		t.Errorf("with a changed byte: %v", err)
	}
}

// TestFile keeps a journal in a real file.
func TestFile(t *testing.T) {
	path := t.TempDir() + "/journal"
	d, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Append([]byte("one\n")), d.Append([]byte("two")), d.Truncate(4), d.Append([]byte("three\n")),
		d.f.Close()); err != nil {
		t.Fatal(err)
	}
	if d, err = openFile(path); err != nil {
		t.Fatal(err)
	}
	defer d.f.Close()
	if text, err := d.Load(); err != nil || string(text) != "one\nthree\n" {
		t.Errorf("%q, %v", text, err)
	}
}
