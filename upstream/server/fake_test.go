package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/channel"
	"quancun/upstream/keys"
)

// fakeChannel is a small working payment service, which can be broken on
// command.
type fakeChannel struct {
	mu     sync.Mutex
	trades map[string]*channel.Trade
	ended  map[string]bool
	calls  map[string]int
	faults []fault
	life   time.Duration // of the last order

	arriving func(method string) // before a question or a cancellation arrives; nil for nothing
}

// fault breaks the next call of a method: with kept, the call has its effect
// and only the answer is lost.
type fault struct {
	method string
	kept   bool
	err    error
}

var errCut = errors.New("connection cut")

func newChannel() *fakeChannel {
	return &fakeChannel{trades: map[string]*channel.Trade{}, ended: map[string]bool{}, calls: map[string]int{}}
}

func (c *fakeChannel) breakNext(f fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.err == nil {
		f.err = errCut
	}
	c.faults = append(c.faults, f)
}

func (c *fakeChannel) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// call counts a call and applies the first fault of its method. mu is held.
func (c *fakeChannel) call(method string, effect func() error) error {
	c.calls[method]++
	for i, f := range c.faults {
		if f.method != method {
			continue
		}
		c.faults = append(c.faults[:i:i], c.faults[i+1:]...)
		if f.kept {
			return errors.Join(f.err, effect())
		}
		return f.err
	}
	return effect()
}

func (c *fakeChannel) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

func (c *fakeChannel) Precreate(_ context.Context, o channel.Order) (qr string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.call("precreate", func() error {
		if t := c.trades[o.No]; t == nil {
			c.trades[o.No] = &channel.Trade{OrderNo: o.No, Status: channel.Absent, Amount: o.Amount}
		} else if t.Amount != o.Amount {
			return fmt.Errorf("%w: other content", channel.ErrRefused)
		}
		c.life = o.Life
		qr = "https://qr.example/" + o.No
		return nil
	})
	if err != nil {
		return "", err
	}
	return qr, nil
}

func (c *fakeChannel) Query(_ context.Context, no string) (t channel.Trade, err error) {
	if c.arriving != nil {
		c.arriving("query")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.call("query", func() error {
		if known := c.trades[no]; known != nil {
			t = *known
		} else {
			t = channel.Trade{OrderNo: no, Status: channel.Absent}
		}
		return nil
	})
	if err != nil {
		return channel.Trade{}, err
	}
	return t, nil
}

func (c *fakeChannel) Cancel(_ context.Context, no string) (s channel.Status, err error) {
	if c.arriving != nil {
		c.arriving("cancel")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.call("cancel", func() error {
		t := c.trades[no]
		if t == nil {
			t = &channel.Trade{OrderNo: no}
			c.trades[no] = t
		}
		if t.Status == channel.Paid || t.Status == channel.Returned {
			t.Status = channel.Returned
		} else {
			t.Status = channel.Closed
		}
		s = t.Status
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s, nil
}

func (c *fakeChannel) Refund(context.Context, string, string, money.Fen) error { return nil }

func (c *fakeChannel) Notice(r *http.Request) (channel.Trade, error) {
	if r.FormValue("sign") != "good" {
		return channel.Trade{}, channel.ErrForged
	}
	return channel.Trade{OrderNo: r.FormValue("out_trade_no"), Status: channel.Paid}, nil
}

func (c *fakeChannel) Acknowledge(w http.ResponseWriter) { fmt.Fprint(w, "success") }

// pay is the payer's phone. It pays whatever the code says, also a closed one:
// that is what a payment that crosses its cancellation looks like.
func (c *fakeChannel) pay(no string) { c.payAmount(no, -1) }

func (c *fakeChannel) payAmount(no string, amount money.Fen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trades[no]
	t.Status, t.TradeNo, t.PaidAt = channel.Paid, "2026"+no, time.Now()
	if amount >= 0 {
		t.Amount = amount
	}
}

// fakeCard is the purse of a card as far as a load concerns it: offers, MACs,
// and a counter.
type fakeCard struct {
	no       string
	factor   keys.Factor
	keys     keys.CardKeys
	purse    money.Fen
	counter  uint16
	terminal pboc.TerminalNo

	offers byte // makes each random a new one
	load   pboc.Load
	random [4]byte
}

// offer is INITIALIZE FOR LOAD. It voids the session of an earlier one.
func (c *fakeCard) offer(amount money.Fen) (random [4]byte, mac1 pboc.MAC) {
	c.offers++
	c.random = [4]byte{0xA0, 0, 0, c.offers}
	c.load = pboc.Load{Balance: uint32(c.purse), Counter: c.counter, Amount: amount, Terminal: c.terminal}
	return c.random, c.load.MAC1(c.keys.DLK.LoadSession(c.random, c.counter))
}

// credit is CREDIT FOR LOAD. It reports whether the card believed the MAC2.
func (c *fakeCard) credit(at pboc.Stamp, mac2 pboc.MAC) (tac pboc.MAC, ok bool) {
	c.load.At = at
	if !c.load.MAC2(c.keys.DLK.LoadSession(c.random, c.counter)).Equal(mac2) {
		return tac, false
	}
	c.purse += c.load.Amount
	c.counter++
	return c.load.TAC(c.keys.DTK), true
}
