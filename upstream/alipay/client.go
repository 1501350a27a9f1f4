// Package alipay is the payment channel of Alipay face to face (当面付): a
// terminal shows a code, the payer scans it, and Alipay keeps the money.
//
// It knows the gateway's wire and what each of its answers means for the
// money: done, refused, or unknown. It knows nothing of accounts. All of its
// judgement is in one table, in verdict.go.
//
// The wire is that of the Open API, version 2 of the gateway, with RSA2
// signatures and plain public keys: form posts, answers signed over their raw
// bytes. Method names in comments are the gateway's own.
//
// # What an answer is worth
//
// Only a signed answer says anything. One without a signature, or with a wrong
// one, HTML from a proxy, a broken connection and a timeout are all "unknown":
// the service may have done what it was asked. An error never carries the
// gateway's own message, because that message may quote the signed request.
package alipay

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	sdk "github.com/smartwalle/alipay/v3"

	"quancun/beijing"
	"quancun/upstream/channel"
)

// Production is the gateway that moves real money.
const Production = "https://openapi.alipay.com/gateway.do"

// answerMax is the longest answer that is read, in bytes. The longest real
// one, a query with all its lists, is below 20 kB.
const answerMax = 1 << 20

// timeoutDefault ends a call that nobody else ends. Alipay answers within two
// seconds or, under load, within ten; the library itself would wait forever.
const timeoutDefault = 15 * time.Second

// Config says which merchant this is and where the gateway is.
type Config struct {
	AppID string

	// PrivateKeyFile holds the merchant's RSA key and AlipayPublicKeyFile
	// Alipay's public key (not the merchant's own), each as PEM or as the bare
	// base64 that Alipay's key tool writes.
	PrivateKeyFile      string
	AlipayPublicKeyFile string

	Gateway   string // where requests go; Production if empty
	NotifyURL string // where Alipay reports payments; none if empty

	// HTTP makes the calls; http.Client's defaults if nil. It is copied. If it
	// has no Timeout, the copy has one of 15 seconds.
	HTTP *http.Client
}

// Client speaks with Alipay's gateway for one merchant. It is safe for
// concurrent use.
type Client struct {
	sdk       *sdk.Client
	bills     *http.Client // fetches bills, which are longer than answers
	overTLS   bool         // the gateway is, and so bills have to be
	appID     string
	notifyURL string
	pause     time.Duration // before the first repetition of a cancel
}

var _ channel.Channel = (*Client)(nil)

// New returns a Client for c. It reads the key files and makes no call.
func New(c Config) (*Client, error) {
	if c.AppID == "" {
		return nil, errors.New("alipay: no app ID")
	}
	gateway := cmp.Or(c.Gateway, Production)
	address, err := url.Parse(gateway)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return nil, errors.New("alipay: gateway is not a URL")
	}
	private, err := readKey(c.PrivateKeyFile)
	if err != nil {
		return nil, err
	}
	public, err := readKey(c.AlipayPublicKeyFile)
	if err != nil {
		return nil, err
	}

	// The library's "sandbox" differs from its "production" in two ways: the
	// address, which is given here, and that it does not download a certificate
	// which an answer happens to name. Nothing here trusts a key that came with
	// an answer, so this is the sandbox, whatever the gateway.
	s, err := sdk.New(c.AppID, private, false,
		sdk.WithSandboxGateway(gateway),
		sdk.WithTimeLocation(beijing.Zone),
		sdk.WithHTTPClient(guarded(c.HTTP, answerMax, timeoutDefault)))
	if err != nil {
		return nil, fmt.Errorf("alipay: %s is not an RSA private key", c.PrivateKeyFile)
	}
	if err := s.LoadAliPayPublicKey(public); err != nil {
		return nil, fmt.Errorf("alipay: %s is not an RSA public key", c.AlipayPublicKeyFile)
	}
	return &Client{
		sdk: s, bills: guarded(c.HTTP, billMax, billTimeout), overTLS: address.Scheme == "https",
		appID: c.AppID, notifyURL: c.NotifyURL, pause: time.Second,
	}, nil
}

func readKey(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("alipay: read key: %w", err)
	}
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return string(b), nil
}

// guarded returns a copy of c (or of http.Client's zero value) that gives up
// in time, reads only most bytes, and does not carry a signed request to
// wherever a redirect points.
func guarded(c *http.Client, most int64, timeout time.Duration) *http.Client {
	var g http.Client
	if c != nil {
		g = *c
	}
	if g.Timeout <= 0 {
		g.Timeout = timeout
	}
	g.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	g.Transport = limited{g.Transport, most}
	return &g
}

// limited is a transport whose answers end after most bytes. An answer cut
// short is no valid JSON, and no valid ZIP, and so it is unknown and never
// something else.
type limited struct {
	next http.RoundTripper
	most int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	next := l.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, l.most), resp.Body}
	return resp, nil
}
