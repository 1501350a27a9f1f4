package alipay

import (
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/upstream/channel"
)

// notice returns a genuine notification, changed before it is signed.
func notice(key *rsa.PrivateKey, change func(url.Values)) url.Values {
	form := url.Values{
		"notify_time": {"2026-03-01 08:30:02"}, "notify_type": {"trade_status_sync"}, "notify_id": {"n1"},
		"app_id": {testApp}, "charset": {"utf-8"}, "version": {"1.0"}, "sign_type": {"RSA2"},
		"trade_no": {"T1"}, "out_trade_no": {"K1_42"}, "trade_status": {"TRADE_SUCCESS"},
		"total_amount": {"20.00"}, "gmt_payment": {"2026-03-01 08:30:00"}, "subject": {"校园卡充值"},
	}
	if change != nil {
		change(form)
	}
	form.Set("sign", sign(key, content(form, "sign", "sign_type")))
	return form
}

func post(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/notify/alipay", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

func TestNotice(t *testing.T) {
	c, service := newClient(t, "http://127.0.0.1:1", nil), keys().service
	want := channel.Trade{OrderNo: "K1_42", TradeNo: "T1", Status: channel.Paid, Amount: 2000}
	for range 2 { // notifications repeat themselves
		got, err := c.Notice(post(notice(service, nil)))
		if at := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC); !got.PaidAt.Equal(at) {
			t.Errorf("paid at %v, want %v", got.PaidAt, at)
		}
		got.PaidAt = time.Time{}
		if err != nil || got != want {
			t.Errorf("Notice() = %+v, %v\nwant %+v", got, err, want)
		}
	}

	set := func(k, v string) func(url.Values) { return func(f url.Values) { f.Set(k, v) } }
	after := func(k, v string) *http.Request { // changed on the way
		f := notice(service, nil)
		f.Set(k, v)
		return post(f)
	}
	twice := notice(service, nil)
	twice.Add("total_amount", "2000.00")
	inAddress := httptest.NewRequest(http.MethodPost, "/notify?"+notice(service, nil).Encode(), nil)
	for name, r := range map[string]*http.Request{
		"OtherKey":     post(notice(keys().merchant, nil)),
		"OtherApp":     post(notice(service, set("app_id", "2021000000000002"))),
		"OtherSigning": post(notice(service, set("sign_type", "RSA"))),
		"Certificate":  after("alipay_cert_sn", "0123"),
		"Amount":       after("total_amount", "2000.00"),
		"NewField":     after("passback_params", "x"),
		"NoSignature":  after("sign", ""),
		"BadSignature": after("sign", "!"),
		"Twice":        post(twice),
		"InAddress":    inAddress,
		"Got":          httptest.NewRequest(http.MethodGet, "/notify?"+notice(service, nil).Encode(), nil),
		"TooLong":      post(notice(service, set("body", strings.Repeat("x", noticeMax)))),
	} {
		if got, err := c.Notice(r); !errors.Is(err, channel.ErrForged) || got != (channel.Trade{}) {
			t.Errorf("%s: Notice() = %+v, %v; want ErrForged", name, got, err)
		}
	}
	for name, r := range map[string]*http.Request{
		"NoOrder":   post(notice(service, func(f url.Values) { f.Del("out_trade_no") })),
		"NoAmount":  post(notice(service, func(f url.Values) { f.Del("total_amount") })),
		"NewStatus": post(notice(service, set("trade_status", "TRADE_ODD"))),
	} {
		if got, err := c.Notice(r); err == nil || errors.Is(err, channel.ErrForged) || got != (channel.Trade{}) {
			t.Errorf("%s: Notice() = %+v, %v; want an error other than ErrForged", name, got, err)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	w := httptest.NewRecorder()
	newClient(t, "http://127.0.0.1:1", nil).Acknowledge(w)
	if w.Code != http.StatusOK || w.Body.String() != "success" {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
}

// FuzzNotice feeds what a stranger may post. Nothing that Alipay did not sign
// is ever a trade.
func FuzzNotice(f *testing.F) {
	genuine := notice(keys().service, nil).Encode()
	f.Add(genuine)
	f.Add(genuine + "&total_amount=1")
	f.Add("sign_type=RSA2&app_id=" + testApp + "&sign=AAAA")
	c := newClient(f, "http://127.0.0.1:1", nil)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got, err := c.Notice(r); err == nil && body != genuine {
			if again, _ := url.ParseQuery(body); again.Encode() != genuine {
				t.Errorf("Notice(%q) = %+v", body, got)
			}
		}
	})
}

// body is a transport that answers everything with the same bytes.
type body string

func (b body) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, _ = w.WriteString(string(b))
	return w.Result(), nil
}

// FuzzAnswer feeds what may come back in place of an answer: no panic, and no
// outcome but unknown, because nobody but Alipay can sign.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"alipay_trade_query_response":{"code":"10000"},"sign":"AAAA"}`)
	f.Add(`{"alipay_trade_query_response":"AAAA","sign":"AAAA"}`)
	f.Add(`{"alipay_trade_query_response":"` + strings.Repeat("A", 64) + `","sign":1}`)
	f.Add(`{"error_response":null}`)
	f.Add(`{"error_response":{"code":40002}}`)
	f.Add(`{"alipay_trade_query_response":null,"sign":null,"alipay_cert_sn":null}`)
	c := newClient(f, "http://127.0.0.1:1", nil)
	f.Fuzz(func(t *testing.T, answer string) {
		c.sdk.Client.Transport = limited{body(answer), answerMax}
		if got, err := c.Query(t.Context(), "K1_42"); err == nil || errors.Is(err, channel.ErrRefused) {
			t.Errorf("Query() = %+v, %v on %q", got, err, answer)
		}
	})
}

// FuzzFacts feeds what a signed answer may say: either it is understood whole,
// or it is an error.
func FuzzFacts(f *testing.F) {
	f.Add("TRADE_SUCCESS", "20.00", "2026-03-01 08:30:00")
	f.Add("TRADE_CLOSED", "0.01", "")
	f.Fuzz(func(t *testing.T, status, amount, paidAt string) {
		got, err := facts{order: "K1", status: sdk.TradeStatus(status), amount: amount, paidAt: paidAt}.read()
		if (err == nil) != (got.Status != 0) || got.Amount < 0 {
			t.Errorf("read() = %+v, %v", got, err)
		}
	})
}
