package alipay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/money"
)

// Status is a trade's status on the wire. An order that nobody has scanned has
// none, and no trade.
type Status string

// The statuses.
const (
	Unscanned Status = ""
	Waiting   Status = "WAIT_BUYER_PAY"
	Success   Status = "TRADE_SUCCESS"
	Closed    Status = "TRADE_CLOSED"
)

// Trade is an order and, once it was scanned, its trade. It is saved as it is.
type Trade struct {
	OutTradeNo string    `json:"out_trade_no"`
	TradeNo    string    `json:"trade_no"`
	QR         string    `json:"qr"`
	Subject    string    `json:"subject"`
	Terminal   string    `json:"terminal"`
	Amount     money.Fen `json:"amount_fen"`
	Content    string    `json:"content"` // of the order, to know the same number with other content
	NotifyURL  string    `json:"notify_url"`

	Status    Status        `json:"status"`
	CreatedAt time.Time     `json:"created_at"`
	CodeEnds  time.Time     `json:"code_ends"` // unscanned codes die here
	Timeout   time.Duration `json:"timeout"`   // from the scan to the end of an unpaid trade
	Dead      bool          `json:"dead"`      // cancelled or expired before anybody scanned it
	ScannedAt time.Time     `json:"scanned_at,omitzero"`
	PaidAt    time.Time     `json:"paid_at,omitzero"`
	ClosedAt  time.Time     `json:"closed_at,omitzero"`
	PayAt     time.Time     `json:"pay_at,omitzero"` // a payment that is on its way

	Refunds []Refund `json:"refunds"`
	Notices []Notice `json:"notices"`
}

// Refund is money given back.
type Refund struct {
	No     string    `json:"no"`
	Amount money.Fen `json:"amount_fen"`
	At     time.Time `json:"at"`
}

// Refunded is what has been given back of t.
func (t *Trade) Refunded() (sum money.Fen) {
	for _, r := range t.Refunds {
		sum += r.Amount
	}
	return sum
}

// Open reports whether t can still be paid.
func (t *Trade) Open() bool {
	return t.Status == Waiting || t.Status == Unscanned && !t.Dead
}

// expire does to t what its clocks do by now.
func (t *Trade) expire(now time.Time) {
	switch {
	case t.Status == Unscanned && now.After(t.CodeEnds):
		t.Dead = true
	case t.Status == Waiting && now.After(t.ScannedAt.Add(t.Timeout)):
		t.Status, t.ClosedAt = Closed, now
	}
}

// Errors of the payer's side.
var (
	ErrNoTrade = errors.New("lab/alipay: no such code or order")
	ErrDead    = errors.New("lab/alipay: this code is not good any more")
)

// Trades returns a copy of all trades, the newest first.
func (g *Gateway) Trades() []Trade {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Trade
	for _, t := range slices.Backward(g.trades) {
		t.expire(g.now())
		all = append(all, t.copy())
	}
	return all
}

func (t *Trade) copy() Trade {
	c := *t
	c.Refunds, c.Notices = slices.Clone(t.Refunds), slices.Clone(t.Notices)
	return c
}

// find returns the trade of an order number, a trade number or a code. Its
// caller holds mu.
func (g *Gateway) find(ref string) *Trade {
	for _, t := range g.trades {
		if ref != "" && (ref == t.OutTradeNo || ref == t.TradeNo || ref == t.QR) {
			t.expire(g.now())
			return t
		}
	}
	return nil
}

// Scan is a payer who points the phone at a code and waits. Here a trade
// begins to exist. ref is a code, an order number, or "last".
func (g *Gateway) Scan(ref string) (Trade, error) {
	return g.change(ref, func(t *Trade, now time.Time) error {
		if !t.Open() {
			return ErrDead
		}
		g.scan(t, now)
		return nil
	})
}

func (g *Gateway) scan(t *Trade, now time.Time) {
	if t.Status == Unscanned {
		g.serial++
		t.Status, t.ScannedAt = Waiting, now
		t.TradeNo = fmt.Sprintf("%s22001%010d", now.In(beijing.Zone).Format("20060102"), g.serial)
	}
}

// Pay is a payer who scans and pays. With late above zero the payment arrives
// only then, and it arrives even if the order was cancelled in between: the
// money was on its way.
func (g *Gateway) Pay(ref string, late time.Duration) (Trade, error) {
	defer g.nudge()
	return g.change(ref, func(t *Trade, now time.Time) error {
		switch {
		case !t.Open():
			return ErrDead
		case late > 0:
			g.scan(t, now)
			t.PayAt = now.Add(late)
		default:
			g.pay(t, now)
		}
		return nil
	})
}

// pay makes t paid, whatever it was. Its caller holds mu.
func (g *Gateway) pay(t *Trade, now time.Time) {
	g.scan(t, now)
	t.Status, t.PaidAt, t.PayAt, t.ClosedAt, t.Dead = Success, now, time.Time{}, time.Time{}, false
	g.notify(t, now)
}

// Close is a payer who turns the trade down.
func (g *Gateway) Close(ref string) (Trade, error) {
	defer g.nudge()
	return g.change(ref, func(t *Trade, now time.Time) error {
		if !t.Open() {
			return ErrDead
		}
		g.scan(t, now)
		t.Status, t.ClosedAt = Closed, now
		g.notify(t, now)
		return nil
	})
}

// Forge sends a notification that says t was paid, and that Alipay did not
// sign.
func (g *Gateway) Forge(ref string) (Trade, error) {
	defer g.nudge()
	return g.change(ref, func(t *Trade, now time.Time) error {
		t.Notices = append(t.Notices, g.compose(t, now, g.forger))
		return nil
	})
}

// change does f to a trade, saves it, and returns a copy.
func (g *Gateway) change(ref string, f func(*Trade, time.Time) error) (Trade, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.find(ref)
	if ref == "last" && len(g.trades) > 0 {
		t = g.trades[len(g.trades)-1]
		t.expire(g.now())
	}
	if t == nil {
		return Trade{}, ErrNoTrade
	}
	if err := f(t, g.now()); err != nil {
		return Trade{}, err
	}
	if err := g.save(); err != nil {
		return Trade{}, fmt.Errorf("lab/alipay: %w", err)
	}
	return t.copy(), nil
}

// payDue makes the late payments whose time has come.
func (g *Gateway) payDue(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var any bool
	for _, t := range g.trades {
		if !t.PayAt.IsZero() && !t.PayAt.After(now) && t.Status != Success && len(t.Refunds) == 0 {
			g.pay(t, now)
			any = true
		}
	}
	if any {
		if err := g.save(); err != nil {
			g.log.Error("save trades failed", "err", err)
		}
	}
}
