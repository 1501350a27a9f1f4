package stack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"quancun/lab/breaker"
	"quancun/upstream/biller/setup"
)

// newStack returns a stack in a directory of its own, with nothing running.
func newStack(t *testing.T) *Stack {
	t.Helper()
	s, err := New(Options{Dir: t.TempDir(), Bin: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReaddress(t *testing.T) {
	s := newStack(t)
	if err := s.readdress(); err != nil {
		t.Fatalf("before the first start: %v", err)
	}
	old := "terminal = \"demo01\"\naddress = \"127.0.0.1:1\"\nca = \"\"\"\naddress of the CA\"\"\"\n"
	if err := os.WriteFile(s.File("terminal.pem"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.readdress(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(s.File("terminal.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(old, "127.0.0.1:1", s.UpstreamAddr, 1); string(got) != want {
		t.Errorf("provisioning file is\n%s\nwant\n%s", got, want)
	}
}

func TestTerminalConfig(t *testing.T) {
	s := newStack(t)
	var c struct {
		Terminal, Journal string
		Reader            struct{ Kind, Listen, Name string }
		Panel             struct {
			Width int `toml:"width_px"`
		}
	}
	if err := toml.Unmarshal(s.terminalConfig(s.own()), &c); err != nil {
		t.Fatal(err)
	}
	if c.Terminal != s.File("terminal.pem") || c.Reader.Kind != "vpcd" || c.Reader.Listen != s.VPCDAddr ||
		c.Panel.Width != DefaultPanel.WidthPX {
		t.Errorf("configuration is %+v", c)
	}
}

// TestMissing: a program that is not there is told, and nothing is left.
func TestMissing(t *testing.T) {
	s := newStack(t)
	err := s.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "campusd demo") {
		t.Errorf("Start = %v, want which step it was", err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

// TestBillers: what the stack writes for the upstream names billers that can be
// opened, and that pay.
func TestBillers(t *testing.T) {
	s := newStack(t)
	for _, name := range []string{"network", "electricity"} {
		dir := s.File(filepath.Join("lab", name))
		if _, err := breaker.Certificate(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := breaker.Key(dir); err != nil {
			t.Fatal(err)
		}
	}
	var c setup.Config
	if meta, err := toml.Decode(string(s.billers()), &c); err != nil || len(meta.Undecoded()) > 0 {
		t.Fatalf("%v, unknown: %v", err, meta.Undecoded())
	}
	b, err := c.Open()
	if err := errors.Join(c.Check(), err); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{setup.NetworkName, setup.ElectricityName} {
		if b.Payable[name] == nil {
			t.Errorf("%s can not be paid", name)
		}
	}
}
