// Package pki is the campus's own certificate authority: it certifies one
// upstream and its terminals, and nothing else in the world.
//
// Its certificates live as long as the authority. A shorter life would lock
// out terminals whose clocks are wrong, and would not shut out a stolen one:
// the upstream's table of terminals does that, at every call.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
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
	"runtime"
	"time"

	"quancun/upstream/keys"
	"quancun/upstream/wire"
)

const (
	// backdate makes certificates good for machines whose clocks are behind.
	backdate = 48 * time.Hour
	life     = 30 * 365 * 24 * time.Hour
	// renew is how long before its end the server's certificate is made anew.
	renew = 90 * 24 * time.Hour
)

// Authority is the campus CA with the upstream's own certificate. It prints
// as "pki.Authority(…)".
type Authority struct {
	ca     tls.Certificate
	server tls.Certificate
}

// Format keeps the keys out of every log and message.
func (Authority) Format(s fmt.State, _ rune) { fmt.Fprint(s, "pki.Authority(…)") }

// Open reads the authority in dir, from ca.pem and server.pem. It makes what
// is not there, and renews a server certificate that is about to end.
func Open(dir string, now time.Time) (*Authority, error) {
	ca, err := readPair(filepath.Join(dir, "ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = makeCA(filepath.Join(dir, "ca.pem"), now)
	}
	if err != nil {
		return nil, fmt.Errorf("open CA: %w", err)
	}
	a := &Authority{ca: ca}
	path := filepath.Join(dir, "server.pem")
	a.server, err = readPair(path)
	if err == nil && now.Add(renew).After(a.server.Leaf.NotAfter) {
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

// Server returns how the upstream listens: mutual TLS 1.3, terminals only.
func (a *Authority) Server() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.ca.Leaf)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{a.server},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		NextProtos:   []string{"h2", "http/1.1"},
	}
}

// CA returns the authority's certificate, PEM.
func (a *Authority) CA() []byte { return certPEM(a.ca.Leaf.Raw) }

// Terminal makes a key and a certificate for a terminal, both PEM, and returns
// the certificate's fingerprint, by which the upstream knows it.
func (a *Authority) Terminal(id string) (cert, key []byte, fingerprint [32]byte, err error) {
	if !wire.TerminalID(id) {
		return nil, nil, fingerprint, fmt.Errorf("make certificate: %q can not name a terminal", id)
	}
	uri, err := url.Parse(wire.TerminalURI(id))
	if err != nil {
		return nil, nil, fingerprint, fmt.Errorf("make certificate: %w", err)
	}
	pair, err := a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: id},
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, nil, fingerprint, err
	}
	key, err = keyPEM(pair)
	return certPEM(pair.Leaf.Raw), key, sha256.Sum256(pair.Leaf.Raw), err
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

func (a *Authority) makeServer(path string) (tls.Certificate, error) {
	c, err := a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: wire.ServerName},
		DNSNames:    []string{wire.ServerName},
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
	if c.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return pair, fmt.Errorf("make serial number: %w", err)
	}
	by, signer := c, any(key)
	if parent != nil {
		by, signer = parent.Leaf, parent.PrivateKey
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), signer)
	if err != nil {
		return pair, fmt.Errorf("sign certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(raw)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, err
}

// A pair is kept in one file, so that it is there whole or not at all.

func readPair(path string) (tls.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return tls.Certificate{}, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("%s has mode %#o, want 0600", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return tls.Certificate{}, err
	}
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
