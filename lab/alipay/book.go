package alipay

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"quancun/money"
)

// sellerID is the merchant's own number.
const sellerID = "2088000000000001"

// Lives that an order has if it does not say otherwise.
const (
	codeLife  = 2 * time.Hour
	tradeLife = 15 * 24 * time.Hour
)

// cancelLife is how long a paid trade can be cancelled.
const cancelLife = 24 * time.Hour

// precreate makes an order. The same order again is the same code; the same
// number with other content is an error.
func (g *Gateway) precreate(req request, now time.Time) reply {
	biz := req.biz
	amount, err := money.Parse(biz["total_amount"])
	timeout, ok1 := express(biz["timeout_express"], tradeLife)
	life, ok2 := express(biz["qr_code_timeout_express"], codeLife)
	subject := biz["subject"]
	if err != nil || amount < 1 || amount > 100_000_000*money.Yuan || !ok1 || !ok2 ||
		!isNumber(biz["out_trade_no"]) || !isSubject(subject) {
		return business("ACQ.INVALID_PARAMETER")
	}
	text := amount.String() + "\n" + subject + "\n" + biz["timeout_express"] + "\n" + biz["qr_code_timeout_express"]
	t := g.find(biz["out_trade_no"])
	switch {
	case t == nil:
		t = &Trade{
			OutTradeNo: biz["out_trade_no"], QR: "https://qr.alipay.com/lab" + strings.ToLower(rand.Text()),
			Subject: subject, Terminal: biz["terminal_id"], Amount: amount, Content: text, NotifyURL: req.notifyURL,
			CreatedAt: now, CodeEnds: now.Add(life), Timeout: timeout,
		}
		g.trades = append(g.trades, t)
	case t.Content != text:
		return business("ACQ.CONTEXT_INCONSISTENT")
	case t.Status == Success:
		return business("ACQ.TRADE_HAS_SUCCESS")
	case !t.Open():
		return business("ACQ.TRADE_HAS_CLOSE")
	}
	a := success(t.OutTradeNo)
	a["qr_code"] = t.QR
	return a
}

// express reads "2m", "1h" or "15d".
func express(s string, otherwise time.Duration) (time.Duration, bool) {
	if s == "" {
		return otherwise, true
	}
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 15)
	d := time.Duration(n) * unit
	return d, err == nil && d >= time.Minute && d <= tradeLife
}

func isNumber(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
	return len(s) >= 1 && len(s) <= 64 && strings.Trim(s, letters) == ""
}

// isSubject reports whether the gateway takes s as a subject.
func isSubject(s string) bool {
	return s != "" && len([]rune(s)) <= 256 && !strings.ContainsAny(s, "/=&")
}

// trade returns the trade that a request names, or nil if there is none. An
// order that nobody has scanned is no trade.
func (g *Gateway) trade(biz map[string]string) *Trade {
	ref := biz["trade_no"]
	if ref == "" {
		ref = biz["out_trade_no"]
	}
	for _, t := range g.trades {
		if t.Status != Unscanned && (t.OutTradeNo == ref || t.TradeNo == ref) {
			t.expire(g.now())
			return t
		}
	}
	return nil
}

func (g *Gateway) query(biz map[string]string, _ time.Time) reply {
	t := g.trade(biz)
	if t == nil {
		return business("ACQ.TRADE_NOT_EXIST")
	}
	a := success(t.OutTradeNo)
	a["trade_no"], a["trade_status"], a["total_amount"] = t.TradeNo, string(t.Status), t.Amount.String()
	a["buyer_logon_id"] = "138****0000"
	if !t.PaidAt.IsZero() {
		a["send_pay_date"], a["receipt_amount"] = stamp(t.PaidAt), t.Amount.String()
	}
	return a
}

// cancel ends an order. A paid trade is given back; a trade that is closed
// already, by whatever, is answered with "close"; and where nobody has
// scanned, there is neither trade nor action, and the code dies.
func (g *Gateway) cancel(biz map[string]string, now time.Time) reply {
	a := success(biz["out_trade_no"])
	a["retry_flag"] = "N"
	t := g.trade(biz)
	if t == nil {
		if order := g.find(biz["out_trade_no"]); order != nil {
			order.Dead = true
		}
		return a
	}
	a["trade_no"], a["action"] = t.TradeNo, "close"
	switch {
	case t.Status == Success && len(t.Refunds) > 0:
		return business("ACQ.REASON_TRADE_REFUND_FEE_ERR")
	case t.Status == Success && now.Sub(t.PaidAt) > cancelLife:
		return business("ACQ.TRADE_CANCEL_TIME_OUT")
	case t.Status == Success:
		t.Refunds = append(t.Refunds, Refund{No: t.OutTradeNo, Amount: t.Amount, At: now})
		a["action"] = "refund"
	case t.Status == Closed:
		return a
	}
	t.Status, t.ClosedAt = Closed, now
	g.notify(t, now)
	return a
}

func (g *Gateway) close(biz map[string]string, now time.Time) reply {
	t := g.trade(biz)
	switch {
	case t == nil:
		return business("ACQ.TRADE_NOT_EXIST")
	case t.Status != Waiting:
		return business("ACQ.TRADE_STATUS_ERROR")
	}
	t.Status, t.ClosedAt = Closed, now
	g.notify(t, now)
	a := success(t.OutTradeNo)
	a["trade_no"] = t.TradeNo
	return a
}

// refund gives money back, once for each number.
func (g *Gateway) refund(biz map[string]string, now time.Time) reply {
	t := g.trade(biz)
	amount, err := money.Parse(biz["refund_amount"])
	no := biz["out_request_no"]
	if no == "" {
		no = biz["out_trade_no"]
	}
	switch {
	case err != nil || amount < 1:
		return business("ACQ.INVALID_PARAMETER")
	case t == nil:
		return business("ACQ.TRADE_NOT_EXIST")
	}
	a := success(t.OutTradeNo)
	a["trade_no"], a["fund_change"] = t.TradeNo, "Y"
	for _, r := range t.Refunds {
		if r.No == no && r.Amount != amount {
			return business("ACQ.DISCORDANT_REPEAT_REQUEST")
		}
		if r.No == no {
			a["fund_change"], a["refund_fee"] = "N", t.Refunded().String()
			return a
		}
	}
	switch {
	case t.Status != Success:
		return business("ACQ.TRADE_STATUS_ERROR")
	case t.Refunded()+amount > t.Amount:
		return business("ACQ.REASON_TRADE_REFUND_FEE_ERR")
	}
	t.Refunds = append(t.Refunds, Refund{No: no, Amount: amount, At: now})
	if t.Refunded() == t.Amount {
		t.Status, t.ClosedAt = Closed, now
	}
	g.notify(t, now)
	a["refund_fee"] = t.Refunded().String()
	return a
}

// refundQuery says nothing of a refund that it does not know: no status is how
// the real one says so.
func (g *Gateway) refundQuery(biz map[string]string, _ time.Time) reply {
	t := g.trade(biz)
	if t == nil {
		return business("ACQ.TRADE_NOT_EXIST")
	}
	a := success(t.OutTradeNo)
	for _, r := range t.Refunds {
		if r.No == biz["out_request_no"] {
			a["trade_no"], a["out_request_no"] = t.TradeNo, r.No
			a["refund_status"], a["refund_amount"] = "REFUND_SUCCESS", r.Amount.String()
			a["total_amount"] = t.Amount.String()
		}
	}
	return a
}
