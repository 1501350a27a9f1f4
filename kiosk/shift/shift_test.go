package shift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/staff"
	"quancun/ledger"
	"quancun/money"
)

// close ends a shift whose drawer holds what it should.
func (c *till) close(a Act) journal.Report {
	c.t.Helper()
	count := a
	count.Ref += "-count"
	_, err := c.Drawer.Count(c.t.Context(), count, notes(c.state().Report.Till))
	c.ok(err)
	z, err := c.Z(c.t.Context(), a)
	c.ok(err)
	return z
}

// sell sells by a code.
func (c *till) sell(ref string, amount money.Fen) {
	c.t.Helper()
	_, err := c.Append(c.t.Context(), journal.Entry{
		Kind: journal.CodeSale, Ref: ref, Account: "2026", Merchant: "m1", Amount: amount, Operator: "c7",
	})
	c.ok(err)
}

// TestShift: what the drawer holds is what was in it, and came in, less what went
// out, wherever one looks; and the next shift begins with what was left.
func TestShift(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	if s := c.state(); s.Open || s.Report.Till != 0 {
		t.Errorf("before the first shift: %+v", s)
	}
	c.ok(c.Drawer.Open(ctx, act("o1"), 200*yuan))
	c.topUp("t1", 80*yuan)
	c.sell("s1", 12*yuan)
	c.ok(c.Drop(ctx, act("d1"), 100*yuan))
	s := c.state()
	if !s.Open || s.By != "c7" || s.Shift != "o1" || s.Report.Till != 180*yuan || s.Report.Code.Amount != 12*yuan {
		t.Errorf("state is %+v", s)
	}
	over, err := c.Drawer.Count(ctx, because("n1"), notes(180*yuan+3))
	if err != nil || over != 3 {
		t.Errorf("Count = %s, %v, want 3 fen too much", over, err)
	}
	z, err := c.Z(ctx, act("z1"))
	want := journal.Report{
		Z: 1, From: 1, Shift: "o1", Float: 200 * yuan, TopUps: journal.Sum{Count: 1, Amount: 80 * yuan},
		CashOut: journal.Sum{Count: 1, Amount: 100 * yuan}, Over: 3, Till: 180*yuan + 3, Counted: true,
		Code: journal.Sum{Count: 1, Amount: 12 * yuan}, Perpetual: 12 * yuan, Unsynced: 6,
	}
	if err != nil || z != want {
		t.Errorf("Z = %+v, %v, want %+v", z, err, want)
	}
	if got, err := c.Balance(ctx, journal.TillAccount("K01")); err != nil || -got != z.Till {
		t.Errorf("the books have %s in the drawer, %v; the Z %s", -got, err, z.Till)
	}
	if got, err := c.Balance(ctx, journal.OverShortAccount("K01")); err != nil || got != 3 {
		t.Errorf("over-short is %s, %v", got, err)
	}
	c.ok(c.Drawer.Open(ctx, Act{Ref: "o2", By: other}, 0))
	c.sell("s2", yuan)
	if z := c.close(Act{Ref: "z2", By: other}); z.Z != 2 || z.Brought != 180*yuan+3 || z.Perpetual != 13*yuan || z.Float != 0 {
		t.Errorf("the second Z is %+v", z)
	}
	c.sound()
}

// TestRestartInShift: nothing of a shift is anywhere but in the journal.
func TestRestartInShift(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	for _, s := range steps {
		before := c.state()
		c.restart()
		after := c.state()
		if !before.Opened.Equal(after.Opened) {
			t.Errorf("opened at %s, and after a restart at %s", before.Opened, after.Opened)
		}
		if before.Opened, after.Opened = (time.Time{}), (time.Time{}); before != after {
			t.Errorf("before %s: %+v, and after a restart %+v", s.name, before, after)
		}
		c.ok(s.do(ctx, c))
	}
	c.sound()
}

// TestDrawerCountedTwice: the first count posts what is missing, and the second
// finds nothing missing any more; the first said again is the first.
func TestDrawerCountedTwice(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	for i, want := range []struct {
		a          Act
		difference money.Fen
		short      money.Fen
	}{
		{because("n1"), -yuan, yuan}, {because("n1"), -yuan, yuan}, {act("n2"), 0, yuan}, {because("n1"), -yuan, yuan},
	} {
		got, err := c.Drawer.Count(ctx, want.a, notes(99*yuan))
		if r := c.state().Report; err != nil || got != want.difference || r.Short != want.short || r.Till != 99*yuan {
			t.Errorf("count %d: %s, %v; the report says %+v", i, got, err, r)
		}
	}
	// What was found again is not gone from the books: it is over, beside the short.
	if got, err := c.Drawer.Count(ctx, because("n3"), notes(100*yuan)); err != nil || got != yuan {
		t.Errorf("Count = %s, %v", got, err)
	}
	if z := c.close(act("z1")); z.Short != yuan || z.Over != yuan || z.Till != 100*yuan {
		t.Errorf("Z is %+v", z)
	}
	c.sound()
}

// TestBlindCount: a count that differs is not told by how much, and every sum
// that was tried is written down with the one that is taken.
func TestBlindCount(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	for _, sum := range []money.Fen{90 * yuan, 95 * yuan} {
		if got, err := c.Drawer.Count(ctx, act("n1"), notes(sum)); !errors.Is(err, ErrDiffers) || got != 0 ||
			strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("Count of %s = %s, %v", sum, got, err)
		}
		c.restart() // who switches it off has counted, too
	}
	if s := c.state(); s.Report.Counted || s.Report.Short != 0 {
		t.Errorf("a count that was not taken is in the report: %+v", s.Report)
	}
	_, err := c.Drawer.Count(ctx, act("n1"), notes(100*yuan))
	c.ok(err)
	i, err := c.Get(ctx, "n1")
	c.ok(err)
	var d details
	c.ok(json.Unmarshal(i.First.Details, &d))
	if want := []money.Fen{90 * yuan, 95 * yuan}; !reflect.DeepEqual(d.Earlier, want) || d.Pieces["10000"] != 1 {
		t.Errorf("written down is %s", i.First.Details)
	}
	if _, err := os.Stat(c.rules.Left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sums that the journal has are still kept: %v", err)
	}
}

// TestLeft: what is kept of counts is of one shift, and what was not written so is
// nothing.
func TestLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counts.left")
	keep := func() *left { return &left{path: path} }
	if got := keep().of("s1"); got != nil {
		t.Errorf("before the first: %v", got)
	}
	for _, sum := range []money.Fen{1, 2} {
		if err := keep().add("s1", sum); err != nil {
			t.Fatal(err)
		}
	}
	if got := keep().of("s1"); !reflect.DeepEqual(got, []money.Fen{1, 2}) || keep().of("s2") != nil {
		t.Errorf("kept is %v", got)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := keep().of("s1"); got != nil {
			t.Errorf("byte %d is another: %v", at, got)
		}
	}
	if err := os.WriteFile(path, []byte(`{"shift":"s1","sums":["`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := keep().of("s1"); got != nil {
		t.Errorf("of a broken file: %v", got)
	}
	if err := (&left{path: filepath.Join(path, "in", "no folder")}).add("s1", 1); err == nil {
		t.Error("a count was kept nowhere, and nobody said so")
	}
}

// TestTwoPersons: where two have to count, one alone cannot, and nobody signs
// for themselves.
func TestTwoPersons(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.rules.TwoPersons = true
	c.restart()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	sign := func(by staff.Member, ref string) *staff.Release {
		return &staff.Release{What: staff.SignCount, For: ref, Of: cashier, By: by}
	}
	for name, second := range map[string]*staff.Release{
		"Alone": nil, "OneTwice": sign(cashier, "n1"), "ForAnother": sign(other, "n9"), "Nobody": sign(staff.Member{}, "n1"),
	} {
		count := notes(100 * yuan)
		count.Second = second
		if _, err := c.Drawer.Count(ctx, act("n1"), count); !errors.Is(err, ErrSecond) {
			t.Errorf("%s: %v, want ErrSecond", name, err)
		}
	}
	count := notes(100 * yuan)
	count.Second = sign(other, "n1")
	_, err := c.Drawer.Count(ctx, act("n1"), count)
	c.ok(err)
	i, err := c.Get(ctx, "n1")
	if err != nil || !strings.Contains(string(i.First.Details), `"second":"c8"`) {
		t.Errorf("written down is %s, %v", i.First.Details, err)
	}
}

// TestCashierGone: the cashier's card is gone in the middle of a shift, and the
// cashier with it. The shift goes on under whoever signs in next; ending it takes
// a supervisor, and the Z says who it was.
func TestCashierGone(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	c.topUp("t1", 20*yuan)
	c.restart()
	byOther := Act{Ref: "d1", By: other}
	c.ok(c.Drop(ctx, byOther, 50*yuan))
	_, err := c.Drawer.Count(ctx, Act{Ref: "n1", By: other}, notes(70*yuan))
	c.ok(err)
	z := Act{Ref: "z1", By: other}
	if _, err := c.Z(ctx, z); !errors.Is(err, staff.ErrForbidden) {
		t.Errorf("a cashier has ended somebody else's shift: %v", err)
	}
	z.Reason = "卡丢了"
	got, err := c.Z(ctx, release(z, staff.CloseOther))
	if err != nil || got.Till != 70*yuan || got.Released != "s1" || got.Reason != "卡丢了" {
		t.Errorf("Z = %+v, %v", got, err)
	}
	i, err := c.Get(ctx, "z1")
	if err != nil || i.First.Operator != "c8" {
		t.Errorf("the Z is by %q, %v", i.First.Operator, err)
	}
	c.sound()
}

// TestDayChangeInShift: a shift goes on over midnight, and every sale of it is in
// its one Z; the tables know the days apart.
func TestDayChangeInShift(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	c.sell("s1", 7*yuan)
	c.pass(12*time.Hour + time.Minute)
	c.sell("s2", 5*yuan)
	s := c.state()
	if !s.Open || s.OnDayOf(c.wall) || !s.OnDayOf(noon) {
		t.Errorf("after midnight: %+v", s)
	}
	if z := c.close(act("z1")); z.Code != (journal.Sum{Count: 2, Amount: 12 * yuan}) {
		t.Errorf("Z is %+v", z)
	}
	lines, err := Sales(ctx, c.Book, Period{noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 9)}, ByDay)
	want := []Line{
		{Key: "2026-03-02", Sales: journal.Sum{Count: 1, Amount: 7 * yuan}},
		{Key: "2026-03-03", Sales: journal.Sum{Count: 1, Amount: 5 * yuan}},
	}
	if err != nil || !reflect.DeepEqual(lines, want) {
		t.Errorf("Sales = %+v, %v, want %+v", lines, err, want)
	}
	c.sound()
}

// TestClockChangeInShift: the clock is set forward and back, by an hour and by a
// year. Nothing is lost or in another shift for it, and the Z says how often.
func TestClockChangeInShift(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	for i, step := range []time.Duration{time.Hour, -2 * time.Hour, 365 * 24 * time.Hour, -400 * 24 * time.Hour} {
		c.wall = c.wall.Add(step)
		c.sell("s"+string(rune('1'+i)), 3*yuan)
		c.restart()
	}
	c.wall = noon
	z := c.close(act("z1"))
	if z.Code != (journal.Sum{Count: 4, Amount: 12 * yuan}) || z.Till != 100*yuan || z.ClockSteps < 2 {
		t.Errorf("Z is %+v", z)
	}
	c.sound()
}

// TestLateEntry: what comes after the Z is in the next, whether or not a shift is
// open when it comes.
func TestLateEntry(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 0))
	if z := c.close(act("z1")); z.Z != 1 || z.Perpetual != 0 {
		t.Errorf("Z is %+v", z)
	}
	c.sell("late", 3*yuan)
	c.ok(c.Drawer.Open(ctx, act("o2"), 0))
	c.sell("s2", yuan)
	if z := c.close(act("z2")); z.Z != 2 || z.Code != (journal.Sum{Count: 2, Amount: 4 * yuan}) || z.Perpetual != 4*yuan {
		t.Errorf("the second Z is %+v", z)
	}
	c.sound()
}

// TestEpochInShift: the journal goes on in a new epoch in the middle of a shift.
func TestEpochInShift(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	for i, s := range steps {
		c.ok(s.do(ctx, c))
		before := c.state()
		if i%2 == 0 {
			c.ok(c.NewEpoch(ctx, journal.ReasonRestored, journal.Head{}))
		}
		after := c.state()
		before.Report.From, before.Report.Part = after.Report.From, after.Report.Part
		if before != after {
			t.Errorf("after %s: %+v, and in the new epoch %+v", s.name, before, after)
		}
	}
	c.sound()
}

// TestCountBeforeLoss: the drawer was counted, and then the journal was put back to an
// image, or damaged, so that cash came into the drawer that it does not know: the shift
// does not end without another count.
func TestCountBeforeLoss(t *testing.T) {
	for _, reason := range []string{journal.ReasonRewound, journal.ReasonForked, journal.ReasonRecovered} {
		c, ctx := newTill(t), t.Context()
		c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
		_, err := c.Drawer.Count(ctx, act("n1"), notes(100*yuan))
		c.ok(err)
		if s := c.state(); s.MustCount() {
			t.Fatalf("counted, and to be counted again: %+v", s)
		}
		c.ok(c.NewEpoch(ctx, reason, journal.Head{}))
		for range 2 {
			if _, err := c.Z(ctx, act("z1")); !errors.Is(err, ErrUncounted) || !c.state().MustCount() {
				t.Errorf("%s: Z = %v, want ErrUncounted", reason, err)
			}
			c.restart()
		}
		if z := c.close(because("z2")); z.Till != 100*yuan {
			t.Errorf("%s: Z is %+v", reason, z)
		}
		c.sound()
	}
}

// TestReportIsLate: something is journalled while a report is made, again and
// again, and the report has it.
func TestReportIsLate(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 0))
	busy := &busyBook{Book: c.Book, t: c, left: 3}
	r, err := New(busy, "K01", Rules{}).X(ctx, act("x1"))
	if err != nil || r.Code.Count != 3 {
		t.Errorf("X = %+v, %v, want all 3 sales", r, err)
	}
	c.sound()
}

// busyBook is a journal into which somebody else writes before each append.
type busyBook struct {
	Book
	t    *till
	left int
}

func (b *busyBook) Waiting(ctx context.Context) (ledger.Waiting, error) {
	if b.left > 0 {
		b.left--
		b.t.sell("busy"+string(rune('0'+b.left)), yuan)
	}
	return b.Book.Waiting(ctx)
}

// TestRefused: what is not done leaves the journal as it was.
func TestRefused(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	count := func(a Act, n Count) error {
		_, err := c.Drawer.Count(ctx, a, n)
		return err
	}
	z := func(a Act) error {
		_, err := c.Z(ctx, a)
		return err
	}
	refuses := func(name string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	refuses("drop before the shift", c.Drop(ctx, act("a"), yuan), ErrClosed)
	refuses("count before the shift", count(act("a"), notes(0)), ErrClosed)
	refuses("Z before the shift", z(act("a")), ErrClosed)
	refuses("an admin opens", c.Drawer.Open(ctx, Act{Ref: "a", By: staff.Member{No: "a1", Role: staff.Admin}}, 0), staff.ErrForbidden)
	refuses("a float below zero", c.Drawer.Open(ctx, act("a"), -1), ErrAmount)

	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	head, err := c.Head(ctx)
	c.ok(err)
	refuses("open twice", c.Drawer.Open(ctx, act("o2"), 0), ErrOpen)
	refuses("cash in by a cashier", c.CashIn(ctx, because("a"), yuan), staff.ErrForbidden)
	refuses("cash in without a reason", c.CashIn(ctx, Act{Ref: "a", By: boss}, yuan), ErrReason)
	refuses("no sale without a reason", c.NoSale(ctx, Act{Ref: "a", By: boss}), ErrReason)
	refuses("drop of nothing", c.Drop(ctx, act("a"), 0), ErrAmount)
	refuses("drop of more than is there", c.Drop(ctx, act("a"), 101*yuan), ledger.ErrShort)
	refuses("a note of three yuan", count(act("a"), Count{Pieces: map[money.Fen]int64{3 * yuan: 1}}), ErrAmount)
	refuses("less than no notes", count(act("a"), Count{Pieces: map[money.Fen]int64{yuan: -1}}), ErrAmount)
	refuses("too many notes", count(act("a"), Count{Pieces: map[money.Fen]int64{100 * yuan: math.MaxInt64}}), ErrAmount)
	refuses("Z without a count", z(act("a")), ErrUncounted)
	refuses("a Ref of something else", c.Drop(ctx, act("o1"), yuan), ledger.ErrConflict)
	if now, err := c.Head(ctx); err != nil || now != head {
		t.Errorf("the journal has gone on to %+v, %v", now, err)
	}
	c.ok(count(act("n1"), notes(100*yuan)))
	c.topUp("t1", yuan)
	refuses("Z after cash has come", z(act("a")), ErrUncounted)
	c.sound()
}

// TestWrittenDown: each entry says who did what with the drawer, why, and who has
// allowed it.
func TestWrittenDown(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	for _, s := range steps[:9] {
		c.ok(s.do(ctx, c))
	}
	for ref, want := range map[string]string{
		"r1": `{}`,
		"r3": `{"what":"in","reason":"换零钱","released":{"what":"cash in or out","by":"s1"}}`,
		"r4": `{"what":"no sale","reason":"换零钱","released":{"what":"open the drawer","by":"s1"}}`,
		"r5": `{"what":"drop"}`,
		"r6": `{"what":"out","reason":"换零钱","released":{"what":"cash in or out","by":"s1"}}`,
		"r8": `{"reason":"换零钱","pieces":{"1":9,"10":9,"100":4,"1000":5,"10000":1}}`,
	} {
		i, err := c.Get(ctx, ref)
		if err != nil || string(i.First.Details) != want || i.First.Operator != "c7" {
			t.Errorf("%s by %s: %s, %v, want %s", ref, i.First.Operator, i.First.Details, err, want)
		}
	}
}

// TestCountSaidAgain: a count that was taken is not counted anew when it is said
// again after cash has come in.
func TestCountSaidAgain(t *testing.T) {
	c, ctx := newTill(t), t.Context()
	c.ok(c.Drawer.Open(ctx, act("o1"), 100*yuan))
	for range 2 {
		if got, err := c.Drawer.Count(ctx, act("n1"), notes(100*yuan)); err != nil || got != 0 {
			t.Errorf("Count = %s, %v", got, err)
		}
		c.topUp("t1", yuan)
	}
}
