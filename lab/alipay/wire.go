package alipay

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"quancun/beijing"
)

// requestMax is the longest request that is read, in bytes.
const requestMax = 256 << 10

// skewMax is how far a request's timestamp may be off. It is narrow enough to
// catch a client that writes the time of its own zone.
const skewMax = 15 * time.Minute

// reply is the inner object of an answer. All of its values are strings on
// this wire, amounts included.
type reply map[string]string

func success(order string) reply {
	return reply{"code": "10000", "msg": "Success", "out_trade_no": order}
}

func failure(code, sub, message string) reply {
	msg := map[string]string{
		"20000": "Service Currently Unavailable", "40002": "Invalid Arguments", "40004": "Business Failed",
	}
	return reply{"code": code, "msg": msg[code], "sub_code": sub, "sub_msg": message}
}

func business(sub string) reply { return failure("40004", sub, sub) }

// operation is what a method does. It is called with mu held, and may change
// trades.
type operation func(g *Gateway, biz map[string]string, now time.Time) reply

var operations = map[string]operation{
	"precreate":            nil, // it needs more than its business fields; see book
	"pay":                  nil, // so does it; see pay
	"query":                (*Gateway).query,
	"cancel":               (*Gateway).cancel,
	"close":                (*Gateway).close,
	"refund":               (*Gateway).refund,
	"fastpay.refund.query": (*Gateway).refundQuery,
	"bill":                 nil, // it needs to know its own address; see book
}

// short returns the name by which operations and faults know a method, and ""
// for one that is none.
func short(method string) string {
	if method == "alipay.data.dataservice.bill.downloadurl.query" {
		return "bill"
	}
	name, ok := strings.CutPrefix(method, "alipay.trade.")
	if _, known := operations[name]; !ok || !known || name == "bill" {
		return ""
	}
	return name
}

// request is a request that was signed by the merchant.
type request struct {
	method    string // short: "precreate"
	biz       map[string]string
	notifyURL string
	host      string // under which the sender knows this gateway
}

// ServeHTTP is the gateway's one address, and the one that bills are fetched
// from.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == billPath {
		g.serveBill(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, requestMax)
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		http.Error(w, "POST a form", http.StatusBadRequest)
		return
	}
	name := strings.ReplaceAll(r.PostForm.Get("method"), ".", "_") + "_response"
	req, bad := g.parse(r.PostForm, time.Now())
	if bad != nil {
		// What does not get past the front door is answered without a signature,
		// as the real gateway does.
		if req.method == "" {
			name = "error_response"
		}
		write(w, envelope(name, inner(bad), ""))
		return
	}
	req.host = r.Host
	fault, answer := g.book(req)
	g.answer(w, name, fault, answer)
}

// parse reads a request. If it is not acceptable, bad is the answer to it.
func (g *Gateway) parse(form url.Values, now time.Time) (req request, bad reply) {
	if req.method = short(form.Get("method")); req.method == "" {
		return req, failure("40002", "isv.invalid-method", "不存在的方法名")
	}
	req.notifyURL = form.Get("notify_url")
	for _, values := range form {
		if len(values) != 1 {
			return req, failure("40002", "isv.invalid-parameter", "参数重复")
		}
	}
	signedText := content(form, "sign")
	at, err := time.ParseInLocation(time.DateTime, form.Get("timestamp"), beijing.Zone)
	switch {
	case form.Get("app_id") != AppID:
		return req, failure("40002", "isv.invalid-app-id", "无效的AppID参数")
	case form.Get("sign_type") != "RSA2" || form.Get("charset") != "utf-8" || form.Get("version") != "1.0":
		return req, failure("40002", "isv.invalid-parameter", "公共参数无效")
	case !verify(g.app, signedText, form.Get("sign")):
		// The real one quotes what it has checked, and so gives the request away
		// to everybody who logs this text.
		return req, failure("40002", "isv.invalid-signature", "验签出错，网关生成的验签字符串为："+signedText)
	case err != nil || at.Sub(now).Abs() > skewMax:
		return req, failure("40002", "isv.invalid-timestamp", "非法的时间戳参数")
	}
	if err := json.Unmarshal([]byte(form.Get("biz_content")), &req.biz); err != nil {
		return req, failure("40002", "isv.invalid-parameter", "biz_content")
	}
	return req, nil
}

// book gives a request its effect, unless a fault keeps it from having one.
func (g *Gateway) book(req request) (Fault, reply) {
	g.mu.Lock()
	fault, broken := g.take(req.method)
	if broken && fault.Kind == Delay && !fault.Booked {
		g.mu.Unlock()
		time.Sleep(time.Duration(fault.Delay))
		g.mu.Lock()
	}
	defer g.mu.Unlock()

	switch fault.Kind {
	case Refuse:
		return fault, business("ACQ.ACCESS_FORBIDDEN")
	case NotReady:
		return fault, business("isp.bill_not_exist")
	case RetryFlag:
		a := success(req.biz["out_trade_no"])
		a["retry_flag"] = "Y"
		return fault, a
	case Drop, BadSignature, Unsigned, HTML, HTTP500, Error:
		if !fault.Booked {
			return fault, success(req.biz["out_trade_no"])
		}
	}
	now := g.now()
	var answer reply
	switch req.method {
	case "precreate":
		answer = g.precreate(req, now)
	case "pay":
		answer = g.payByCode(req, now, fault.Kind)
	case "bill":
		answer = g.bill(req, now)
	default:
		answer = operations[req.method](g, req.biz, now)
	}
	if t := g.find(req.biz["out_trade_no"]); t != nil && fault.Kind == PayLate {
		t.PayAt = now.Add(time.Duration(fault.Delay))
	}
	if _, has := answer["total_amount"]; has && fault.Kind == Amount {
		answer["total_amount"] = fault.Amount.String()
	}
	if err := g.save(); err != nil {
		g.log.Error("save trades failed", "err", err)
		return fault, failure("20000", "isp.unknow-error", "系统繁忙")
	}
	g.nudge()
	return fault, answer
}

// answer sends a, as far as the fault lets it.
func (g *Gateway) answer(w http.ResponseWriter, name string, fault Fault, a reply) {
	switch fault.Kind {
	case Delay:
		if fault.Booked {
			time.Sleep(time.Duration(fault.Delay))
		}
	case Drop:
		panic(http.ErrAbortHandler) // closes the connection in mid-air
	case HTML:
		write(w, "<html><body>系统繁忙，请稍后再试</body></html>")
		return
	case HTTP500:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	case Error:
		if a = failure("20000", "isp.unknow-error", "系统繁忙"); fault.Code != "" {
			a = failure(fault.Code, fault.SubCode, "")
		}
	}
	text, key := inner(a), g.service
	switch fault.Kind {
	case BadSignature:
		key = g.forger
	case Unsigned:
		write(w, envelope(name, text, ""))
		return
	}
	write(w, envelope(name, text, signature(key, text)))
}

// inner is an answer's inner object as it is signed. Slashes are escaped, as
// the real gateway does here, and only here.
func inner(a reply) string {
	b, err := json.Marshal(a)
	if err != nil {
		panic("lab/alipay: internal error: " + err.Error())
	}
	return strings.ReplaceAll(string(b), "/", `\/`)
}

// envelope is put together by hand, because the signature is over the bytes of
// text and not over its meaning.
func envelope(name, text, sign string) string {
	if sign != "" {
		sign = `,"sign":"` + sign + `"`
	}
	label, err := json.Marshal(name) // it may come from a stranger
	if err != nil {
		panic("lab/alipay: internal error: " + err.Error())
	}
	return "{" + string(label) + ":" + text + sign + "}"
}

func write(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/html;charset=utf-8") // the real one says so even of JSON
	_, _ = w.Write([]byte(body))
}
