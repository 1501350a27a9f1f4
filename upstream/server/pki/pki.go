// Package pki is the campus's own certificate authority: it certifies one
// upstream and its terminals, and nothing else in the world.
//
// A terminal's certificate lives ninety days and is renewed over the one before
// it. That shuts out a machine that was put into a cupboard and forgotten; a
// stolen one is shut out by the upstream's table of terminals, at every call.
//
// # Two doors
//
// Under [wire.ServerName] the upstream talks to holders of good certificates
// alone. Under [wire.EnrolName] a caller may have none yet, or one that has
// ended: TLS proves there that the caller has the key of a certificate that
// was once made here, and what that is worth is for the enrolment to say.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quancun/upstream/keys"
	"quancun/upstream/wire"
)

const (
	// backdate makes certificates good for machines whose clocks are behind.
	backdate = 48 * time.Hour
	life     = 30 * 365 * 24 * time.Hour
	// terminalLife is the life of a terminal's certificate. It is renewed from
	// two thirds of it, so that a month without a network costs nobody a visit.
	terminalLife = 90 * 24 * time.Hour
	// renew is how long before its end the server's certificate is made anew.
	renew = 90 * 24 * time.Hour
)

// Authority is the campus CA with the upstream's own certificate. It prints
// as "pki.Authority(…)".
type Authority struct {
	// Now is the clock by which certificates are made and judged. It may be
	// set before the first use.
	Now func() time.Time

	ca     tls.Certificate
	server tls.Certificate
}

// Format keeps the keys out of every log and message.
func (Authority) Format(s fmt.State, _ rune) { fmt.Fprint(s, "pki.Authority(…)") }

// Open reads the authority in dir, from ca.pem and server.pem. It makes what
// is not there, and renews a server certificate that is about to end or lacks
// a name.
func Open(dir string, now time.Time) (*Authority, error) {
	ca, err := readPair(filepath.Join(dir, "ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = makeCA(filepath.Join(dir, "ca.pem"), now)
	}
	if err != nil {
		return nil, fmt.Errorf("open CA: %w", err)
	}
	a := &Authority{Now: time.Now, ca: ca}
	path := filepath.Join(dir, "server.pem")
	a.server, err = readPair(path)
	if err == nil && (now.Add(renew).After(a.server.Leaf.NotAfter) || !named(a.server.Leaf)) {
		err = errors.Join(os.Remove(path), fs.ErrNotExist)
	}
	if errors.Is(err, fs.ErrNotExist) {
		a.server, err = a.makeServer(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open server certificate: %w", err)
	}
	return a, nil
}

// Server returns how the upstream listens: TLS 1.3, with both doors.
func (a *Authority) Server() *tls.Config {
	door := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Time:         a.now,
		Certificates: []tls.Certificate{a.withCA()},
		ClientAuth:   tls.RequestClientCert,
		ClientCAs:    a.pool(),
		NextProtos:   protocols,
		// A session is never taken up again, here or at the other door.
		SessionTicketsDisabled: true,
		VerifyConnection:       a.checkCaller,
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Time:         a.now,
		Certificates: []tls.Certificate{a.server},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    a.pool(),
		NextProtos:   protocols,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName == wire.EnrolName {
				return door, nil
			}
			return nil, nil // the outer one
		},
	}
}

var protocols = []string{"h2", "http/1.1"}

func (a *Authority) now() time.Time { return a.Now() }

func (a *Authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.ca.Leaf)
	return pool
}

// withCA returns the server's certificate with the CA's behind it, which a
// machine that is told only its fingerprint does not have.
func (a *Authority) withCA() tls.Certificate {
	c := a.server
	c.Certificate = [][]byte{c.Certificate[0], a.ca.Leaf.Raw}
	return c
}

// checkCaller lets in whoever shows no certificate, or one that was made here
// for a terminal, over or not: or not good yet, which one is that was made while
// our clock was ahead.
func (a *Authority) checkCaller(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return nil
	}
	c, at := cs.PeerCertificates[0], a.now()
	switch {
	case at.After(c.NotAfter):
		at = c.NotAfter
	case at.Before(c.NotBefore):
		at = c.NotBefore
	}
	_, err := c.Verify(x509.VerifyOptions{
		Roots: a.pool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// CA returns the authority's certificate, PEM.
func (a *Authority) CA() []byte { return certPEM(a.ca.Leaf.Raw) }

// Fingerprint tells this authority from every other.
func (a *Authority) Fingerprint() wire.Fingerprint { return wire.FingerprintOf(a.ca.Leaf) }

// requestMax bounds a request for a certificate, in bytes.
const requestMax = 4 << 10

// ReadRequest returns the key in a request for a certificate (PKCS #10, DER),
// if it is of the one kind that we certify and has signed the request. Nothing
// else in a request counts.
func ReadRequest(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > requestMax {
		return nil, fmt.Errorf("read request: %d bytes, at most %d", len(der), requestMax)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("read request: not a P-256 key")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return key, nil
}

// Certify makes a certificate of ninety days for a terminal's key.
func (a *Authority) Certify(id string, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	if !wire.TerminalID(id) {
		return nil, fmt.Errorf("make certificate: %q can not name a terminal", id)
	}
	uri, err := url.Parse(wire.TerminalURI(id))
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	from, to := a.now().Add(-backdate), a.now().Add(terminalLife)
	if from.Before(a.ca.Leaf.NotBefore) {
		from = a.ca.Leaf.NotBefore
	}
	if to.After(a.ca.Leaf.NotAfter) {
		to = a.ca.Leaf.NotAfter
	}
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: id},
		URIs:        []*url.URL{uri},
		NotBefore:   from,
		NotAfter:    to,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, &a.ca)
}

func makeCA(path string, now time.Time) (tls.Certificate, error) {
	ca, err := issue(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "Quancun campus CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, nil)
	if err != nil {
		return ca, err
	}
	return ca, writePair(path, ca)
}

// serverNames are the upstream's, one for each door.
var serverNames = []string{wire.ServerName, wire.EnrolName}

func named(c *x509.Certificate) bool { return slices.Equal(c.DNSNames, serverNames) }

func (a *Authority) makeServer(path string) (tls.Certificate, error) {
	c, err := a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: wire.ServerName},
		DNSNames:    serverNames,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return c, err
	}
	return c, writePair(path, c)
}

func (a *Authority) sign(c *x509.Certificate) (tls.Certificate, error) {
	c.NotBefore, c.NotAfter = a.ca.Leaf.NotBefore, a.ca.Leaf.NotAfter
	c.KeyUsage = x509.KeyUsageDigitalSignature
	return issue(c, &a.ca)
}

// issue makes a key and signs c for it; a nil parent is c itself.
func issue(c *x509.Certificate, parent *tls.Certificate) (pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, fmt.Errorf("make key: %w", err)
	}
	if parent == nil {
		parent = &tls.Certificate{Leaf: c, PrivateKey: key}
	}
	leaf, err := sign(c, &key.PublicKey, parent)
	if err != nil {
		return pair, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func sign(c *x509.Certificate, key *ecdsa.PublicKey, by *tls.Certificate) (_ *x509.Certificate, err error) {
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, by.Leaf, key, by.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(raw)
}

// A pair is kept in one file, so that it is there whole or not at all.

func readPair(path string) (tls.Certificate, error) {
	text, err := keys.ReadSecret(path)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer clear(text)
	return tls.X509KeyPair(text, text)
}

func writePair(path string, c tls.Certificate) error {
	key, err := keyPEM(c)
	if err != nil {
		return err
	}
	return keys.WriteSecret(path, bytes.Join([][]byte{certPEM(c.Leaf.Raw), key}, nil))
}

func certPEM(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func keyPEM(c tls.Certificate) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
