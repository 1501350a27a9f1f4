package bath_test

import (
	"sync"
	"testing"
	"time"

	"quancun/upstream/bath"
)

// TestActAgain asks for an act again whose answer was lost, when all has changed since:
// it is answered as it was, and does nothing.
func TestActAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		given, used := w.reserve(0, whole, 0), w.reserve(1, byStall, 0)
		cancel, closing := w.act(given), bath.Closing{Act: w.act(used), Stub: stub(used, 2*yuan)}
		_, err := w.desk.Cancel(t.Context(), cancel)
		w.ok(err)
		w.at(17, 40)
		_, err = w.desk.Close(t.Context(), closing)
		w.ok(err)
		w.take(report(given.Slot, false, use(given, 20))) // by its code, which opens all the same
		r, err := w.desk.Cancel(t.Context(), cancel)
		if w.ok(err); r.State != bath.Used {
			t.Errorf("given up again: %+v", r)
		}
		r, err = w.desk.Close(t.Context(), closing)
		if w.ok(err); r.State != bath.Used || r.Captured != 2*yuan {
			t.Errorf("settled again: %+v", r)
		}
		w.money(1, 18*yuan, 0)

		other := closing
		other.Reservation = w.reserve(1, byStall, 2).Ref
		_, err = w.desk.Close(t.Context(), other)
		w.refused(err, bath.Conflict)
		other = closing
		other.Terminal = "kiosk2"
		_, err = w.desk.Close(t.Context(), other)
		w.refused(err, bath.Conflict)
		_, err = w.desk.Cancel(t.Context(), closing.Act)
		w.refused(err, bath.Conflict)
		own := w.act(used)
		own.Ref = used.Ref
		_, err = w.desk.Cancel(t.Context(), own)
		w.refused(err, bath.Conflict)
		q := w.request(0, whole, 3)
		q.Ref = closing.Ref
		_, err = w.desk.Reserve(t.Context(), q)
		w.refused(err, bath.Conflict)
	})
}

// TestWrongStubAgain asks again with a wrong stub whose answer was lost: that is one try.
func TestWrongStubAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		wrong := bath.Closing{Act: w.act(r), Stub: "0000 0000"}
		for range 6 {
			_, err := w.desk.Close(t.Context(), wrong)
			if no := w.refused(err, bath.StubWrong); no.Tries != 4 {
				t.Errorf("%d tries are left, want 4", no.Tries)
			}
		}
		if done, err := w.desk.End(t.Context(), "kiosk1", wrong.Ref); err != nil || done {
			t.Errorf("a wrong stub has come to %t, %v", done, err)
		}
		_, err := w.close(r, stub(r, yuan))
		w.ok(err)
	})
}

// TestEndAct gives an act up that has not come: it never does. One that was done stays.
func TestEndAct(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, whole, 0)
		late := w.act(r)
		if done, err := w.desk.End(t.Context(), "kiosk1", late.Ref); err != nil || done {
			t.Errorf("what nobody has asked for: %t, %v", done, err)
		}
		_, err := w.desk.Cancel(t.Context(), late)
		w.refused(err, bath.Ended)
		_, err = w.desk.Close(t.Context(), bath.Closing{Act: late, Stub: stub(r, yuan)})
		w.refused(err, bath.Ended)
		w.stands(r, bath.Reserved, bath.Held, 0)
		now := w.act(r)
		_, err = w.desk.Cancel(t.Context(), now)
		w.ok(err)
		if done, err := w.desk.End(t.Context(), "kiosk1", now.Ref); err != nil || !done {
			t.Errorf("what is done: %t, %v", done, err)
		}
		_, err = w.desk.End(t.Context(), "kiosk2", now.Ref)
		w.refused(err, bath.RefUnknown)

		w.clock = w.clock.Add(time.Hour)
		for i := range 8 { // both at a time: one of them is first
			r := w.reserve(1+i%2, whole, uint8(i/2))
			c := bath.Closing{Act: w.act(r), Stub: stub(r, 4)}
			var done, told bool
			var all sync.WaitGroup
			all.Go(func() { _, err := w.desk.Close(t.Context(), c); done = err == nil })
			all.Go(func() { told, _ = w.desk.End(t.Context(), "kiosk1", c.Ref) })
			if all.Wait(); done != told {
				t.Errorf("done: %t, told: %t", done, told)
			}
			_, err := w.close(r, stub(r, 4)) // so that the next may be reserved
			w.ok(err)
		}
	})
}

// TestGivenUpAgain has somebody reserve a slot and give it up all the time. Its codes
// would be gone before anybody else comes.
func TestGivenUpAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		for range 2 {
			_, err := w.desk.Cancel(t.Context(), w.act(w.reserve(0, byStall, 0)))
			w.ok(err)
		}
		_, err := w.desk.Reserve(t.Context(), w.request(0, byStall, 0))
		w.refused(err, bath.GivenUp)
		w.reserve(0, byStall, 1)
		w.reserve(1, byStall, 0)
	})
}
