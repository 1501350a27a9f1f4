package alipay_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/upstream/channel"
)

// code is what the payer's phone shows.
func (w *world) code(t *testing.T) string {
	t.Helper()
	code, err := w.Code()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestPayByCode pays in each way in which a payer can, or cannot.
func TestPayByCode(t *testing.T) {
	for _, tt := range []struct {
		kind  lab.Kind // "" for none
		agree func(w *world) error
		err   error // nil: done; errUnknown: neither done nor refused
		want  channel.Status
	}{
		{"", nil, nil, channel.Paid},
		{lab.Wait, nil, errUnknown, channel.Waiting},
		{lab.Wait, func(w *world) error { _, err := w.Gateway.Pay("A1", 0); return err }, errUnknown, channel.Paid},
		{lab.Wait, func(w *world) error { _, err := w.Gateway.Close("A1"); return err }, errUnknown, channel.Closed},
		{lab.Poor, nil, channel.ErrPayer, channel.Absent},
		{lab.BadCode, nil, channel.ErrCode, channel.Absent},
		{lab.Refuse, nil, channel.ErrRefused, channel.Absent},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.kind, tt.want), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.kind != "" {
				w.arm(t, lab.Fault{Method: "pay", Kind: tt.kind})
			}
			code := w.code(t)
			err := w.PayByCode(t.Context(), order("A1"), code)
			if unknown := err != nil && !errors.Is(err, channel.ErrRefused); unknown != (tt.err == errUnknown) ||
				!unknown && !errors.Is(err, tt.err) {
				t.Fatalf("PayByCode: %v, want %v", err, tt.err)
			}
			if tt.agree != nil {
				if err := tt.agree(w); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := w.Query(t.Context(), "A1"); err != nil || got.Status != tt.want {
				t.Errorf("query = %+v, %v; want %v", got, err, tt.want)
			}
			if tt.want == channel.Absent {
				return
			}
			if err := w.PayByCode(t.Context(), order("A2"), code); !errors.Is(err, channel.ErrCode) {
				t.Errorf("the same code again: %v, want ErrCode", err)
			}
			other := order("A1")
			other.Amount++
			if err := w.PayByCode(t.Context(), other, code); !errors.Is(err, channel.ErrRefused) {
				t.Errorf("the same number for another amount: %v, want ErrRefused", err)
			}
		})
	}
}

var errUnknown = errors.New("unknown")

func TestPayCodeAges(t *testing.T) {
	w := newWorld(t)
	if err := w.PayByCode(t.Context(), order("A1"), "281234567890123456"); !errors.Is(err, channel.ErrCode) {
		t.Errorf("a code that nobody shows: %v, want ErrCode", err)
	}
	code := w.code(t)
	w.shut()
	w.open(t) // over the same files
	if err := w.PayByCode(t.Context(), order("A2"), code); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestPayMatrix breaks a payment by code in every way, each in two kinds: it had
// no effect, and it had its effect but the answer was lost. The adapter has to
// call all of them unknown; the question afterwards tells, and a cancel leaves
// nobody's money here.
func TestPayMatrix(t *testing.T) {
	for _, kind := range []lab.Kind{
		lab.Delay, lab.Drop, lab.BadSignature, lab.Unsigned, lab.HTML, lab.HTTP500, lab.Error,
	} {
		for _, booked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/booked=%t", kind, booked), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.arm(t, lab.Fault{Method: "pay", Kind: kind, Booked: booked, Delay: lab.Duration(late)})
				h := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
				if kind == lab.Delay {
					h.Timeout = patienceShort
				}
				first, err := newAdapter(w, h)
				if err != nil {
					t.Fatal(err)
				}
				err = first.PayByCode(t.Context(), order("A1"), w.code(t))
				if err == nil || errors.Is(err, channel.ErrRefused) {
					t.Fatalf("err = %v, want unknown", err)
				}
				status := func() channel.Status {
					got, err := w.Query(t.Context(), "A1")
					if err != nil {
						t.Fatal(err)
					}
					return got.Status
				}
				if kind == lab.Delay {
					eventually(t, "effect of a slow request", func() bool { return status() == channel.Paid })
				} else if got := status(); (got == channel.Paid) != booked {
					t.Errorf("status %d, want paid = %t", got, booked)
				}
				want := channel.Closed
				if booked || kind == lab.Delay {
					want = channel.Returned
				}
				if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != want {
					t.Errorf("cancel = %v, %v; want %v", got, err, want)
				}
			})
		}
	}
}

// TestPaysLateByCode is the payer who agrees after everybody has given up.
func TestPaysLateByCode(t *testing.T) {
	w := newWorld(t)
	w.arm(t, lab.Fault{Method: "pay", Kind: lab.PayLate, Delay: lab.Duration(150 * time.Millisecond)})
	if err := w.PayByCode(t.Context(), order("A1"), w.code(t)); err == nil || errors.Is(err, channel.ErrRefused) {
		t.Fatalf("err = %v, want unknown", err)
	}
	if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Closed {
		t.Fatalf("cancel = %v, %v; want Closed", got, err)
	}
	eventually(t, "payment after the cancel", func() bool {
		got, err := w.Query(t.Context(), "A1")
		return err == nil && got.Status == channel.Paid
	})
}
