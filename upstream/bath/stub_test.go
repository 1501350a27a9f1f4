package bath_test

import (
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/bath"
)

// stub is what the controller shows at the end of a reservation's shower.
func stub(r bath.Reservation, cost money.Fen) string {
	return master.Key(r.Slot.Place, r.Slot.Day).Stub(r.Slot, r.N, cost).Grouped()
}

func (w *world) close(r bath.Reservation, stub string) (bath.Reservation, error) {
	return w.desk.Close(w.t.Context(), bath.Closing{Act: w.act(r), Stub: stub})
}

// TestStub pays by the stub before any log is there, once, whoever says it how often;
// the log says the same later and moves nothing.
func TestStub(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		a, b, free := w.reserve(0, byStall, 0), w.reserve(1, whole, 0), w.reserve(2, whole, 0)
		given, err := w.desk.Cancel(t.Context(), w.act(free))
		w.ok(err)
		w.at(17, 20)
		for range 2 {
			got, err := w.close(a, stub(a, 2*yuan))
			if w.ok(err); got.State != bath.Used || got.Captured != 2*yuan || *got.Stub != 2*yuan || got.Use != nil {
				t.Errorf("closed: %+v", got)
			}
		}
		if _, err := w.close(a, "0000 0000"); err != nil {
			t.Errorf("a wrong stub of what is paid: %v", err) // it stands as it does
		}
		_, err = w.close(b, stub(b, 0))
		w.ok(err)
		_, err = w.close(given, stub(given, yuan)) // its code opened all the same
		w.ok(err)
		w.whole()
		w.money(0, 18*yuan, 0)
		w.money(1, 20*yuan, 0)
		w.money(2, 19*yuan, 0)
		w.at(18, 0)
		got := w.take(report(a.Slot, true, use(a, 50)))
		if got.Uses != 1 || got.Paid != 0 || got.Listed != 0 {
			t.Errorf("the log came to %+v", got)
		}
		w.stands(a, bath.Used, bath.Captured, 2*yuan)
		if is := w.now(a); is.Use == nil || is.Use.Amount != 2*yuan {
			t.Errorf("without what the log says: %+v", is)
		}
		w.listed()
		w.take(report(b.Slot, true, use(b, 25), use(free, 25))) // 1 yuan, of what its stub called nothing
		w.stands(b, bath.Used, bath.Captured, 0)
		w.listed(bath.OtherStub)
	})
}

// TestStubAbovePrice: a stub cannot say by which price it was made. The log can: what a
// holder has paid above the price that was shown is a line of the inbox.
func TestStubAbovePrice(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		w.at(17, 20)
		_, err := w.close(r, stub(r, 3*yuan)) // of 50 litres, at another price than 2 yuan for them
		w.ok(err)
		w.at(18, 0)
		u := use(r, 50)
		u.Amount = 3 * yuan
		w.take(report(r.Slot, true, u))
		w.listed(bath.OtherStub)
	})
}

// TestStubAboveCap: a hall's cap is raised, and its controller has that before a shower of a
// reservation that was made before. Its stub is right, and its holder pays what was held.
func TestStubAboveCap(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := w.reserve(0, byStall, 0)
		h, err := w.desk.Hall(t.Context(), byStall)
		w.ok(err)
		h.Cap += 3 * yuan
		w.ok(w.desk.SetHall(t.Context(), h))
		w.at(17, 20)
		_, err = w.close(r, stub(r, h.Cap))
		w.ok(err)
		w.stands(r, bath.Used, bath.Captured, r.Cap)
		w.at(18, 0)
		u := use(r, 50)
		u.Amount = h.Cap
		w.take(report(r.Slot, true, u))
		w.listed(bath.OtherStub)
	})
}

// TestStubRefused takes no stub that is of another shower, five times, and leaves what
// is held to the controller's log.
func TestStubRefused(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r, other := w.reserve(0, byStall, 0), w.reserve(1, byStall, 0)
		_, err := w.close(r, "1234 567")
		w.refused(err, bath.Malformed)
		others := w.act(r)
		others.Account = other.Account
		_, err = w.desk.Close(t.Context(), bath.Closing{Act: others, Stub: stub(r, yuan)})
		w.refused(err, bath.RefUnknown)
		for left := 4; left >= 0; left-- {
			_, err := w.close(r, stub(other, yuan))
			if no := w.refused(err, bath.StubWrong); no.Tries != left {
				t.Errorf("%d tries are left, want %d", no.Tries, left)
			}
		}
		_, err = w.close(r, stub(r, yuan))
		w.refused(err, bath.StubLocked)
		w.stands(r, bath.Reserved, bath.Held, 0)
		w.at(18, 0)
		w.take(report(r.Slot, true, use(r, 50)))
		w.stands(r, bath.Used, bath.Captured, 2*yuan)

		w.clock = other.To.Add(24 * time.Hour)
		_, err = w.desk.Lapse(t.Context())
		w.ok(err)
		_, err = w.close(other, stub(other, yuan))
		w.refused(err, bath.Over)
		w.money(1, 20*yuan, 0)
	})
}

// TestStubAndLog brings a stub to two kiosks and the log, all at once.
func TestStubAndLog(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		for slot := range uint8(4) {
			r := w.reserve(0, whole, slot)
			w.clock = r.To
			line := report(r.Slot, true, use(r, 50))
			var all sync.WaitGroup
			for i := range 3 {
				all.Go(func() {
					var err error
					if i == 0 {
						_, err = w.desk.Take(t.Context(), "console", line)
					} else {
						_, err = w.close(r, stub(r, 2*yuan))
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			w.stands(r, bath.Used, bath.Captured, 2*yuan)
			w.money(0, 20*yuan-2*yuan*money.Fen(slot+1), 0)
		}
		w.listed()
	})
}
