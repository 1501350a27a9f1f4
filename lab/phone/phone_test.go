package phone_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/lab/alipay"
	"quancun/lab/phone"
	adapter "quancun/upstream/alipay"
	"quancun/upstream/channel"
)

// lab is the stand-in, its control interface, and an adapter that orders.
type lab struct {
	url string
	*adapter.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	g, err := alipay.New(alipay.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	gateway, control := httptest.NewServer(g), httptest.NewServer(phone.Handler(g))
	t.Cleanup(gateway.Close)
	t.Cleanup(control.Close)
	c, err := adapter.New(adapter.Config{
		AppID: alipay.AppID, PrivateKeyFile: g.Keys().AppPrivate, AlipayPublicKeyFile: g.Keys().AlipayPublic,
		Gateway: gateway.URL, HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &lab{control.URL, c}
}

// call is one call of the control interface; without a body it is a GET.
func (l *lab) call(t *testing.T, path, body string, v any) (status int) {
	t.Helper()
	var resp *http.Response
	var err error
	if body == "" {
		resp, err = http.Get(l.url + path)
	} else {
		resp, err = http.Post(l.url+path, "application/json", strings.NewReader(body))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if v != nil && resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s: %v in %s", path, err, b)
		}
	}
	return resp.StatusCode
}

func (l *lab) order(t *testing.T, no string) (qr string) {
	t.Helper()
	qr, err := l.Precreate(t.Context(), channel.Order{No: no, Amount: 1, Subject: "校园卡充值", Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return qr
}

func TestPay(t *testing.T) {
	l := newLab(t)
	qr := l.order(t, "A1")
	for _, step := range []struct {
		path, ref string
		status    int
		want      channel.Status
	}{
		{"scan", "nothing", http.StatusNotFound, channel.Absent},
		{"scan", qr, http.StatusOK, channel.Waiting},
		{"pay", "last", http.StatusOK, channel.Paid},
		{"close", "A1", http.StatusConflict, channel.Paid},
		{"forge", "A1", http.StatusOK, channel.Paid},
	} {
		var got phone.Trade
		status := l.call(t, "/control/"+step.path, fmt.Sprintf(`{"ref":%q}`, step.ref), &got)
		if status != step.status || status == http.StatusOK && (got.QR != qr || got.Yuan != "0.01") {
			t.Errorf("%s %s: %d %+v, want %d", step.path, step.ref, status, got, step.status)
		}
		if trade, err := l.Query(t.Context(), "A1"); err != nil || trade.Status != step.want {
			t.Errorf("after %s: %+v, %v; want %v", step.path, trade, err, step.want)
		}
	}
	l.order(t, "A2")
	var late phone.Trade
	if status := l.call(t, "/control/pay", `{"ref":"last","late":"5s"}`, &late); status != http.StatusOK || !late.Late {
		t.Errorf("pay late: %d %+v", status, late)
	}
	var list []phone.Trade
	if l.call(t, "/control/trades", "", &list); len(list) != 2 || list[0].OutTradeNo != "A2" || list[0].Status != alipay.Waiting {
		t.Errorf("trades = %+v, want A2 first and waiting", list)
	}
	for _, bad := range []string{`{`, `{"reff":"A1"}`, `{"ref":"A1","late":"soon"}`, `[]`} {
		if status := l.call(t, "/control/pay", bad, nil); status != http.StatusBadRequest {
			t.Errorf("pay %s: %d, want %d", bad, status, http.StatusBadRequest)
		}
	}
}

func TestFaults(t *testing.T) {
	l := newLab(t)
	var armed []alipay.Fault
	l.call(t, "/control/faults", `{"method":"query","kind":"html","standing":true}`, &armed)
	if len(armed) != 1 || armed[0].Kind != alipay.HTML || armed[0].ID == 0 {
		t.Errorf("armed = %+v", armed)
	}
	if _, err := l.Query(t.Context(), "A1"); err == nil {
		t.Error("the fault did not happen")
	}
	if status := l.call(t, "/control/faults", `{"method":"query","kind":"dance"}`, nil); status != http.StatusBadRequest {
		t.Errorf("an unknown fault: %d", status)
	}
	l.call(t, "/control/faults/clear", `{}`, nil)
	if l.call(t, "/control/faults", "", &armed); len(armed) != 0 {
		t.Errorf("after clear: %+v", armed)
	}
	if _, err := l.Query(t.Context(), "A1"); err != nil {
		t.Errorf("after clear: %v", err)
	}
}

// TestPage: the page and all that it names are here, in both languages, it
// loads nothing from elsewhere, and each of its buttons is a fault that there is.
func TestPage(t *testing.T) {
	l := newLab(t)
	get := func(path string) string {
		resp, err := http.Get(l.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'self'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		return string(b)
	}
	html, script := get("/"), get("/phone.js")
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if u, err := url.Parse(m[1]); err != nil || u.IsAbs() {
			t.Errorf("the page loads %s", m[1])
		} else {
			get("/" + m[1])
		}
	}
	keys := func(language string) (list []string) {
		_, rest, _ := strings.Cut(script, "\n\t"+language+": {")
		block, _, _ := strings.Cut(rest, "\n\t},")
		for _, m := range regexp.MustCompile(`(?m)(?:^|[,\s])(\w+): "`).FindAllStringSubmatch(block, -1) {
			list = append(list, m[1])
		}
		slices.Sort(list)
		return list
	}
	zh, en := keys("zh"), keys("en")
	if len(zh) < 30 || !slices.Equal(zh, en) {
		t.Errorf("languages differ:\n%v\n%v", zh, en)
	}
	for _, m := range regexp.MustCompile(`data-t="(\w+)"`).FindAllStringSubmatch(html, -1) {
		if !slices.Contains(zh, m[1]) {
			t.Errorf("no words for %s", m[1])
		}
	}
	buttons := regexp.MustCompile(`(?m)"[^"]+", "[^"]+", (\{method: .*\})\],$`).FindAllStringSubmatch(script, -1)
	if len(buttons) < 15 {
		t.Errorf("only %d buttons were found", len(buttons))
	}
	for _, m := range buttons {
		text := regexp.MustCompile(`(\w+): `).ReplaceAllString(m[1], `"$1": `)
		if _, err := alipay.ParseFault([]byte(text)); err != nil {
			t.Errorf("button %s: %v", m[1], err)
		}
	}
}
