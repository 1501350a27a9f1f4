// Package pkitest provisions terminals for tests that are not about how a
// machine becomes one.
package pkitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"quancun/upstream/server/pki"
)

// Terminal makes a key and a certificate for a terminal, both PEM, and returns
// the certificate's fingerprint, by which the upstream knows it. That is what
// the first release's provisioning files hold.
func Terminal(t testing.TB, a *pki.Authority, id string) (cert, key []byte, fingerprint [32]byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certify(id, &k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), sha256.Sum256(c.Raw)
}
