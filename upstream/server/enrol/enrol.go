// Package enrol makes machines terminals, and keeps them so: it answers at the
// upstream's other door (see package pki), where a caller may be without a
// certificate, or with one that has ended.
//
// # A new terminal
//
// The books hold the hash of a one-time code for it. A machine that sends the
// code with a request for its own key gets the certificate; the terminal is
// that machine from then on and no other. The same keys get the same answer
// again for some minutes, so a lost answer costs nothing.
//
// # A renewal
//
// The caller has shown, in the handshake, that it has the key of a certificate
// that was made here. If that is the one on file, or the one that was given out
// to take its place, and the terminal is not shut out, it gets another one,
// even if the old one has ended in the last thirty days: terminals are dark for
// weeks, and an expired key that is known is still that terminal's. The old one
// stays good until the new one has been used.
package enrol

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/upstream/server/pki"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// lateMax is how long after its end a certificate is still renewed.
const lateMax = 30 * 24 * time.Hour

// Books is what enrolment needs of a database: [store.Books] or its equal.
type Books interface {
	Invited(ctx context.Context, codeHash [32]byte) (terminal string, err error)
	Enrol(ctx context.Context, codeHash [32]byte, m store.Membership) (t store.Terminal, cert []byte, err error)
	Renew(ctx context.Context, caller [32]byte, m store.Membership) (t store.Terminal, cert []byte, err error)
}

// Campus is what enrolment needs of the key store.
type Campus interface {
	Campus() crypto.Signer
	SealPublicKey() []byte
}

// Phones answer those who have no certificate and want none.
type Phones interface {
	Handler() (path string, h http.Handler)
}

// Config is what a server is made of.
type Config struct {
	Books  Books
	PKI    *pki.Authority
	Campus Campus
	Phones Phones // who answer at the same door; nil for none
	Now    func() time.Time
	Log    *slog.Logger
}

// Server answers machines that want to be terminals.
type Server struct {
	quancunv1connect.UnimplementedEnrolmentServiceHandler

	Config
}

// New returns a server.
func New(c Config) *Server { return &Server{Config: c} }

// Doors returns a handler for both of the upstream's doors: the calls that come
// by the other one are answered here and nowhere else, all others by inside and
// never here.
func (s *Server) Doors(inside http.Handler) http.Handler {
	path, h := quancunv1connect.NewEnrolmentServiceHandler(s,
		connect.WithInterceptors(connect.UnaryInterceptorFunc(s.intercept)),
		connect.WithReadMaxBytes(16<<10),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, v any) error {
			s.Log.Error("call panicked", "call", spec.Procedure, "panic", v)
			return errInternal
		}))
	door := http.NewServeMux()
	door.Handle(path, h)
	if s.Phones != nil {
		door.Handle(s.Phones.Handler())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.TLS.ServerName != wire.EnrolName {
			inside.ServeHTTP(w, r)
			return
		}
		if shown := r.TLS.PeerCertificates; len(shown) > 0 { // verified by the handshake, but for its end
			r = r.WithContext(context.WithValue(r.Context(), shownKey{}, shown[0]))
		}
		door.ServeHTTP(w, r)
	})
}

type shownKey struct{}

// refusal is "no, and nothing was changed". Every other error of a handler
// reaches the caller as an unknown outcome.
type refusal struct{ reason v1.EnrolmentReason }

func (r *refusal) Error() string { return "refused: " + r.reason.String() }

// The refusals.
var (
	errMalformed   = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_MALFORMED}
	errCodeUnknown = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_CODE_UNKNOWN}
	errCodeOver    = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_CODE_OVER}
	errCodeSpent   = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_CODE_SPENT}
	errUnknown     = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_TERMINAL_UNKNOWN}
	errTooLate     = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_TOO_LATE}
	errJournalKey  = &refusal{v1.EnrolmentReason_ENROLMENT_REASON_JOURNAL_KEY}
)

// errInternal says nothing: what went wrong is in the log.
var errInternal = connect.NewError(connect.CodeInternal, errors.New("internal error"))

// intercept turns errors into the outcomes of the contract. It is the only
// place that logs them.
func (s *Server) intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
		p, err := next(ctx, q)
		call, from := q.Spec().Procedure, q.Peer().Addr
		var no *refusal
		switch {
		case err == nil:
			return p, nil
		case errors.As(err, &no):
			s.Log.Warn("enrolment refused", "call", call, "from", from, "err", err)
			return nil, no.wire()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.Log.Error("enrolment failed", "call", call, "from", from, "err", err)
		return nil, errInternal
	}
}

func (r *refusal) wire() error {
	e := connect.NewError(connect.CodeFailedPrecondition, r)
	d, err := connect.NewErrorDetail(&v1.EnrolmentRefusal{Reason: r.reason})
	if err != nil {
		return errInternal
	}
	e.AddDetail(d)
	return e
}

// Enrol implements the contract.
func (s *Server) Enrol(ctx context.Context, q *connect.Request[v1.EnrolRequest],
) (*connect.Response[v1.EnrolResponse], error) {
	code, err := wire.ParseCode(q.Msg.Code)
	if err != nil {
		return nil, errMalformed
	}
	id, err := s.Books.Invited(ctx, code.Hash())
	if errors.Is(err, store.ErrNone) {
		return nil, errCodeUnknown
	}
	if err != nil {
		return nil, err
	}
	m, err := s.certify(id, q.Msg.Application)
	if err != nil {
		return nil, err
	}
	t, cert, err := s.Books.Enrol(ctx, code.Hash(), m)
	if err != nil {
		return nil, refuse(err, errCodeUnknown)
	}
	s.Log.Info("terminal enrolled", "terminal", id, "from", q.Peer().Addr)
	papers, err := s.papers(t, cert, m.JournalKey)
	return connect.NewResponse(&v1.EnrolResponse{Papers: papers}), err
}

// Renew implements the contract.
func (s *Server) Renew(ctx context.Context, q *connect.Request[v1.RenewRequest],
) (*connect.Response[v1.RenewResponse], error) {
	shown, ok := ctx.Value(shownKey{}).(*x509.Certificate)
	if !ok || wire.TerminalOf(shown) == "" {
		return nil, errUnknown
	}
	m, err := s.certify(wire.TerminalOf(shown), q.Msg.Application)
	if err != nil {
		return nil, err
	}
	if s.Now().After(shown.NotAfter.Add(lateMax)) {
		return nil, errTooLate
	}
	t, cert, err := s.Books.Renew(ctx, sha256.Sum256(shown.Raw), m)
	if err != nil {
		return nil, refuse(err, errUnknown)
	}
	s.Log.Info("certificate renewed", "terminal", t.ID, "from", q.Peer().Addr)
	papers, err := s.papers(t, cert, m.JournalKey)
	return connect.NewResponse(&v1.RenewResponse{Papers: papers}), err
}

// refuse returns the refusal that an error of the books stands for, or the
// error. none is that of [store.ErrNone].
func refuse(err error, none *refusal) error {
	for of, is := range map[error]*refusal{
		store.ErrNone: none, store.ErrCodeOver: errCodeOver, store.ErrCodeSpent: errCodeSpent,
		store.ErrJournalKey: errJournalKey,
	} {
		if errors.Is(err, of) {
			return is
		}
	}
	return err
}

// certify makes a certificate for a terminal's keys, which is good for nothing
// before it is in the books.
func (s *Server) certify(id string, a *v1.Application) (m store.Membership, err error) {
	key, err := pki.ReadRequest(a.GetCsr())
	if err != nil || !wire.CheckJournalProof(a.JournalPublicKey, a.Csr, a.JournalProof) {
		return m, errMalformed
	}
	cert, err := s.PKI.Certify(id, key)
	return store.Membership{Terminal: id, Certificate: cert, JournalKey: a.JournalPublicKey}, err
}

func (s *Server) papers(t store.Terminal, cert []byte, journalKey ed25519.PublicKey) (*v1.Papers, error) {
	campus := s.Campus.Campus()
	jc, err := journal.Certify(t.ID, journalKey, s.Now(), campus)
	if err != nil {
		return nil, err
	}
	public, ok := campus.Public().(ed25519.PublicKey)
	if !ok {
		panic("enrol: internal error: the campus's key is not Ed25519")
	}
	return &v1.Papers{
		Terminal: t.ID, TerminalNo: t.No[:], Certificate: cert, JournalCertificate: jc.Bytes(),
		CampusPublicKey: public, SealPublicKey: s.Campus.SealPublicKey(),
	}, nil
}
