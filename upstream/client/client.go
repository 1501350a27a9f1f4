// Package client is how a terminal talks to the upstream: plain Go values in
// and out, mutual TLS underneath.
//
// Each call has three outcomes. No error is "done". A [*Refusal] is "refused":
// nothing was moved. Every other error is "unknown": the upstream may have
// done it, and the caller asks again under the same number. The client itself
// never repeats a call; how fast to try again is the caller's business.
//
// It knows nothing of cards, journals or screens.
package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"quancun/upstream/wire"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Deadlines of calls, for callers that set no earlier one. The slow ones wait
// for the payment channel, and the long ones for half a megabyte over a bad line: a
// batch that never gets through in time would hold up all behind it for good, and
// without the hotlist a till may not sell alone.
const (
	quick = 5 * time.Second
	slow  = 20 * time.Second
	long  = time.Minute
)

// feedMax is the longest answer: a hotlist of more cards than a campus has.
const feedMax = 32 << 20

// GetTopUpWaitMax is the longest that [Client.GetTopUp] waits.
const GetTopUpWaitMax = 20 * time.Second

// Options are what a client may be told besides its provisioning. The zero
// value is good.
type Options struct {
	Address string           // host:port instead of the provisioned one
	Now     func() time.Time // this machine's clock; time.Now if nil

	// Transport carries the calls instead of mutual TLS to the address, such
	// as within a simulation. It answers for who the terminal is.
	Transport http.RoundTripper
}

// Client is a terminal's connection to the upstream. It is safe for concurrent
// use.
type Client struct {
	rpc     quancunv1connect.TerminalServiceClient
	sync    quancunv1connect.SyncServiceClient
	bulk    quancunv1connect.SyncServiceClient // the same, for what is long
	payment quancunv1connect.PaymentServiceClient
	staff   quancunv1connect.StaffServiceClient
	way     Way
	line    line // all calls go over it but those of bulk
	side    line // which have this one, so that no customer waits behind them
	options Options

	mu     sync.Mutex
	signed map[string][]byte // sessions of the staff, by their numbers; guarded by mu
	campus ed25519.PublicKey // that feeds are signed by; empty if the provisioning has none; guarded by mu
	pinKey []byte            // the upstream's, from the last Hello; guarded by mu
}

// Dial returns a client for the terminal that p names. It connects with the
// first call and after each break, so the upstream need not be there yet.
func Dial(p *Provisioning, o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Address == "" {
		o.Address = p.Address
	}
	c := &Client{options: o, signed: map[string][]byte{}}
	c.Adopt(p)
	url := "https://" + o.Address
	h, again := c.over(&c.line)
	c.way = Way{HTTP: h, URL: url, Options: []connect.ClientOption{connect.WithReadMaxBytes(1 << 20), again}}
	c.rpc = quancunv1connect.NewTerminalServiceClient(h, url, connect.WithReadMaxBytes(1<<20), again)
	c.staff = quancunv1connect.NewStaffServiceClient(h, url, connect.WithReadMaxBytes(1<<20), again)
	c.sync = quancunv1connect.NewSyncServiceClient(h, url, connect.WithReadMaxBytes(1<<20), again)
	c.payment = quancunv1connect.NewPaymentServiceClient(h, url, connect.WithReadMaxBytes(1<<20), again)
	h, again = c.over(&c.side)
	c.bulk = quancunv1connect.NewSyncServiceClient(h, url, connect.WithReadMaxBytes(feedMax), again)
	return c
}

// over returns what makes calls over l, or over what the options have instead.
func (c *Client) over(l *line) (connect.HTTPClient, connect.ClientOption) {
	h := &http.Client{Transport: c.options.Transport, CheckRedirect: neverRedirect}
	if h.Transport == nil {
		h.Transport = l
	}
	return h, connect.WithInterceptors(connect.UnaryInterceptorFunc(l.again))
}

// Way is how calls reach the upstream. It is for packages beside this one, which
// have services of their own and make their clients with it.
type Way struct {
	HTTP    connect.HTTPClient
	URL     string
	Options []connect.ClientOption
}

// Way returns how this client's calls reach the upstream.
func (c *Client) Way() Way { return c.way }

// neverRedirect: the upstream never does.
func neverRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Adopt has every further call made with p's certificate, once that has been
// renewed. Calls under way end as they would.
func (c *Client) Adopt(p *Provisioning) {
	c.mu.Lock()
	c.campus = p.CampusKey
	c.mu.Unlock()
	c.line.use(newTransport(tlsConfig(p, c.options.Now)))
	c.side.use(newSideTransport(tlsConfig(p, c.options.Now)))
}

// Close closes idle connections. Calls under way end as they would.
func (c *Client) Close() {
	c.line.use(nil)
	c.side.use(nil)
}

func (c *Client) now() time.Time { return c.options.Now() }

func (c *Client) campusKey() ed25519.PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.campus
}

func newTransport(t *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 4 * time.Second,
		TLSClientConfig:     t,
		IdleConnTimeout:     5 * time.Minute,
		ForceAttemptHTTP2:   true,
		// A server that is gone without a word is noticed within five seconds,
		// also by a call that waits for a payer.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second},
	}
}

// newSideTransport is HTTP/1.1, over which a small call takes two thirds of the
// time that it takes over HTTP/2. It would be the wrong one for what a customer
// waits for: a call that is given up takes its connection along, and the next one
// begins with a handshake.
func newSideTransport(t *tls.Config) *http.Transport {
	tr := newTransport(t)
	tr.ForceAttemptHTTP2, tr.HTTP2 = false, nil
	tr.IdleConnTimeout = 4 * time.Minute // less than the server's, which would close it under a call
	return tr
}

// line is what calls go over. A connection stands for the certificate that it
// was made with, so a new certificate needs a new transport.
type line struct {
	current atomic.Pointer[http.Transport]
}

// use has further calls go over t; nil leaves the present one, without its idle
// connections.
func (l *line) use(t *http.Transport) {
	old := l.current.Load()
	if t != nil {
		old = l.current.Swap(t)
	}
	if old != nil {
		old.CloseIdleConnections()
	}
}

// RoundTrip implements [http.RoundTripper].
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	return l.current.Load().RoundTrip(r)
}

// again makes a call once more that was refused for its certificate, if that
// was changed meanwhile: it left with the old one, and arrived after the new
// one had been used. Nothing was moved by it.
func (l *line) again(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
		before := l.current.Load()
		p, err := next(ctx, q)
		no := (*Refusal)(nil)
		if errors.As(explain("", err), &no) && no.Reason == TerminalUnknown && l.current.Load() != before {
			return next(ctx, q)
		}
		return p, err
	}
}

func tlsConfig(p *Provisioning, now func() time.Time) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.CA)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		RootCAs:      roots,
		Certificates: []tls.Certificate{p.Certificate},
		ServerName:   wire.ServerName,
		Time:         func() time.Time { return clamp(now(), p.CA) },
	}
}

// clamp moves a wrong clock into the CA's validity, so that a machine with a
// flat battery, back in 1970, can still ask the upstream for the time. A
// certificate that is no longer wanted is revoked by the upstream's tables.
func clamp(t time.Time, ca *x509.Certificate) time.Time {
	switch {
	case t.Before(ca.NotBefore):
		return ca.NotBefore
	case t.After(ca.NotAfter):
		return ca.NotAfter
	}
	return t
}

func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}
