package alipay

import (
	"context"
	"fmt"
	"strings"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/upstream/channel"
)

var _ channel.Codes = (*Client)(nil)

// PayByCode is alipay.trade.pay (当面付条码支付). The code is what the payer's phone
// shows; it is good for about a minute and once, and is never logged.
//
// Alipay answers at once if nobody has to be asked, and 10003 if the payer has
// to type a password first: that is no error of theirs and no payment either.
// An answer that says "paid" is not believed before a query says so too.
//
// timeout_express lets Alipay close the trade by itself o.Life after it was
// made, rounded up to whole minutes, whatever becomes of this machine. The same
// number may be sent again: it is the same trade.
func (c *Client) PayByCode(ctx context.Context, o channel.Order, code string) error {
	if err := check(o); err != nil {
		return err
	}
	if !isCode(code) {
		return fmt.Errorf("alipay: not a payment code: %w", channel.ErrCode)
	}
	p := sdk.NewPayload(pay).
		AddBizField("out_trade_no", o.No).
		AddBizField("scene", "bar_code").
		AddBizField("auth_code", code).
		AddBizField("product_code", "FACE_TO_FACE_PAYMENT").
		AddBizField("total_amount", o.Amount.String()).
		AddBizField("subject", plain(o.Subject)).
		AddBizField("timeout_express", express(o.Life)).
		AddParam("notify_url", c.notifyURL)
	if t := terminal(o.Terminal); t != "" {
		p.AddBizField("terminal_id", t)
	}
	var r struct {
		head
		OutTradeNo string `json:"out_trade_no"`
	}
	if err := c.call(ctx, p, &r); err != nil {
		return err
	}
	if r.OutTradeNo != o.No {
		return fmt.Errorf("alipay: %s: answer is about another order", pay)
	}
	return nil
}

// isCode reports whether s can be a payment code of Alipay's: 16 to 24 digits
// that begin with 25 to 30.
func isCode(s string) bool {
	return len(s) >= 16 && len(s) <= 24 && strings.Trim(s, "0123456789") == "" && s[:2] >= "25" && s[:2] <= "30"
}
