package alipay

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/money"
	"quancun/upstream/channel"
)

// Limits of the gateway on an order.
const (
	numberMax  = 64 // characters of an order or refund number
	subjectMax = 256
	amountMax  = 100_000_000 * money.Yuan
	lifeMax    = 15 * 24 * time.Hour
	codeMax    = 512 // of the answer's code; the real ones have about 40
)

// Precreate is alipay.trade.precreate (预下单). It returns the text that the
// terminal shows as a code.
//
// No trade exists at Alipay before somebody scans it. The code dies o.Life
// after the order, and a trade that was made by scanning it o.Life after the
// scan; Life is rounded up to whole minutes. So the service closes an order by
// itself at the latest 2×Life after Precreate, whatever becomes of this
// machine.
//
// The error is channel.ErrRefused if the order was turned away for good,
// including one that this package does not send because the gateway could not
// take it. The same order may be sent again.
func (c *Client) Precreate(ctx context.Context, o channel.Order) (qr string, err error) {
	if err := check(o); err != nil {
		return "", err
	}
	p := sdk.NewPayload(precreate).
		AddBizField("out_trade_no", o.No).
		AddBizField("total_amount", o.Amount.String()).
		AddBizField("subject", plain(o.Subject)).
		AddBizField("product_code", "FACE_TO_FACE_PAYMENT").
		AddBizField("timeout_express", express(o.Life)).
		AddBizField("qr_code_timeout_express", express(o.Life)).
		AddParam("notify_url", c.notifyURL)
	if t := terminal(o.Terminal); t != "" {
		p.AddBizField("terminal_id", t)
	}
	var r struct {
		head
		OutTradeNo string `json:"out_trade_no"`
		QRCode     string `json:"qr_code"`
	}
	if err := c.call(ctx, p, &r); err != nil {
		return "", err
	}
	if r.OutTradeNo != o.No || r.QRCode == "" || len(r.QRCode) > codeMax {
		return "", fmt.Errorf("alipay: %s: answer is about another order, or has no code", precreate)
	}
	return r.QRCode, nil
}

// check returns why the gateway can not take o, as channel.ErrRefused.
func check(o channel.Order) error {
	switch {
	case !isNumber(o.No):
		return fmt.Errorf("alipay: order number is not 1 to 64 letters, digits and _: %w", channel.ErrRefused)
	case o.Amount < 1 || o.Amount > amountMax:
		return fmt.Errorf("alipay: amount of %s yuan is out of range: %w", o.Amount, channel.ErrRefused)
	case o.Life <= 0 || o.Life > lifeMax:
		return fmt.Errorf("alipay: life of %v is out of range: %w", o.Life, channel.ErrRefused)
	case plain(o.Subject) == "":
		return fmt.Errorf("alipay: order has no subject: %w", channel.ErrRefused)
	}
	return nil
}

// isNumber reports whether the gateway takes s as an order number.
func isNumber(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
	return len(s) >= 1 && len(s) <= numberMax && strings.Trim(s, letters) == ""
}

// plain returns a subject without the three characters that the gateway does
// not take, and not too long. It depends on s alone: a repeated order has to
// have the same content.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '/' || r == '=' || r == '&' || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > subjectMax {
		s = string(runes[:subjectMax])
	}
	return strings.TrimSpace(s)
}

// terminal returns a terminal's name as terminal_id, which has 32 characters
// at most. It is for Alipay's statements only.
func terminal(s string) string {
	runes := []rune(plain(s))
	return string(runes[:min(len(runes), 32)])
}

// express returns life in the gateway's notation, in minutes rounded up: an
// order must not close before the terminal's own countdown has ended.
func express(life time.Duration) string {
	return fmt.Sprintf("%dm", (life+time.Minute-1)/time.Minute)
}
