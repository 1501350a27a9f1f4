package bath_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/tender"
	lab "quancun/lab/bath"
	"quancun/money"
	upstream "quancun/upstream/bath"
)

// TestReserve says what is agreed to before anything is held, and shows the code that
// the controller takes.
func TestReserve(t *testing.T) {
	w := newWorld(t)
	ref, r, err := w.visit(reserving("龙山浴室 17:00-18:00", "17:00-17:30  1/1"))
	code := fact(r.Facts, "bath.fact.code")
	if err != nil || !code.Strong || len(code.Text) != 8 || r.QR != code.Text || !r.Print || w.end(ref) != journal.Done {
		t.Fatalf("ended as %+v, %v", r, err)
	}
	terms := w.last("bath.sure").Facts
	if fact(terms, "bath.fact.held").Amount != 5*yuan || fact(terms, "bath.fact.noshows").Count != 3 ||
		spelt(fact(terms, "bath.fact.slot")) != "2026-11-26 17:00-17:30 " ||
		!fact(terms, "bath.fact.cancel").At.Equal(time.Date(2026, 11, 26, 16, 50, 0, 0, beijing.Zone)) {
		t.Errorf("agreed to %+v", terms)
	}
	w.money(20*yuan, 5*yuan)
	w.clock = w.clock.Add(5 * time.Hour)
	if b := w.controller(1); b.open(code.Text) != lab.Running {
		t.Error("its code opens nothing")
	}
	w.clock = w.clock.Add(-5 * time.Hour)
	item, err := w.book.Get(t.Context(), ref)
	if w.ok(err); string(item.First.Details) != `{"service":"bath","what":{"hall":1,"day":"2026-11-26","slot":0}}` {
		t.Errorf("the journal has %s", item.First.Details)
	}

	_, r, err = w.visit(owning("bath.show"))
	if err != nil || fact(r.Facts, "bath.fact.code") != code || r.Print {
		t.Errorf("shown again: %+v, %v", r, err)
	}
	_, _, err = w.visit(reserving("龙山浴室", "17:30"))
	w.ok(err)
	w.refused(reserving("菱湖浴室", "17:30"), "bath.many")
}

// refused visits, and is told why not: by a rule, which is nobody's to look after and has
// no code.
func (w *world) refused(say script, why dialog.Word) dialog.Report {
	w.t.Helper()
	ref, r, err := w.visit(say)
	how, code, said := kiosk.HowEnded(err)
	if how != dialog.Refused || said != why || code != 0 {
		w.t.Errorf("ended as %d for %q, %d, %v; want %q", how, said, code, err, why)
	}
	if item, err := w.book.Get(w.t.Context(), ref); err == nil && item.End.Outcome != journal.NotDone {
		w.t.Errorf("the journal says %s", item.End.Outcome)
	}
	return r
}

// TestTaken chooses a slot that somebody takes in that moment, and then another one.
func TestTaken(t *testing.T) {
	w := newWorld(t)
	again := false
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.sure" && !again {
			again = true
			_, err := w.desk.Reserve(t.Context(), upstream.Request{
				Ref: "R1", Terminal: "K01", Account: rival, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: 0,
			})
			w.ok(err)
			w.next = script{"bath.slot": "17:30", "bath.sure": ""}
		}
	}
	_, r, err := w.visit(reserving("龙山浴室", "17:00"))
	if err != nil || spelt(fact(r.Facts, "bath.fact.slot")) != "2026-11-26 17:30-18:00 " {
		t.Fatalf("ended as %+v, %v", r, err)
	}
	if q := w.last("bath.slot"); q.Wrong != "bath.taken" || q.Options[0].Note != "bath.full" {
		t.Errorf("asked again with %+v", q)
	}
	w.money(20*yuan, 5*yuan)
}

// TestAllTaken chooses the last slot that is free, and somebody is faster. Whoever
// comes then is told at once that nothing is free.
func TestAllTaken(t *testing.T) {
	w := newWorld(t)
	take := func(ref string, slot uint8) {
		_, err := w.desk.Reserve(t.Context(), upstream.Request{
			Ref: ref, Terminal: "K01", Account: rival, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: slot,
		})
		w.ok(err)
	}
	take("R1", 1)
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.sure" {
			take("R2", 0)
			w.next = script{}
		}
	}
	first, second := reserving("龙山浴室", "17:00"), reserving("龙山浴室", "")
	delete(second, "bath.slot")
	for _, s := range []script{first, second} {
		_, r, err := w.visit(s)
		if !errors.Is(err, dialog.ErrLeft) {
			t.Errorf("ended as %+v, %v", r, err)
		}
		if q := w.last("bath.slot"); q.Wrong != "bath.full.all" {
			t.Errorf("asked with %+v", q)
		}
	}
	w.money(20*yuan, 0)
}

// TestAnswerLost loses the request or its answer, once and more often. Nothing is
// reserved twice, and the journal comes to what is true.
func TestAnswerLost(t *testing.T) {
	for name, tt := range map[string]struct {
		faults []fault
		held   money.Fen
		known  bool // while the holder stands there
	}{
		"request, once":  {[]fault{lost}, 5 * yuan, true},
		"answer, once":   {[]fault{silent}, 5 * yuan, true},
		"request, twice": {[]fault{lost, lost}, 0, false},
		"answer, twice":  {[]fault{silent, silent}, 5 * yuan, false},
		"late":           {[]fault{lost, silent}, 5 * yuan, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.faults = tt.faults
			ref, r, err := w.visit(reserving("龙山浴室", "17:00"))
			how, _, why := kiosk.HowEnded(err)
			if tt.known {
				if err != nil || w.end(ref) != journal.Done {
					t.Errorf("ended as %+v, %v", r, err)
				}
				w.money(20*yuan, tt.held)
				return
			}
			if how != dialog.Unknown || why != "bath.unsure" || r.Follow == nil || w.end(ref) != 0 {
				t.Fatalf("ended as %d, %q, %+v", how, why, r)
			}
			w.ok(w.book.Close()) // the holder goes, and the kiosk is started again
			w.open()
			w.keep()
			want := journal.NotDone
			if tt.held > 0 {
				want = journal.Done
			}
			if got := w.end(ref); got != want {
				t.Errorf("the journal says %s, want %s", got, want)
			}
			w.money(20*yuan, tt.held)
		})
	}
}

// TestDoor has the session end behind a lost answer. That is no word about what was
// asked for: one that is made is never shown as refused.
func TestDoor(t *testing.T) {
	for name, tt := range map[string]struct {
		faults []fault
		how    dialog.Outcome
		end    journal.Outcome
		held   money.Fen
	}{
		"at once":      {[]fault{door}, dialog.Refused, journal.NotDone, 0},
		"request lost": {[]fault{lost, door}, dialog.Refused, journal.NotDone, 0},
		"answer lost":  {[]fault{silent, door}, dialog.Done, journal.Done, 5 * yuan},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.faults = tt.faults
			ref, r, err := w.visit(reserving("龙山浴室", "17:00"))
			if how, _, _ := kiosk.HowEnded(err); how != tt.how || w.end(ref) != tt.end {
				t.Errorf("ended as %d, %v, %+v; the journal says %s", how, err, r, w.end(ref))
			}
			w.money(20*yuan, tt.held)
		})
	}
	t.Run("cancel", func(t *testing.T) {
		w := newWorld(t)
		_, _, err := w.visit(reserving("龙山浴室", "17:00"))
		w.ok(err)
		w.faults = []fault{silent, door}
		ref, _, err := w.visit(owning("bath.cancel"))
		if err != nil || w.end(ref) != journal.Done {
			t.Errorf("ended as %v; the journal says %s", err, w.end(ref))
		}
	})
}

// TestRefusedBehindLost has the last place taken while a request is on its way, and given up
// again before it arrives. The page has said no by then, so nothing may be held for it.
func TestRefusedBehindLost(t *testing.T) {
	w := newWorld(t)
	w.faults = []fault{slow}
	w.hear = func(q dialog.Question) {
		if q.Name != "bath.sure" {
			return
		}
		_, err := w.desk.Reserve(t.Context(), upstream.Request{
			Ref: "R1", Terminal: "K01", Account: rival, Hall: 1, Day: bathcode.DayOf(w.clock), Slot: 0,
		})
		w.ok(err)
	}
	ref, r, err := w.visit(reserving("龙山浴室", "17:00"))
	if q := w.last("bath.slot"); !errors.Is(err, dialog.ErrLeft) || q.Wrong != "bath.taken" {
		t.Errorf("ended as %+v, %v; asked again with %+v", r, err, q)
	}
	_, err = w.desk.Cancel(t.Context(), upstream.Act{Ref: "A1", Terminal: "K01", Account: rival, Reservation: "R1"})
	w.ok(err)
	w.arrive()
	if got := w.end(ref); got != journal.NotDone {
		t.Errorf("the journal says %s", got)
	}
	w.money(20*yuan, 0)
}

// TestFollow waits at the page until it is known.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	w.faults = []fault{silent, lost, lost, silent}
	ref, r, err := w.visit(reserving("龙山浴室", "17:00"))
	if !errors.Is(err, tender.ErrUnknown) {
		t.Fatal(err)
	}
	r, err = r.Follow(t.Context())
	if err != nil || len(fact(r.Facts, "bath.fact.code").Text) != 8 || w.end(ref) != journal.Done {
		t.Errorf("ended as %+v, %v", r, err)
	}
}

// TestLeft leaves at every question: nothing has happened.
func TestLeft(t *testing.T) {
	w := newWorld(t)
	for _, at := range []dialog.Word{"bath.hall", "bath.day", "bath.slot", "bath.sure"} {
		say := reserving("龙山浴室", "17:00")
		delete(say, at)
		if _, _, err := w.visit(say); !errors.Is(err, dialog.ErrLeft) {
			t.Errorf("left at %s: %v", at, err)
		}
	}
	open, err := w.book.OpenItems(t.Context())
	if w.ok(err); len(open) > 0 {
		t.Errorf("open: %+v", open)
	}
	w.money(20*yuan, 0)
}

// TestCancel gives up in time, although the answer is lost, and not later.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.visit(reserving("龙山浴室", "17:00"))
	w.ok(err)
	w.clock = w.clock.Add(4*time.Hour + 55*time.Minute)
	_, _, _ = w.visit(owning("")) // left: nothing can be chosen
	if q := w.last("bath.deed"); len(q.Options) != 3 || q.Options[2].Note != "bath.too.late" {
		t.Errorf("five minutes before: %+v", q.Options)
	}
	w.clock = w.clock.Add(-4 * time.Hour)
	w.faults = []fault{silent}
	_, r, err := w.visit(owning("bath.cancel"))
	if err != nil || fact(r.Facts, "bath.fact.state").Word != "bath.is.cancelled" {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
	w.money(20*yuan, 5*yuan) // its code opens all the same
}

// TestSettle showers with no network, and settles at the kiosk by what the panel shows.
func TestSettle(t *testing.T) {
	w := newWorld(t)
	_, r, err := w.visit(reserving("菱湖浴室", "17:00"))
	w.ok(err)
	b := w.controller(0)
	w.clock = w.clock.Add(5*time.Hour + 5*time.Minute)
	if step := b.open(fact(r.Facts, "bath.fact.code").Text); step != lab.Running {
		t.Fatalf("the panel shows %s", step)
	}
	stub := b.shower(2500)
	say := owning("bath.settle")
	say["bath.stub"] = "12345678"
	tries := 0
	w.hear = func(q dialog.Question) {
		if q.Name == "bath.stub" {
			if tries++; tries == 2 {
				say["bath.stub"] = stub
			}
		}
	}
	_, r, err = w.visit(say)
	if err != nil || fact(r.Facts, "bath.fact.paid").Amount != yuan {
		t.Fatalf("settled: %+v, %v", r, err)
	}
	if q := w.last("bath.stub"); q.Wrong != "bath.stub.wrong" || fact(q.Facts, "bath.fact.tries").Count != 4 {
		t.Errorf("after a wrong one: %+v", q)
	}
	w.money(19*yuan, 0)
	for l := range bytes.Lines(b.Log()) {
		_, err := w.desk.Take(t.Context(), "console", bytes.TrimSpace(l))
		w.ok(err)
	}
	w.money(19*yuan, 0)
	_, r, err = w.visit(owning(""))
	if err != nil || fact(r.Facts, "bath.fact.water").Text != "25.0 L" {
		t.Errorf("looked at later: %+v, %v", r, err)
	}
}

// TestController types the kiosk's code where and when it opens nothing: before its
// slot, at another bath, after its slot, a second time, with a clock that is lost; and
// after five wrong ones.
func TestController(t *testing.T) {
	w := newWorld(t)
	_, r, err := w.visit(reserving("龙山浴室", "17:00"))
	w.ok(err)
	code := fact(r.Facts, "bath.fact.code").Text
	at := func(minutes int) { w.clock = time.Date(2026, 11, 26, 17, minutes, 0, 0, beijing.Zone) }
	closed := func(b *box, why string) {
		t.Helper()
		if v := b.press("*#" + code); v.Valve || !strings.Contains(v.Text, why) {
			t.Errorf("the panel shows %+v, want %q", v, why)
		}
	}
	at(-11)
	own := w.controller(1)
	closed(own, "预约码不对")
	at(5)
	closed(w.controller(0), "预约码不对")
	w.lost = true
	closed(own, "时钟故障")
	w.lost = false
	guessed := w.controller(1)
	for range 5 {
		guessed.press("#00000000")
	}
	closed(guessed, "错误次数过多")
	if own.open(code) != lab.Running {
		t.Fatal("it does not open its own")
	}
	own.shower(100)
	closed(own, "预约码已用过")
	at(41)
	closed(w.controller(1), "预约码不对")
}

// TestRefused says why not, and what would be needed.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	h, err := w.desk.Hall(t.Context(), 1)
	w.ok(err)
	h.Cap = 50 * yuan
	w.ok(w.desk.SetHall(t.Context(), h))
	if r := w.refused(reserving("龙山浴室", "17:00"), "bath.not.enough"); fact(r.Facts, "bath.fact.needed").Amount != 50*yuan {
		t.Errorf("without what is needed: %+v", r)
	}
	w.clock = w.clock.Add(7 * time.Hour)
	w.refused(reserving("菱湖浴室", ""), "bath.no.slots")
}

// TestLostUpstream has the journal say what an upstream that was restored from a copy
// needs to have a reservation again, with the code that its holder has; and of what was
// done about it, of which. Where the holder has gone, the end repeats what was asked for.
func TestLostUpstream(t *testing.T) {
	w := newWorld(t)
	told := func(ref, want string) {
		t.Helper()
		item, err := w.book.Get(t.Context(), ref)
		w.ok(err)
		r, err := item.End.Request()
		if err != nil || item.End.Outcome != journal.Done || string(r.What) != want {
			t.Errorf("the end says %q %s, %v; want %s", item.End.Outcome, r.What, err, want)
		}
	}
	w.faults = []fault{silent}
	ref, _, err := w.visit(reserving("龙山浴室", "17:00-17:30"))
	w.ok(err)
	told(ref, `{"hall":1,"day":"2026-11-26","slot":0,"stall":1,"n":0,"cap":500,"litre":4}`)
	w.faults = []fault{silent, silent}
	act, _, _ := w.visit(owning("bath.cancel"))
	if w.end(act) != 0 {
		t.Fatal("the holder has an answer")
	}
	w.keep()
	told(act, `{"reservation":"`+ref+`"}`)
}
