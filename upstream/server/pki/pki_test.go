package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
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
	terminal, err := a.Certify("K01", &newKey(t, elliptic.P256()).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
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
		for _, at := range []time.Time{tt.cert.NotBefore, now, tt.cert.NotAfter} {
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
		if _, err := a.Certify(id, &newKey(t, elliptic.P256()).PublicKey); err == nil {
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

func newRequest(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "upstream"}, DNSNames: []string{wire.ServerName}, // which nobody gets by asking
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestCertify: a machine gets ninety days for its own key, and nothing that it
// has asked for besides.
func TestCertify(t *testing.T) {
	a, err := pki.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, elliptic.P256())
	der := newRequest(t, key)
	public, err := pki.ReadRequest(der)
	if err != nil || !public.Equal(key.Public()) {
		t.Fatalf("ReadRequest = %v", err)
	}
	c, err := a.Certify("K01", public)
	if err != nil {
		t.Fatal(err)
	}
	if wire.TerminalOf(c) != "K01" || c.Subject.CommonName != "K01" || c.DNSNames != nil || c.IsCA ||
		!slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("certificate of %v, %v, for %v", c.Subject, c.DNSNames, c.ExtKeyUsage)
	}
	if life := time.Until(c.NotAfter); life > 90*24*time.Hour || life < 89*24*time.Hour {
		t.Errorf("it lives %v, want 90 days", life)
	}
	again, err := a.Certify("K01", public)
	if err != nil || again.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Errorf("two certificates of one number, or %v", err)
	}
	a.Now = func() time.Time { return parse(t, a.CA()).NotAfter.Add(-time.Hour) }
	if c, err = a.Certify("K01", public); err != nil || c.NotAfter.After(parse(t, a.CA()).NotAfter) {
		t.Errorf("a certificate outlives its authority, or %v", err)
	}

	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(der)
	flipped[len(flipped)-1] ^= 1
	for name, bad := range map[string][]byte{
		"Ed25519": newRequest(t, strange), "P384": newRequest(t, newKey(t, elliptic.P384())),
		"Signature": flipped, "Cut": der[:len(der)-1], "Empty": nil, "Long": append(der, make([]byte, 4<<10)...),
	} {
		if _, err := pki.ReadRequest(bad); err == nil {
			t.Errorf("%s: the request was read", name)
		}
	}
}

// TestOldServerCertificate: one from before there was another door is made
// anew; the authority stays.
func TestOldServerCertificate(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a, err := pki.Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	// A pair that has no name of the upstream at all stands for one that lacks
	// a name.
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := pki.Open(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{wire.ServerName, wire.EnrolName} {
		if err := b.Server().Certificates[0].Leaf.VerifyHostname(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("the authority has changed")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(newRequest(f, newKey(f, elliptic.P256())))
	f.Fuzz(func(t *testing.T, der []byte) {
		if key, err := pki.ReadRequest(der); err == nil && key.Curve != elliptic.P256() {
			t.Errorf("a key of %s was taken", key.Params().Name)
		}
	})
}
