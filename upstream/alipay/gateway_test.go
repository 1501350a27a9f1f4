package alipay

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const testApp = "2021000000000001"

// keys are made once for the whole test run: the merchant's and Alipay's.
var keys = sync.OnceValue(func() (k struct{ merchant, service *rsa.PrivateKey }) {
	for _, p := range []**rsa.PrivateKey{&k.merchant, &k.service} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		*p = key
	}
	return k
})

// gateway answers requests by a script: reply gets the method and the whole
// form, and returns the body.
type gateway struct {
	*httptest.Server
	reply func(method string, form url.Values) string

	mu    sync.Mutex
	forms []url.Values // as they came; guarded by mu
}

func newGateway(t testing.TB, reply func(method string, form url.Values) string) (*gateway, *Client) {
	t.Helper()
	g := &gateway{reply: reply}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Errorf("request is not a form: %v", err)
		}
		g.mu.Lock()
		g.forms = append(g.forms, r.PostForm)
		g.mu.Unlock()
		_, _ = w.Write([]byte(g.reply(r.PostForm.Get("method"), r.PostForm)))
	}))
	t.Cleanup(g.Close)
	c := newClient(t, g.URL, nil)
	return g, c
}

func newClient(t testing.TB, gateway string, h *http.Client) *Client {
	t.Helper()
	dir, k := t.TempDir(), keys()
	private, err := x509.MarshalPKCS8PrivateKey(k.merchant)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&k.service.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{
		AppID:               testApp,
		PrivateKeyFile:      writePEM(t, filepath.Join(dir, "app.key"), "PRIVATE KEY", private),
		AlipayPublicKeyFile: writePEM(t, filepath.Join(dir, "alipay.pub"), "PUBLIC KEY", public),
		Gateway:             gateway,
		NotifyURL:           "https://campus.example/notify/alipay",
		HTTP:                h,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.pause = time.Millisecond
	return c
}

func writePEM(t testing.TB, file, kind string, der []byte) string {
	t.Helper()
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func sign(key *rsa.PrivateKey, content string) string {
	sum := sha256.Sum256([]byte(content))
	b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// signed wraps inner, byte for byte, as the gateway answers method.
func signed(method, inner string) string {
	return `{"` + strings.ReplaceAll(method, ".", "_") + `_response":` + inner +
		`,"sign":"` + sign(keys().service, inner) + `"}`
}

// content is what is signed of a form, written down from the wire's
// description and not with the library under test.
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
