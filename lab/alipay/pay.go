package alipay

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"quancun/money"
)

// payCodeLife is how long a payment code is good. The real ones change each
// minute, and the one before is taken for a while.
const payCodeLife = 2 * time.Minute

// payCode is a payment code (付款码) that the payer's phone shows. It is saved as
// it is.
type payCode struct {
	Text   string    `json:"text"`
	MadeAt time.Time `json:"made_at"`
	Used   bool      `json:"used"`
}

// Code is a payer who opens the payment code on the phone: 18 digits, good once
// and for two minutes.
func (g *Gateway) Code() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1e16))
	if err != nil {
		return "", fmt.Errorf("lab/alipay: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	kept := g.codes[:0]
	for _, c := range g.codes {
		if now.Sub(c.MadeAt) < payCodeLife {
			kept = append(kept, c)
		}
	}
	c := &payCode{Text: fmt.Sprintf("28%016d", n), MadeAt: now}
	g.codes = append(kept, c)
	if err := g.save(); err != nil {
		return "", fmt.Errorf("lab/alipay: %w", err)
	}
	return c.Text, nil
}

// spend uses a code up. Its caller holds mu.
func (g *Gateway) spend(text string, now time.Time) error {
	for _, c := range g.codes {
		if c.Text == text && !c.Used && now.Sub(c.MadeAt) < payCodeLife {
			c.Used = true
			return nil
		}
	}
	return errors.New("lab/alipay: no such code")
}

// payByCode takes a payer's code. It is paid at once, unless a fault has the
// payer asked first: then the trade waits until somebody agrees ([Gateway.Pay])
// or turns it down ([Gateway.Close]).
func (g *Gateway) payByCode(req request, now time.Time, fault Kind) reply {
	biz := req.biz
	amount, err := money.Parse(biz["total_amount"])
	timeout, ok := express(biz["timeout_express"], tradeLife)
	subject := biz["subject"]
	if err != nil || amount < 1 || amount > 100_000_000*money.Yuan || !ok || biz["scene"] != "bar_code" ||
		!isNumber(biz["out_trade_no"]) || !isSubject(subject) {
		return business("ACQ.INVALID_PARAMETER")
	}
	text := amount.String() + "\n" + subject + "\n" + biz["timeout_express"] + "\n" + biz["auth_code"]
	t := g.find(biz["out_trade_no"])
	switch {
	case t != nil && t.Content != text:
		return business("ACQ.CONTEXT_INCONSISTENT")
	case t != nil && t.Status == Success:
		return business("ACQ.TRADE_HAS_SUCCESS")
	case t != nil && t.Open():
		return inProcess(t)
	case t != nil:
		return business("ACQ.TRADE_HAS_CLOSE")
	case fault == BadCode, g.spend(biz["auth_code"], now) != nil:
		return business("ACQ.PAYMENT_AUTH_CODE_INVALID")
	case fault == Poor:
		return business("ACQ.BUYER_BALANCE_NOT_ENOUGH")
	}
	t = &Trade{
		OutTradeNo: biz["out_trade_no"], Subject: subject, Terminal: biz["terminal_id"], Amount: amount,
		Content: text, NotifyURL: req.notifyURL, CreatedAt: now, Timeout: timeout,
	}
	g.trades = append(g.trades, t)
	if fault == Wait || fault == PayLate {
		g.scan(t, now)
		return inProcess(t)
	}
	g.pay(t, now)
	a := success(t.OutTradeNo)
	a["trade_no"], a["total_amount"], a["receipt_amount"] = t.TradeNo, t.Amount.String(), t.Amount.String()
	a["buyer_logon_id"], a["gmt_payment"] = "138****0000", stamp(t.PaidAt)
	return a
}

// inProcess is the answer about a trade whose payer is being asked. It is
// signed, begins with 1, and is no success.
func inProcess(t *Trade) reply {
	a := success(t.OutTradeNo)
	a["code"], a["msg"], a["trade_no"] = "10003", " order success pay inprocess", t.TradeNo
	return a
}
