package biller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"quancun/upstream/biller"
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
