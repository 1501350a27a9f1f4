// Package pkitest provisions terminals for tests that are not about how a
// machine becomes one, and finds ports for upstreams that come back.
package pkitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"net"
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

// Listen listens at an address on the loopback interface: at addr, or at one of its
// own choice if that is "". Its choice is below the ports that callers get on Linux,
// so that an upstream which stops and comes back finds its port free.
func Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	choices := 1
	if addr == "" {
		choices = 100
	}
	var err error
	for range choices {
		at := addr
		if at == "" {
			at = fmt.Sprintf("127.0.0.1:%d", 12000+mathrand.IntN(20000))
		}
		var l net.Listener
		if l, err = net.Listen("tcp", at); err == nil {
			return l
		}
	}
	t.Fatal(err)
	return nil
}
