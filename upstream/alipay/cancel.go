package alipay

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/upstream/channel"
)

// cancelTries is how often one Cancel asks, a little later each time (1, 2 and
// 4 seconds). After that its caller knows better when to try again.
const cancelTries = 4

// Cancel is alipay.trade.cancel (撤销), followed by a query.
//
// The query is there because the answer to a cancel does not say what the
// money did: a cancel that refunded, and whose answer was lost, reads as
// "close" when it is sent again. So nothing is Closed or Returned here before
// the trade itself says so, except for a refund that this answer reports.
//
// # An order that nobody scanned
//
// Alipay has no trade for it, so the answer is either "done" without an action
// or ACQ.TRADE_NOT_EXIST, and the query finds nothing. Both are Closed: no
// money has moved, and the payer holds nothing but a picture. The picture may
// stay good until qr_code_timeout_express ends, which Precreate set; that and
// timeout_express are what closes it at the service. So a payment can still
// arrive within 2×Life of the order, and it arrives as a notice and in a query
// like any other. Whoever counts on "never" has to wait that long.
//
// It repeats itself while the service asks for that (retry_flag), and while it
// does not answer. The error is channel.ErrRefused if the trade can not be
// cancelled; it was then left as it is.
func (c *Client) Cancel(ctx context.Context, orderNo string) (channel.Status, error) {
	if !isNumber(orderNo) {
		return 0, fmt.Errorf("alipay: cancel: not an order number: %w", channel.ErrRefused)
	}
	pause := c.pause
	for try := 1; ; try++ {
		status, err := c.cancelOnce(ctx, orderNo)
		if err == nil || errors.Is(err, channel.ErrRefused) || try == cancelTries {
			return status, err
		}
		select {
		case <-ctx.Done():
			return 0, err // what the service said tells more than that time ran out
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (c *Client) cancelOnce(ctx context.Context, orderNo string) (channel.Status, error) {
	p := sdk.NewPayload(cancel).AddBizField("out_trade_no", orderNo)
	var r struct {
		head
		OutTradeNo string `json:"out_trade_no"`
		RetryFlag  string `json:"retry_flag"`
		Action     string `json:"action"`
	}
	err := c.call(ctx, p, &r)
	var a *answer
	switch {
	case errors.As(err, &a) && (a.verdict == missing || a.verdict == refused):
		// A refusal may be the echo of a cancel that was done before.
	case err != nil:
		return 0, err
	case r.OutTradeNo != orderNo:
		return 0, fmt.Errorf("alipay: %s: answer is about another order", cancel)
	case r.RetryFlag == "Y":
		return 0, fmt.Errorf("alipay: %s: service asks to repeat it", cancel)
	case r.Action == "refund":
		return channel.Returned, nil
	}
	t, asked := c.Query(ctx, orderNo)
	switch {
	case asked != nil:
		return 0, asked
	case t.Status == channel.Closed || t.Status == channel.Returned:
		return t.Status, nil
	case t.Status == channel.Absent && (a == nil || a.verdict == missing):
		return channel.Closed, nil
	case a != nil && a.verdict == refused:
		return 0, err
	}
	return 0, fmt.Errorf("alipay: %s: trade can still be paid, or is, after it", cancel)
}
