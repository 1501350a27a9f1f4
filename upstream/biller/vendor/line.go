package vendor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// timeoutDefault ends a call that nobody else ends.
const timeoutDefault = 15 * time.Second

// answerMax is the longest answer that is read, in bytes. The longest real one
// is a list of a campus's rooms.
const answerMax = 8 << 20

// Line is the way to a vendor. It makes a connection for each call: one that is
// kept may be repeated by the library when it turns out to be dead, and a charge
// must not be. It follows no redirect.
type Line struct {
	base   *url.URL
	client *http.Client
}

// Dial returns the line to the vendor at base. certificateFile holds the one
// certificate that the vendor may show, as PEM; if it is "", the certificate
// has to be good by this machine's own list. An address without TLS is taken
// for this machine itself only.
func Dial(base, certificateFile string) (*Line, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("biller: address is not a URL")
	}
	host := u.Hostname()
	local := host == "localhost" || host == "127.0.0.1" || host == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("biller: address does not start with https://")
	}
	t := &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second}
	if certificateFile != "" {
		if t.TLSClientConfig, err = pinned(certificateFile); err != nil {
			return nil, err
		}
	}
	return &Line{u, &http.Client{
		Transport: t, Timeout: timeoutDefault,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// pinned accepts one certificate, whatever name and date are in it: vendors'
// boxes have made it themselves, and nobody ever renews it.
func pinned(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("biller: read certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("biller: %s is not a certificate in PEM", file)
	}
	want, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("biller: %s: %w", file, err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // what it would verify is in VerifyConnection, and is less than that
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !s.PeerCertificates[0].Equal(want) {
				return errors.New("biller: the vendor shows another certificate than the one in the configuration")
			}
			return nil
		},
	}, nil
}

// URL returns the address of a path below the line's base.
func (l *Line) URL(path string) *url.URL { return l.base.JoinPath(path) }

// Do makes a call and returns the answer's HTTP status and body. It is
// [ErrNotSent] if no connection came about. Errors name no address, which may
// have a token in it.
func (l *Line) Do(r *http.Request) (status int, body []byte, err error) {
	var connected atomic.Bool
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	p, err := l.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if !connected.Load() {
			return 0, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return 0, nil, fmt.Errorf("biller: no answer: %w", err)
	}
	defer p.Body.Close()
	body, err = io.ReadAll(io.LimitReader(p.Body, answerMax+1))
	if err != nil || len(body) > answerMax {
		return 0, nil, errors.Join(errors.New("biller: the answer has no end"), err)
	}
	return p.StatusCode, body, nil
}

// Get asks for a path with a query.
func (l *Line) Get(ctx context.Context, path string, query url.Values) (status int, body []byte, err error) {
	u := l.URL(path)
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return l.Do(r)
}

// Post sends a form to a path.
func (l *Line) Post(ctx context.Context, path string, form url.Values) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return l.Do(r)
}
