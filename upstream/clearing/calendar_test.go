package clearing_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"quancun/upstream/channel"
	"quancun/upstream/clearing"
)

// due closes what is due, and wants so many days to be closed and what the clock is
// believed to be worth.
func (w *world) due(want int, through channel.Day, believed bool) {
	w.t.Helper()
	n, last, err := w.house.CloseDue(w.t.Context())
	if n != want || last != through || believed && err != nil || !believed && !errors.Is(err, clearing.ErrClockAhead) {
		w.t.Errorf("CloseDue = %d, %s, %v; want %d through %s, believed %t", n, last, err, want, through, believed)
	}
}

// alarmed returns what the alarms about the clock are about.
func (w *world) alarmed() (refs []string) {
	w.t.Helper()
	all, err := w.books.Alarms(w.t.Context())
	w.must(err)
	for _, a := range all {
		if a.Kind == clearing.AlarmClock {
			refs = append(refs, a.Ref)
		}
	}
	return refs
}

// TestClockAhead has the upstream's clock jump three years ahead for a while, with
// sales before, meanwhile and after. Days are closed as if it had never been: by the
// terminals' clocks, or, where these went by ours, in the next day.
func TestClockAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.set("2026-03-02 09:00:00")
		w.once(1) // nobody has paid by Alipay
		w.sell("canteen", 20*yuan, "")

		w.set("2029-05-01 12:00:00")
		w.sell("canteen", 3*yuan, "2026-03-02 12:00:00") // its terminal's clock is right
		w.sell("canteen", 4*yuan, "")                    // no terminal's
		w.sell("shop", 5*yuan, "2029-05-01 12:00:00")    // its terminal went by ours
		for range 3 {
			w.due(0, "2026-03-01", false)
			w.set("2029-05-02 12:00:00")
		}
		if _, err := w.house.CloseDays(t.Context(), "2029-05-01"); !errors.Is(err, clearing.ErrClockAhead) {
			t.Errorf("a person closes what the clock says: %v, want ErrClockAhead", err)
		}
		if got := w.alarmed(); len(got) != 1 || got[0] != "2026-03-01" {
			t.Errorf("alarms of %q, want one that names the last day that was over", got)
		}

		w.set("2026-03-02 18:00:00")
		w.sell("canteen", 1*yuan, "")
		w.due(1, "2026-03-01", true) // nobody knows when the shop has sold
		w.set("2026-03-03 09:00:00")
		w.sell("canteen", 2*yuan, "")
		w.due(1, "2026-03-02", true)
		w.set("2026-03-04 09:00:00")
		w.due(1, "2026-03-03", true)
		wants(t, w.settled(), `
			canteen 2026-03-01 1(0) 10.00-0.00=10.00 open
			shop 2026-03-01 1(1) 5.00-0.00=5.00 open
			canteen 2026-03-02 4(1) 28.00-0.00=28.00 open
			canteen 2026-03-03 1(0) 2.00-0.00=2.00 open`)
		w.whole()
	})
}

// TestClosedAhead has a person confirm what a clock says that is years ahead. Where
// nothing was sold nothing is closed, so real days are closed as ever afterwards.
func TestClosedAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.set("2026-03-02 09:00:00")
		w.due(1, "2026-03-01", true)
		w.set("2029-05-01 12:00:00")
		w.sell("canteen", 3*yuan, "2026-03-02 08:00:00")
		w.set("2029-05-02 12:00:00")
		if err := w.house.Confirm(t.Context(), "2029-05-01", " "); !errors.Is(err, clearing.ErrUnsigned) {
			t.Errorf("confirmed by nobody: %v, want ErrUnsigned", err)
		}
		if err := w.house.Confirm(t.Context(), "2029-05-02", "王敏"); !errors.Is(err, clearing.ErrNotOver) {
			t.Errorf("a day that is not over is confirmed: %v, want ErrNotOver", err)
		}
		w.must(w.house.Confirm(t.Context(), "2029-05-01", "王敏"))
		w.due(1, "2029-05-01", true)

		w.set("2026-03-02 18:00:00")
		w.sell("canteen", 1*yuan, "")
		w.set("2026-03-03 09:00:00")
		w.sell("canteen", 2*yuan, "2026-02-28 12:00:00")
		w.due(1, "2026-03-02", true)
		w.set("2026-03-20 09:00:00") // what was confirmed lies ahead, and counts for nothing
		w.due(0, "2026-03-02", false)
		wants(t, w.settled(), `
			canteen 2026-03-01 1(0) 10.00-0.00=10.00 open
			canteen 2026-03-02 2(1) 3.00-0.00=3.00 open
			canteen 2029-05-01 1(0) 3.00-0.00=3.00 open`)
		w.whole()
	})
}

// TestOffForWeeks starts an upstream again that was off for weeks: a bill of the
// channel's says that the days have passed, or else a person does.
func TestOffForWeeks(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.paid(20 * yuan)
		w.set("2026-03-02 09:00:00")
		w.once(0)
		w.sell("canteen", 1*yuan, "")

		w.set("2026-04-01 10:00:00")
		if _, err := w.daily.Once(t.Context()); !errors.Is(err, clearing.ErrClockAhead) {
			t.Errorf("Once = %v, want ErrClockAhead", err)
		}
		if got := w.days(); len(got) != 1 {
			t.Errorf("days %q: a clock that is not believed has called days empty", got)
		}
		if all, err := w.books.Alarms(t.Context()); err != nil || len(all) != 1 || all[0].Kind != clearing.AlarmClock {
			t.Errorf("alarms %+v, %v; want one about the clock and none about bills", all, err)
		}
		w.set("2026-03-30 20:00:00")
		w.paid(30 * yuan) // somebody had paid, and the channel has a bill of it
		w.set("2026-04-01 10:00:00")
		if _, err := w.daily.Once(t.Context()); err != nil {
			t.Errorf("with a bill of the day before yesterday: %v", err)
		}
		wants(t, w.settled(), `
			canteen 2026-03-01 1(0) 10.00-0.00=10.00 open
			canteen 2026-03-02 1(0) 1.00-0.00=1.00 open`)

		w.set("2026-05-01 10:00:00")
		w.sell("canteen", 2*yuan, "2026-04-30 12:00:00")
		w.due(0, "2026-03-31", false)
		w.must(w.house.Confirm(t.Context(), "2026-04-30", "王敏"))
		w.due(1, "2026-04-30", true)
		w.whole()
	})
}

// TestEmptyAhead has days called empty that had not come, by a clock that was ahead:
// they are asked about when they are over.
func TestEmptyAhead(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 09:00:00")
		w.once(0)
		w.set("2026-03-07 10:00:00") // five days, which are believed
		w.once(1)
		if got := strings.Join(w.days(), " "); got != "2026-03-01 2026-03-02- 2026-03-03- 2026-03-04- 2026-03-05-" {
			t.Fatalf("days %q", got)
		}
		w.set("2026-03-03 12:00:00")
		w.paid(30 * yuan)
		w.set("2026-03-04 09:30:00")
		w.once(0)
		if got := strings.Join(w.days(), " "); !strings.Contains(got+" ", "2026-03-03 ") {
			t.Errorf("days %q, want the 3rd with its bill", got)
		}
		if got := w.inbox(); got != nil {
			t.Errorf("inbox %q", got)
		}
		w.whole()
	})
}

// TestTwoClocks closes no day before it is over by the database's clock too.
func TestTwoClocks(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.sell("canteen", 10*yuan, "")
		w.set("2026-03-03 09:00:00")
		w.house.Database = func(context.Context) (time.Time, error) { return at("2026-03-01 12:00:00"), nil }
		w.due(0, "2026-02-28", true)
		if _, err := w.house.CloseDays(t.Context(), "2026-03-01"); !errors.Is(err, clearing.ErrNotOver) {
			t.Errorf("closed by one clock: %v, want ErrNotOver", err)
		}
		failed := errors.New("it is away")
		w.house.Database = func(context.Context) (time.Time, error) { return time.Time{}, failed }
		if _, _, err := w.house.CloseDue(t.Context()); !errors.Is(err, failed) {
			t.Errorf("without an answer: %v", err)
		}
		w.house.Database = func(context.Context) (time.Time, error) { return at("2026-03-09 12:00:00"), nil }
		w.due(1, "2026-03-02", true)
	})
}
