package cash_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/office/cash"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/ledger"
)

func opening() script {
	return script{"shift.float.ask": amount(200 * yuan), "shift.open.sure": yes()}
}

// counting counts the drawer, and takes what differs for a reason that nobody
// knows.
func counting(found ...dialog.Answer) script {
	return script{
		"shift.count.sure": yes(), "shift.pieces": found, "shift.sum.sure": yes(), "shift.close.sure": yes(),
	}
}

// TestShift is a whole shift: float, drop, a count that is right, and the Z.
func TestShift(t *testing.T) {
	w := newWorld(t)
	for _, task := range []dialog.Word{cash.Drop, cash.Count, cash.X, cash.Close} {
		if v := w.do(task, nil); v.Outcome != dialog.Refused || v.Why != "shift.none" || len(w.asked) > 0 {
			t.Errorf("%s without a shift: %+v", task, v)
		}
	}
	v := w.do(cash.Open, opening())
	if v.Outcome != dialog.Done || !w.state().Open || w.kicked != 1 || v.Report.Next != "next.drawer" {
		t.Fatalf("open: %+v, kicked %d", v, w.kicked)
	}
	if v := w.do(cash.Open, opening()); v.Why != "shift.already" || len(w.asked) > 0 {
		t.Errorf("opened twice: %+v", v)
	}
	v = w.do(cash.Drop, script{"cash.drop.ask": amount(80 * yuan), "cash.drop.sure": yes()})
	if v.Outcome != dialog.Done || w.state().Report.Till != 120*yuan {
		t.Fatalf("drop: %+v, till %s", v, w.state().Report.Till)
	}
	v = w.do(cash.Drop, script{"cash.drop.ask": amount(121 * yuan), "cash.drop.sure": yes()})
	if v.Outcome != dialog.Refused || v.Why != "cash.short" {
		t.Errorf("dropped more than there is: %+v", v)
	}
	v = w.do(cash.Close, counting(pieces(1, 2, 0)))
	if v.Outcome != dialog.Done || v.Report.No != "Z1" || v.Report.Ref == "" || v.Report.Title != cash.Z {
		t.Fatalf("close: %+v", v)
	}
	f := v.Report.Facts
	if fact(f, "fact.should").Amount != 120*yuan || fact(f, "fact.unsynced").Count == 0 || fact(f, "fact.short").Amount != 0 {
		t.Errorf("Z says %+v", f)
	}
	if w.state().Open {
		t.Error("the shift is open after its Z")
	}
	v = w.do(cash.Past, script{"shift.past.which": choice(0)})
	if v.Report.No != "Z1" || fact(v.Report.Facts, "fact.by").Text != "c7" {
		t.Errorf("the Z of earlier is %+v", v.Report)
	}
	if _, err := w.book.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLeft leaves every question of a shift: nothing has happened.
func TestLeft(t *testing.T) {
	w := newWorld(t)
	for _, left := range []dialog.Word{"shift.float.ask", "shift.open.sure"} {
		s := opening()
		delete(s, left)
		if v := w.do(cash.Open, s); v.Page != office.Menu || w.state().Open || w.kicked > 0 {
			t.Errorf("left at %s: %+v", left, v)
		}
	}
	w.do(cash.Open, opening())
	for _, left := range []dialog.Word{"shift.count.sure", "shift.pieces", "shift.sum.sure", "shift.close.sure"} {
		s := counting(pieces(2, 0, 0))
		delete(s, left)
		if v := w.do(cash.Close, s); v.Page != office.Menu || !w.state().Open {
			t.Errorf("left at %s: %+v", left, v)
		}
	}
	// The last one has left a count that was taken, and need not be made again.
	if v := w.do(cash.Close, script{"shift.close.sure": yes()}); v.Outcome != dialog.Done {
		t.Errorf("close after the count: %+v", v)
	}
}

// TestBlind: no page says what should be in the drawer before it was counted, nor
// by how much a count differs before it is taken.
func TestBlind(t *testing.T) {
	w := newWorld(t)
	w.do(cash.Open, opening())
	if v := w.do(cash.X, nil); v.Report.No != "X1" || fact(v.Report.Facts, "fact.should").Word != "shift.aftercount" ||
		fact(v.Report.Facts, "fact.float").Name != "" || v.Report.Ref != "" {
		t.Errorf("X before the count: %+v", v.Report)
	}
	s := counting(pieces(1, 0, 0), pieces(1, 9, 0))
	s["shift.differs"] = []dialog.Answer{{Choice: 0}, {Choice: 3}}
	v := w.do(cash.Count, s)
	if v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.short").Amount != 10*yuan {
		t.Fatalf("count: %+v", v)
	}
	for _, q := range w.asked {
		for _, f := range q.Facts {
			if f.Kind == dialog.IsAmount && f.Name != "fact.counted" {
				t.Errorf("%s says %+v", q.Name, f)
			}
		}
	}
	e := w.entries(journal.Counted)[0]
	if d := string(e.Details); !strings.Contains(d, `"earlier":[10000,19000]`) || !strings.Contains(d, `"reason":"unknown"`) {
		t.Errorf("written down is %s", d)
	}
	if v := w.do(cash.X, nil); fact(v.Report.Facts, "fact.should").Amount != 190*yuan {
		t.Errorf("X after the count: %+v", v.Report.Facts)
	}
}

// TestEarlier: who leaves a count that differs, and begins anew, has counted
// before, and the journal has it.
func TestEarlier(t *testing.T) {
	w := newWorld(t)
	w.do(cash.Open, opening())
	if v := w.do(cash.Count, counting(pieces(1, 0, 0))); v.Page != office.Menu || w.state().Report.Counted {
		t.Fatalf("left: %+v", v)
	}
	if v := w.do(cash.Count, counting(pieces(2, 0, 0))); v.Outcome != dialog.Done {
		t.Fatalf("count: %+v", v)
	}
	if d := string(w.entries(journal.Counted)[0].Details); !strings.Contains(d, `"earlier":[10000]`) {
		t.Errorf("written down is %s", d)
	}
}

// TestTwoPersons has a second person sign the count, whose name is in the entry.
func TestTwoPersons(t *testing.T) {
	w := newWorld(t)
	w.rules.TwoPersons = true
	w.ok(w.book.Close())
	w.ok(w.start())
	w.do(cash.Open, opening())
	if v := w.do(cash.Count, counting(pieces(2, 0, 0))); v.Why != office.NoSecond {
		t.Fatalf("where nobody signs in: %+v", v)
	}
	supervisor := w.staff()
	if v := w.do(cash.Count, counting(pieces(2, 0, 0))); v.Page != office.Menu || w.state().Report.Counted {
		t.Fatalf("without a second person: %+v", v)
	}
	v := w.do(cash.Count, counting(pieces(2, 0, 0)), supervisor)
	if v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.signed").Text != "s1" {
		t.Fatalf("signed: %+v", v)
	}
	if d := string(w.entries(journal.Counted)[0].Details); !strings.Contains(d, `"second":"s1"`) {
		t.Errorf("written down is %s", d)
	}
}

// TestReleased: a cashier does what takes a supervisor, with one's word; and
// closes the shift of somebody who has gone.
func TestReleased(t *testing.T) {
	w := newWorld(t)
	supervisor := w.staff()
	gone := shift.Act{Ref: "o1", By: staff.Member{No: "c8", Role: staff.Cashier}}
	w.ok(w.drawer.Open(t.Context(), gone, 200*yuan))
	in := script{"cash.in.ask": amount(10 * yuan), "cash.why": choice(0), "cash.in.sure": yes()}
	if v := w.do(cash.In, in); v.Page != office.Menu || w.state().Report.CashIn.Count > 0 {
		t.Fatalf("cash in alone: %+v", v)
	}
	if v := w.do(cash.In, in, supervisor); v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.second").Text != "s1" {
		t.Fatalf("cash in: %+v", v)
	}
	out := script{"cash.out.ask": amount(5 * yuan), "cash.why": choice(1), "cash.out.sure": yes()}
	if v := w.do(cash.Out, out, supervisor); v.Outcome != dialog.Done || w.state().Report.Till != 205*yuan {
		t.Fatalf("cash out: %+v", v)
	}
	kicked := w.kicked
	if v := w.do(cash.NoSale, script{"cash.why": choice(1)}, supervisor); v.Outcome != dialog.Done || w.kicked != kicked+1 {
		t.Fatalf("no sale: %+v", v)
	}
	if d := string(w.entries(journal.DrawerOpened)[0].Details); !strings.Contains(d, `"reason":"look"`) {
		t.Errorf("no sale is %s", d)
	}
	s := counting(pieces(2, 0, 5))
	s["shift.other.sure"] = yes()
	v := w.do(cash.Close, s, supervisor)
	if v.Outcome != dialog.Done || fact(v.Report.Facts, "fact.second").Text != "s1" {
		t.Errorf("close another's: %+v", v)
	}
}

// TestLocked says where the key is needed.
func TestLocked(t *testing.T) {
	w := newWorld(t)
	w.locked = errors.New("printer away")
	if v := w.do(cash.Open, opening()); v.Outcome != dialog.Done || v.Report.Next != "next.key" {
		t.Errorf("open with a drawer that stays locked: %+v", v)
	}
}

// TestUntouched closes a shift in which nothing was ever in the drawer without a
// count.
func TestUntouched(t *testing.T) {
	w := newWorld(t)
	w.do(cash.Open, script{"shift.float.ask": amount(0), "shift.open.sure": yes()})
	v := w.do(cash.Close, script{"shift.close.sure": yes()})
	if v.Outcome != dialog.Done || len(w.asked) != 1 {
		t.Errorf("close: %+v, asked %+v", v, w.asked)
	}
}

// breaking is a journal that fails at one call, with or without having written.
type breaking struct {
	shift.Book
	at   int // counts down to the call that fails
	kept bool
}

func (b *breaking) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	if b.at--; b.at != 0 {
		return b.Book.Append(ctx, e)
	}
	if b.kept {
		if _, err := b.Book.Append(ctx, e); err != nil {
			return journal.Entry{}, err
		}
	}
	return journal.Entry{}, ledger.ErrFailed
}

// TestCloseBroken ends the program at each write of a close, before and after it
// is on the disk. Nobody is told that it was refused; and closing again, after
// the next start, makes one Z over one difference.
func TestCloseBroken(t *testing.T) {
	short := func() script {
		s := counting(pieces(1, 9, 0))
		s["shift.differs"] = choice(3)
		return s
	}
	for at := 1; at <= 3; at++ { // drawer opened, count, Z
		for _, kept := range []bool{false, true} {
			w := newWorld(t)
			w.do(cash.Open, opening())
			w.serve(shift.New(&breaking{w.book, at, kept}, "T01", w.rules))
			if v := w.do(cash.Close, short()); v.Outcome != dialog.Unknown {
				t.Errorf("write %d, kept %t: ended as %+v", at, kept, v)
			}
			w.ok(w.book.Close())
			w.ok(w.start())
			v := w.do(cash.Close, short())
			if ended := at == 3 && kept; ended != (v.Why == "shift.none") || !ended && v.Outcome != dialog.Done {
				t.Errorf("write %d, kept %t: closed again: %+v", at, kept, v)
			}
			zs := w.entries(journal.ShiftClosed)
			if len(zs) != 1 || len(w.entries(journal.Counted)) != 1 {
				t.Fatalf("write %d, kept %t: %d Zs", at, kept, len(zs))
			}
			if z, err := zs[0].Report(); err != nil || z.Short != 10*yuan || z.Till != 190*yuan || z.Z != 1 {
				t.Errorf("write %d, kept %t: Z is %+v, %v", at, kept, z, err)
			}
			if _, err := w.book.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}
