package counter

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/upstream/centre"
	"quancun/upstream/keys"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// PrepareAct implements the contract.
func (s *Server) PrepareAct(ctx context.Context, q *connect.Request[v1.PrepareActRequest],
) (*connect.Response[v1.PrepareActResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	challenge, err := s.Server.Challenge(ctx, wire.CentrePIN(q.Msg.Account))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.PrepareActResponse{Challenge: challenge}), nil
}

// DoAct implements the contract. What was done before is answered before its PIN is
// looked at: a challenge is good once, and whoever asks again has not heard.
func (s *Server) DoAct(ctx context.Context, q *connect.Request[v1.DoActRequest],
) (*connect.Response[v1.DoActResponse], error) {
	n, err := s.clerk(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	a := act(q.Msg.Act)
	a.Place, a.Clerk = call.Terminal(ctx).ID, n.Member.No
	done, err := s.desk.Again(ctx, a)
	if errors.Is(err, store.ErrNone) {
		done, err = s.first(ctx, a, q.Msg)
	}
	if err != nil {
		return nil, explain(err, missing(a.Kind))
	}
	return connect.NewResponse(&v1.DoActResponse{Done: said(done)}), nil
}

// missing is what is not there if something is not.
func missing(k centre.Kind) v1.CentreReason {
	switch k {
	case centre.Lost, centre.Found, centre.Rewritten:
		return v1.CentreReason_CENTRE_REASON_CARD_UNKNOWN
	case centre.Issued: // it was never begun
		return v1.CentreReason_CENTRE_REASON_ACT_UNKNOWN
	}
	return v1.CentreReason_CENTRE_REASON_HOLDER_UNKNOWN
}

// first does an act that was not done before.
func (s *Server) first(ctx context.Context, a centre.Act, q *v1.DoActRequest) (centre.Act, error) {
	if a.Kind == centre.PINReset || a.Kind == centre.Opened {
		var err error
		if a.PIN, err = s.newPIN(ctx, a.Account, q.Challenge, q.SealedPin); err != nil {
			return centre.Act{}, err
		}
	}
	return s.desk.Do(ctx, a)
}

// newPIN returns how a sealed PIN is to be kept.
func (s *Server) newPIN(ctx context.Context, a store.Account, challenge, sealed []byte) (kept store.PIN, err error) {
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	if err := s.openPIN(ctx, a, challenge, sealed, &pin); err != nil {
		return kept, err
	}
	return s.Server.NewPIN(ctx, a, &pin)
}

// openPIN opens a PIN that was sealed for an account, and spends its challenge.
func (s *Server) openPIN(ctx context.Context, a store.Account, challenge, sealed []byte, pin *[wire.PINLen]byte) error {
	name := wire.CentrePIN(a.No())
	good, err := s.Server.SpendChallenge(ctx, name, challenge)
	switch {
	case err != nil:
		return err
	case !good:
		return refuse(v1.CentreReason_CENTRE_REASON_CHALLENGE_SPENT)
	}
	err = s.Server.Keys.OpenPIN(ctx, wire.SealedPIN{CardNo: name, Challenge: challenge, Sealed: sealed}, pin)
	if errors.Is(err, keys.ErrWrong) {
		err = refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	}
	return err
}

// act is one as the wire has it, without who does it.
func act(m *v1.CentreAct) centre.Act {
	a := centre.Act{
		Ref: m.GetRef(), Kind: centre.Kind(m.GetKind()), Account: store.HolderAccount(m.GetAccount()),
		Document: centre.Document(m.GetDocument()), Card: m.GetCardNo(), Limit: money.Fen(m.GetLimitFen()),
		Name: m.GetName(),
	}
	if m.GetUntil() != nil {
		a.Until = m.Until.AsTime()
	}
	return a
}
