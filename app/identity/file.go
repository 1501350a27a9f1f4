package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"quancun/upstream/client"
)

// file keeps the keys themselves.
type file struct{}

const keyBlock = "PRIVATE KEY"

func (file) generate() (text []byte, err error) {
	tls, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, journal, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	for _, key := range []any{tls, journal} {
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: raw})...)
	}
	return text, nil
}

func (file) open(text []byte) (client.Keys, error) {
	first, rest := pem.Decode(text)
	second, rest := pem.Decode(rest)
	if first == nil || second == nil || len(rest) > 0 || first.Type != keyBlock || second.Type != keyBlock {
		return client.Keys{}, errors.New("these are not two private keys")
	}
	a, err1 := x509.ParsePKCS8PrivateKey(first.Bytes)
	b, err2 := x509.ParsePKCS8PrivateKey(second.Bytes)
	tls, ok1 := a.(*ecdsa.PrivateKey)
	journal, ok2 := b.(ed25519.PrivateKey)
	if err1 != nil || err2 != nil || !ok1 || !ok2 || tls.Curve != elliptic.P256() {
		return client.Keys{}, errors.New("these are not a P-256 and an Ed25519 key") // a decoder's words may quote them
	}
	return client.Keys{TLS: tls, Journal: journal}, nil
}

// readPrivate reads a file that nobody but its owner may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o, want 0600", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}

// writeFile makes a file of mode 0600, whole or not at all, and does not return
// before it is on the disk. put gives it its name: [os.Rename] puts it in the
// place of another; [os.Link] never does, not even of one that another process
// has just written there.
func writeFile(path string, text []byte, put func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := put(f.Name(), path); err != nil {
		return err
	}
	return syncDir(path)
}

// syncDir makes what happened to the name of a file last.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
