package alipay

import (
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"quancun/beijing"
)

// resend is when a notification that nobody answered is sent again, each time
// after the one before: 8 times in all, within about 25 hours.
var resend = []time.Duration{
	4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour,
}

// Notice is a notification on its way. It is saved as it is.
type Notice struct {
	ID     string    `json:"id"` // notify_id; the same each time it is sent
	Form   string    `json:"form"`
	Sent   int       `json:"sent"`
	NextAt time.Time `json:"next_at"`
	Done   bool      `json:"done"` // answered, or given up
}

// notify sends word of t, unless the order named no address. Its caller holds
// mu and nudges.
func (g *Gateway) notify(t *Trade, now time.Time) {
	if t.NotifyURL == "" {
		return
	}
	key, copies := g.service, 1
	f, _ := g.take("notify")
	switch f.Kind {
	case Twice:
		copies = 2
	case Forged:
		key = g.forger
	case Delay:
		now = now.Add(time.Duration(f.Delay))
	case Drop:
		now = now.Add(resend[0] / g.scale) // the first one is lost on the way
	}
	altered := *t
	if f.Kind == Amount {
		altered.Amount = f.Amount
	}
	n := g.compose(&altered, now, key)
	for range copies {
		t.Notices = append(t.Notices, n)
	}
}

// compose returns a signed notification about t.
func (g *Gateway) compose(t *Trade, now time.Time, key *rsa.PrivateKey) Notice {
	g.serial++
	id := fmt.Sprintf("%s%024d", now.In(beijing.Zone).Format("20060102"), g.serial)
	form := url.Values{
		"notify_time": {stamp(now)}, "notify_type": {"trade_status_sync"}, "notify_id": {id},
		"app_id": {AppID}, "auth_app_id": {AppID}, "charset": {"utf-8"}, "version": {"1.0"}, "sign_type": {"RSA2"},
		"trade_no": {t.TradeNo}, "out_trade_no": {t.OutTradeNo}, "seller_id": {sellerID},
		"subject": {t.Subject}, "total_amount": {t.Amount.String()}, "gmt_create": {stamp(t.CreatedAt)},
	}
	status := t.Status
	if key == g.forger {
		status = Success
	}
	form.Set("trade_status", string(status))
	if !t.PaidAt.IsZero() {
		form.Set("gmt_payment", stamp(t.PaidAt))
		form.Set("receipt_amount", t.Amount.String())
		form.Set("buyer_logon_id", "138****0000")
	}
	if !t.ClosedAt.IsZero() {
		form.Set("gmt_close", stamp(t.ClosedAt))
	}
	if sum := t.Refunded(); sum > 0 {
		form.Set("refund_fee", sum.String())
	}
	form.Set("sign", signature(key, content(form, "sign", "sign_type")))
	return Notice{ID: id, Form: form.Encode(), NextAt: now}
}

// delivery is one notification to be sent now.
type delivery struct {
	order, url, form string
	index            int
}

func (g *Gateway) due(now time.Time) (all []delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.trades {
		for i, n := range t.Notices {
			if !n.Done && !n.NextAt.After(now) {
				all = append(all, delivery{t.OutTradeNo, t.NotifyURL, n.Form, i})
			}
		}
	}
	return all
}

// untilNext is how long Run may sleep.
func (g *Gateway) untilNext(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := now.Add(time.Hour)
	earlier := func(at time.Time) {
		if at.Before(next) {
			next = at
		}
	}
	for _, t := range g.trades {
		if !t.PayAt.IsZero() && t.Status != Success && len(t.Refunds) == 0 {
			earlier(t.PayAt)
		}
		for _, n := range t.Notices {
			if !n.Done {
				earlier(n.NextAt)
			}
		}
	}
	return max(next.Sub(now), time.Millisecond)
}

// deliver sends d once and writes down what became of it.
func (g *Gateway) deliver(ctx context.Context, d delivery) {
	err := g.post(ctx, d)
	if ctx.Err() != nil {
		return // it was not the receiver's fault; it is sent again after a restart
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.find(d.order)
	n := &t.Notices[d.index]
	n.Sent++
	n.Done = err == nil || n.Sent > len(resend)
	if !n.Done {
		pause := resend[n.Sent-1] / g.scale
		n.NextAt = g.now().Add(pause)
		g.log.Warn("notification not taken", "order", d.order, "sent", n.Sent, "err", err, "retry_in", pause)
	}
	if err := g.save(); err != nil {
		g.log.Error("save trades failed", "err", err)
	}
}

func (g *Gateway) post(ctx context.Context, d delivery) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(d.form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	resp, err := g.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil {
		return err
	}
	if string(b) != "success" { // these seven letters and nothing else
		return fmt.Errorf("answered %d and not success", resp.StatusCode)
	}
	return nil
}

// stamp writes a time as this wire does.
func stamp(t time.Time) string { return t.In(beijing.Zone).Format(time.DateTime) }
