package biller_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	meters "quancun/lab/electricity"
	"quancun/upstream/biller"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
)

// overtaken is a biller that cannot be asked. Before its answer is there, something
// else happens.
type overtaken struct {
	network   *srun.Client
	meanwhile func()
}

func (o overtaken) Pay(ctx context.Context, c vendor.Charge) (vendor.Receipt, error) {
	r, err := o.network.Pay(ctx, c)
	o.meanwhile()
	return r, err
}

// fast is another upstream on the same books, whose clock is ahead: to it, who is
// telling the biller has died.
func (w *world) fast() *biller.Desk {
	return biller.New(biller.Config{
		Books: w.books, Billers: map[string]vendor.Biller{"network": mute{w.network}},
		Now: func() time.Time { return w.now().Add(time.Minute) },
	})
}

// TestReferredTooEarly: an upstream refers a bill to people while another is still
// telling the biller, which books it. Nobody has anything left to find out.
func TestReferredTooEarly(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		other := w.fast()
		way := overtaken{network: w.network, meanwhile: func() {
			w.must(other.Attend(t.Context()))
			w.want("N1", biller.Referred, moneys{50 * yuan, 10 * yuan, 0, 10 * yuan})
			w.openLine("bill to be found out")
		}}
		w.desk = biller.New(biller.Config{
			Books: w.books, Billers: map[string]vendor.Biller{"network": way}, Now: w.now,
		})
		b := w.order("N1", 10*yuan)
		w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
		w.closedLine(b)
	})
}

// TestReleasedTooEarly: people were faster than the answer, and wrong, and the holder
// has spent the money. They get to know of it.
func TestReleasedTooEarly(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		other := w.fast()
		way := overtaken{network: w.network, meanwhile: func() {
			w.must(other.Attend(t.Context()))
			w.decide(other, "N1", false)
			next := bill("N2", 45*yuan)
			if _, err := other.Order(t.Context(), next); err != nil {
				t.Error(err)
			}
		}}
		w.desk = biller.New(biller.Config{
			Books: w.books, Billers: map[string]vendor.Biller{"network": way}, Now: w.now,
		})
		w.order("N1", 10*yuan)
		w.want("N1", biller.Released, moneys{5 * yuan, 0, 45 * yuan, 55 * yuan})
		w.openLine("bill booked after its release")
	})
}

// TestSilentForHours: a biller that can be asked answers nothing for hours. People may
// find out; if it answers before they do, that ends it, and their line.
func TestSilentForHours(t *testing.T) {
	for name, booked := range map[string]bool{"Booked": true, "NotBooked": false} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) {
				w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: booked})
				w.arm(breaker.Fault{Method: "records", Kind: breaker.HTML, Standing: true})
				w.order("N1", 10*yuan)
				w.pass(20 * time.Minute)
				if b := w.bill("N1"); b.State != biller.Checking || len(w.inbox()) != 0 {
					t.Fatalf("state %d after minutes; inbox %+v", b.State, w.inbox())
				}
				w.pass(5 * time.Hour)
				there := moneys{50 * yuan, 10 * yuan, 0, 0}
				if booked {
					there.booked = 10 * yuan
				}
				w.want("N1", biller.Referred, there)
				w.openLine("bill to be found out")
				w.box.Clear()
				w.pass(20 * time.Minute)
				if booked {
					w.want("N1", biller.Paid, moneys{40 * yuan, 0, 10 * yuan, 10 * yuan})
				} else {
					w.want("N1", biller.Released, moneys{50 * yuan, 0, 0, 0})
				}
				w.closedLine(w.bill("N1"))
			})
		})
	}
}

// TestSilentAndOtherwise: a biller that was silent for hours has the order with another
// amount. It is not asked any more, and people are told so, and why.
func TestSilentAndOtherwise(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop})
		w.arm(breaker.Fault{Method: "records", Kind: breaker.HTML, Standing: true})
		w.order("N1", 10*yuan)
		w.pass(5 * time.Hour)
		w.openLine("bill to be found out")
		_, err := w.network.Pay(t.Context(), vendor.Charge{OrderNo: "N1", Target: "2026000101", Amount: 11 * yuan})
		w.must(err)
		w.box.Clear()
		for range 2 {
			w.pass(time.Hour)
			w.want("N1", biller.Referred, moneys{50 * yuan, 10 * yuan, 0, 11 * yuan})
			w.openLine("bill to be found out")
			if x := w.inbox(); len(x) == 1 && !strings.Contains(x[0].Detail, "other content") {
				t.Errorf("the line says %q", x[0].Detail)
			}
		}
	})
}

// TestUnderWayForever: an integrator says of an order that it is under way, and no more.
// That is no refusal, whatever the status; people find out.
func TestUnderWayForever(t *testing.T) {
	for name, booked := range map[string]bool{"Booked": true, "NotBooked": false} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, w *world) {
				w.openMeters("3").underWay()
				w.decide(w.desk, "E1", booked)
				end := biller.Released
				if booked {
					end = biller.Paid
				}
				if b := w.bill("E1"); b.State != end {
					t.Errorf("state %d; want %d", b.State, end)
				}
				w.closedLine(w.bill("E1"))
				w.pass(30 * time.Hour)
				if b := w.bill("E1"); b.State != end || !b.Next.IsZero() || len(w.inbox()) != 0 {
					t.Errorf("a day later: %+v; inbox %+v", b, w.inbox())
				}
				w.whole()
			})
		})
	}
}

// TestUnderWayAndDone: what people were told has not been done is done after all.
func TestUnderWayAndDone(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		m := w.openMeters("1")
		m.underWay()
		w.decide(w.desk, "E1", false)
		m.campus.SetStatus("2")
		w.pass(2 * time.Hour)
		if b := w.bill("E1"); b.State != biller.Paid || !b.Late {
			t.Errorf("%+v; want it paid, and late", b)
		}
		if f, err := w.books.Balance(t.Context(), holder); err != nil || f != 40*yuan {
			t.Errorf("balance = %s, %v", f, err)
		}
		w.whole()
	})
}

// metered is a world with a desk to an integrator of electricity.
type metered struct {
	*world
	campus *meters.Campus
}

// openMeters has a desk pay an integrator who says status of every order.
func (w *world) openMeters(status string) metered {
	w.t.Helper()
	dir := w.t.TempDir()
	campus, err := meters.New(meters.Config{Dir: dir, Key: "secret", Now: w.now})
	w.must(err)
	w.must(campus.Add(meters.Room{
		Area: meters.Place{ID: "1", Name: "东区"}, Building: meters.Place{ID: "3", Name: "3号楼"},
		Room: meters.Place{ID: "301", Name: "301"}, Energy: 1440, Money: 806,
	}))
	campus.SetStatus(status)
	s := breakertest.Serve(w.t, dir, campus)
	key := filepath.Join(dir, "key")
	w.must(os.WriteFile(key, []byte("secret\n"), 0o600))
	rest, err := electricity.NewRest(electricity.RestConfig{
		Address: s.URL, CertificateFile: filepath.Join(dir, breaker.CertificateFile), KeyFile: key, Now: w.now,
	})
	w.must(err)
	w.desk = biller.New(biller.Config{
		Books: w.books, Billers: map[string]vendor.Biller{"electricity": rest}, Now: w.now,
	})
	return metered{w, campus}
}

// underWay orders E1, whose answer is lost, and asks about it until people are told.
func (m metered) underWay() {
	m.t.Helper()
	target, err := electricity.Target(electricity.Path{
		{Kind: electricity.Area, ID: "1"}, {Kind: electricity.Building, ID: "3"}, {Kind: electricity.Room, ID: "301"},
	}, "")
	m.must(err)
	m.must(m.campus.Arm(breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: true}))
	_, err = m.desk.Order(m.t.Context(), biller.Bill{
		No: "E1", Terminal: "K01", Account: holder, Biller: "electricity", Target: target, Title: "301",
		Amount: 10 * yuan,
	})
	m.must(err)
	m.pass(20 * time.Minute)
	if b := m.bill("E1"); b.State != biller.Checking {
		m.t.Fatalf("state %d after minutes", b.State)
	}
	m.pass(5 * time.Hour)
	held, err := store.Held(m.t.Context(), m.books.Live(), holder)
	if b := m.bill("E1"); b.State != biller.Referred || err != nil || held != 10*yuan {
		m.t.Fatalf("state %d, %s held, %v; want it referred to people", b.State, held, err)
	}
	m.openLine("bill to be found out")
	m.whole()
}

// decide has two people end a bill.
func (w *world) decide(d *biller.Desk, no string, booked bool) {
	w.t.Helper()
	_, err := d.Decide(w.t.Context(), biller.Decision{
		OrderNo: no, Booked: booked, Evidence: "telephone", ByOne: "w1", ByTwo: "w2",
	})
	w.must(err)
}

// openLine wants one line in the inbox, of that kind, that says what to do.
func (w *world) openLine(kind string) {
	w.t.Helper()
	if x := w.inbox(); len(x) != 1 || x[0].Kind != kind || !strings.Contains(x[0].NextStep, "bills settle") {
		w.t.Errorf("inbox = %+v; want one line: %s", x, kind)
	}
}

// closedLine wants b's line closed, by b's entry if it has one.
func (w *world) closedLine(b biller.Bill) {
	w.t.Helper()
	all, err := store.ReadExceptions(w.t.Context(), w.books.Live(), `WHERE ref = ?`, b.No)
	if err != nil || len(all) != 1 || all[0].Closed.IsZero() || all[0].ClosingEntry != b.Entry ||
		all[0].Evidence == "" || len(w.inbox()) != 0 {
		w.t.Errorf("lines = %+v, %v; want one that is closed by entry %d", all, err, b.Entry)
	}
}
