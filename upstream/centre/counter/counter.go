// Package counter answers the terminals of the card centre: what a clerk asks for
// a holder who stands there, it has package centre do.
//
// It finds out who asks. The terminal is whose certificate calls, the clerk whose
// session it is; neither is what a request says.
package counter

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/call"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Terms are what the school has decided.
type Terms struct {
	DailyLimit     money.Fen // unless the account says otherwise
	ReplacementFee money.Fen
	HolderFile     byte // by its short identifier: what cards of the school say of their holder; 0 is 0x16
}

// Config is what a Server is made of.
type Config struct {
	Books    *store.Books
	Server   *server.Server // whose policy bounds cash, and whose journals it comes by
	Sessions *staff.Sessions
	Blanks   keys.Personaliser // nil: no cards are made here
	Terms    Terms
}

// Server answers terminals. It is a [server.Service].
type Server struct {
	quancunv1connect.UnimplementedCentreServiceHandler

	Config
	desk *centre.Desk
}

// New returns a server, to be served by c.Server beside its own services.
func New(c Config) *Server {
	if c.Terms.HolderFile == 0 {
		c.Terms.HolderFile = 0x16
	}
	return &Server{Config: c, desk: centre.New(c.Books)}
}

// Handler implements [server.Service].
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewCentreServiceHandler(s, options...)
}

// clerk returns who asks. Only clerks stand at the counter.
func (s *Server) clerk(ctx context.Context, token []byte) (staff.Session, error) {
	n, err := s.Sessions.Open(ctx, call.Terminal(ctx).ID, token, staff.Clerk)
	switch {
	case errors.Is(err, staff.ErrOver):
		err = refuse(v1.CentreReason_CENTRE_REASON_SESSION_OVER)
	case errors.Is(err, staff.ErrForbidden):
		err = refuse(v1.CentreReason_CENTRE_REASON_FORBIDDEN)
	}
	return n, err
}

func refuse(r v1.CentreReason) error { return refusal(&v1.CentreRefusal{Reason: r}) }

func refusal(d *v1.CentreRefusal) error { return &call.Refused{Reason: d.Reason.String(), Detail: d} }

// reasons are what errors of the books are called, the most particular first.
var reasons = []struct {
	err    error
	reason v1.CentreReason
}{
	{centre.ErrClosed, v1.CentreReason_CENTRE_REASON_ACT_CLOSED},
	{centre.ErrEnded, v1.CentreReason_CENTRE_REASON_ACCOUNT_CLOSED},
	{centre.ErrLeft, v1.CentreReason_CENTRE_REASON_LEFT_OVER},
	{centre.ErrRefused, v1.CentreReason_CENTRE_REASON_ACT_REFUSED},
	{centre.ErrNotMade, v1.CentreReason_CENTRE_REASON_NOT_MADE_HERE},
	{centre.ErrStubborn, v1.CentreReason_CENTRE_REASON_CARD_REFUSES},
	{centre.ErrTaken, v1.CentreReason_CENTRE_REASON_FACTOR_TAKEN},
	{store.ErrConflict, v1.CentreReason_CENTRE_REASON_ACT_CONFLICT},
	{keys.ErrNoBlanks, v1.CentreReason_CENTRE_REASON_NO_BLANKS},
}

// explain returns an error of the books as the terminal is to hear it. none is what
// is meant if there is no such thing. Every other error is an unknown outcome.
func explain(err error, none v1.CentreReason) error {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return refusal(&v1.CentreRefusal{Reason: r.reason, Why: err.Error()})
		}
	}
	if errors.Is(err, store.ErrNone) {
		return refuse(none)
	}
	return err
}

// GetAct implements the contract.
func (s *Server) GetAct(ctx context.Context, q *connect.Request[v1.GetActRequest],
) (*connect.Response[v1.GetActResponse], error) {
	a, err := s.desk.Did(ctx, q.Msg.Ref)
	if err == nil && a.Place != call.Terminal(ctx).ID {
		err = store.ErrNone
	}
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_ACT_UNKNOWN)
	}
	return connect.NewResponse(&v1.GetActResponse{Done: said(a)}), nil
}

// CloseAct implements the contract.
func (s *Server) CloseAct(ctx context.Context, q *connect.Request[v1.CloseActRequest],
) (*connect.Response[v1.CloseActResponse], error) {
	a, was, err := s.desk.Close(ctx, call.Terminal(ctx).ID, q.Msg.Ref)
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_ACT_UNKNOWN)
	}
	p := &v1.CloseActResponse{}
	if was {
		p.Done = said(a)
	}
	return connect.NewResponse(p), nil
}

// AllowCash implements the contract. Room for the cash is held until the terminal's
// journal has passed the number, so that two desks at once do not pass the cap.
func (s *Server) AllowCash(ctx context.Context, q *connect.Request[v1.AllowCashRequest],
) (*connect.Response[v1.AllowCashResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	p, err := s.desk.Find(ctx, centre.Key{Account: q.Msg.Account})
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_HOLDER_UNKNOWN)
	}
	switch amount := money.Fen(q.Msg.AmountFen); {
	case p.Ended(s.now()):
		return nil, refuse(v1.CentreReason_CENTRE_REASON_ACCOUNT_CLOSED)
	case amount <= 0 || amount > s.Server.Policy.TopUpMax:
		return nil, refusal(&v1.CentreRefusal{
			Reason: v1.CentreReason_CENTRE_REASON_AMOUNT_OUT_OF_RANGE, LimitFen: int64(s.topUpMax(p)),
		})
	}
	if err := s.holdRoom(ctx, q.Msg); err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.AllowCashResponse{}), nil
}

// holdRoom holds room for the cash of a request below the cap.
func (s *Server) holdRoom(ctx context.Context, m *v1.AllowCashRequest) error {
	policy := s.Server.Policy
	q := ingest.Request{
		Seq: m.Seq, Attempt: m.Attempt, Account: m.Account, Amount: money.Fen(m.AmountFen), Cap: policy.BalanceCap,
	}
	if copy(q.Epoch[:], m.Epoch) != len(m.Epoch) || len(m.Epoch) != len(q.Epoch) || q.Check() != nil {
		return refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	}
	a, err := s.Server.Journals.Authorize(ctx, call.Terminal(ctx), q)
	if err != nil || a.Approved {
		return err
	}
	no := &v1.CentreRefusal{Reason: unallowed[a.Reason], Why: a.Reason.String()}
	if a.Reason == v1.Reason_REASON_BALANCE_CAP {
		no.LimitFen = int64(max(min(policy.TopUpMax, a.Available), 0))
	}
	return refusal(no)
}

// unallowed says why no room is held, as a desk is to hear it.
var unallowed = map[v1.Reason]v1.CentreReason{
	v1.Reason_REASON_ACCOUNT_UNKNOWN:  v1.CentreReason_CENTRE_REASON_ACCOUNT_CLOSED,
	v1.Reason_REASON_ATTEMPT_CONFLICT: v1.CentreReason_CENTRE_REASON_ACT_CONFLICT,
	v1.Reason_REASON_NUMBER_PASSED:    v1.CentreReason_CENTRE_REASON_NUMBER_PASSED,
	v1.Reason_REASON_BALANCE_CAP:      v1.CentreReason_CENTRE_REASON_AMOUNT_OUT_OF_RANGE,
}

// topUpMax is what may still be taken onto an account at once.
func (s *Server) topUpMax(p centre.Person) money.Fen {
	policy := s.Server.Policy
	return max(min(policy.TopUpMax, policy.BalanceCap-p.Balance-p.Coming), 0)
}

func (s *Server) now() time.Time { return s.Books.Now() }
