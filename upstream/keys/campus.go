package keys

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
)

// The campus's own two keys are in a file of their own, campus.pem beside the
// key file: one that signs (Ed25519) and one to which terminals seal (X25519),
// both PKCS #8. A site from before there were any gets them at its next start
// and its key file, of which a copy lies in a safe, stays as it is.

func campusFile(keyFile string) string { return filepath.Join(filepath.Dir(keyFile), "campus.pem") }

const campusBlock = "PRIVATE KEY"

func generateCampus(path string) error {
	_, sign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	seal, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	var text []byte
	defer func() { clear(text) }()
	for _, key := range []any{sign, seal} {
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: campusBlock, Bytes: raw})...)
	}
	return WriteSecret(path, text)
}

func readCampus(path string, s *Secrets) error {
	text, err := ReadSecret(path)
	if err != nil {
		return fmt.Errorf("read campus key: %w", err)
	}
	defer clear(text)
	first, rest := pem.Decode(text)
	second, rest := pem.Decode(rest)
	if first == nil || second == nil || len(rest) > 0 {
		return errors.New("read campus key: not two PEM blocks")
	}
	sign, err1 := x509.ParsePKCS8PrivateKey(first.Bytes)
	seal, err2 := x509.ParsePKCS8PrivateKey(second.Bytes)
	ed, ok1 := sign.(ed25519.PrivateKey)
	x, ok2 := seal.(*ecdh.PrivateKey)
	if err1 != nil || err2 != nil || !ok1 || !ok2 || x.Curve() != ecdh.X25519() {
		return errors.New("read campus key: not an Ed25519 and an X25519 key") // a decoder's words may quote it
	}
	s.Campus = ed
	copy(s.Seal[:], x.Bytes())
	return nil
}
