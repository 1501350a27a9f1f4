package staff

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Server lets the staff sign in at terminals.
type Server struct {
	quancunv1connect.UnimplementedStaffServiceHandler

	roll     *Roll
	server   *server.Server
	sessions *Sessions
}

// NewServer returns a server, to be served by s beside its own services.
func NewServer(r *Roll, s *server.Server) *Server {
	return &Server{roll: r, server: s, sessions: &Sessions{Roll: r, Keys: s.Keys, Now: s.Now}}
}

// Sessions are those that sign-ins have opened.
func (s *Server) Sessions() *Sessions { return s.sessions }

// Handler implements [server.Service].
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewStaffServiceHandler(s, options...)
}

func refuse(r v1.StaffReason, tries int) error {
	return &call.Refused{Reason: r.String(), Detail: &v1.StaffRefusal{Reason: r, TriesLeft: int32(tries)}}
}

// LookUpStaff implements the contract. Every card gets a challenge, so that
// nobody learns from it whose the card is.
func (s *Server) LookUpStaff(ctx context.Context, q *connect.Request[v1.LookUpStaffRequest],
) (*connect.Response[v1.LookUpStaffResponse], error) {
	no := strings.ToUpper(q.Msg.CardNo)
	if checkCard(no) != nil {
		return nil, refuse(v1.StaffReason_STAFF_REASON_MALFORMED, 0)
	}
	challenge, err := s.server.Challenge(ctx, wire.StaffCard(no))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.LookUpStaffResponse{Challenge: challenge}), nil
}

// SignInStaff implements the contract. The challenge is spent whatever comes of
// it.
func (s *Server) SignInStaff(ctx context.Context, q *connect.Request[v1.SignInStaffRequest],
) (*connect.Response[v1.SignInStaffResponse], error) {
	no := strings.ToUpper(q.Msg.CardNo)
	if checkCard(no) != nil {
		return nil, refuse(v1.StaffReason_STAFF_REASON_MALFORMED, 0)
	}
	good, err := s.server.SpendChallenge(ctx, wire.StaffCard(no), q.Msg.Challenge)
	switch {
	case err != nil:
		return nil, err
	case !good:
		return nil, refuse(v1.StaffReason_STAFF_REASON_CHALLENGE_SPENT, 0)
	}
	m, err := s.roll.ByCard(ctx, no)
	switch {
	case errors.Is(err, store.ErrNone): // a card is taken from whoever is revoked
		return nil, refuse(v1.StaffReason_STAFF_REASON_CARD_UNKNOWN, 0)
	case err != nil:
		return nil, err
	}
	if err := s.provePIN(ctx, m, no, q.Msg); err != nil {
		return nil, err
	}
	token, err := s.sessions.Token(ctx, Session{Member: m, Terminal: call.Terminal(ctx).ID, Signed: s.server.Now()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.SignInStaffResponse{Member: said(m), Session: token}), nil
}

// provePIN refuses unless the sealed PIN is the member's.
func (s *Server) provePIN(ctx context.Context, m Member, card string, q *v1.SignInStaffRequest) error {
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	sealed := wire.SealedPIN{CardNo: wire.StaffCard(card), Challenge: q.Challenge, Sealed: q.SealedPin}
	err := s.server.Keys.OpenPIN(ctx, sealed, &pin)
	if errors.Is(err, keys.ErrWrong) {
		return refuse(v1.StaffReason_STAFF_REASON_MALFORMED, 0) // nobody's finger did that, so it costs no try
	}
	if err != nil {
		return err
	}
	right, left, err := s.server.CheckPIN(ctx, m.Owner(), server.PINTries{
		Reserve: func() (store.PIN, int, error) { return s.roll.ReservePINTry(ctx, m.No) },
		Reset:   func() error { return s.roll.ResetPINTries(context.WithoutCancel(ctx), m.No) },
	}, &pin)
	switch {
	case errors.Is(err, store.ErrPINLocked), err == nil && !right && left == 0:
		return refuse(v1.StaffReason_STAFF_REASON_PIN_LOCKED, 0)
	case err == nil && !right:
		return refuse(v1.StaffReason_STAFF_REASON_PIN_WRONG, left)
	}
	return err
}

// checkMax is how many members a terminal may ask about at once. Who keeps more asks
// again.
const checkMax = 200

// CheckStaff implements the contract.
func (s *Server) CheckStaff(ctx context.Context, q *connect.Request[v1.CheckStaffRequest],
) (*connect.Response[v1.CheckStaffResponse], error) {
	if len(q.Msg.Nos) > checkMax {
		return nil, refuse(v1.StaffReason_STAFF_REASON_MALFORMED, 0)
	}
	p := &v1.CheckStaffResponse{}
	for _, no := range q.Msg.Nos {
		m, err := s.roll.Get(ctx, no)
		switch {
		case errors.Is(err, store.ErrNone), err == nil && !m.Revoked.IsZero():
			continue
		case err != nil:
			return nil, err
		}
		p.Members = append(p.Members, said(m))
	}
	return connect.NewResponse(p), nil
}

func said(m Member) *v1.StaffMember {
	return &v1.StaffMember{
		No: m.No, MaskedName: server.MaskName(m.Name), Role: v1.StaffRole(m.Role), CardNo: m.Card,
		PinVersion: m.PINVersion,
	}
}
