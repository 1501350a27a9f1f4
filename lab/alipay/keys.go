package alipay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Keys names the two files that an adapter is configured with.
type Keys struct {
	AppPrivate    string // the merchant's private key
	AlipayPublic  string // the stand-in's public key
	alipayPrivate string
	appPublic     string
}

// Keys returns where the keys are.
func (g *Gateway) Keys() Keys { return g.keys }

func (g *Gateway) openKeys(dir string) (err error) {
	path := func(name string) string { return filepath.Join(dir, name) }
	g.keys = Keys{
		AppPrivate: path("app_private.pem"), appPublic: path("app_public.pem"),
		AlipayPublic: path("alipay_public.pem"), alipayPrivate: path("alipay_private.pem"),
	}
	app, err := openKey(g.keys.AppPrivate, g.keys.appPublic)
	if err != nil {
		return err
	}
	g.app = &app.PublicKey
	if g.service, err = openKey(g.keys.alipayPrivate, g.keys.AlipayPublic); err != nil {
		return err
	}
	g.forger, err = openKey(path("forger_private.pem"), path("forger_public.pem"))
	return err
}

// openKey reads a key, or makes one. The public half is written each time, so
// that the two can not disagree.
func openKey(private, public string) (*rsa.PrivateKey, error) {
	key, err := readKey(private)
	if errors.Is(err, os.ErrNotExist) {
		key, err = makeKey(private)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

func readKey(file string) (*rsa.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is not an RSA key", file)
	}
	return key, nil
}

func makeKey(file string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// signature signs content with RSA2. It has no escapes: clients read it with
// nothing but base64.
func signature(key *rsa.PrivateKey, content string) string {
	sum := sha256.Sum256([]byte(content))
	b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(fmt.Sprintf("lab/alipay: internal error: sign: %v", err))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func verify(key *rsa.PublicKey, content, sign string) bool {
	b, err := base64.StdEncoding.DecodeString(sign)
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(content))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], b) == nil
}

// content is what is signed of a form: all fields that are not empty, except
// for those named, in the order of their keys, not escaped.
func content(form url.Values, except ...string) string {
	var pairs []string
	for k, v := range form {
		if !slices.Contains(except, k) && v[0] != "" {
			pairs = append(pairs, k+"="+v[0])
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}
