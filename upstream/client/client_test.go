package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/server/pki"
	"quancun/upstream/server/pki/pkitest"
	v1 "quancun/upstream/wire/quancun/v1"
)

func newFile(t testing.TB) (client.File, string) {
	t.Helper()
	a, err := pki.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, _ := pkitest.Terminal(t, a, "K01")
	f := client.File{
		Terminal: "K01", TerminalNo: "0000000000A1", Address: "127.0.0.1:1",
		CA: string(a.CA()), Certificate: string(cert), Key: string(key),
	}
	text, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return f, string(text)
}

func TestProvisioning(t *testing.T) {
	f, text := newFile(t)
	path := filepath.Join(t.TempDir(), "terminal.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := client.ReadProvisioning(path)
	if err != nil || p.Terminal != "K01" || p.TerminalNo != (pboc.TerminalNo{5: 0xA1}) || p.Address != f.Address {
		t.Fatalf("ReadProvisioning = %v, %v", p, err)
	}
	for _, v := range []any{p, *p, f, &f} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); got != "terminal K01" {
				t.Errorf("%s of a %T prints %.60q", verb, v, got)
			}
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadProvisioning(path); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("ReadProvisioning of what everybody may read = %v, want it refused", err)
	}
	if _, err := client.ReadProvisioning(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadProvisioning of nothing = %v", err)
	}
}

func TestProvisioningBroken(t *testing.T) {
	good, _ := newFile(t)
	other, _ := newFile(t)
	for name, change := range map[string]func(*client.File){
		"OtherName":          func(f *client.File) { f.Terminal = "K02" },
		"OtherKey":           func(f *client.File) { f.Key = other.Key },
		"HalfAKey":           func(f *client.File) { f.Key = f.Key[:len(f.Key)/2] },
		"NoCertificate":      func(f *client.File) { f.Certificate = "" },
		"Previous":           func(f *client.File) { f.Previous = "none" },
		"CampusKey":          func(f *client.File) { f.CampusKey = f.CampusKey + "00" },
		"SealKey":            func(f *client.File) { f.SealKey = "00" },
		"JournalCertificate": func(f *client.File) { f.JournalCertificate = "00" },
		"NoCA":               func(f *client.File) { f.CA = "" },
		"CAIsNot":            func(f *client.File) { f.CA = strings.Replace(f.CA, "MII", "AAA", 1) },
		"NoAddress":          func(f *client.File) { f.Address = "upstream" },
		"ShortNumber":        func(f *client.File) { f.TerminalNo = "01" },
	} {
		f := good
		change(&f)
		if _, err := f.Encode(); err == nil || strings.Contains(err.Error(), good.Key[40:60]) {
			t.Errorf("%s: %v, want an error without the key", name, err)
		}
	}
}

func FuzzProvisioning(f *testing.F) {
	_, text := newFile(f)
	f.Add(text)
	f.Add("terminal = 1")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := client.ParseProvisioning([]byte(s))
		if err == nil && (p.Terminal == "" || p.CA == nil || p.Certificate.Leaf == nil) {
			t.Errorf("ParseProvisioning(%q) = %+v without an error", s, *p)
		}
	})
}

// TestReasons holds our names against those of the wire.
func TestReasons(t *testing.T) {
	ours := []client.Reason{
		client.CardIsUnknown, client.CardIsHot, client.CardIsRetired, client.PINWrong, client.PINLocked,
		client.ChallengeSpent, client.SessionOver, client.AmountOutOfRange, client.BalanceCap, client.OrderConflict,
		client.OrderUnknown, client.ChannelRefused, client.MAC1Wrong, client.NothingToLoad, client.LoadDone,
		client.LoadConflict, client.CardAhead, client.TerminalUnknown, client.Malformed, client.TACWrong,
		client.NotEnough, client.AccountUnknown, client.NumberPassed, client.AttemptConflict, client.NotSaid,
	}
	if len(ours) != len(v1.Reason_name)-1 { // without UNSPECIFIED
		t.Errorf("%d reasons, the wire has %d", len(ours), len(v1.Reason_name)-1)
	}
	seen := map[client.Reason]bool{}
	for _, r := range ours {
		if seen[r] || !strings.HasPrefix(r.String(), "REASON_") {
			t.Errorf("reason %d (%v) is there twice, or not on the wire", int(r), r)
		}
		seen[r] = true
	}
}

// TestNobodyThere calls an upstream that is not there: an unknown outcome, soon.
func TestNobodyThere(t *testing.T) {
	_, text := newFile(t)
	p, err := client.ParseProvisioning([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := client.Dial(p, client.Options{Address: "127.0.0.1:1"})
	defer c.Close()
	start := time.Now()
	_, err = c.LookUpCard(t.Context(), "00002026000100012345")
	var no *client.Refusal
	if err == nil || errors.As(err, &no) || time.Since(start) > 6*time.Second {
		t.Errorf("LookUpCard after %v = %v, want an unknown outcome", time.Since(start), err)
	}
}

// courier is a transport that never leaves the process.
type courier func(*http.Request) (*http.Response, error)

func (c courier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// TestTransport: calls go where the caller sends them, and the drift is told by
// the clock that was given alone.
func TestTransport(t *testing.T) {
	_, text := newFile(t)
	p, err := client.ParseProvisioning([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	upstream := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	now := upstream.Add(-time.Second)
	var called string
	c := client.Dial(p, client.Options{Now: func() time.Time { return now }, Transport: courier(
		func(r *http.Request) (*http.Response, error) {
			called = r.URL.Path
			now = now.Add(4 * time.Second) // half of it on the way there
			body, err := proto.Marshal(&v1.HelloResponse{
				Time: timestamppb.New(upstream), TerminalNo: make([]byte, 6), Policy: new(v1.Policy),
			})
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/proto"}},
				Body: io.NopCloser(bytes.NewReader(body)), Request: r,
			}, err
		})})
	defer c.Close()
	w, err := c.Hello(t.Context(), client.Hello{})
	if w.Place != (client.Place{}) { // this upstream is from before it said so
		t.Errorf("it stands at %+v", w.Place)
	}
	if err != nil || w.Drift != time.Second || called != "/quancun.v1.TerminalService/Hello" {
		t.Errorf("Hello = drift %v, %v, by %q; want 1s", w.Drift, err, called)
	}
}
