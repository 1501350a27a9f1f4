package campus

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// errLine is all that a machine hears of a call that the network lost, whether
// it was the request or the answer.
var errLine = errors.New("the line is dead")

// line is the network between one machine and the upstream: an
// [http.RoundTripper] behind the machine's real client, in front of the
// upstream's real handler. What it stands for is mutual TLS, so it can lose,
// repeat, delay and reorder whole calls, and forge none.
type line struct {
	campus *Campus
	cert   *x509.Certificate // whose machine it is, as TLS would have proved
	dead   bool              // a partition
	weak   int               // one call in so many goes wrong; 0: none

	under []call // requests under way, that will arrive yet
}

// call is a request as bytes, so that it can arrive again, or later.
type call struct {
	method, path string
	header       http.Header
	body         []byte
}

// fate is what becomes of one call.
type fate int

const (
	arrives fate = iota
	dropped      // the request
	unheard      // the answer
	twice        // the request arrives again after its answer
	late         // the request arrives later than the machine waits
)

// RoundTrip implements [http.RoundTripper].
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	c, err := callOf(r)
	if err != nil {
		return nil, err
	}
	f := l.fate()
	switch f {
	case dropped:
		l.campus.cover(branchRequestLost)
		return nil, errLine
	case late:
		l.under = append(l.under, c)
		return nil, errLine
	case arrives, unheard, twice:
	}
	ctx := context.WithoutCancel(r.Context()) // the caller's patience is of the real clock
	response := l.campus.office.serve(ctx, l.cert, c)
	if f == twice {
		l.campus.cover(branchCallTwice)
		l.campus.office.serve(ctx, l.cert, c)
	}
	if response == nil || f == unheard {
		l.campus.cover(branchAnswerLost)
		return nil, errLine
	}
	response.Request = r
	return response, nil
}

func callOf(r *http.Request) (call, error) {
	c := call{method: r.Method, path: r.URL.Path, header: r.Header}
	if r.Body == nil {
		return c, nil
	}
	defer r.Body.Close()
	var err error
	c.body, err = io.ReadAll(r.Body)
	return c, err
}

func (l *line) fate() fate {
	switch {
	case l.dead || l.campus.office.down():
		return dropped
	case l.weak == 0 || !l.campus.dice.OneIn(l.weak):
		return arrives
	}
	return fate(1 + l.campus.dice.IntN(int(late)))
}

// flush lets the requests that are still under way arrive, in any order. Nobody
// waits for their answers any more.
func (l *line) flush() {
	under := l.under
	l.under = nil
	l.campus.dice.Shuffle(len(under), func(i, j int) { under[i], under[j] = under[j], under[i] })
	for _, c := range under {
		l.campus.cover(branchCallLate)
		l.campus.office.serve(context.Background(), l.cert, c)
	}
}

// serve has the upstream answer a call, as its web server would. It returns
// nil if the upstream has crashed meanwhile.
func (o *office) serve(ctx context.Context, cert *x509.Certificate, c call) *http.Response {
	if o.down() {
		return nil
	}
	header := c.header.Clone()
	header.Del("Connect-Timeout-Ms") // of the real clock
	header.Del("Accept-Encoding")    // nothing is gained by compressing
	r := httptest.NewRequestWithContext(ctx, c.method, c.path, bytes.NewReader(c.body))
	r.Header = header
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	o.campus.world.Pass(time.Duration(o.campus.dice.Between(1, 40)) * time.Millisecond)
	if o.down() {
		return nil
	}
	return w.Result()
}
