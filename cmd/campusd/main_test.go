package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// site is a data folder with a configuration, and the lab's Alipay.
type site struct {
	t       *testing.T
	dir     string
	data    string   // its data folder
	more    []string // for every command
	gateway *lab.Gateway
	ahead   atomic.Int64            // by how much the gateway's clock is, in nanoseconds
	notify  atomic.Pointer[url.URL] // where notices go, once campusd serves
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.data = s.path("data")
	var err error
	s.gateway, err = lab.New(lab.Config{
		Dir: filepath.Join(s.dir, "lab"), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewServer(s.gateway)
	t.Cleanup(gateway.Close)
	// campusd chooses its own port, after the configuration was written.
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(s.notify.Load()) }})
	t.Cleanup(proxy.Close)
	s.write("campusd.toml", fmt.Sprintf(`
		[school]
		zh = "示范大学"
		en = "Demo University"
		[policy]
		pay_seconds = 60
		[alipay]
		app_id = %q
		private_key_file = %q
		alipay_public_key_file = %q
		gateway = %q
		notify_url = %q
	`, lab.AppID, "lab/"+filepath.Base(s.gateway.Keys().AppPrivate), s.gateway.Keys().AlipayPublic,
		gateway.URL, proxy.URL+"/alipay/notify"))
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// campusd runs a command to its end.
func (s *site) campusd(args ...string) (string, error) {
	s.t.Helper()
	var out bytes.Buffer
	args = append(append(args, "--data", s.data), s.more...)
	err := run(s.t.Context(), args, &out, io.Discard)
	return out.String(), err
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := s.campusd(args...)
	if err != nil {
		s.t.Fatalf("campusd %q: %v", args, err)
	}
	return out
}

// serve starts the upstream and returns its address and what stops it.
func (s *site) serve() (addr string, stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r, w := io.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		defer w.Close()
		err := run(ctx, []string{
			"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--notify-listen", "127.0.0.1:0",
			"--config", s.path("campusd.toml"),
		}, io.Discard, w)
		if err != nil {
			s.t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() { s.gateway.Run(ctx) }) //nolint:errcheck // it ends by cancel
	line := make([]byte, 4096)
	n, err := r.Read(line)
	m := regexp.MustCompile(`terminals=(\S+) notices=(\S+)`).FindSubmatch(line[:n])
	if err != nil || m == nil {
		s.t.Fatalf("serve said %q, %v", line[:n], err)
	}
	running.Go(func() { io.Copy(io.Discard, r) }) //nolint:errcheck // it ends with serve
	s.notify.Store(&url.URL{Scheme: "http", Host: string(m[2])})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	return string(m[1]), stop
}

// card is what the file of demonstration cards says of one.
func (s *site) card(kind string) (c demoCard) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("cards.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var all []demoCard
	if err := json.Unmarshal(text, &all); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range all {
		if c.Kind == kind {
			return c
		}
	}
	s.t.Fatalf("there is no card of kind %s", kind)
	return c
}

// keepIn makes the site keep its books in a PostgreSQL.
func (s *site) keepIn(dsn string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("campusd.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("campusd.toml", fmt.Sprintf("database = %q\n%s", dsn, text))
	s.more = []string{"--config", s.path("campusd.toml")}
}

// TestDemonstration is an afternoon: provisioning, a sign-in with a card of the
// demonstration, a payment through the lab's Alipay, a restart, the books.
func TestDemonstration(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testDemonstration(t, newSite(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newSite(t)
		s.keepIn(pgtest.New(t).DSN)
		testDemonstration(t, s)
		if found, err := filepath.Glob(s.path("data/books*")); err != nil || found != nil {
			t.Errorf("beside PostgreSQL there are %q, %v", found, err)
		}
	})
}

func testDemonstration(t *testing.T, s *site) {
	ctx := t.Context()
	s.must("demo", "--cards", s.path("cards.json"))
	addr, stop := s.serve()
	p := s.enrol("K01", addr).papers
	c := client.Dial(p, client.Options{Address: addr})
	defer c.Close()
	hello, err := c.Hello(ctx, client.Hello{Version: "1"})
	if err != nil || hello.SchoolEN != "Demo University" || hello.Policy.Pay != time.Minute ||
		hello.Policy.TopUpMax != 500*money.Yuan || hello.TerminalNo != p.TerminalNo {
		t.Fatalf("Hello = %+v, %v", hello, err)
	}
	for kind, want := range map[string]client.CardStatus{
		"level": client.CardActive, "hot": client.CardHot, "retired": client.CardRetired,
		"unknown": client.CardUnknown, "expired": client.CardActive, // the card itself says when
	} {
		if got, err := c.LookUpCard(ctx, s.card(kind).CardNo); err != nil || got.Status != want {
			t.Errorf("LookUpCard of the %s card = %+v, %v; want status %d", kind, got, err, want)
		}
	}
	demo := s.card("to_load")
	look, err := c.LookUpCard(ctx, demo.CardNo)
	if err != nil {
		t.Fatal(err)
	}
	session, a, err := c.SignIn(ctx, demo.CardNo, look.Challenge, (*[wire.PINLen]byte)([]byte(demo.PIN)))
	if err != nil || a.Balance != 100*money.Yuan || a.ToLoad != 70*money.Yuan || a.MaskedName != "李*" {
		t.Fatalf("SignIn = %+v, %v", a, err)
	}
	o, err := c.CreateTopUp(ctx, session, "K01_1", 20*money.Yuan)
	if err != nil || o.QR == "" {
		t.Fatalf("CreateTopUp = %+v, %v", o, err)
	}
	if _, err := s.gateway.Pay(o.QR, 0); err != nil {
		t.Fatal(err)
	}
	o, err = c.GetTopUp(ctx, "K01_1", client.TopUpWaiting, 10*time.Second)
	if err != nil || o.State != client.TopUpPaid || o.Balance != 120*money.Yuan {
		t.Errorf("GetTopUp = %+v, %v; want it paid", o, err)
	}
	stop()
	if got := s.must("verify"); !regexp.MustCompile(`^the books are whole\nstate [0-9a-f]{64}\n$`).MatchString(got) {
		t.Errorf("verify: %q", got)
	}
	if got := s.must("account", demo.HolderNo); !strings.Contains(got, `"balance_fen": 12000`) ||
		!strings.Contains(got, `"state": "paid"`) {
		t.Errorf("account: %s", got)
	}
	if got := s.must("terminal", "list"); !strings.Contains(got, "K01") || !strings.Contains(got, "good") {
		t.Errorf("terminal list: %s", got)
	}
	s.must("terminal", "revoke", "K01")
	addr, _ = s.serve()
	c = client.Dial(p, client.Options{Address: addr})
	defer c.Close()
	var no *client.Refusal
	if _, err = c.Account(ctx, session); !errors.As(err, &no) || no.Reason != client.TerminalUnknown {
		t.Errorf("a revoked terminal: %v, want it refused", err)
	}
}

func TestServeTwice(t *testing.T) {
	s := newSite(t)
	s.serve()
	_, err := s.campusd("serve", "--listen", "127.0.0.1:0", "--notify-listen", "127.0.0.1:0", "--config", s.path("campusd.toml"))
	if err == nil || !strings.Contains(err.Error(), "another campusd") {
		t.Errorf("a second campusd on the same books: %v, want it refused", err)
	}
}

func TestForgedNotice(t *testing.T) {
	s := newSite(t)
	s.serve()
	p, err := http.PostForm("http://"+s.notify.Load().Host+"/alipay/notify", url.Values{"out_trade_no": {"K01_1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	if p.StatusCode != http.StatusBadRequest {
		t.Errorf("a notice that nobody signed: %s, want it refused", p.Status)
	}
}

func TestUsage(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.must("terminal", "add", "K01", "--terminal-no", "A00000000001")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"nonsense"}, "usage"},
		{[]string{"terminal"}, "usage"},
		{[]string{"terminal", "add"}, "usage"},
		{[]string{"terminal", "add", "K01"}, "there already"},
		{[]string{"terminal", "add", "K/2"}, "can not name"},
		{[]string{"terminal", "add", "K02", "--address", "nowhere"}, "address"},
		{[]string{"terminal", "add", "K02", "--terminal-no", "12"}, "12 hexadecimal"},
		{[]string{"terminal", "add", "K02", "--valid", "0s"}, "--valid"},
		{[]string{"terminal", "revoke", "K99"}, "no terminal"},
		{[]string{"terminal", "reset", "K99"}, "no terminal"},
		{[]string{"terminal", "reset", "K01", "--same-machine"}, "never been a machine"},
		{[]string{"terminal", "show", "K99"}, "no terminal"},
		{[]string{"keys"}, "usage"},
		{[]string{"keys", "nonsense"}, "usage"},
		{[]string{"keys", "generate"}, "names no token"},
		{[]string{"account", "1"}, "no account"},
		{[]string{"payment", "S1"}, "no payment"},
		{[]string{"demo", "--cards", s.path("cards.json")}, "there already"},
		{[]string{"demo", "--cards", s.path("again.json")}, "other content"},
		{[]string{"grant", "campusd"}, "only PostgreSQL"},
		{[]string{"verify", "extra"}, "usage"},
		{[]string{"verify", "--nonsense"}, "usage"},
		{[]string{"serve", "--config", s.path("none.toml")}, "no such file"},
	} {
		if out, err := s.campusd(tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("campusd %q = %q, %v; want %q", tt.args, out, err, tt.want)
		}
	}
	for _, args := range [][]string{{"verify"}, {"account", "1"}, {"terminal", "list"}, {"terminal", "revoke", "K01"}} {
		err := run(t.Context(), append(args, "--data", s.path("misspelt")), io.Discard, io.Discard)
		if _, err2 := os.Stat(s.path("misspelt")); !errors.Is(err, os.ErrNotExist) || !errors.Is(err2, os.ErrNotExist) {
			t.Errorf("campusd %q in a misspelt folder: %v, %v; want it refused and nothing made", args, err, err2)
		}
	}
	if err := run(t.Context(), nil, io.Discard, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("campusd alone = %v, want how to use it", err)
	}
}

func TestConfig(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"[policy]\nbalance_cap = 1", "balance_cap is not a setting"},
		{"[policy]\nbalance_cap_fen = 1", "balance_cap_fen"},
		{"[policy]\ntop_up_min_fen = 0", "top_up_min_fen"},
		{"[policy]\ntop_up_choices_fen = [1]", "top_up_choices_fen"},
		{"[policy]\npay_seconds = 5", "pay_seconds"},
		{"[policy]\npurse_ceiling_fen = 4294967296", "does not fit"},
		{"[policy]\nbalance_cap_fen = 10.5", "incompatible"},
		{`database = "postgres://campusd:hunter2@127.0.0.1/quancun"`, ""},
		{`database = "postgress://campusd:hunter2@127.0.0.1/quancun"`, "database does not start"},
		{"[keys]\nmodule = \"x.so\"", "pin_file"},
		{"[bath]\ndays_ahead = 0", ""},
		{"[bath]\nopen_max = 0", "open_max"},
		{"nonsense", "read config"},
	} {
		s.write("c.toml", tt.text)
		_, err := readConfig(s.path("c.toml"))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("config %q: %v, want %q", tt.text, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("config %q: the error shows the password: %v", tt.text, err)
		}
	}
}
