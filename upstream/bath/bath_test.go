package bath_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

// TestShower reserves in both sorts of halls, is told of the use, and again, and
// pays once.
func TestShower(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		a, b := w.reserve(0, byStall, 0), w.reserve(1, whole, 0)
		w.money(0, 20*yuan, 6*yuan)
		for _, r := range []bath.Reservation{a, b} {
			n, ok := master.Key(r.Slot.Place, today).Check(w.desk.Code(r), r.Slot)
			if !ok || n != r.N {
				t.Errorf("code of %+v opens nothing", r)
			}
		}
		w.at(17, 20)
		line := report(a.Slot, false, use(a, 50))
		if got := w.take(line); got.Uses != 1 || got.Paid != 2*yuan || got.Freed != 0 || got.Listed != 0 {
			t.Errorf("taken: %+v", got)
		}
		w.stands(a, bath.Used, bath.Captured, 2*yuan)
		w.money(0, 18*yuan, 0)
		if again := w.take(line); !again.Again {
			t.Errorf("taken again: %+v", again)
		}
		w.at(18, 0)
		if got := w.take(report(a.Slot, true, use(a, 50))); got.Uses != 0 || got.Paid != 0 || got.Freed != 0 {
			t.Errorf("final report: %+v", got)
		}
		if got := w.take(report(b.Slot, true, use(b, 10))); got.Paid != 40 {
			t.Errorf("taken: %+v", got)
		}
		w.money(0, 18*yuan, 0)
		w.money(1, 20*yuan-40, 0)
		if u := w.now(b).Use; u == nil || u.Stall != 3 || u.Pulses != 1000 {
			t.Errorf("use of a whole hall: %+v", u)
		}
		if owed, err := w.books.Balance(t.Context(), "merchant/bath-east"); err != nil || owed != 2*yuan {
			t.Errorf("the bath is owed %s, %v", owed, err)
		}
		w.listed()
	})
}

// TestAnswerLost asks again for what was done, for as long as anybody likes.
func TestAnswerLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		q := w.request(0, byStall, 1)
		first, err := w.desk.Reserve(t.Context(), q)
		w.ok(err)
		for range 2 {
			again, err := w.desk.Reserve(t.Context(), q)
			w.ok(err)
			if again != first {
				t.Errorf("again: %+v, first %+v", again, first)
			}
		}
		w.money(0, 20*yuan, 6*yuan)
		for name, other := range map[string]func(*bath.Request){
			"slot":    func(q *bath.Request) { q.Slot = 2 },
			"hall":    func(q *bath.Request) { q.Hall = whole },
			"day":     func(q *bath.Request) { q.Day++ },
			"account": func(q *bath.Request) { q.Account = holder(1) },
			"stall":   func(q *bath.Request) { q.Stall = first.Slot.Place.Stall + 1 },
		} {
			o := q
			other(&o)
			_, err := w.desk.Reserve(t.Context(), o)
			if no := new(bath.Refusal); !errors.As(err, &no) || no.Reason != bath.Conflict {
				t.Errorf("another %s under the same reference: %v", name, err)
			}
		}
		for range 2 {
			r, err := w.desk.Cancel(t.Context(), w.act(first))
			w.ok(err)
			if r.State != bath.Cancelled || r.Hold != bath.Held {
				t.Errorf("cancelled: %+v", r)
			}
		}
		late, err := w.desk.Reserve(t.Context(), q) // a request that was still on its way
		w.ok(err)
		if late.State != bath.Cancelled {
			t.Errorf("reserved after it was cancelled: %+v", late)
		}
		others := w.act(first)
		others.Account = holder(1)
		_, err = w.desk.Cancel(t.Context(), others)
		w.refused(err, bath.RefUnknown)
	})
}

// TestEnd gives a reservation up that has not come: it never does. One that is there
// stays.
func TestEnd(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		q := w.request(0, whole, 0)
		for range 2 {
			if reserved, err := w.desk.End(t.Context(), q.Terminal, q.Ref); err != nil || reserved {
				t.Errorf("what nobody has asked for: %t, %v", reserved, err)
			}
		}
		_, err := w.desk.Reserve(t.Context(), q)
		w.refused(err, bath.Ended)
		w.money(0, 20*yuan, 0)
		r := w.reserve(0, whole, 0)
		if reserved, err := w.desk.End(t.Context(), "kiosk1", r.Ref); err != nil || !reserved {
			t.Errorf("what is reserved: %t, %v", reserved, err)
		}
		_, err = w.desk.End(t.Context(), "kiosk2", r.Ref)
		w.refused(err, bath.RefUnknown)

		for i := range 8 { // both at a time: one of them is first
			q := w.request(1, whole, uint8(i%4))
			var made, told bool
			var all sync.WaitGroup
			all.Go(func() { _, err := w.desk.Reserve(t.Context(), q); made = err == nil })
			all.Go(func() { told, _ = w.desk.End(t.Context(), q.Terminal, q.Ref) })
			if all.Wait(); made != told {
				t.Errorf("made: %t, told: %t", made, told)
			}
			if made {
				_, err := w.desk.Cancel(t.Context(), w.act(bath.Reservation{Account: q.Account, Ref: q.Ref}))
				w.ok(err)
			}
		}
	})
}

// TestSameTime has many ask for the last places at a time, each twice.
func TestSameTime(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		got := map[string]bathcode.Slot{}
		codes := map[bathcode.Code]string{}
		full := 0
		var all sync.WaitGroup
		for i := range 3 { // for two stalls
			q := w.request(i, byStall, 2)
			for range 2 {
				all.Go(func() {
					r, err := w.desk.Reserve(t.Context(), q)
					mu.Lock()
					defer mu.Unlock()
					var no *bath.Refusal
					switch {
					case errors.As(err, &no) && no.Reason == bath.SlotFull:
						full++
					case err != nil:
						t.Error(err)
					default:
						got[q.Ref], codes[w.desk.Code(r)] = r.Slot, q.Ref
					}
				})
			}
		}
		all.Wait()
		if len(got) != 2 || len(codes) != 2 || full != 2 {
			t.Errorf("places %v, codes %v, full %d times", got, codes, full)
		}
	})
}

// TestFree counts what can be had of a day.
func TestFree(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		count := func(hall uint16, day bathcode.Day) string {
			_, all, err := w.desk.Day(t.Context(), hall, day)
			w.ok(err)
			text := ""
			for _, f := range all {
				text += fmt.Sprintf("%s %d/%d%v ", f.From.In(zone).Format("15:04"), f.Free, f.Places, f.Stalls)
			}
			return text
		}
		for _, i := range []int{0, 1} {
			w.reserve(i, whole, 1)
		}
		w.reserve(2, byStall, 0)
		w.at(17, 31) // the first slot is over
		for want, got := range map[string]string{
			"17:00 0/0[] 17:30 2/2[1 2] 18:00 2/2[1 2] 18:30 2/2[1 2] ": count(byStall, today),
			"17:00 0/0[] 17:30 1/3[] 18:00 3/3[] 18:30 3/3[] ":          count(whole, today),
			"17:00 3/3[] 17:30 3/3[] 18:00 3/3[] 18:30 3/3[] ":          count(whole, today+1),
			"17:00 0/0[] 17:30 0/0[] 18:00 0/0[] 18:30 0/0[] ":          count(whole, today+3),
		} {
			if got != want {
				t.Errorf("free: %q, want %q", got, want)
			}
		}
		w.ok(w.desk.SetStall(t.Context(), byStall, bath.Stall{No: 1, Closed: true}))
		w.ok(w.desk.CloseSlot(t.Context(), byStall, 3))
		added, err := w.desk.AddSlots(t.Context(), byStall, water.Time{From: 18*60 + 30, To: 20 * 60}, 40)
		if err != nil || len(added) != 2 || added[0].No != 4 {
			t.Errorf("added %+v, %v", added, err)
		}
		if got, want := count(byStall, today),
			"17:00 0/0[] 17:30 1/1[2] 18:00 1/1[2] 18:30 1/1[2] 19:10 1/1[2] "; got != want {
			t.Errorf("free: %q, want %q", got, want)
		}
		if _, err := w.desk.AddSlots(t.Context(), byStall, water.Time{From: 17 * 60, To: 18 * 60}, 30); !errors.Is(err,
			bath.ErrHall) {
			t.Errorf("two slots at a time: %v", err)
		}
		_, _, err = w.desk.Day(t.Context(), 9, today)
		w.refused(err, bath.HallUnknown)
	})
}

// TestRefused says why a place cannot be had, and holds nothing.
func TestRefused(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		try := func(why bath.Reason, q bath.Request) *bath.Refusal {
			t.Helper()
			_, err := w.desk.Reserve(t.Context(), q)
			return w.refused(err, why)
		}
		with := func(q bath.Request, change func(*bath.Request)) bath.Request {
			change(&q)
			return q
		}
		try(bath.HallUnknown, w.request(0, 9, 0))
		try(bath.SlotUnknown, w.request(0, whole, 9))
		try(bath.TooFar, with(w.request(0, whole, 0), func(q *bath.Request) { q.Day += 3 }))
		try(bath.SlotFull, with(w.request(0, byStall, 0), func(q *bath.Request) { q.Stall = 3 }))
		w.money(0, 20*yuan, 0)

		_, err := bath.New(bath.Config{Books: w.books, Master: master, Reserve: 16 * yuan}).
			Reserve(t.Context(), w.request(0, whole, 0))
		if no := w.refused(err, bath.NotEnough); no.Kept != 16*yuan { // 5 of 20 yuan are wanted
			t.Errorf("kept for the card: %s", no.Kept)
		}

		w.reserve(0, whole, 0)
		try(bath.AlreadyYours, w.request(0, whole, 0))
		w.reserve(0, whole, 1)
		try(bath.TooMany, w.request(0, whole, 2))
		w.money(0, 20*yuan, 10*yuan)

		w.at(17, 30)
		try(bath.SlotOver, w.request(1, whole, 0))
		w.reserve(0, whole, 2) // one of the three is over
		w.at(18, 0)
		if no := try(bath.NotEnough, w.request(0, byStall, 3)); no.Limit != 6*yuan || no.Kept != 0 {
			t.Errorf("needed: %s, and %s is kept", no.Limit, no.Kept)
		}
		h, err := w.desk.Hall(t.Context(), whole)
		w.ok(err)
		h.Closed = true
		w.ok(w.desk.SetHall(t.Context(), h))
		try(bath.HallClosed, w.request(1, whole, 3))

		w.ok(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return w.books.SetUntil(t.Context(), tx, holder(2), w.clock)
		}))
		try(bath.AccountEnded, w.request(2, byStall, 3))
	})
}

// TestStallCodes gives a stall's four codes of a slot out, and no fifth.
func TestStallCodes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		q := func() bath.Request {
			q := w.request(w.refs%3, byStall, 3)
			q.Stall = 2
			return q
		}
		for n := range bathcode.StallCodes {
			r, err := w.desk.Reserve(t.Context(), q())
			w.ok(err)
			if int(r.N) != n || r.Slot.Place.Stall != 2 {
				t.Errorf("code %d of stall %d, want %d of 2", r.N, r.Slot.Place.Stall, n)
			}
			_, err = w.desk.Cancel(t.Context(), w.act(r))
			w.ok(err)
		}
		_, err := w.desk.Reserve(t.Context(), q())
		w.refused(err, bath.SlotFull)
	})
}

// TestRestored has books of yesterday, which do not know who has reserved since, give
// nobody a code that somebody has, nor let anybody pay for another: a terminal says how old
// they are, or has had no time to. What was used of their codes is for people.
func TestRestored(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		lost := newWorld(t, filepath.Join(t.TempDir(), "lost.db")) // what was made of the same copy
		before := [...]bath.Reservation{lost.reserve(0, whole, 0), lost.reserve(0, byStall, 1)}
		if before[0].N != 0 || before[1].N != 0 {
			t.Fatalf("books that lack nothing give %d and %d", before[0].N, before[1].N)
		}
		w.desk = bath.New(bath.Config{Books: w.books, Master: master, Hearing: bath.Hearing})
		early := w.reserve(2, whole, 0)
		w.clock = w.clock.Add(bath.Hearing)
		journals := ingest.New(w.books, nil, ingest.Policy{})
		_, err := journals.Greet(t.Context(), journal.Position{Terminal: "kiosk1", Epoch: journal.Epoch{1}, Seq: 9})
		w.ok(err)
		after := [...]bath.Reservation{w.reserve(1, whole, 0), w.reserve(1, byStall, 1)}
		for i, r := range after {
			if half := r.Slot.Place.Codes() / 2; int(r.N) < half || r.Slot == before[i].Slot && r.Slot.Place.Stall != 0 {
				t.Errorf("%+v %d is given after %+v %d", r.Slot, r.N, before[i].Slot, before[i].N)
			}
		}
		if early.N < bathcode.HallCodes/2 || early.N == after[0].N {
			t.Errorf("code %d before anybody could say, and %d then", early.N, after[0].N)
		}
		_, all, err := w.desk.Day(t.Context(), byStall, today)
		w.ok(err)
		if all[1].Free != 1 || all[2].Free != 2 {
			t.Errorf("free: %+v", all)
		}

		w.at(17, 40)
		w.take(report(before[0].Slot, true, use(before[0], 20)))
		w.stands(after[0], bath.NotUsed, bath.Released, 0)
		w.listed(string(ingest.Lost), bath.NoReservation)

		w.clock = w.clock.AddDate(0, 0, 1) // of later days than could be reserved nothing is lost
		q := w.request(2, byStall, 0)
		q.Day = today + 3
		if r, err := w.desk.Reserve(t.Context(), q); err != nil || r.N != 0 {
			t.Errorf("three days on: %+v, %v", r, err)
		}
	})
}

// TestRestoredAgain gives a stall's two codes out that are left in doubt, and no third.
func TestRestoredAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		first := w.request(0, byStall, 3)
		first.Stall = 2
		r, err := w.desk.Reserve(t.Context(), first)
		w.ok(err)
		_, err = w.desk.Cancel(t.Context(), w.act(r))
		w.ok(err)
		w.desk = bath.New(bath.Config{Books: w.books, Master: master, Hearing: bath.Hearing})
		given := map[uint8]bool{0: true}
		for i := range 2 {
			q := w.request(1+i, byStall, 3)
			q.Stall = 2
			r, err := w.desk.Reserve(t.Context(), q)
			w.ok(err)
			given[r.N] = true
			_, err = w.desk.Cancel(t.Context(), w.act(r))
			w.ok(err)
		}
		q := w.request(0, byStall, 3)
		q.Stall = 2
		_, err = w.desk.Reserve(t.Context(), q)
		w.refused(err, bath.SlotFull)
		w.clock = w.clock.Add(bath.Hearing)
		r, err = w.desk.Reserve(t.Context(), q)
		w.ok(err)
		if given[r.N] = true; len(given) != 4 || r.N != 1 {
			t.Errorf("codes %v, and then %d", given, r.N)
		}
	})
}

// TestCancelled lets go of what a cancelled reservation holds when the controller
// has told of its slot, and has it pay if its code was used all the same.
func TestCancelled(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		idle, used, other := w.reserve(0, whole, 0), w.reserve(1, whole, 0), w.reserve(2, whole, 0)
		for _, r := range []bath.Reservation{idle, used} {
			_, err := w.desk.Cancel(t.Context(), w.act(r))
			w.ok(err)
			w.stands(r, bath.Cancelled, bath.Held, 0)
		}
		w.at(16, 51)
		_, err := w.desk.Cancel(t.Context(), w.act(other))
		w.refused(err, bath.TooLate)
		w.at(17, 40)
		w.take(report(idle.Slot, false, use(used, 20)))
		w.stands(idle, bath.Cancelled, bath.Held, 0)
		w.stands(used, bath.Used, bath.Captured, 80)
		if got := w.take(report(idle.Slot, true, use(used, 20))); got.Freed != 2 {
			t.Errorf("freed %d, want 2", got.Freed)
		}
		w.stands(idle, bath.Cancelled, bath.Released, 0)
		w.stands(other, bath.NotUsed, bath.Released, 0)
		w.money(1, 20*yuan-80, 0)
		for _, r := range []bath.Reservation{used, other} {
			_, err = w.desk.Cancel(t.Context(), w.act(r))
			w.refused(err, bath.Over)
		}
	})
}

// TestReservedAgain passes what a cancelled reservation holds on to the next one of
// the same slot. If both codes are used, both are paid, and somebody hears of it.
func TestReservedAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		first := w.reserve(0, byStall, 0)
		_, err := w.desk.Cancel(t.Context(), w.act(first))
		w.ok(err)
		second := w.reserve(0, byStall, 0)
		w.stands(first, bath.Cancelled, bath.Released, 0)
		w.stands(second, bath.Reserved, bath.Held, 0)
		w.money(0, 20*yuan, 6*yuan)
		if first.Slot == second.Slot {
			t.Error("the stall whose code was given out comes first")
		}
		w.at(18, 0)
		w.take(report(second.Slot, true, use(second, 25)))
		w.take(report(first.Slot, true, use(first, 50)))
		w.stands(first, bath.Used, bath.Released, 2*yuan)
		w.stands(second, bath.Used, bath.Captured, yuan)
		w.money(0, 17*yuan, 0)
		w.listed(bath.AfterRelease)
	})
}

// TestNobodyKnows lets go a day after a slot of which no controller has spoken, and
// calls nobody absent. What was used is paid when its report comes after all.
func TestNobodyKnows(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		a, b := w.reserve(0, byStall, 0), w.reserve(1, whole, 0)
		_, err := w.desk.Cancel(t.Context(), w.act(b))
		w.ok(err)
		w.clock = a.To.Add(24*time.Hour - time.Second)
		if n, err := w.desk.Lapse(t.Context()); err != nil || n != 0 {
			t.Errorf("released %d too early, %v", n, err)
		}
		w.clock = a.To.Add(24 * time.Hour)
		if n, err := w.desk.Lapse(t.Context()); err != nil || n != 2 {
			t.Errorf("released %d, %v; want 2", n, err)
		}
		w.stands(a, bath.Unknown, bath.Released, 0)
		w.stands(b, bath.Cancelled, bath.Released, 0)
		w.money(0, 20*yuan, 0)
		w.take(report(a.Slot, true, use(a, 50)))
		w.stands(a, bath.Used, bath.Released, 2*yuan)
		w.money(0, 18*yuan, 0)
		w.listed(bath.AfterRelease)
	})
}

// TestNoShow keeps those from reserving who have not come three times in a month, once it
// is known that the controller had to know of it.
func TestNoShow(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		var first bath.Reservation
		for i, slot := range []uint8{0, 1, 2} {
			r := w.reserve(0, whole, slot)
			w.clock = r.To
			w.take(report(r.Slot, true))
			w.stands(r, bath.NotUsed, bath.Released, 0)
			if i == 0 {
				first = r
			}
		}
		w.at(18, 45)
		q := w.request(0, whole, 1)
		q.Day++
		r, err := w.desk.Reserve(t.Context(), q) // the log may have been taken by a clock that is ahead
		w.ok(err)
		_, err = w.desk.Cancel(t.Context(), w.act(r))
		w.ok(err)
		later := w.request(1, whole, 0)
		later.Day++
		r, err = w.desk.Reserve(t.Context(), later)
		w.ok(err)
		w.clock = r.To
		w.take(report(r.Slot, true, use(r, 5))) // this log is of a time when the three slots were over
		q = w.request(0, whole, 3)
		q.Day++
		_, err = w.desk.Reserve(t.Context(), q)
		if no := w.refused(err, bath.NoShows); !no.Until.Equal(first.To.Add(30 * 24 * time.Hour)) {
			t.Errorf("until %v", no.Until)
		}
		w.clock = first.To.Add(30 * 24 * time.Hour)
		q = w.request(0, whole, 3)
		q.Day += 30
		_, err = w.desk.Reserve(t.Context(), q)
		w.ok(err)
	})
}

// TestAway calls nobody absent where the controller had no power or no clock for a while.
// The money is free all the same, and who has showered pays.
func TestAway(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		idle, used := w.reserve(0, whole, 0), w.reserve(1, whole, 0)
		w.clock = idle.To
		r := water.Report{Slot: idle.Slot, Final: true, Away: true, Uses: []water.Use{use(used, 25)}}
		if got := w.take(r.Seal(master.Key(idle.Slot.Place, idle.Slot.Day))); got.Freed != 1 {
			t.Errorf("taken %+v", got)
		}
		w.stands(idle, bath.Unknown, bath.Released, 0)
		w.stands(used, bath.Used, bath.Captured, yuan)
		w.money(0, 20*yuan, 0)
		w.listed()
	})
}

// TestException loses nothing that does not fit, and lists it once.
func TestException(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil  func(*water.Use)
		paid   money.Fen
		listed []string
	}{
		"above the hold":  {func(u *water.Use) { u.Pulses, u.Amount = 20000, 8*yuan }, 6 * yuan, []string{bath.AboveHold}},
		"another price":   {func(u *water.Use) { u.Amount = 3 * yuan }, 2 * yuan, []string{bath.AbovePrice}},
		"both":            {func(u *water.Use) { u.Amount = 7 * yuan }, 2 * yuan, []string{bath.AboveHold, bath.AbovePrice}},
		"cheaper":         {func(u *water.Use) { u.Amount = yuan }, yuan, nil},
		"before its slot": {func(u *water.Use) { u.Start -= 60 + 601 }, 2 * yuan, []string{bath.Outside}},
		"after its slot":  {func(u *water.Use) { u.Start += 1741 + 600; u.End = u.Start }, 2 * yuan, []string{bath.Outside}},
		"another stall":   {func(u *water.Use) { u.Stall = 9 }, 2 * yuan, []string{bath.OtherStall}},
		"nothing":         {func(u *water.Use) { u.Pulses, u.Amount = 0, 0 }, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir()+"/books.db")
			r := w.reserve(0, byStall, 0)
			u := use(r, 50)
			tt.spoil(&u)
			w.at(18, 0)
			w.take(report(r.Slot, true, u))
			w.stands(r, bath.Used, bath.Captured, tt.paid)
			w.money(0, 20*yuan-tt.paid, 0)
			w.listed(tt.listed...)
			w.take(report(r.Slot, false, u)) // another line that says the same
			w.listed(tt.listed...)
		})
	}
}

// TestContradiction believes the first word, and lists the others.
func TestContradiction(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		w.at(18, 0)
		w.take(report(r.Slot, true, use(r, 50)))
		w.take(report(r.Slot, true, use(r, 60)))
		w.take(report(r.Slot, true, use(r, 60))) // brought again
		w.take(report(r.Slot, true))             // forgets it
		w.stands(r, bath.Used, bath.Captured, 2*yuan)
		w.listed(bath.ToldTwice)

		absent := w.reserve(1, whole, 2)
		w.clock = absent.To
		w.take(report(absent.Slot, true))
		w.stands(absent, bath.NotUsed, bath.Released, 0)
		w.take(report(absent.Slot, true, use(absent, 25)))
		w.stands(absent, bath.Used, bath.Released, yuan)
		w.listed(bath.ToldTwice, bath.AfterRelease)
	})
}

// TestNoReservation keeps what is told of codes that nobody was given, of halls that
// the books do not have, and before a slot is over.
func TestNoReservation(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		w.at(17, 15)
		early := use(r, 1)
		if got := w.take(report(r.Slot, true)); got.Freed != 0 {
			t.Errorf("freed before the slot was over: %+v", got)
		}
		w.stands(r, bath.Reserved, bath.Held, 0)
		stranger := early
		stranger.N = 3
		w.take(report(r.Slot, false, stranger))
		w.listed(bath.TooEarly, bath.NoReservation)

		w.clock = r.To
		again := water.Report{Slot: r.Slot, Final: true, Tried: []int{3}, Uses: []water.Use{}}
		if got := w.take(again.Seal(master.Key(r.Slot.Place, today))); got.Freed != 0 {
			t.Errorf("freed by a controller that was early: %+v", got)
		}
		w.stands(r, bath.Reserved, bath.Held, 0)
		w.at(17, 15)

		ghost := bathcode.Slot{Place: bathcode.Place{Hall: 77, Stall: 1}, Day: today, No: 0}
		early.Stall, early.N = 1, 0
		w.take(report(ghost, true, early))
		w.listed(bath.TooEarly, bath.TooEarly, bath.NoReservation, bath.NoReservation, bath.Outside)

		_, err := w.desk.Take(t.Context(), "kiosk1", water.Report{Slot: r.Slot}.Seal(
			bathcode.Master{}.Key(r.Slot.Place, today)))
		w.refused(err, bath.ReportUnknown)
	})
}

// TestClosedAccount takes nothing from an account that has ended meanwhile.
func TestClosedAccount(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		left := func() (what string) {
			w.ok(w.books.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
				at, err := w.books.LockAccounts(t.Context(), tx, []store.Account{holder(0), "till/kiosk1"})
				if err == nil && at[holder(0)].Balance > 0 && w.clock.After(r.To) {
					_, err = w.books.PostAll(t.Context(), tx, at, []store.Entry{{
						Kind: store.KindPayOut, Place: "kiosk1", Debit: holder(0), Credit: "till/kiosk1", Amount: 20 * yuan,
					}})
				}
				if err != nil {
					return err
				}
				what, err = w.books.LeftOf(t.Context(), tx, holder(0), nil)
				return err
			}))
			return what
		}
		if what := left(); what == "" {
			t.Error("nothing is left of an account with a hold")
		}
		w.clock = r.To.Add(25 * time.Hour)
		_, err := w.desk.Lapse(t.Context())
		w.ok(err)
		if what := left(); what != "" {
			t.Errorf("left: %s", what)
		}
		w.ok(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return w.books.CloseHolder(t.Context(), tx, holder(0), w.clock)
		}))
		w.take(report(r.Slot, true, use(r, 50)))
		w.stands(r, bath.Used, bath.Released, 0)
		w.money(0, 0, 0)
		w.listed(bath.AfterRelease)
	})
}

// TestVerify finds what breaks the promises, in books that somebody has touched who
// has their file. On PostgreSQL campusd has no right to most of it.
func TestVerify(t *testing.T) {
	w := newWorld(t, t.TempDir()+"/books.db")
	r := w.reserve(0, byStall, 0)
	w.at(18, 0)
	w.take(report(r.Slot, true, use(r, 50)))
	w.take(report(r.Slot, true, use(r, 60)))
	for _, spoil := range []string{
		`UPDATE exceptions SET kind = 'nothing'`,
		`UPDATE bath_uses SET inside = false`,
		`UPDATE bath_uses SET stall = 7`,
		`UPDATE bath_uses SET ref = NULL`,
		`UPDATE bath_uses SET n = n + 1`,
		`UPDATE bath_uses SET amount_fen = 10`,
		`UPDATE bath_uses SET amount_fen = 1000`,
		`UPDATE bath_reservations SET captured_fen = 100`,
		`UPDATE bath_reservations SET state = 2, hold = 1, captured_fen = 0, entry_id = NULL`,
		`UPDATE bath_halls SET merchant = 'mine'`,
		`UPDATE bath_reservations SET stub_fen = 100`,
		`UPDATE bath_reservations SET stub_fen = 100, captured_fen = 100`,
	} {
		undo := errors.New("undo")
		err := w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			guards, err := sqldb.Texts(t.Context(), tx, `SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
			w.ok(err)
			for _, g := range guards { // in a transaction that is undone
				_, err := tx.Exec(t.Context(), `DROP TRIGGER `+g)
				w.ok(err)
			}
			if _, err := tx.Exec(t.Context(), spoil); err != nil {
				return err
			}
			broken, err := bath.Broken(t.Context(), tx)
			if err != nil || len(broken) == 0 {
				t.Errorf("%s: %q, %v", spoil, broken, err)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Errorf("%s: %v", spoil, err)
		}
	}
}

// TestSetup gives a controller what it needs, and no other's keys.
func TestSetup(t *testing.T) {
	w := newWorld(t, t.TempDir()+"/books.db")
	s, err := w.desk.Setup(t.Context(), byStall, 2)
	w.ok(err)
	s, err = water.ParseSetup(s.Encode())
	w.ok(err)
	r := w.reserve(0, byStall, 0)
	q := w.request(1, byStall, 0)
	q.Stall = 2
	r, err = w.desk.Reserve(t.Context(), q)
	w.ok(err)
	k, ok := s.Key(today)
	if n, found := k.Check(w.desk.Code(r), r.Slot); !ok || !found || n != r.N {
		t.Errorf("the controller does not know %+v", r)
	}
	if _, ok := s.Key(today + 60); ok || len(s.Keys) != 2 || !slices.Equal(s.Stalls, []uint16{2}) || len(s.Times) != 4 {
		t.Errorf("setup: %+v", s)
	}
	for _, wrong := range []bathcode.Place{{Hall: byStall}, {Hall: byStall, Stall: 9}, {Hall: whole, Stall: 1}} {
		if _, err := w.desk.Setup(t.Context(), wrong.Hall, wrong.Stall); !errors.Is(err, bath.ErrHall) {
			t.Errorf("setup of %+v: %v", wrong, err)
		}
	}
	if h, err := w.desk.Setup(t.Context(), whole, 0); err != nil || len(h.Stalls) != 3 {
		t.Errorf("setup of the whole hall: %+v, %v", h, err)
	}
}
