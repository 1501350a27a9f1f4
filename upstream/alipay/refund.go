package alipay

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/money"
	"quancun/upstream/channel"
)

// Refund is alipay.trade.refund (退款). Alipay gives back amount once for each
// refundNo (out_request_no), so that the same call may be made again.
//
// A repeated refund is answered with fund_change N, and so is one that is
// still under way. Neither N nor a refusal is taken for an answer before
// alipay.trade.fastpay.refund.query was asked whether the money has gone.
func (c *Client) Refund(ctx context.Context, orderNo, refundNo string, amount money.Fen) error {
	switch {
	case !isNumber(orderNo) || !isNumber(refundNo):
		return fmt.Errorf("alipay: refund: not an order number: %w", channel.ErrRefused)
	case amount < 1 || amount > amountMax:
		return fmt.Errorf("alipay: refund of %s yuan is out of range: %w", amount, channel.ErrRefused)
	}
	p := sdk.NewPayload(refund).
		AddBizField("out_trade_no", orderNo).
		AddBizField("out_request_no", refundNo).
		AddBizField("refund_amount", amount.String())
	var r struct {
		head
		OutTradeNo string `json:"out_trade_no"`
		FundChange string `json:"fund_change"`
	}
	err := c.call(ctx, p, &r)
	var a *answer
	switch {
	case err != nil && !errors.As(err, &a):
		return err
	case err == nil && r.OutTradeNo != orderNo:
		return fmt.Errorf("alipay: %s: answer is about another order", refund)
	case err == nil && r.FundChange == "Y":
		return nil
	}
	gone, asked := c.refunded(ctx, orderNo, refundNo, amount)
	switch {
	case asked != nil:
		return asked
	case gone:
		return nil
	case err == nil:
		return fmt.Errorf("alipay: %s: accepted, outcome pending", refund)
	}
	return err
}

// refunded asks whether the refund has been made. Without a refund_status it
// has not arrived, or is under way; only the refund itself can tell which.
func (c *Client) refunded(ctx context.Context, orderNo, refundNo string, amount money.Fen) (bool, error) {
	p := sdk.NewPayload(refundQuery).
		AddBizField("out_trade_no", orderNo).
		AddBizField("out_request_no", refundNo)
	var r struct {
		head
		OutTradeNo   string `json:"out_trade_no"`
		OutRequestNo string `json:"out_request_no"`
		RefundStatus string `json:"refund_status"`
		RefundAmount string `json:"refund_amount"`
	}
	err := c.call(ctx, p, &r)
	var a *answer
	switch {
	case errors.As(err, &a) && a.sub == "ACQ.TRADE_NOT_EXIST":
		return false, nil
	case err != nil:
		return false, err
	case r.RefundStatus == "":
		return false, nil
	case r.RefundStatus != "REFUND_SUCCESS":
		return false, fmt.Errorf("alipay: %s: status %s is not known", refundQuery, word(r.RefundStatus))
	case r.OutTradeNo != orderNo || r.OutRequestNo != refundNo:
		return false, fmt.Errorf("alipay: %s: answer is about another refund", refundQuery)
	}
	got, err := money.Parse(r.RefundAmount)
	switch {
	case err != nil:
		return false, fmt.Errorf("alipay: %s: amount is not an amount in yuan", refundQuery)
	case got != amount:
		return false, fmt.Errorf("alipay: refund number was used for %s yuan: %w", got, channel.ErrRefused)
	}
	return true, nil
}
