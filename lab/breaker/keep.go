package breaker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// CertificateFile is the name of a stand-in's certificate in its folder.
const CertificateFile = "certificate.pem"

// Certificate returns the certificate in a folder, made by the first call. It
// is nobody's but its own, of a name that is not the address, as on a vendor's
// box.
func Certificate(dir string) (tls.Certificate, error) {
	file, keyFile := filepath.Join(dir, CertificateFile), filepath.Join(dir, "key.pem")
	c, err := tls.LoadX509KeyPair(file, keyFile)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return c, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return c, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost.localdomain"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return c, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, err
	}
	err = errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	if err != nil {
		return c, err
	}
	return tls.LoadX509KeyPair(file, keyFile)
}

// KeyFile is the name of the file with a stand-in's key for signatures.
const KeyFile = "sign.key"

// Key returns the key in a folder that requests are signed with, made by the
// first call. Who pays there is given its file.
func Key(dir string) (string, error) {
	file := filepath.Join(dir, KeyFile)
	key, err := os.ReadFile(file)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return string(key), err
	}
	made := rand.Text()
	return made, os.WriteFile(file, []byte(made), 0o600)
}

// Save writes v to a file, and makes it the new one only when it is whole.
func Save(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "saved-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// Load reads what Save has written. Of a file that is not there it reads nothing.
func Load(file string, v any) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s is damaged: %w", file, err)
	}
	return nil
}
