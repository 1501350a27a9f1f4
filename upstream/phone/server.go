package phone

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"

	"quancun/paycode"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Server answers phones, at the door where machines become terminals.
type Server struct {
	quancunv1connect.UnimplementedPhoneServiceHandler

	Registry *Registry
	Log      *slog.Logger
}

// Handler returns where the service is, and who answers there.
func (s *Server) Handler() (path string, h http.Handler) {
	return quancunv1connect.NewPhoneServiceHandler(s,
		connect.WithInterceptors(connect.UnaryInterceptorFunc(s.intercept)), connect.WithReadMaxBytes(16<<10),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, v any) error {
			s.Log.Error("call panicked", "call", spec.Procedure, "panic", v)
			return errInternal
		}))
}

// errInternal says nothing: what went wrong is in the log.
var errInternal = connect.NewError(connect.CodeInternal, errors.New("internal error"))

var (
	errMalformed = errors.New("phone: malformed")
	errClock     = errors.New("phone: its clock is wrong")
)

// refusals are "no, and nothing was changed". Every other error reaches the
// caller as an unknown outcome.
var refusals = map[error]v1.PhoneReason{
	errMalformed:         v1.PhoneReason_PHONE_REASON_MALFORMED,
	paycode.ErrMalformed: v1.PhoneReason_PHONE_REASON_MALFORMED,
	paycode.ErrForged:    v1.PhoneReason_PHONE_REASON_MALFORMED,
	errClock:             v1.PhoneReason_PHONE_REASON_CLOCK,
	ErrCode:              v1.PhoneReason_PHONE_REASON_CODE_UNKNOWN,
	ErrCodeOver:          v1.PhoneReason_PHONE_REASON_CODE_OVER,
	ErrUnknown:           v1.PhoneReason_PHONE_REASON_PHONE_UNKNOWN,
	ErrRevoked:           v1.PhoneReason_PHONE_REASON_PHONE_REVOKED,
	ErrAlgorithm:         v1.PhoneReason_PHONE_REASON_ALGORITHM,
}

// intercept turns errors into the outcomes of the contract. It is the only place
// that logs them.
func (s *Server) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
		p, err := next(ctx, q)
		if err == nil {
			return p, nil
		}
		call, from := q.Spec().Procedure, q.Peer().Addr
		for of, reason := range refusals {
			if errors.Is(err, of) {
				s.Log.Info("phone refused", "call", call, "from", from, "err", err)
				return nil, refusal(err, reason)
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.Log.Error("call of a phone failed", "call", call, "from", from, "err", err)
		return nil, errInternal
	}
}

func refusal(err error, reason v1.PhoneReason) error {
	e := connect.NewError(connect.CodeFailedPrecondition, err)
	d, err := connect.NewErrorDetail(&v1.PhoneRefusal{Reason: reason})
	if err != nil {
		return errInternal
	}
	e.AddDetail(d)
	return e
}

// nameMax is how long a phone's name may be, in bytes.
const nameMax = 64

// BindPhone implements the contract.
func (s *Server) BindPhone(ctx context.Context, q *connect.Request[v1.BindPhoneRequest],
) (*connect.Response[v1.BindPhoneResponse], error) {
	code, err := wire.ParseCode(q.Msg.Code)
	if err != nil || len(q.Msg.Name) > nameMax || !utf8.ValidString(q.Msg.Name) {
		return nil, errMalformed
	}
	key, err := s.prove(q.Msg.Proof, code.Text())
	if err != nil {
		return nil, err
	}
	granted, err := s.Registry.Bind(ctx, code.Hash(), key, q.Msg.Name)
	if err != nil {
		return nil, err
	}
	s.Log.Info("phone bound", "phone", key.ID(), "from", q.Peer().Addr)
	return connect.NewResponse(&v1.BindPhoneResponse{Grant: granted}), nil
}

// RenewPhone implements the contract.
func (s *Server) RenewPhone(ctx context.Context, q *connect.Request[v1.RenewPhoneRequest],
) (*connect.Response[v1.RenewPhoneResponse], error) {
	key, err := s.prove(q.Msg.Proof, "")
	if err != nil {
		return nil, err
	}
	granted, err := s.Registry.Renew(ctx, key)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.RenewPhoneResponse{Grant: granted}), nil
}

// clockMax is how far a phone's clock may be off: a code of one that is more is
// refused at every till, so its holder had better hear of it at home.
const clockMax = 2 * paycode.Tolerance

// prove returns the key that a caller has proved to have.
func (s *Server) prove(p *v1.PhoneProof, invitation string) (k paycode.PublicKey, err error) {
	if p == nil || len(p.Signature) != paycode.SignatureSize || p.Algorithm > 0xFF {
		return k, errMalformed
	}
	k = paycode.PublicKey{Algorithm: paycode.Algorithm(p.Algorithm), Bytes: p.PublicKey}
	proof := paycode.Proof{Device: k, At: time.Unix(p.At, 0), Invitation: invitation}
	if err := proof.Verify([paycode.SignatureSize]byte(p.Signature)); err != nil {
		return k, err
	}
	if s.Registry.books.Now().Sub(proof.At).Abs() > clockMax {
		return k, errClock
	}
	return k, nil
}
