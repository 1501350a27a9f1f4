// Package breakertest serves the lab's vendors to tests.
package breakertest

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"quancun/lab/breaker"
)

// Serve serves a vendor over TLS until the test ends. Its certificate is in dir, in
// [breaker.CertificateFile].
func Serve(t testing.TB, dir string, vendor http.Handler) *httptest.Server {
	t.Helper()
	certificate, err := breaker.Certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(vendor)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // what strangers' handshakes come to
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}
