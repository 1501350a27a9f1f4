package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// refusal is "no, and nothing was moved".
type refusal = call.Refusal

func refuse(r v1.Reason) error { return call.Refuse(r) }

// terminal returns who calls.
func terminal(ctx context.Context) store.Terminal { return call.Terminal(ctx) }

var malformed = refuse(v1.Reason_REASON_MALFORMED)

// errInternal says nothing: what went wrong is in the log.
var errInternal = connect.NewError(connect.CodeInternal, errors.New("internal error"))

// identify hands the caller's certificate on. TLS has verified it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			http.Error(w, "client certificate wanted", http.StatusForbidden)
			return
		}
		ctx := context.WithValue(r.Context(), certificateKey{}, r.TLS.VerifiedChains[0][0])
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// intercept finds out which terminal calls, and turns errors into the three
// outcomes of the contract. It is the only place that logs them.
func (s *Server) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
		t, err := s.caller(ctx)
		var p connect.AnyResponse
		if err == nil {
			p, err = next(call.WithTerminal(ctx, t), q)
		}
		if err == nil {
			return p, nil
		}
		what := q.Spec().Procedure
		var no *refusal
		var elsewhere *call.Refused
		var unfit *journal.PushError
		switch {
		case errors.As(err, &no) && no.Cause != nil:
			s.Log.Warn("call refused", "call", what, "terminal", t.ID, "reason", no.Reason.String(), "err", no.Cause)
			return nil, no.Wire()
		case errors.As(err, &no):
			s.Log.Info("call refused", "call", what, "terminal", t.ID, "reason", no.Reason.String())
			return nil, no.Wire()
		case errors.As(err, &elsewhere):
			s.Log.Info("call refused", "call", what, "terminal", t.ID, "reason", elsewhere.Reason)
			return nil, elsewhere.Wire()
		case errors.As(err, &unfit):
			s.Log.Warn("journal has to be pushed from elsewhere", "call", what, "terminal", t.ID, "err", unfit)
			return nil, rejected(unfit)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.Log.Error("call failed", "call", what, "terminal", t.ID, "err", err)
		return nil, errInternal
	}
}

// caller returns the terminal whose certificate it is: one in the table, not
// revoked, and with this very certificate and no earlier one. The first use of
// a renewed certificate ends the one before.
func (s *Server) caller(ctx context.Context) (store.Terminal, error) {
	cert, ok := ctx.Value(certificateKey{}).(*x509.Certificate)
	if !ok {
		return store.Terminal{}, refuse(v1.Reason_REASON_TERMINAL_UNKNOWN)
	}
	fingerprint := sha256.Sum256(cert.Raw)
	t, err := s.Books.Terminal(ctx, wire.TerminalOf(cert))
	if err == nil && !t.Good(fingerprint) {
		err = store.ErrNone
	}
	if err == nil && t.Next == fingerprint {
		err = s.Books.TakeUp(ctx, t.ID, fingerprint)
	}
	if errors.Is(err, store.ErrNone) {
		return store.Terminal{}, refuse(v1.Reason_REASON_TERMINAL_UNKNOWN)
	}
	return t, err
}
