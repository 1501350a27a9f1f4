package biller_test

import (
	"log/slog"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/upstream/biller"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/reconcile"
)

// TestReconciled holds a day of bills against the vendor's own records: what is
// paid matches, a refund that only we know of does not, and neither does what the
// vendor has booked for an order that was released.
func TestReconciled(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.clock = channel.DayOf(w.clock).Start().Add(10 * time.Hour) // no test crosses midnight
		w.mu.Unlock()
		day := channel.DayOf(w.now())
		w.order("N1", 10*yuan)
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: true})
		w.order("N2", 5*yuan)
		w.pass(time.Minute)
		w.want("N2", biller.Paid, moneys{35 * yuan, 0, 15 * yuan, 15 * yuan})
		daily := &clearing.Daily{
			House: clearing.New(w.books), Source: reconcile.Source(biller.AccountOf("network")), Statements: w.network,
			Log: slog.New(slog.DiscardHandler),
		}
		w.pass(30 * time.Hour)
		w.once(daily)
		if x := w.inbox(); len(x) != 0 {
			t.Fatalf("all matches, and the inbox is %+v", x)
		}
		statements, err := daily.House.Statements(t.Context(), daily.Source)
		if err != nil || len(statements) == 0 || statements[0].Day != day || statements[0].Paid != 15*yuan {
			t.Fatalf("statements = %+v, %v; want 15 yuan for %s", statements, err, day)
		}
		w.must(w.desk.Refund(t.Context(), biller.Refund{
			OrderNo: "N1", No: "R1", Amount: 10 * yuan, Reason: "taken back", ByOne: "w1", ByTwo: "w2",
		}))
		w.pass(30 * time.Hour)
		w.once(daily)
		if x := w.inbox(); len(x) != 1 || x[0].Amount != 10*yuan {
			t.Errorf("a refund that they do not have: inbox %+v", x)
		}
		w.whole()
	})
}

func (w *world) once(d *clearing.Daily) {
	w.t.Helper()
	_, err := d.Once(w.t.Context())
	w.must(err)
}
