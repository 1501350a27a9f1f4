package lost

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Server answers terminals. It is a [server.Service].
type Server struct {
	quancunv1connect.UnimplementedLostServiceHandler

	desk   *Desk
	server *server.Server // knows PINs and challenges
}

// NewServer returns a server, to be served by s beside its own services.
func NewServer(d *Desk, s *server.Server) *Server { return &Server{desk: d, server: s} }

// Handler implements [server.Service].
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewLostServiceHandler(s, options...)
}

// refused puts a refusal of this package on the wire. Every other error stays an
// unknown outcome.
func refused(err error) error {
	var no *Refusal
	if !errors.As(err, &no) {
		return err
	}
	m := &v1.LossRefusal{Reason: v1.LossReason(no.Reason)}
	if !no.Until.IsZero() {
		m.Until = timestamppb.New(no.Until)
	}
	return &call.Refused{Reason: m.Reason.String(), Detail: m}
}

// numberMax is how long a student or staff number may be.
const numberMax = 32

func isNumber(s string) bool { return s != "" && len(s) <= numberMax }

func isRef(s string) bool {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
	return s != "" && len(s) <= refMax && strings.Trim(s, letters) == ""
}

// PrepareLoss implements the contract.
func (s *Server) PrepareLoss(ctx context.Context, q *connect.Request[v1.PrepareLossRequest],
) (*connect.Response[v1.PrepareLossResponse], error) {
	if !isNumber(q.Msg.Number) {
		return nil, refused(refuse(Malformed))
	}
	challenge, err := s.server.Challenge(ctx, wire.LossPIN(q.Msg.Number))
	return connect.NewResponse(&v1.PrepareLossResponse{Challenge: challenge}), err
}

// ReportLoss implements the contract. The challenge is spent whatever comes of it.
func (s *Server) ReportLoss(ctx context.Context, q *connect.Request[v1.ReportLossRequest],
) (*connect.Response[v1.ReportLossResponse], error) {
	m, terminal := q.Msg, call.Terminal(ctx).ID
	if !isRef(m.Ref) || !isNumber(m.Number) {
		return nil, refused(refuse(Malformed))
	}
	var none *Refusal
	l, err := s.desk.Loss(ctx, terminal, m.Ref)
	switch {
	case err == nil && store.FoldNumber(l.Number) != store.FoldNumber(m.Number):
		return nil, refused(refuse(Conflict))
	case errors.As(err, &none):
		l, err = s.report(ctx, m, terminal)
	}
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.ReportLossResponse{Loss: onWire(l)}), nil
}

// report stops the cards of whoever has the number, if the PIN is theirs.
func (s *Server) report(ctx context.Context, m *v1.ReportLossRequest, terminal string) (Loss, error) {
	name := wire.LossPIN(m.Number)
	good, err := s.server.SpendChallenge(ctx, name, m.Challenge)
	if err != nil {
		return Loss{}, err
	}
	if !good {
		return Loss{}, call.Refuse(v1.Reason_REASON_CHALLENGE_SPENT)
	}
	a, err := s.prove(ctx, m.Number, wire.SealedPIN{CardNo: name, Challenge: m.Challenge, Sealed: m.SealedPin})
	if err != nil {
		return Loss{}, err
	}
	return s.desk.Report(ctx, Request{Ref: m.Ref, Terminal: terminal, Account: a})
}

// prove returns whose number it is if the PIN is theirs. Refusals: Malformed, Wrong,
// TooOften, whether or not there is such a number.
func (s *Server) prove(ctx context.Context, number string, sealed wire.SealedPIN) (a store.Account, err error) {
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	err = s.server.Keys.OpenPIN(ctx, sealed, &pin)
	if errors.Is(err, keys.ErrWrong) {
		return "", refuse(Malformed) // nobody's finger did that, so it costs no try
	}
	if err != nil {
		return "", err
	}
	p, err := s.desk.holder(ctx, number)
	if err != nil {
		return "", err
	}
	// Whoever writes the letters of one number in every way has no more tries for it.
	w, err := s.server.Keys.SessionMAC(ctx, []byte("lost\x00"+p.number))
	if err != nil {
		return "", err
	}
	right, _, err := s.server.CheckPIN(ctx, p.account, server.PINTries{
		Reserve: func() (store.PIN, int, error) {
			return p.pin, 0, s.desk.try(ctx, w, call.Terminal(ctx).ID)
		},
		Reset: func() error { return s.desk.forget(context.WithoutCancel(ctx), w) },
	}, &pin)
	if err == nil && (!right || p.account == "") {
		err = refuse(Wrong)
	}
	return p.account, err
}

// GetLoss implements the contract.
func (s *Server) GetLoss(ctx context.Context, q *connect.Request[v1.GetLossRequest],
) (*connect.Response[v1.GetLossResponse], error) {
	l, err := s.desk.Loss(ctx, call.Terminal(ctx).ID, q.Msg.Ref)
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.GetLossResponse{Loss: onWire(l)}), nil
}

// EndLoss implements the contract.
func (s *Server) EndLoss(ctx context.Context, q *connect.Request[v1.EndLossRequest],
) (*connect.Response[v1.EndLossResponse], error) {
	l, was, err := s.desk.End(ctx, call.Terminal(ctx).ID, q.Msg.Ref)
	if err != nil {
		return nil, refused(err)
	}
	p := &v1.EndLossResponse{}
	if was {
		p.Loss = onWire(l)
	}
	return connect.NewResponse(p), nil
}

// ReportFound implements the contract.
func (s *Server) ReportFound(ctx context.Context, q *connect.Request[v1.ReportFoundRequest],
) (*connect.Response[v1.ReportFoundResponse], error) {
	at := s.server.Now()
	if q.Msg.At.IsValid() {
		at = q.Msg.At.AsTime()
	}
	err := s.desk.TakeFound(ctx, Found{
		CardNo: strings.ToUpper(q.Msg.CardNo), Terminal: call.Terminal(ctx).ID, At: at,
	})
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.ReportFoundResponse{}), nil
}

func onWire(l Loss) *v1.Loss {
	m := &v1.Loss{
		Ref: l.Ref, MaskedName: server.MaskName(l.Name), MaskedNumber: server.MaskNumber(l.Number),
		Stopped: moment(l.Stopped), Again: l.Again, Terminals: int32(l.Terminals), Told: int32(l.Told),
		AtRiskFen: int64(l.AtRisk), Free: moment(l.Free), Over: l.Over,
	}
	if l.Found != nil {
		m.Found = &v1.FoundCard{
			Place: l.Found.Terminal, At: moment(l.Found.At), PlaceZh: l.Found.Where.ZH, PlaceEn: l.Found.Where.EN,
		}
	}
	return m
}

func moment(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }
