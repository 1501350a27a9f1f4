package clearing_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	lab "quancun/lab/alipay"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/payment"
	"quancun/upstream/reconcile"
	"quancun/upstream/store"
)

// days returns the days that were compared, with "-" after those that had no
// statement.
func (w *world) days() (all []string) {
	w.t.Helper()
	list, err := w.house.Statements(w.t.Context(), source)
	w.must(err)
	for _, s := range list {
		day := string(s.Day)
		if s.Absent {
			day += "-"
		}
		if !s.Compared.IsZero() {
			all = append(all, day)
		}
	}
	return all
}

// TestMornings goes through the days as campusd does: too early, too late,
// after a holiday, after days in which it was down.
func TestMornings(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.once(0) // nothing has ever been sold
		w.set("2026-03-01 12:00:00")
		w.paid(20 * yuan)
		for _, tt := range []struct {
			clock   string
			missing int
			want    []string
		}{
			{"2026-03-02 08:59:00", 0, nil}, // nobody expects a bill yet
			{"2026-03-02 09:00:00", 0, []string{"2026-03-01"}},
			{"2026-03-02 23:00:00", 0, []string{"2026-03-01"}},
			{"2026-03-03 09:00:00", 1, []string{"2026-03-01"}}, // nothing was sold on the 2nd: or is it late?
			{"2026-03-04 00:00:00", 0, []string{"2026-03-01", "2026-03-02-"}},
		} {
			w.set(tt.clock)
			w.once(tt.missing)
			if got := w.days(); !slices.Equal(got, tt.want) {
				t.Errorf("at %s: %q, want %q", tt.clock, got, tt.want)
			}
		}
		w.set("2026-03-05 12:00:00") // campusd sells on, and reconciles no more
		w.paid(10 * yuan)
		w.set("2026-03-06 12:00:00")
		w.paid(10 * yuan)
		w.set("2026-03-08 09:10:00")
		w.once(1)
		want := []string{
			"2026-03-01", "2026-03-02-", "2026-03-03-", "2026-03-04-", "2026-03-05", "2026-03-06",
		}
		if got := w.days(); !slices.Equal(got, want) {
			t.Errorf("after days off: %q, want %q", got, want)
		}
		if got := w.inbox(); got != nil {
			t.Errorf("inbox %q", got)
		}
		w.whole()
	})
}

// TestBillNotThere waits for a bill of a day on which something was sold: it
// is never taken for an empty one, and after two days somebody is told, once.
func TestBillNotThere(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		if _, err := w.gateway.Arm(lab.Fault{Method: "bill", Kind: lab.NotReady, Standing: true}); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			clock  string
			alarms int
		}{
			{"2026-03-02 09:00:00", 0}, {"2026-03-02 18:00:00", 0}, {"2026-03-03 09:00:00", 0},
			{"2026-03-03 23:59:00", 0}, {"2026-03-04 00:00:00", 1}, {"2026-03-04 18:00:00", 1},
		} {
			w.set(tt.clock)
			if _, err := w.daily.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			alarms, err := w.books.Alarms(t.Context())
			w.must(err)
			if len(alarms) != tt.alarms {
				t.Errorf("at %s: %d alarms, want %d: %+v", tt.clock, len(alarms), tt.alarms, alarms)
			}
			if tt.alarms > 0 && (alarms[0].Kind != clearing.AlarmNotReconciled || alarms[0].Ref != "channel/alipay 2026-03-01") {
				t.Errorf("alarm %+v", alarms[0])
			}
		}
		if got := w.days(); slices.Contains(got, "2026-03-01") || slices.Contains(got, "2026-03-01-") {
			t.Errorf("days %q: a day without its bill was reconciled", got)
		}
		w.gateway.Clear()
		w.once(1) // the 3rd is not sure yet
		if got := w.days(); !slices.Contains(got, "2026-03-01") {
			t.Errorf("days %q, want the 1st after all", got)
		}
		w.whole()
	})
}

// TestBillBroken breaks the way to the bill in every way. Nothing is kept of
// any of them, and the next morning goes well.
func TestBillBroken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 10:00:00")
		for method, kinds := range map[string][]lab.Kind{
			"bill":      {lab.Drop, lab.BadSignature, lab.Unsigned, lab.HTML, lab.HTTP500, lab.Error},
			"bill.file": {lab.Drop, lab.HTML, lab.HTTP500, lab.Truncated, lab.BadTotals},
		} {
			for _, kind := range kinds {
				if _, err := w.gateway.Arm(lab.Fault{Method: method, Kind: kind, Booked: true}); err != nil {
					t.Fatal(err)
				}
				missing, err := w.daily.Once(t.Context())
				if err == nil || missing != 1 || w.days() != nil || w.inbox() != nil {
					t.Errorf("%s %s: %d missing, %v, days %q, inbox %q", method, kind, missing, err, w.days(), w.inbox())
				}
			}
		}
		w.once(0)
		if got := w.days(); !slices.Equal(got, []string{"2026-03-01"}) {
			t.Errorf("after all: %q", got)
		}
	})
}

// TestBadDay has a bill that cannot be read, of a day that stays so: the days after it are
// compared all the same.
func TestBadDay(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 12:00:00")
		w.paid(10 * yuan)
		w.set("2026-03-03 10:00:00")
		if _, err := w.gateway.Arm(lab.Fault{Method: "bill.file", Kind: lab.BadTotals}); err != nil {
			t.Fatal(err)
		}
		if missing, err := w.daily.Once(t.Context()); err == nil || missing != 1 {
			t.Errorf("%d missing, %v; want the 1st alone, and why", missing, err)
		}
		if got := w.days(); !slices.Equal(got, []string{"2026-03-02"}) {
			t.Errorf("days %q, want the 2nd", got)
		}
	})
}

// TestForgottenDay has a bill after all for a day that was taken for empty.
func TestForgottenDay(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 12:00:00")
		no := w.order(20 * yuan)
		_, err := w.alipay.Query(t.Context(), no)
		w.must(err)
		w.pay(no) // and we do not hear of it
		w.set("2026-03-04 10:00:00")
		if _, err := w.gateway.Arm(lab.Fault{Method: "bill", Kind: lab.NotReady, Standing: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.daily.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.days(); !slices.Equal(got, []string{"2026-03-02-"}) {
			t.Fatalf("days %q, want the 2nd taken for empty", got)
		}
		w.gateway.Clear()
		w.set("2026-03-05 10:00:00")
		if _, err := w.daily.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.inbox(); len(got) != 1 || !strings.HasPrefix(got[0], "payment only theirs A2 20.00") {
			t.Errorf("inbox %q, want the payment of the 2nd", got)
		}
		w.whole()
	})
}

// TestTwoPrograms reconciles in several programs at once: no line twice.
func TestTwoPrograms(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		for range 5 {
			w.paid(20 * yuan)
		}
		w.lateMoney()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if _, err := w.daily.Once(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := w.inbox(); len(got) != 1 {
			t.Errorf("inbox %q, want one line", got)
		}
		if got := w.days(); !slices.Equal(got, []string{"2026-03-01"}) {
			t.Errorf("days %q", got)
		}
		w.whole()
	})
}

// TestRun lets it run as campusd does, and stops it.
func TestRun(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		w.set("2026-03-02 10:00:00")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.daily.Run(ctx) }()
		for end := time.Now().Add(time.Minute); w.days() == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not reconciled within a minute")
			}
		}
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
	})
}

// TestBiller compares a biller's records that a person has handed over.
func TestBiller(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		const network = "biller/network"
		s := channel.Statement{Day: day, Lines: []channel.Line{
			{OrderNo: "N1", TradeNo: "88", Kind: channel.Payment, Amount: 3000, At: at("2026-03-01 08:00:00")},
		}}
		w.set("2026-03-02 10:00:00")
		for range 2 {
			if _, err := w.house.SaveStatement(t.Context(), network, s); err != nil {
				t.Fatal(err)
			}
			o, err := w.house.Compare(t.Context(), network, day)
			if err != nil || o.Open != 1 {
				t.Errorf("Compare = %+v, %v", o, err)
			}
		}
		const want = "payment only theirs N1 30.00: operator, charge or cancel"
		if got := w.inbox(); !slices.Equal(got, []string{want}) {
			t.Fatalf("inbox %q, want %q", got, want)
		}
		all, err := w.house.Exceptions(t.Context(), false)
		w.must(err)
		if _, err := w.house.Assign(t.Context(), all[0].ID, holder, two("x")); !errors.Is(err, clearing.ErrNotThat) {
			t.Errorf("credited to a holder: %v, want ErrNotThat", err)
		}
		_, err = w.house.WriteOff(t.Context(), all[0].ID, two("我方承担"))
		w.must(err)
		if got, err := w.books.Balance(t.Context(), network); err != nil || got != 3000 {
			t.Errorf("owed to the biller %s, %v; want 30.00", got, err)
		}
		o, err := w.house.Compare(t.Context(), network, day)
		if err != nil || o.Open != 0 || o.Even+o.Matched == 0 {
			t.Errorf("again: %+v, %v", o, err)
		}
		w.whole()
	})
}

// TestBookedLate books what was paid on a day whose bill has been compared by then, and
// does not have it: people are told, whenever it came.
func TestBookedLate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.paid(20 * yuan)
		no := w.order(30 * yuan)
		w.set("2026-03-02 10:00:00")
		w.once(0)
		_, err := w.books.Advance(t.Context(), no, store.OrderStep{
			To: store.OrderPaid, TradeNo: "T9", PaidAt: at("2026-03-01 08:00:00"),
		})
		w.must(err)
		w.paid(10 * yuan)
		for _, clock := range []string{"2026-03-02 12:00:00", "2026-03-03 10:00:00"} {
			w.set(clock)
			w.once(0)
		}
		const want = "payment only ours A2 30.00: operator, claim payment"
		if got := w.inbox(); !slices.Equal(got, []string{want}) {
			t.Errorf("inbox %q, want %q", got, want)
		}
		w.whole()
	})
}

// TestCorrectedOnAQuietDay corrects on a day on which nothing was sold, of which there is
// no bill: it is taken for what it is, and nobody waits for one for ever.
func TestCorrectedOnAQuietDay(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.lateMoney()
		w.once(0)
		all, err := w.house.Exceptions(t.Context(), false)
		w.must(err)
		w.set("2026-03-03 12:00:00")
		_, err = w.house.WriteOff(t.Context(), all[0].ID, two("x"))
		w.must(err)
		w.set("2026-03-05 00:00:00")
		w.once(0)
		if got := w.days(); !slices.Contains(got, "2026-03-03-") {
			t.Errorf("days %q, want the 3rd taken for empty", got)
		}
		w.whole()
	})
}

// TestFirstOrdersLost has books that were restored to before the first order: what was
// paid since is in the bill of a day of which they know nothing at all.
func TestFirstOrdersLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		_, err := w.alipay.Precreate(t.Context(), channel.Order{
			No: "LOST", Amount: 20 * yuan, Subject: "校园卡充值", Terminal: "K01", Life: 2 * time.Minute,
		})
		w.must(err)
		w.pay("LOST")
		w.set("2026-03-02 12:00:00")
		w.once(0)
		if got := w.inbox(); !slices.Equal(got, []string{"payment only theirs LOST 20.00: operator, find payer"}) {
			t.Errorf("inbox %q", got)
		}
	})
}

// TestBookedOnADayWithoutBill has something booked late, on a day of which the channel makes
// no bill although we have one of its payments: what is booked is held against the bills
// that are there all the same.
func TestBookedOnADayWithoutBill(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		given := w.order(20 * yuan)
		w.pay(given)
		w.must(w.alipay.Refund(t.Context(), given, "X1", 20*yuan)) // by people, and their word was lost
		w.set("2026-03-02 10:00:00")
		w.once(0)
		w.set("2026-03-03 12:00:00")
		for _, no := range []string{given, w.order(5 * yuan)} { // the channel has nothing of the second
			clock := map[bool]string{true: "2026-03-01 12:00:00", false: "2026-03-03 12:00:00"}[no == given]
			_, err := w.books.Advance(t.Context(), no, store.OrderStep{To: store.OrderPaid, TradeNo: no, PaidAt: at(clock)})
			w.must(err)
		}
		w.set("2026-03-04 10:00:00")
		w.once(1)
		want := "refund only theirs " + given + " 20.00: operator, book return"
		if got := w.inbox(); !slices.Contains(got, want) {
			t.Errorf("inbox %q, want %q in it", got, want)
		}
	})
}

// TestRefundKnownLate has a till's refund written off in haste, and the till bring it on a day
// of which the channel makes no bill, since it had made the refund before. That it is booked
// twice comes to light.
func TestRefundKnownLate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		till := newTill(w)
		w.set("2026-03-01 12:00:00")
		desk := payment.New(payment.Config{Books: w.books, Channel: w.alipay, Now: w.now})
		code, err := w.gateway.Code()
		w.must(err)
		_, err = desk.Pay(t.Context(), payment.Payment{No: "S1", Terminal: "K01", Merchant: "canteen", Amount: 8 * yuan}, code)
		w.must(err)
		_, err = desk.Refund(t.Context(), payment.Refund{OrderNo: "S1", No: "R1", Amount: 6 * yuan})
		w.must(err)
		sale := till.write(journal.Entry{Kind: journal.ChannelSale, Ref: "S1", Merchant: "canteen", Amount: 8 * yuan})
		w.set("2026-03-03 10:00:00") // nothing is paid any more
		w.once(1)
		all, err := w.house.Exceptions(t.Context(), false)
		w.must(err)
		for _, x := range all {
			if x.NextStep == string(reconcile.AwaitRefund) {
				_, err := w.house.WriteOff(t.Context(), x.ID, two("x"))
				w.must(err)
			}
		}
		till.write(journal.Entry{
			Kind: journal.Refund, Ref: "R1", Merchant: "canteen", Amount: 6 * yuan, Origin: sale.Position(),
			Details: []byte(`{"sale":"S1"}`),
		})
		till.push()
		w.set("2026-03-05 10:00:00")
		w.once(1) // the 4th may still have a bill
		want := "refund booked twice S1 6.00: operator, reverse entry"
		if got := w.inbox(); !slices.Contains(got, want) {
			t.Errorf("inbox %q, want %q in it", got, want)
		}
	})
}
