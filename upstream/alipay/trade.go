package alipay

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/channel"
)

// Query is alipay.trade.query. Every error means "ask again", except for an
// order number that could not be anybody's, which is channel.ErrRefused.
func (c *Client) Query(ctx context.Context, orderNo string) (channel.Trade, error) {
	if !isNumber(orderNo) {
		return channel.Trade{}, fmt.Errorf("alipay: query: not an order number: %w", channel.ErrRefused)
	}
	p := sdk.NewPayload(query).AddBizField("out_trade_no", orderNo)
	var r struct {
		head
		OutTradeNo  string          `json:"out_trade_no"`
		TradeNo     string          `json:"trade_no"`
		TradeStatus sdk.TradeStatus `json:"trade_status"`
		TotalAmount string          `json:"total_amount"`
		SendPayDate string          `json:"send_pay_date"`
	}
	err := c.call(ctx, p, &r)
	var a *answer
	switch {
	case errors.As(err, &a) && a.verdict == missing:
		return channel.Trade{OrderNo: orderNo, Status: channel.Absent}, nil
	case err != nil:
		return channel.Trade{}, err
	case r.OutTradeNo != orderNo:
		return channel.Trade{}, fmt.Errorf("alipay: %s: answer is about another order", query)
	}
	t, err := facts{
		order: r.OutTradeNo, trade: r.TradeNo, status: r.TradeStatus,
		amount: r.TotalAmount, paidAt: r.SendPayDate,
	}.read()
	if err != nil {
		return channel.Trade{}, fmt.Errorf("alipay: %s: %w", query, err)
	}
	return t, nil
}

// facts is what an answer or a notification says of a trade, as it was sent.
type facts struct {
	order, trade string
	status       sdk.TradeStatus
	amount       string // in yuan
	paidAt       string // Beijing time; empty for a trade that was never paid
}

// read returns f as a Trade, or an error if f says anything that can not be.
//
// TRADE_CLOSED is both: a trade whose time ran out, and one that was paid and
// given back whole. Only the second has a time of payment. A reader that
// mistook one for the other would still credit nothing.
func (f facts) read() (t channel.Trade, err error) {
	t = channel.Trade{OrderNo: f.order, TradeNo: f.trade}
	if t.Amount, err = money.Parse(f.amount); err != nil {
		return channel.Trade{}, errors.New("amount is not an amount in yuan")
	}
	if f.paidAt != "" {
		if t.PaidAt, err = time.ParseInLocation(time.DateTime, f.paidAt, beijing.Zone); err != nil {
			return channel.Trade{}, errors.New("time of payment is not a time")
		}
	}
	switch f.status {
	case sdk.TradeStatusWaitBuyerPay:
		t.Status = channel.Waiting
	case sdk.TradeStatusSuccess, sdk.TradeStatusFinished:
		// A finished trade is a paid one that is too old to refund.
		t.Status = channel.Paid
	case sdk.TradeStatusClosed:
		t.Status = channel.Closed
		if f.paidAt != "" {
			t.Status = channel.Returned
		}
	default:
		return channel.Trade{}, fmt.Errorf("status %s is not known", word(string(f.status)))
	}
	return t, nil
}
