package pki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/upstream/server/pki"
	"quancun/upstream/wire"
)

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAuthority(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := pki.Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.pem", "server.pem"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	again, err := pki.Open(dir, now)
	if err != nil || !bytes.Equal(again.CA(), a.CA()) ||
		!bytes.Equal(again.Server().Certificates[0].Certificate[0], a.Server().Certificates[0].Certificate[0]) {
		t.Errorf("opened again: %v, want the same certificates", err)
	}
	ca, server := parse(t, a.CA()), a.Server().Certificates[0].Leaf
	text, _, _, err := a.Terminal("K01")
	if err != nil {
		t.Fatal(err)
	}
	terminal := parse(t, text)
	if got := wire.TerminalOf(terminal); got != "K01" {
		t.Errorf("certificate of terminal %q, want K01", got)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		as   x509.ExtKeyUsage
		dns  string
		good bool
	}{
		{"ServerAsServer", server, x509.ExtKeyUsageServerAuth, wire.ServerName, true},
		{"ServerAsOther", server, x509.ExtKeyUsageServerAuth, "localhost", false},
		{"ServerAsTerminal", server, x509.ExtKeyUsageClientAuth, "", false},
		{"TerminalAsTerminal", terminal, x509.ExtKeyUsageClientAuth, "", true},
		{"TerminalAsServer", terminal, x509.ExtKeyUsageServerAuth, "", false},
	} {
		for _, at := range []time.Time{ca.NotBefore, now, ca.NotAfter} {
			_, err := tt.cert.Verify(x509.VerifyOptions{
				Roots: roots, KeyUsages: []x509.ExtKeyUsage{tt.as}, DNSName: tt.dns, CurrentTime: at,
			})
			if (err == nil) != tt.good {
				t.Errorf("%s at %v: %v, want good %t", tt.name, at, err, tt.good)
			}
		}
	}
	if back := now.Sub(ca.NotBefore); back < 47*time.Hour {
		t.Errorf("certificates are backdated by %v, want two days", back)
	}
}

func TestTerminalNames(t *testing.T) {
	a, err := pki.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "a/b", "K 01", "../x", "终端", "a?b", strings.Repeat("x", 33)} {
		if _, _, _, err := a.Terminal(id); err == nil {
			t.Errorf("a certificate was made for %q", id)
		}
	}
}

func TestLooseMode(t *testing.T) {
	dir := t.TempDir()
	if _, err := pki.Open(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "ca.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Open(dir, time.Now()); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("Open with a key that everybody may read = %v, want it refused", err)
	}
}

// TestRenewal starts shortly before the server's certificate ends.
func TestRenewal(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := pki.Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	old := a.Server().Certificates[0].Leaf
	a, err = pki.Open(dir, old.NotAfter.Add(-24*time.Hour))
	if err != nil || a.Server().Certificates[0].Leaf.SerialNumber.Cmp(old.SerialNumber) == 0 {
		t.Errorf("Open = %v, want another server certificate", err)
	}
	if err := os.Remove(filepath.Join(dir, "server.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Open(dir, now); err != nil {
		t.Errorf("Open without a server certificate = %v, want it made", err)
	}
}
