package alipay_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/upstream/channel"
)

// TestTrade follows an order from the code to the money and back.
func TestTrade(t *testing.T) {
	w := newWorld(t)
	qr := w.place(t, "A1", lab.Unscanned)
	status := func(want channel.Status) {
		t.Helper()
		if got, err := w.Query(t.Context(), "A1"); err != nil || got.Status != want {
			t.Errorf("query = %+v, %v; want %v", got, err, want)
		}
	}
	status(channel.Absent)
	if again, err := w.Precreate(t.Context(), order("A1")); err != nil || again != qr {
		t.Errorf("the same order again = %q, %v; want %q", again, err, qr)
	}
	other := order("A1")
	other.Amount++
	if _, err := w.Precreate(t.Context(), other); !errors.Is(err, channel.ErrRefused) {
		t.Errorf("the same number for another amount: %v, want ErrRefused", err)
	}
	if _, err := w.Scan(qr); err != nil {
		t.Fatal(err)
	}
	status(channel.Waiting)
	if _, err := w.Pay("A1", 0); err != nil {
		t.Fatal(err)
	}
	status(channel.Paid)
	if _, err := w.Precreate(t.Context(), order("A1")); err == nil || errors.Is(err, channel.ErrRefused) {
		t.Errorf("an order that is paid: %v, want unknown", err)
	}
	if _, err := w.Pay("A1", 0); !errors.Is(err, lab.ErrDead) {
		t.Errorf("paid twice: %v", err)
	}
	if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Returned {
		t.Errorf("cancel = %v, %v; want Returned", got, err)
	}
	status(channel.Returned)
	eventually(t, "notices of payment and refund", func() bool { n, _ := w.received(); return n == 2 })
	if _, err := w.Pay("nothing", 0); !errors.Is(err, lab.ErrNoTrade) {
		t.Errorf("a code that is none: %v", err)
	}
}

func TestCancelWithoutPayment(t *testing.T) {
	for name, payer := range map[string]lab.Status{"Unscanned": lab.Unscanned, "Waiting": lab.Waiting} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			qr := w.place(t, "A1", payer)
			for range 2 {
				if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Closed {
					t.Fatalf("cancel = %v, %v; want Closed", got, err)
				}
			}
			if _, err := w.Pay(qr, 0); !errors.Is(err, lab.ErrDead) {
				t.Errorf("paid after the cancel: %v", err)
			}
			if _, err := w.Precreate(t.Context(), order("A1")); !errors.Is(err, channel.ErrRefused) {
				t.Errorf("ordered again under a closed number: %v", err)
			}
		})
	}
}

func TestCancelAgain(t *testing.T) {
	w := newWorld(t)
	w.place(t, "A1", lab.Waiting)
	w.arm(t, lab.Fault{Method: "cancel", Kind: lab.RetryFlag})
	if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Closed || len(w.Faults()) != 0 {
		t.Errorf("cancel = %v, %v; want Closed after a repetition", got, err)
	}
}

// TestPaysLate is the payment that comes after everybody has given up on it.
func TestPaysLate(t *testing.T) {
	paid := func(w *world) func() bool {
		return func() bool {
			got, err := w.Query(t.Context(), "A1")
			n, _ := w.received()
			return err == nil && got.Status == channel.Paid && n > 0
		}
	}
	t.Run("AfterCancelOfUnscanned", func(t *testing.T) {
		w := newWorld(t)
		w.place(t, "A1", lab.Unscanned)
		w.arm(t, lab.Fault{Method: "cancel", Kind: lab.PayLate, Delay: lab.Duration(100 * time.Millisecond)})
		if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Closed {
			t.Fatalf("cancel = %v, %v; want Closed", got, err)
		}
		eventually(t, "payment after the cancel", paid(w))
	})
	t.Run("AcrossARestart", func(t *testing.T) {
		w := newWorld(t)
		qr := w.place(t, "A1", lab.Unscanned)
		if _, err := w.Pay(qr, 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Cancel(t.Context(), "A1"); err != nil || got != channel.Closed {
			t.Fatalf("cancel = %v, %v; want Closed", got, err)
		}
		w.shut()
		w.open(t) // over the same files
		if all := w.Trades(); len(all) != 1 || all[0].QR != qr {
			t.Fatalf("after a restart: %+v", all)
		}
		eventually(t, "payment after the restart", func() bool {
			got, err := w.Query(t.Context(), "A1")
			return err == nil && got.Status == channel.Paid
		})
	})
}

func TestNotifications(t *testing.T) {
	for _, tt := range []struct {
		name            string
		fault           lab.Fault
		genuine, forged int
	}{
		{"Plain", lab.Fault{}, 1, 0},
		{"Twice", lab.Fault{Method: "notify", Kind: lab.Twice}, 2, 0},
		{"Delayed", lab.Fault{Method: "notify", Kind: lab.Delay, Delay: lab.Duration(50 * time.Millisecond)}, 1, 0},
		{"FirstLost", lab.Fault{Method: "notify", Kind: lab.Drop}, 1, 0},
		{"Forged", lab.Fault{Method: "notify", Kind: lab.Forged}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.fault.Kind != "" {
				w.arm(t, tt.fault)
			}
			w.place(t, "A1", lab.Success)
			eventually(t, "notices", func() bool {
				n, f := w.received()
				return n == tt.genuine && f >= tt.forged
			})
			for _, n := range w.said() {
				if n.OrderNo != "A1" || n.Status != channel.Paid || n.Amount != 2000 {
					t.Errorf("notice says %+v", n)
				}
			}
		})
	}
}

// TestResend lets the receiver refuse for a while: the same notification comes
// again until it is answered.
func TestResend(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.refuse = true
	w.mu.Unlock()
	w.place(t, "A1", lab.Success)
	eventually(t, "two attempts", func() bool { n := w.Trades()[0].Notices; return len(n) == 1 && n[0].Sent >= 2 })
	w.mu.Lock()
	w.refuse = false
	w.mu.Unlock()
	eventually(t, "delivery", func() bool { return w.Trades()[0].Notices[0].Done })
	if n, _ := w.received(); n != 1 {
		t.Errorf("%d notices were taken, want 1", n)
	}
}

// TestLies: an amount altered on the way out is seen by whoever compares, and
// a payment that somebody made up is no payment.
func TestLies(t *testing.T) {
	w := newWorld(t)
	w.arm(t, lab.Fault{Method: "notify", Kind: lab.Amount, Amount: 1})
	w.place(t, "A1", lab.Success)
	eventually(t, "notice", func() bool { n, _ := w.received(); return n == 1 })
	if got := w.said()[0].Amount; got != 1 {
		t.Errorf("notice says %s, want the altered 0.01", got)
	}
	w.arm(t, lab.Fault{Method: "query", Kind: lab.Amount, Amount: 1})
	if got, err := w.Query(t.Context(), "A1"); err != nil || got.Amount != 1 {
		t.Errorf("query = %+v, %v; want the altered 0.01", got, err)
	}
	w.place(t, "A2", lab.Unscanned)
	if _, err := w.Forge("A2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "forged notice", func() bool { _, f := w.received(); return f > 0 })
	if got, err := w.Query(t.Context(), "A2"); err != nil || got.Status != channel.Absent {
		t.Errorf("after a forged notice: %+v, %v; want Absent", got, err)
	}
}

// record is a transport that keeps the last request it saw.
type record struct {
	form *url.Values
}

func (r record) RoundTrip(q *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	if *r.form, err = url.ParseQuery(string(b)); err != nil {
		return nil, err
	}
	return nil, errors.New("recorded")
}

// TestFrontDoor alters a genuine request in every way that its signature is
// there to notice.
func TestFrontDoor(t *testing.T) {
	w := newWorld(t)
	genuine := w.genuine(t)
	send := func(change func(url.Values)) string {
		t.Helper()
		form := url.Values{}
		for k, v := range genuine {
			form[k] = append([]string(nil), v...)
		}
		change(form)
		resp, err := http.PostForm(w.url, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, change := range map[string]func(url.Values){
		"amount":      func(f url.Values) { f.Set("biz_content", strings.Replace(f.Get("biz_content"), "20.00", "0.01", 1)) },
		"notify_url":  func(f url.Values) { f.Set("notify_url", "http://thief.example/") },
		"new field":   func(f url.Values) { f.Set("app_auth_token", "x") },
		"no sign":     func(f url.Values) { f.Del("sign") },
		"bad sign":    func(f url.Values) { f.Set("sign", "!") },
		"other app":   func(f url.Values) { f.Set("app_id", "1") },
		"old":         func(f url.Values) { f.Set("timestamp", "2020-01-01 00:00:00") },
		"plain RSA":   func(f url.Values) { f.Set("sign_type", "RSA") },
		"twice":       func(f url.Values) { f.Add("sign", f.Get("sign")) },
		"new method":  func(f url.Values) { f.Set("method", "alipay.trade.rob") },
		"half method": func(f url.Values) { f.Set("method", `precreate"`) },
	} {
		if got := send(change); !strings.Contains(got, `"40002"`) || strings.Contains(got, `"sign":`) {
			t.Errorf("%s: answered %s", name, got)
		}
	}
	if all := w.Trades(); len(all) != 0 {
		t.Errorf("booked %+v", all)
	}
	if got := send(func(url.Values) {}); !strings.Contains(got, `"10000"`) || !strings.Contains(got, `https:\/\/qr.alipay.com\/lab`) {
		t.Errorf("the genuine request: %s", got)
	}
}

// genuine returns a request for an order as the adapter would send it.
func (w *world) genuine(t testing.TB) (form url.Values) {
	t.Helper()
	c, err := newAdapter(w, &http.Client{Transport: record{&form}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Precreate(t.Context(), order("A1")); err == nil {
		t.Fatal("the request went through")
	}
	return form
}

func TestKeysAndFiles(t *testing.T) {
	w := newWorld(t)
	w.place(t, "A1", lab.Unscanned)
	files, err := filepath.Glob(filepath.Join(keyDir(), "*_private.pem"))
	if err != nil || len(files) != 3 {
		t.Fatalf("private keys: %v, %v", files, err)
	}
	for _, f := range append(files, filepath.Join(w.dir, "trades.json")) {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", f, info.Mode(), err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, "trades.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.New(lab.Config{Dir: w.dir}); err == nil {
		t.Error("a damaged file was taken for an empty one")
	}
}

func TestFaultsAreChecked(t *testing.T) {
	for _, bad := range []string{
		``, `{}`, `{"method":"sell","kind":"drop"}`, `{"method":"query","kind":"pay-late"}`,
		`{"method":"query","kind":"drop","boked":true}`, `{"method":"query","kind":"delay"}`,
		`{"method":"query","kind":"delay","delay":"-1s"}`, `{"method":"notify","kind":"amount"}`,
	} {
		if f, err := lab.ParseFault([]byte(bad)); err == nil {
			t.Errorf("ParseFault(%s) = %+v", bad, f)
		}
	}
	w := newWorld(t)
	w.arm(t, lab.Fault{Method: "*", Kind: lab.HTTP500, Standing: true})
	for range 3 {
		if _, err := w.Query(t.Context(), "A1"); err == nil {
			t.Error("a standing fault has ended")
		}
	}
	w.Clear()
	if _, err := w.Query(t.Context(), "A1"); err != nil {
		t.Errorf("after Clear: %v", err)
	}
}

// FuzzRequest posts anything at the stand-in's door. It never books what the
// merchant did not sign.
func FuzzRequest(f *testing.F) {
	g, err := lab.New(lab.Config{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("method=alipay.trade.precreate&app_id=" + lab.AppID + "&sign=AAAA")
	f.Add("method=alipay.trade.query&biz_content={}")
	f.Add("method=%22")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/gateway.do", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		g.ServeHTTP(rec, r)
		if strings.Contains(rec.Body.String(), `"sign":`) || len(g.Trades()) != 0 {
			t.Errorf("%q was answered %s", body, rec.Body)
		}
	})
}

func FuzzFault(f *testing.F) {
	f.Add(`{"method":"cancel","kind":"pay-late","delay":"5s","standing":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := lab.ParseFault([]byte(text))
		if err == nil && (fault.Kind == "" || fault.Delay < 0) {
			t.Errorf("ParseFault(%q) = %+v", text, fault)
		}
	})
}
