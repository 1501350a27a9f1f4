package alipay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	adapter "quancun/upstream/alipay"
	"quancun/upstream/channel"
)

// call is one use of the adapter, and how the stand-in can tell that it had
// its effect.
type call struct {
	method string
	payer  lab.Status // how far the payer is before
	do     func(ctx context.Context, c *adapter.Client) error
	effect func(lab.Trade) bool // nil if there is none

	// asks is set where the adapter asks, before it gives up, whether an answer
	// that is signed and an error has had its effect all the same.
	asks bool
}

var calls = map[string]call{
	"precreate": {
		method: "precreate",
		payer:  "none",
		do: func(ctx context.Context, c *adapter.Client) error {
			_, err := c.Precreate(ctx, order("A1"))
			return err
		},
		effect: func(t lab.Trade) bool { return t.OutTradeNo == "A1" },
	},
	"query": {
		method: "query",
		payer:  lab.Success,
		do: func(ctx context.Context, c *adapter.Client) error {
			got, err := c.Query(ctx, "A1")
			if err == nil && (got.Status != channel.Paid || got.Amount != 2000 || time.Since(got.PaidAt) > time.Minute) {
				return fmt.Errorf("query says %+v", got)
			}
			return err
		},
	},
	"cancel": {
		method: "cancel",
		payer:  lab.Success,
		do: func(ctx context.Context, c *adapter.Client) error {
			got, err := c.Cancel(ctx, "A1")
			if err == nil && got != channel.Returned {
				return fmt.Errorf("cancel says %v, want Returned", got)
			}
			return err
		},
		effect: func(t lab.Trade) bool { return t.Refunded() == 2000 },
	},
	"refund": {
		method: "refund",
		payer:  lab.Success,
		do:     func(ctx context.Context, c *adapter.Client) error { return c.Refund(ctx, "A1", "R1", 500) },
		effect: func(t lab.Trade) bool { return t.Refunded() == 500 },
		asks:   true,
	},
}

// TestMatrix breaks every call in every way, each in two kinds: the request
// had no effect, and it had its effect but the answer was lost. The adapter
// has to call both unknown, because it can not tell them apart. Then the call
// is made again, and everything must have happened exactly once.
func TestMatrix(t *testing.T) {
	for method, c := range calls {
		for _, kind := range []lab.Kind{
			lab.Delay, lab.Drop, lab.BadSignature, lab.Unsigned, lab.HTML, lab.HTTP500, lab.Error,
		} {
			for _, booked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/booked=%t", method, kind, booked), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					if c.payer != "none" {
						w.place(t, "A1", c.payer)
					}
					w.arm(t, lab.Fault{Method: method, Kind: kind, Booked: booked, Delay: lab.Duration(late)})
					breakOnce(t, w, c, booked, kind)
				})
			}
		}
	}
}

// once is a transport after whose first answer, or want of one, a context has
// ended. The answer itself arrives whole.
type once struct {
	http.RoundTripper
	stop func()
}

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	defer o.stop()
	resp, err := o.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, err
}

func breakOnce(t *testing.T, w *world, c call, booked bool, kind lab.Kind) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	h := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	if kind == lab.Delay {
		h.Timeout = patienceShort
	}
	if c.method == "cancel" {
		// One attempt, so that a cancel does not heal by itself before anybody
		// has looked.
		h.Transport = once{h.Transport, stop}
	}
	first, err := newAdapter(w, h)
	if err != nil {
		t.Fatal(err)
	}
	err = c.do(ctx, first)
	if found := c.asks && kind == lab.Error && booked; (err == nil) != found || errors.Is(err, channel.ErrRefused) {
		t.Fatalf("err = %v, want unknown, or done if it could ask: %t", err, found)
	}
	had := func() bool {
		all := w.Trades()
		return len(all) == 1 && c.effect(all[0])
	}
	if c.effect != nil && kind == lab.Delay {
		eventually(t, "effect of a slow request", had) // long after the adapter gave up
	} else if c.effect != nil && had() != booked {
		t.Errorf("effect = %t, want %t: %+v", had(), booked, w.Trades())
	}

	for range 2 { // the second time is a crash right after success
		if err := c.do(t.Context(), w.Client); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	if all := w.Trades(); len(all) != 1 || len(all[0].Refunds) > 1 || c.effect != nil && !c.effect(all[0]) {
		t.Errorf("at last: %+v", all)
	}
}

// TestRefundQueryBroken breaks the question that a repeated refund asks.
func TestRefundQueryBroken(t *testing.T) {
	w := newWorld(t)
	w.place(t, "A1", lab.Success)
	if err := w.Refund(t.Context(), "A1", "R1", 500); err != nil {
		t.Fatal(err)
	}
	w.arm(t, lab.Fault{Method: "fastpay.refund.query", Kind: lab.Drop})
	if err := w.Refund(t.Context(), "A1", "R1", 500); err == nil || errors.Is(err, channel.ErrRefused) {
		t.Errorf("with the question lost: %v, want unknown", err)
	}
	if err := w.Refund(t.Context(), "A1", "R1", 500); err != nil {
		t.Errorf("again: %v", err)
	}
	for _, err := range []error{
		w.Refund(t.Context(), "A1", "R1", 400),  // the number is taken
		w.Refund(t.Context(), "A1", "R2", 1501), // more than is left
		w.Refund(t.Context(), "A2", "R1", 1),    // no such trade
	} {
		if !errors.Is(err, channel.ErrRefused) {
			t.Errorf("err = %v, want ErrRefused", err)
		}
	}
	if err := w.Refund(t.Context(), "A1", "R2", 1500); err != nil {
		t.Errorf("the rest: %v", err)
	}
	if got, err := w.Query(t.Context(), "A1"); err != nil || got.Status != channel.Returned {
		t.Errorf("given back whole: %+v, %v; want Returned", got, err)
	}
}

// TestBusinessCodes sends the codes that the gateway uses for its own troubles
// to each call: none of them is a refusal, except for precreate's parameters.
func TestBusinessCodes(t *testing.T) {
	for _, tt := range []struct{ code, sub string }{
		{"20000", "isp.unknow-error"}, {"40004", "ACQ.SYSTEM_ERROR"}, {"40005", ""}, {"10003", ""},
		{"40004", "ACQ.NOBODY_KNOWS"}, {"99999", ""},
	} {
		for method, c := range calls {
			t.Run(method+"/"+tt.code+tt.sub, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if c.payer != "none" {
					w.place(t, "A1", c.payer)
				}
				w.arm(t, lab.Fault{Method: method, Kind: lab.Error, Code: tt.code, SubCode: tt.sub})
				breakOnce(t, w, c, false, lab.Error)
			})
		}
	}
	w := newWorld(t)
	w.arm(t, lab.Fault{Method: "precreate", Kind: lab.Refuse})
	if _, err := w.Precreate(t.Context(), order("A1")); !errors.Is(err, channel.ErrRefused) || len(w.Trades()) != 0 {
		t.Errorf("refused precreate: %v, trades %+v", err, w.Trades())
	}
}
