// Package servicetest carries calls of tests to a service of the upstream's without a
// server in between, and says what package server would say.
package servicetest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"

	"quancun/upstream/server/call"
	"quancun/upstream/store"
)

// Service is what package server would serve.
type Service interface {
	Handler(options ...connect.HandlerOption) (path string, h http.Handler)
}

// Transport is the way of a terminal to a service.
type Transport struct {
	Service  Service
	Terminal string
}

// RoundTrip implements [http.RoundTripper].
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, h := t.Service.Handler(connect.WithInterceptors(connect.UnaryInterceptorFunc(refusals)))
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r.WithContext(call.WithTerminal(r.Context(), store.Terminal{ID: t.Terminal})))
	return out.Result(), nil
}

func refusals(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
		p, err := next(ctx, q)
		if no := (interface{ Wire() error })(nil); errors.As(err, &no) {
			return nil, no.Wire()
		}
		return p, err
	}
}
