package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/lab/cards"
	"quancun/lab/phone"
	"quancun/reader"
	"quancun/reader/vpcd"
	"quancun/upstream/alipay"
	"quancun/upstream/channel"
)

const cardFile = `[{"card_no":"00001234000000000001","uid":"01020304","name":"张三","holder_no":"2024001","purse_fen":1234,
	"keys":{"dlk":"000102030405060708090A0B0C0D0E0F","dpk":"101112131415161718191A1B1C1D1E1F",
	"dtk":"202122232425262728292A2B2C2D2E2F","drpk":"303132333435363738393A3B3C3D3E3F"}}]`

// safe is a buffer for two goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a whole lab until the test ends, and returns its paper.
func start(t *testing.T, dir string, args ...string) (p Paper, said *safe) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said = new(safe)
	done := make(chan error, 1)
	paper := filepath.Join(dir, "lab.json")
	go func() {
		done <- run(ctx, append([]string{"serve", "--dir", dir, "--alipay", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...), said)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("serve does not stop")
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(paper)
		if err == nil && json.Unmarshal(b, &p) == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the lab did not start:\n%s", said)
		}
	}
	t.Setenv("CAMPUSLAB", p.Control)
	return p, said
}

// do runs one command line that has to succeed.
func do(t *testing.T, line string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), strings.Fields(line), &out); err != nil {
		t.Fatalf("campuslab %s: %v", line, err)
	}
	return out.String()
}

func read[T any](t *testing.T, line string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(do(t, line+" --json")), &v); err != nil {
		t.Fatalf("campuslab %s --json: %v", line, err)
	}
	return v
}

// TestWhole drives everything as a script would: an order is placed with the
// files that lab.json names, paid by command, broken by command; a card is
// laid, torn and taken.
func TestWhole(t *testing.T) {
	device, err := vpcd.Listen("127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "demo.json")
	if err := os.WriteFile(file, []byte(cardFile), 0o600); err != nil {
		t.Fatal(err)
	}
	p, said := start(t, dir, "--cards", file, "--vpcd", device.Addr())

	c, err := alipay.New(alipay.Config{
		AppID: p.AppID, PrivateKeyFile: p.AppKey, AlipayPublicKeyFile: p.AlipayKey, Gateway: p.Gateway,
		HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	order := channel.Order{No: "A1", Amount: 2000, Subject: "校园卡充值", Life: time.Minute}
	if out := do(t, "fault precreate drop --booked"); !strings.Contains(out, "drop") {
		t.Errorf("fault said:\n%s", out)
	}
	if _, err := c.Precreate(t.Context(), order); err == nil || errors.Is(err, channel.ErrRefused) {
		t.Errorf("with the answer lost: %v, want unknown", err)
	}
	qr, err := c.Precreate(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if list := read[[]phone.Trade](t, "trades"); len(list) != 1 || list[0].QR != qr {
		t.Errorf("trades = %+v", list)
	}
	do(t, "scan "+qr)
	if out := do(t, "pay --late 50ms --last"); !strings.Contains(out, "on its way") {
		t.Errorf("pay late said:\n%s", out)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got, err := c.Query(t.Context(), "A1")
		if err == nil && got.Status == channel.Paid {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not paid: %+v, %v", got, err)
		}
	}

	if out := do(t, "card lay 张三"); !strings.Contains(out, "12.34") || !strings.Contains(out, device.Addr()) {
		t.Errorf("lay said:\n%s", out)
	}
	for s := (reader.State{}); !s.Card; {
		if s, err = device.Wait(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	do(t, "slow 1")
	do(t, "tear after any")
	card, err := device.Connect()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := card.Transmit([]byte{0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00}); !errors.Is(err, reader.ErrGone) {
		t.Errorf("torn: %v, want ErrGone", err)
	}
	card.Close()
	do(t, "lay 2024001")
	if list := read[[]cards.Info](t, "take"); list[0].Laid || list[0].Ending != "taken" {
		t.Errorf("after take: %+v", list)
	}
	if strings.Contains(said.String(), "00001234000000000001") || strings.Contains(said.String(), "0001020304") {
		t.Errorf("serve gave away a card:\n%s", said)
	}
}

func TestUsage(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	p, _ := start(t, dir)
	for _, line := range []string{
		"", "dance", "serve", "serve --dir " + dir + " more", "pay", "pay a b", "fault", "fault query", "lay", "tear", "slow x",
	} {
		if err := run(t.Context(), strings.Fields(line), new(bytes.Buffer)); !errors.Is(err, errUsage) {
			t.Errorf("campuslab %s: %v, want errUsage", line, err)
		}
	}
	for line, want := range map[string]string{
		"pay --last":                     "no such code",
		"fault query dance":              "can not break",
		"fault query delay --delay x":    "not a time",
		"cards":                          "without this part",
		"trades --at http://127.0.0.1:1": "is campuslab serve running?",
		"serve --dir " + dir:             "another lab",
		"serve --dir " + other + " --alipay 0.0.0.0:0":                                               "--anywhere",
		"serve --dir " + other + " --alipay 127.0.0.1:0 --http " + p.Control[len("http://"):]:        "in use",
		"serve --dir " + other + " --alipay= --http 127.0.0.1:0 --cards " + other + "/none --vpcd x": "no such file",
	} {
		err := run(t.Context(), strings.Fields(line), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("campuslab %s: %v, want %q", line, err, want)
		}
	}
	for line, want := range map[string]string{
		"help": "pay --last", "fault kinds": "pay-late", "fault list": "none", "fault clear": "none", "trades": "none",
	} {
		if out := do(t, line); !strings.Contains(out, want) {
			t.Errorf("campuslab %s said:\n%s", line, out)
		}
	}
}

// TestStrangers: a page from elsewhere, open in a browser on this machine, can
// not work the lab.
func TestStrangers(t *testing.T) {
	p, _ := start(t, t.TempDir())
	for name, change := range map[string]func(*http.Request){
		"CrossSite": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"Origin":    func(r *http.Request) { r.Header.Set("Origin", "http://thief.example") },
		"Rebinding": func(r *http.Request) { r.Host = "thief.example:7080" },
	} {
		r, err := http.NewRequest(http.MethodPost, p.Control+"/control/faults/clear", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s: %d, want a refusal", name, resp.StatusCode)
		}
	}
}
