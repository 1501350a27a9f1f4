package alipay

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
)

var testOrder = channel.Order{
	No: "K1_42", Amount: 20 * money.Yuan, Subject: "校园卡充值 a/b=c&d",
	Terminal: "K-01", Life: 90 * time.Second,
}

const testCode = "281234567890123456"

// TestWire checks a request as the gateway would: every field, and the
// signature with nothing but the standard library.
func TestWire(t *testing.T) {
	g, c := newGateway(t, func(method string, _ url.Values) string {
		return signed(method, `{"code":"10000","out_trade_no":"K1_42","qr_code":"https:\/\/qr.alipay.com\/abc"}`)
	})
	qr, err := c.Precreate(t.Context(), testOrder)
	if err != nil || qr != "https://qr.alipay.com/abc" {
		t.Fatalf("Precreate() = %q, %v", qr, err)
	}
	form := g.forms[0]
	for k, want := range map[string]string{
		"app_id": testApp, "method": "alipay.trade.precreate", "format": "JSON", "charset": "utf-8",
		"sign_type": "RSA2", "version": "1.0", "notify_url": "https://campus.example/notify/alipay",
	} {
		if got := form.Get(k); got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
	var biz map[string]string
	if err := json.Unmarshal([]byte(form.Get("biz_content")), &biz); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"out_trade_no": "K1_42", "total_amount": "20.00", "subject": "校园卡充值 a b c d",
		"product_code": "FACE_TO_FACE_PAYMENT", "timeout_express": "2m",
		"qr_code_timeout_express": "2m", "terminal_id": "K-01",
	}
	if fmt.Sprint(biz) != fmt.Sprint(want) {
		t.Errorf("biz_content = %v\nwant %v", biz, want)
	}

	raw, err := base64.StdEncoding.DecodeString(form.Get("sign"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content(form, "sign")))
	if err := rsa.VerifyPKCS1v15(&keys().merchant.PublicKey, crypto.SHA256, sum[:], raw); err != nil {
		t.Errorf("signature: %v", err)
	}

	at, err := time.ParseInLocation(time.DateTime, form.Get("timestamp"), time.FixedZone("", 8*3600))
	if off := time.Since(at); err != nil || off < -time.Minute || off > time.Minute {
		t.Errorf("timestamp %q is %v away from Beijing time (%v)", form.Get("timestamp"), off, err)
	}
}

// TestZone runs the tests about time on a machine that believes to be in New
// York.
func TestZone(t *testing.T) {
	if os.Getenv("TZ") == "America/New_York" {
		t.Skip("this is the machine in New York")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestWire|TestQuery)$")
	cmd.Env = append(os.Environ(), "TZ=America/New_York")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in New York: %v\n%s", err, out)
	}
}

// each calls every method that moves or asks about money.
var each = map[string]func(ctx context.Context, c *Client) error{
	precreate: func(ctx context.Context, c *Client) error { _, err := c.Precreate(ctx, testOrder); return err },
	pay:       func(ctx context.Context, c *Client) error { return c.PayByCode(ctx, testOrder, testCode) },
	query:     func(ctx context.Context, c *Client) error { _, err := c.Query(ctx, "K1_42"); return err },
	cancel:    func(ctx context.Context, c *Client) error { _, err := c.Cancel(ctx, "K1_42"); return err },
	refund:    func(ctx context.Context, c *Client) error { return c.Refund(ctx, "K1_42", "R1", 500) },
}

// TestRules sends each line of the table over the wire, to each method that it
// is about, and checks which of the three outcomes its caller is told.
func TestRules(t *testing.T) {
	const paid = `{"code":"10000","out_trade_no":"K1_42","out_request_no":"R1",` +
		`"trade_status":"TRADE_SUCCESS","total_amount":"20.00","send_pay_date":"2026-03-01 08:00:00"}`
	own := map[[3]string]verdict{} // a method's own lines
	for _, r := range rules {
		line := [3]string{r.method, r.code, r.sub}
		if _, twice := own[line]; twice || r.why == "" && r.verdict != done {
			t.Errorf("%q is there twice, or gives no reason", line)
		}
		own[line] = r.verdict
	}
	for _, r := range rules {
		for method, do := range each {
			if r.method != every && r.method != method || r.verdict == done || r.verdict == missing {
				continue
			}
			_, c := newGateway(t, func(asked string, _ url.Values) string {
				if asked != method { // the question that follows finds a paid trade
					return signed(asked, paid)
				}
				return signed(method, `{"code":"`+r.code+`","sub_code":"`+r.sub+`","out_trade_no":"K1_42"}`)
			})
			want := r.verdict
			if v, ok := own[[3]string{method, r.code, r.sub}]; ok {
				want = v
			}
			err := do(t.Context(), c)
			if err == nil || errors.Is(err, channel.ErrRefused) != (want == refused) {
				t.Errorf("%s on %s %s: %v, want refused = %t", method, r.code, r.sub, err, want == refused)
			}
		}
	}
	for method := range each {
		if got := judge(method, "40004", "ACQ.UNHEARD_OF"); got.verdict != unknown {
			t.Errorf("%s: a code that nobody foresaw is %v, want unknown", method, got.verdict)
		}
	}
}

// TestAnswersThatAreNone gives every method what is no answer of the service,
// and none of it may be taken for one.
func TestAnswersThatAreNone(t *testing.T) {
	ok := `{"code":"10000","out_trade_no":"K1_42","qr_code":"x","trade_status":"TRADE_SUCCESS",` +
		`"total_amount":"20.00","action":"refund","fund_change":"Y"}`
	name := func(method string) string { return strings.ReplaceAll(method, ".", "_") + "_response" }
	for what, reply := range map[string]func(method string) string{
		"empty":         func(string) string { return "" },
		"html":          func(string) string { return "<html>busy</html>" },
		"null":          func(string) string { return "null" },
		"unsigned":      func(m string) string { return `{"` + name(m) + `":` + ok + `}` },
		"unsigned null": func(m string) string { return `{"` + name(m) + `":null}` },
		"signed null":   func(m string) string { return signed(m, "null") },
		"signed empty":  func(m string) string { return signed(m, "{}") },
		"other order":   func(m string) string { return signed(m, strings.Replace(ok, "K1_42", "K1_43", 1)) },
		"other method":  func(string) string { return signed("alipay.trade.close", ok) },
		"altered": func(m string) string {
			return strings.Replace(signed(m, ok), `"20.00"`, `"99.00"`, 1)
		},
		"merchant's own key": func(m string) string {
			return `{"` + name(m) + `":` + ok + `,"sign":"` + sign(keys().merchant, ok) + `"}`
		},
		"unknown certificate": func(m string) string {
			return strings.TrimSuffix(signed(m, ok), "}") + `,"alipay_cert_sn":"0123"}`
		},
		"escaped signature": func(m string) string {
			return strings.Replace(signed(m, ok), `"sign":"`, `"sign":"\/`, 1)
		},
		"pending": func(m string) string { return signed(m, strings.Replace(ok, "10000", "10003", 1)) },
		"endless": func(string) string { return strings.Repeat(" ", answerMax+1) + "{}" },
		"error": func(string) string {
			return `{"error_response":{"code":"40002","sub_code":"isv.invalid-signature","sub_msg":"SIGNED-REQUEST"}}`
		},
		"unsigned error": func(m string) string {
			return `{"` + name(m) + `":{"code":"40002","sub_code":"isv invalid","sub_msg":"SIGNED-REQUEST"}}`
		},
		"signed error": func(m string) string {
			return signed(m, `{"code":"20000","sub_code":"isp.unknow-error","sub_msg":"SIGNED-REQUEST"}`)
		},
	} {
		_, c := newGateway(t, func(method string, _ url.Values) string { return reply(method) })
		for method, do := range each {
			err := do(t.Context(), c)
			if err == nil || errors.Is(err, channel.ErrRefused) {
				t.Errorf("%s, %s: err = %v, want unknown", method, what, err)
			} else if strings.Contains(err.Error(), "SIGNED-REQUEST") || strings.Contains(err.Error(), "biz_content") {
				t.Errorf("%s, %s: error gives away the request: %v", method, what, err)
			}
		}
	}
}

// TestPay checks the request for a payment by code, and what its answers are
// taken for. A trade that was accepted is not paid.
func TestPay(t *testing.T) {
	for _, tt := range []struct {
		fields string
		want   error // nil: done
		known  bool  // the answer says no
	}{
		{`"code":"10000","trade_no":"T1"`, nil, true},
		{`"code":"10003","msg":" order success pay inprocess"`, errors.New("unknown"), false},
		{`"code":"20000"`, errors.New("unknown"), false},
		{`"code":"40004","sub_code":"ACQ.SYSTEM_ERROR"`, errors.New("unknown"), false},
		{`"code":"40004","sub_code":"ACQ.TRADE_HAS_SUCCESS"`, errors.New("unknown"), false},
		{`"code":"40004","sub_code":"ACQ.PAYMENT_AUTH_CODE_INVALID"`, channel.ErrCode, true},
		{`"code":"40004","sub_code":"ACQ.BUYER_BALANCE_NOT_ENOUGH"`, channel.ErrPayer, true},
		{`"code":"40004","sub_code":"ACQ.SELLER_BEEN_BLOCKED"`, channel.ErrRefused, true},
	} {
		g, c := newGateway(t, func(method string, _ url.Values) string {
			return signed(method, `{`+tt.fields+`,"out_trade_no":"K1_42"}`)
		})
		err := c.PayByCode(t.Context(), testOrder, testCode)
		switch {
		case tt.want == nil && err != nil, tt.want != nil && err == nil,
			tt.known && !errors.Is(err, tt.want), errors.Is(err, channel.ErrRefused) != (tt.known && tt.want != nil):
			t.Errorf("%s: %v, want %v", tt.fields, err, tt.want)
		case err != nil && strings.Contains(err.Error(), testCode):
			t.Errorf("%s: the error gives the code away: %v", tt.fields, err)
		}
		var biz map[string]string
		if err := json.Unmarshal([]byte(g.forms[0].Get("biz_content")), &biz); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"out_trade_no": "K1_42", "scene": "bar_code", "auth_code": testCode, "total_amount": "20.00",
			"subject": "校园卡充值 a b c d", "product_code": "FACE_TO_FACE_PAYMENT", "timeout_express": "2m",
			"terminal_id": "K-01",
		}
		if fmt.Sprint(biz) != fmt.Sprint(want) {
			t.Errorf("biz_content = %v\nwant %v", biz, want)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	thief, _ := newGateway(t, func(string, url.Values) string { return "" })
	g := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer g.Close()
	if _, err := newClient(t, g.URL, nil).Query(t.Context(), "K1_42"); err == nil || len(thief.forms) != 0 {
		t.Errorf("err = %v, and %d requests went on; want an error and none", err, len(thief.forms))
	}
}

func TestTimeout(t *testing.T) {
	g := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // a server sees that its client has gone only after the body
		<-r.Context().Done()
	}))
	defer g.Close()
	c := newClient(t, g.URL, &http.Client{Timeout: 20 * time.Millisecond})
	if _, err := c.Precreate(t.Context(), testOrder); err == nil || errors.Is(err, channel.ErrRefused) {
		t.Errorf("err = %v, want unknown", err)
	}
	if got := guarded(nil, answerMax, timeoutDefault).Timeout; got != timeoutDefault {
		t.Errorf("timeout without a client = %v, want %v", got, timeoutDefault)
	}
}

func TestQuery(t *testing.T) {
	paid := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		fields string
		want   channel.Trade
	}{
		{`"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"`, channel.Trade{Status: channel.Absent}},
		{`"code":"10000","trade_no":"T1","trade_status":"WAIT_BUYER_PAY","total_amount":"20.00"`,
			channel.Trade{TradeNo: "T1", Status: channel.Waiting, Amount: 2000}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_SUCCESS","total_amount":"0.29","send_pay_date":"2026-03-01 08:30:00"`,
			channel.Trade{TradeNo: "T1", Status: channel.Paid, Amount: 29, PaidAt: paid}},
		// Fields in shapes that the library does not foresee do not matter.
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_SUCCESS","total_amount":"1.00","fund_bill_list":[{"amount":1}],"hb_fq_pay_info":"{}"`,
			channel.Trade{TradeNo: "T1", Status: channel.Paid, Amount: 100}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_FINISHED","total_amount":"20","send_pay_date":"2026-03-01 08:30:00"`,
			channel.Trade{TradeNo: "T1", Status: channel.Paid, Amount: 2000, PaidAt: paid}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_CLOSED","total_amount":"20.00"`,
			channel.Trade{TradeNo: "T1", Status: channel.Closed, Amount: 2000}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_CLOSED","total_amount":"20.00","send_pay_date":"2026-03-01 08:30:00"`,
			channel.Trade{TradeNo: "T1", Status: channel.Returned, Amount: 2000, PaidAt: paid}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_SUCCESS","total_amount":"20.001"`, channel.Trade{}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_SUCCESS"`, channel.Trade{}},
		{`"code":"10000","trade_no":"T1","trade_status":"SOMETHING","total_amount":"20.00"`, channel.Trade{}},
		{`"code":"10000","trade_no":"T1","trade_status":"TRADE_SUCCESS","total_amount":"1","send_pay_date":"soon"`, channel.Trade{}},
	} {
		_, c := newGateway(t, func(method string, _ url.Values) string {
			return signed(method, `{`+tt.fields+`,"out_trade_no":"K1_42"}`)
		})
		got, err := c.Query(t.Context(), "K1_42")
		if !got.PaidAt.Equal(tt.want.PaidAt) {
			t.Errorf("%s: paid at %v, want %v", tt.fields, got.PaidAt, tt.want.PaidAt)
		}
		got.PaidAt, tt.want.PaidAt = time.Time{}, time.Time{}
		if tt.want.Status != 0 {
			tt.want.OrderNo = "K1_42"
		}
		if got != tt.want || (err != nil) != (tt.want.Status == 0) || errors.Is(err, channel.ErrRefused) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", tt.fields, got, err, tt.want)
		}
	}
}

// TestCancel plays the gateway's answers to a cancel and to the query after
// it, and counts how often the cancel was asked.
func TestCancel(t *testing.T) {
	trade := func(status, paidAt string) string {
		return `{"code":"10000","out_trade_no":"K1_42","total_amount":"20.00","trade_status":"` + status +
			`","send_pay_date":"` + paidAt + `"}`
	}
	const (
		closed   = `{"code":"10000","out_trade_no":"K1_42","retry_flag":"N","action":"close"}`
		returned = `{"code":"10000","out_trade_no":"K1_42","retry_flag":"N","action":"refund"}`
		nothing  = `{"code":"10000","out_trade_no":"K1_42","retry_flag":"N"}`
		again    = `{"code":"10000","out_trade_no":"K1_42","retry_flag":"Y"}`
		absent   = `{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}`
		broken   = `{"code":"40004","sub_code":"ACQ.SYSTEM_ERROR"}`
		tooLate  = `{"code":"40004","sub_code":"ACQ.TRADE_CANCEL_TIME_OUT"}`
		before   = `{"code":"40004","sub_code":"ACQ.REASON_TRADE_REFUND_FEE_ERR"}`
	)
	gone := trade("TRADE_CLOSED", "")
	given := trade("TRADE_CLOSED", "2026-03-01 08:30:00")
	for _, tt := range []struct {
		name    string
		cancels []string // the last one goes on
		query   string
		want    channel.Status
		refused bool
		asked   int
	}{
		{"Waiting", []string{closed}, gone, channel.Closed, false, 1},
		{"Paid", []string{returned}, broken, channel.Returned, false, 1},
		{"NotScanned", []string{nothing}, absent, channel.Closed, false, 1},
		{"NotScannedError", []string{absent}, absent, channel.Closed, false, 1},
		{"Again", []string{again, again, returned}, broken, channel.Returned, false, 3},
		{"SystemError", []string{broken, closed}, gone, channel.Closed, false, 2},
		{"LostRefund", []string{"", closed}, given, channel.Returned, false, 2}, // the refund's answer was lost
		{"EchoOfRefund", []string{before}, given, channel.Returned, false, 1},
		{"TooLate", []string{tooLate}, trade("TRADE_SUCCESS", "2026-03-01 08:30:00"), 0, true, 1},
		{"StillWaiting", []string{closed}, trade("WAIT_BUYER_PAY", ""), 0, false, cancelTries},
		{"StillPaid", []string{closed}, trade("TRADE_SUCCESS", "2026-03-01 08:30:00"), 0, false, cancelTries},
		{"Silent", []string{""}, gone, 0, false, cancelTries},
		{"QueryBroken", []string{closed}, broken, 0, false, cancelTries},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			_, c := newGateway(t, func(method string, _ url.Values) string {
				if method == query {
					return signed(method, tt.query)
				}
				asked++
				return signed(method, tt.cancels[min(asked, len(tt.cancels))-1])
			})
			got, err := c.Cancel(t.Context(), "K1_42")
			if got != tt.want || (err != nil) != (tt.want == 0) ||
				errors.Is(err, channel.ErrRefused) != tt.refused || asked != tt.asked {
				t.Errorf("Cancel() = %v, %v after %d; want %v, refused %t after %d",
					got, err, asked, tt.want, tt.refused, tt.asked)
			}
		})
	}
}

func TestRefund(t *testing.T) {
	const (
		moved   = `{"code":"10000","out_trade_no":"K1_42","fund_change":"Y","refund_fee":"5.00"}`
		before  = `{"code":"10000","out_trade_no":"K1_42","fund_change":"N","refund_fee":"5.00"}`
		poor    = `{"code":"40004","sub_code":"ACQ.SELLER_BALANCE_NOT_ENOUGH"}`
		tooMuch = `{"code":"40004","sub_code":"ACQ.REASON_TRADE_REFUND_FEE_ERR"}`
		success = `{"code":"10000","out_trade_no":"K1_42","out_request_no":"R1","refund_status":"REFUND_SUCCESS","refund_amount":"5.00"}`
		other   = `{"code":"10000","out_trade_no":"K1_42","out_request_no":"R1","refund_status":"REFUND_SUCCESS","refund_amount":"4.00"}`
		none    = `{"code":"10000"}`
		absent  = `{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}`
	)
	for _, tt := range []struct {
		name, refund, query string
		done, refused       bool
	}{
		{"Moved", moved, none, true, false},
		{"Repeated", before, success, true, false},
		{"UnderWay", before, none, false, false},
		{"OtherAmount", before, other, false, true},
		{"Poor", poor, none, false, false},
		{"PoorButDone", poor, success, true, false},
		{"TooMuch", tooMuch, absent, false, true},
		{"RefusedButDone", tooMuch, success, true, false},
		{"RefusedQueryBroken", tooMuch, "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, c := newGateway(t, func(method string, _ url.Values) string {
				if method == refundQuery {
					return signed(method, tt.query)
				}
				return signed(method, tt.refund)
			})
			err := c.Refund(t.Context(), "K1_42", "R1", 500)
			if (err == nil) != tt.done || errors.Is(err, channel.ErrRefused) != tt.refused {
				t.Errorf("Refund() = %v, want done %t, refused %t", err, tt.done, tt.refused)
			}
		})
	}
}

// TestNotSent checks that what the gateway could not take is refused here.
func TestNotSent(t *testing.T) {
	g, c := newGateway(t, func(string, url.Values) string { return "" })
	bad := func(change func(*channel.Order)) error {
		o := testOrder
		change(&o)
		_, err := c.Precreate(t.Context(), o)
		return err
	}
	_, queried := c.Query(t.Context(), "K1-42")
	_, cancelled := c.Cancel(t.Context(), "")
	for i, err := range []error{
		bad(func(o *channel.Order) { o.No = "" }),
		bad(func(o *channel.Order) { o.No = strings.Repeat("1", 65) }),
		bad(func(o *channel.Order) { o.No = "卡1" }),
		bad(func(o *channel.Order) { o.Amount = 0 }),
		bad(func(o *channel.Order) { o.Amount = amountMax + 1 }),
		bad(func(o *channel.Order) { o.Life = 0 }),
		bad(func(o *channel.Order) { o.Subject = "&/=" }),
		c.PayByCode(t.Context(), channel.Order{No: "K1_42"}, testCode),
		c.PayByCode(t.Context(), testOrder, ""),
		c.PayByCode(t.Context(), testOrder, "241234567890123456"),
		c.PayByCode(t.Context(), testOrder, "28123456789012345x"),
		c.PayByCode(t.Context(), testOrder, "281234567890123"),
		queried, cancelled,
		c.Refund(t.Context(), "K1_42", "R 1", 1),
		c.Refund(t.Context(), "K1_42", "R1", 0),
	} {
		if !errors.Is(err, channel.ErrRefused) {
			t.Errorf("case %d: err = %v, want ErrRefused", i, err)
		}
	}
	if len(g.forms) != 0 {
		t.Errorf("%d requests were sent", len(g.forms))
	}
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	secret := dir + "/secret"
	if err := os.WriteFile(secret, []byte("-----BEGIN SECRET-----"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{
		{},
		{AppID: testApp, Gateway: "://"},
		{AppID: testApp, Gateway: "gateway.do"},
		{AppID: testApp, PrivateKeyFile: dir + "/none"},
		{AppID: testApp, PrivateKeyFile: secret, AlipayPublicKeyFile: secret},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("New(%+v): err = %v", c, err)
		}
	}
}
