package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quancun/lab/wallet"
	"quancun/paycode"
	"quancun/upstream/client"
)

// withCodes gives a site virtual cards.
func (s *site) withCodes(more string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("campusd.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("campusd.toml", string(text)+"\n[codes]\nschool = 31\ncode_max_fen = 3000\n"+more)
}

// invited is an invitation for a holder's phone.
func (s *site) invited(account, addr string) string {
	s.t.Helper()
	out := s.must("phone", "invite", account, "--address", addr)
	return regexp.MustCompile(`quancun://\S+`).FindString(out)
}

// published returns what terminals know.
func (s *site) published() paycode.Keys {
	s.t.Helper()
	k, err := paycode.ParseKeys([]byte(s.must("feed", "show", "keys")))
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// TestPhone binds phones over TLS, has them show codes that a terminal believes by
// what was published, and loses them.
func TestPhone(t *testing.T) {
	s := newSite(t)
	s.withCodes("sm2 = true\n")
	s.must("demo", "--cards", s.path("cards.json"))
	addr, stop := s.serve()
	dir := s.path("phones")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for account, a := range map[string]paycode.Algorithm{"2026000101": paycode.Ed25519, "60123": paycode.SM2} {
		p, err := wallet.Bind(t.Context(), dir, s.invited(account, addr), a)
		if err != nil {
			t.Fatal(err)
		}
		code, until, err := p.Code()
		if err != nil || time.Until(until) > wallet.Rotate {
			t.Fatalf("code until %v, %v", until, err)
		}
		read, err := paycode.Parse(code.Text())
		if err == nil {
			err = s.published().Check(read, paycode.Pay, time.Now(), paycode.LifeMin)
		}
		if err != nil || read.Account != account || read.CodeMax != 3000 || read.DayMax != 5000 {
			t.Errorf("%s reads %+v, %v", a, read.Grant, err)
		}
		if err := p.Renew(t.Context()); err != nil {
			t.Errorf("renew: %v", err)
		}
	}
	seen := map[string]bool{}
	for range 3 {
		seen[s.onPage(dir, "2026000101")] = true
	}
	if len(seen) != 3 {
		t.Errorf("the page has shown %d codes, want 3", len(seen))
	}

	first, err := wallet.Open(wallet.File(dir, "2026000101"))
	if err != nil {
		t.Fatal(err)
	}
	code, _, err := first.Code()
	if err != nil {
		t.Fatal(err)
	}
	device := code.Device.ID()
	if list := s.must("phone", "list", "2026000101"); !strings.Contains(list, device.String()) {
		t.Errorf("phone list: %s", list)
	}
	s.must("phone", "revoke", device.String())
	if err := s.published().Check(code, paycode.Pay, time.Now(), paycode.LifeMax); !errors.Is(err, paycode.ErrRevoked) {
		t.Errorf("the lost phone's code: %v, want ErrRevoked", err)
	}
	if list := s.must("phone", "list"); !strings.Contains(list, "reported lost") || !strings.Contains(list, "SM2") {
		t.Errorf("phone list: %s", list)
	}
	stop()
	s.must("verify")
}

// onPage returns the code that the page of the lab shows.
func (s *site) onPage(dir, account string) string {
	s.t.Helper()
	lab := httptest.NewServer(wallet.Handler(dir))
	defer lab.Close()
	r, err := http.Post(lab.URL+"/wallet/code/"+account, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	var said struct {
		Text string
		QR   [][]bool
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil || len(said.QR) < 57 {
		s.t.Fatalf("the page says %s, %v", r.Status, err)
	}
	return said.Text
}

// TestPhoneRefused: an invitation is good once, for one phone, and for a while.
func TestPhoneRefused(t *testing.T) {
	s := newSite(t)
	s.withCodes("")
	s.must("demo", "--cards", s.path("cards.json"))
	addr, _ := s.serve()
	bind := func(ticket string, a paycode.Algorithm) error {
		_, err := wallet.Bind(t.Context(), t.TempDir(), ticket, a)
		return err
	}
	wants := func(what string, err error, want client.PhoneReason) {
		t.Helper()
		if no := (*client.PhoneRefusal)(nil); !errors.As(err, &no) || no.Reason != want {
			t.Errorf("%s: %v, want reason %d", what, err, want)
		}
	}
	ticket := s.invited("2026000101", addr)
	wants("SM2", bind(ticket, paycode.SM2), client.PhoneAlgorithm)
	if err := bind(ticket, paycode.Ed25519); err != nil {
		t.Fatal(err)
	}
	wants("another phone", bind(ticket, paycode.Ed25519), client.PhoneCodeOver)
	short := regexp.MustCompile(`quancun://\S+`).FindString(
		s.must("phone", "invite", "2026000101", "--address", addr, "--valid", "1ms"))
	time.Sleep(10 * time.Millisecond)
	wants("too late", bind(short, paycode.Ed25519), client.PhoneCodeOver)

	parsed, err := client.ParseTicket(ticket)
	if err != nil {
		t.Fatal(err)
	}
	key, err := paycode.GenerateKey(paycode.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	door := client.PhoneDoor{Address: addr, CA: parsed.CA}
	_, err = door.Renew(t.Context(), key)
	wants("a phone that was never bound", err, client.PhoneUnknown)
	door.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	_, err = door.Renew(t.Context(), key)
	wants("a clock that is wrong", err, client.PhoneClock)
	door.CA[0] ^= 1
	if _, err = door.Renew(t.Context(), key); !errors.Is(err, client.ErrNotUpstream) {
		t.Errorf("another upstream: %v", err)
	}
	for _, args := range [][]string{
		{"phone", "invite", "nobody", "--address", addr}, {"phone", "revoke", "00"},
		{"feed", "publish", "keys", "--file", s.path("campusd.toml")},
		{"phone", "revoke", strings.Repeat("0", 32)},
	} {
		if out, err := s.campusd(args...); err == nil {
			t.Errorf("campusd %q says %q", args, out)
		}
	}
}

// TestOtherSchool: a number that was changed by mistake would make all phones
// strangers, so nothing is served.
func TestOtherSchool(t *testing.T) {
	s := newSite(t)
	s.withCodes("")
	s.must("demo", "--cards", s.path("cards.json"))
	_, stop := s.serve()
	stop()
	text, err := os.ReadFile(s.path("campusd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("campusd.toml", strings.Replace(string(text), "school = 31", "school = 32", 1))
	_, err = s.campusd("serve", "--listen", "127.0.0.1:0", "--notify-listen", "127.0.0.1:0",
		"--config", s.path("campusd.toml"))
	if err == nil || !strings.Contains(err.Error(), "another number of the school") {
		t.Errorf("served under another number: %v", err)
	}
}

// TestNoCodes: a school that has none has none.
func TestNoCodes(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	addr, _ := s.serve()
	if _, err := wallet.Bind(t.Context(), t.TempDir(), s.invited("2026000101", addr), paycode.Ed25519); err == nil {
		t.Error("a phone was bound")
	}
}

// TestPhoneShow writes a code once, as a picture and as text.
func TestPhoneShow(t *testing.T) {
	s := newSite(t)
	s.withCodes("")
	s.must("demo", "--cards", s.path("cards.json"))
	addr, _ := s.serve()
	p, err := wallet.Bind(t.Context(), t.TempDir(), s.invited("60123", addr), paycode.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Show(t.Context(), &out, true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; !paycode.Ours(last) || !strings.Contains(out.String(), "▀") {
		t.Errorf("it shows %s", out.String())
	}
	if all, err := filepath.Glob(s.path("data/*sm2*")); err != nil || all != nil {
		t.Errorf("keys that nobody has asked for: %q, %v", all, err)
	}
}
