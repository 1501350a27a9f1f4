package alipay_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	lab "quancun/lab/alipay"
	"quancun/upstream/channel"
)

const (
	billDay  = channel.Day("2026-03-01")
	dayAfter = channel.Day("2026-03-02")
)

// aDay plays a day around its two midnights: B1 is paid on the day before; A1
// is paid; A2 paid and refunded in part; A3 paid and cancelled; A4 never paid;
// A5 paid in the last second; A1 is refunded on the day after, when N1 is paid.
func aDay(t *testing.T, w *world) {
	t.Helper()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.set(t, "2026-02-28 23:59:58")
	w.place(t, "B1", lab.Success)
	w.set(t, "2026-03-01 00:00:00")
	w.place(t, "A1", lab.Success)
	w.set(t, "2026-03-01 08:00:00")
	w.place(t, "A2", lab.Success)
	do(w.Refund(t.Context(), "A2", "R2", 500))
	w.place(t, "A3", lab.Success)
	_, err := w.Cancel(t.Context(), "A3")
	do(err)
	w.place(t, "A4", lab.Waiting)
	_, err = w.Cancel(t.Context(), "A4")
	do(err)
	w.set(t, "2026-03-01 23:59:58")
	w.place(t, "A5", lab.Success)
	w.set(t, "2026-03-02 00:00:01")
	do(w.Refund(t.Context(), "A1", "R1", 2000))
	w.place(t, "N1", lab.Success)
	w.set(t, "2026-03-02 09:00:01")
}

// text is what a statement says, without times and the service's numbers.
func text(s channel.Statement) (all []string) {
	for _, l := range s.Lines {
		all = append(all, fmt.Sprintf("%s %s %s %s fee %s", l.Kind, l.OrderNo, l.RefundNo, l.Amount, l.Fee))
	}
	slices.Sort(all)
	return all
}

func TestBill(t *testing.T) {
	w := newWorld(t)
	aDay(t, w)
	got, err := w.Bill(t.Context(), billDay)
	want := []string{
		"payment A1  20.00 fee 0.12",
		"payment A2  20.00 fee 0.12",
		"payment A3  20.00 fee 0.12",
		"payment A5  20.00 fee 0.12",
		"refund A2 R2 5.00 fee 0.00",
		"refund A3 A3 20.00 fee 0.00", // a cancel has no number of its own
	}
	if err != nil || got.Day != billDay || !slices.Equal(text(got), want) {
		t.Errorf("Bill = %q, %v\nwant %q", text(got), err, want)
	}
	for _, l := range got.Lines {
		if channel.DayOf(l.At) != billDay || l.TradeNo == "" {
			t.Errorf("line %+v is not of %s, or has no trade", l, billDay)
		}
	}
	if paid, returned := got.Totals(); paid != 8000 || returned != 2500 {
		t.Errorf("Totals = %s, %s", paid, returned)
	}
	before, err := w.Bill(t.Context(), billDay.Add(-1))
	if want := []string{"payment B1  20.00 fee 0.12"}; err != nil || !slices.Equal(text(before), want) {
		t.Errorf("the day before = %q, %v; want %q", text(before), err, want)
	}
}

// TestNoBill asks too early, and for days on which nothing moved.
func TestNoBill(t *testing.T) {
	w := newWorld(t)
	aDay(t, w)
	if _, err := w.Bill(t.Context(), "2026-02-20"); !errors.Is(err, channel.ErrNoStatement) {
		t.Errorf("a day without trades: %v, want ErrNoStatement", err)
	}
	for _, day := range []channel.Day{dayAfter, dayAfter.Add(1)} {
		if _, err := w.Bill(t.Context(), day); err == nil {
			t.Errorf("%s, which is not over, has a bill", day)
		}
	}
	w.set(t, "2026-03-03 08:59:00")
	if _, err := w.Bill(t.Context(), dayAfter); !errors.Is(err, channel.ErrNoStatement) {
		t.Errorf("before nine: %v, want ErrNoStatement", err)
	}
	w.set(t, "2026-03-03 09:00:00")
	want := []string{"payment N1  20.00 fee 0.12", "refund A1 R1 20.00 fee 0.00"}
	if got, err := w.Bill(t.Context(), dayAfter); err != nil || !slices.Equal(text(got), want) {
		t.Errorf("at nine: %q, %v; want %q", text(got), err, want)
	}
}

// TestBillBroken breaks the question and the download in every way. None of it
// may be taken for a bill, or for there being none.
func TestBillBroken(t *testing.T) {
	w := newWorld(t)
	aDay(t, w)
	short, err := newAdapter(w, &http.Client{Timeout: patienceShort, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	whole := lab.Fault{Booked: true, Delay: lab.Duration(late)}
	for method, kinds := range map[string][]lab.Kind{
		"bill": {lab.Delay, lab.Drop, lab.BadSignature, lab.Unsigned, lab.HTML, lab.HTTP500, lab.Error},
		"bill.file": {
			lab.Delay, lab.Drop, lab.HTML, lab.HTTP500, lab.Truncated, lab.BadTotals,
		},
	} {
		for _, kind := range kinds {
			f := whole
			f.Method, f.Kind = method, kind
			w.arm(t, f)
			c := w.Client
			if kind == lab.Delay {
				c = short
			}
			if got, err := c.Bill(t.Context(), billDay); err == nil || errors.Is(err, channel.ErrNoStatement) {
				t.Errorf("%s %s: %q, %v; want an error", method, kind, text(got), err)
			}
		}
	}
	w.arm(t, lab.Fault{Method: "bill", Kind: lab.NotReady})
	if _, err := w.Bill(t.Context(), billDay); !errors.Is(err, channel.ErrNoStatement) {
		t.Errorf("not ready: %v, want ErrNoStatement", err)
	}
	if got, err := w.Bill(t.Context(), billDay); err != nil || len(got.Lines) != 6 {
		t.Errorf("after all: %q, %v", text(got), err)
	}
}

// TestBillOfAnotherOpinion plants differences that leave the bill whole.
func TestBillOfAnotherOpinion(t *testing.T) {
	w := newWorld(t)
	aDay(t, w)
	right, err := w.Bill(t.Context(), billDay)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fault      lab.Fault
		more, less []string
	}{
		{lab.Fault{Kind: lab.Missing, Order: "A5"}, nil, []string{"payment A5  20.00 fee 0.12"}},
		{lab.Fault{Kind: lab.Doubled, Order: "A5"}, []string{"payment A5  20.00 fee 0.12"}, nil},
		{lab.Fault{Kind: lab.Foreign, Amount: 777}, []string{"payment FOREIGN  7.77 fee 0.04"}, nil},
		{
			lab.Fault{Kind: lab.Amount, Order: "A1", Amount: 1999},
			[]string{"payment A1  19.99 fee 0.11"}, []string{"payment A1  20.00 fee 0.12"},
		},
	} {
		tt.fault.Method = "bill.file"
		w.arm(t, tt.fault)
		want := append(text(right), tt.more...)
		for _, gone := range tt.less {
			i := slices.Index(want, gone)
			want = slices.Delete(want, i, i+1)
		}
		slices.Sort(want)
		if got, err := w.Bill(t.Context(), billDay); err != nil || !slices.Equal(text(got), want) {
			t.Errorf("%s: %q, %v\nwant %q", tt.fault.Kind, text(got), err, want)
		}
	}
}

// TestBillAddress looks at the address itself, which is good for 30 seconds.
func TestBillAddress(t *testing.T) {
	w := newWorld(t)
	aDay(t, w)
	var address string
	c, err := newAdapter(w, &http.Client{Transport: spy(func(r *http.Request) { address = r.URL.String() })})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Bill(t.Context(), billDay); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   string
		want int
	}{{"2026-03-02 09:00:31", http.StatusOK}, {"2026-03-02 09:00:32", http.StatusForbidden}} {
		w.set(t, tt.at)
		resp, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != tt.want {
			t.Errorf("at %s: %d, %v; want %d", tt.at, resp.StatusCode, err, tt.want)
		}
		resp.Body.Close()
	}
}

// spy is told of each request before it is made.
type spy func(*http.Request)

func (s spy) RoundTrip(r *http.Request) (*http.Response, error) {
	s(r)
	return http.DefaultTransport.RoundTrip(r)
}
