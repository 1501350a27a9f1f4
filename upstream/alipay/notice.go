package alipay

import (
	"fmt"
	"net/http"

	"quancun/upstream/channel"
)

// noticeMax is the longest notification that is read, in bytes. A real one has
// about 2 kB.
const noticeMax = 64 << 10

// Notice reads a notification (异步通知). It is genuine if Alipay signed it and
// it names this merchant's app; everything else is channel.ErrForged. A
// genuine one that can not be understood is another error, and is not to be
// acknowledged: Alipay sends it again.
//
// The same notification may come several times, late, and out of order.
func (c *Client) Notice(r *http.Request) (channel.Trade, error) {
	if r.Method != http.MethodPost {
		return channel.Trade{}, fmt.Errorf("alipay: notice is not posted: %w", channel.ErrForged)
	}
	r.Body = http.MaxBytesReader(nil, r.Body, noticeMax)
	if err := r.ParseForm(); err != nil {
		return channel.Trade{}, fmt.Errorf("alipay: notice is not a form: %w", channel.ErrForged)
	}
	// PostForm, and not Form: what a stranger adds to the address is not part
	// of the notification.
	form := r.PostForm
	for _, values := range form {
		if len(values) != 1 {
			return channel.Trade{}, fmt.Errorf("alipay: notice says something twice: %w", channel.ErrForged)
		}
	}
	if form.Get("sign_type") != "RSA2" || form.Get("app_id") != c.appID {
		return channel.Trade{}, fmt.Errorf("alipay: notice is for another app: %w", channel.ErrForged)
	}
	n, err := c.sdk.DecodeNotification(form)
	if err != nil {
		return channel.Trade{}, fmt.Errorf("alipay: notice: %w", channel.ErrForged)
	}
	if !isNumber(n.OutTradeNo) {
		return channel.Trade{}, fmt.Errorf("alipay: notice has no order number")
	}
	t, err := facts{
		order: n.OutTradeNo, trade: n.TradeNo, status: n.TradeStatus,
		amount: n.TotalAmount, paidAt: n.GmtPayment,
	}.read()
	if err != nil {
		return channel.Trade{}, fmt.Errorf("alipay: notice: %w", err)
	}
	return t, nil
}

// Acknowledge answers a notification with the seven letters that end its
// repetition.
func (c *Client) Acknowledge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("success"))
}
