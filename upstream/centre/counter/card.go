package counter

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/pboc"
	"quancun/upstream/centre"
	"quancun/upstream/keys"
	"quancun/upstream/server"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// BeginCard implements the contract.
func (s *Server) BeginCard(ctx context.Context, q *connect.Request[v1.BeginCardRequest],
) (*connect.Response[v1.BeginCardResponse], error) {
	n, err := s.clerk(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	m, err := s.desk.Begin(ctx, centre.Made{
		Ref: q.Msg.Ref, Terminal: call.Terminal(ctx).ID, Clerk: n.Member.No,
		Account: store.HolderAccount(q.Msg.Account), UID: strings.ToUpper(q.Msg.Uid),
	})
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_HOLDER_UNKNOWN)
	}
	h, err := s.Books.Holder(ctx, m.Account)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.BeginCardResponse{
		CardNo: m.CardNo, Name: h.Name, Number: h.Number,
		Start: timestamppb.New(m.At), Expiry: timestamppb.New(m.At.AddDate(centre.CardLife, 0, 0)),
	}), nil
}

// CardCommand implements the contract. Whose keys are made is bound to the card
// before the first is, and to no other: else one card could be made twice.
func (s *Server) CardCommand(ctx context.Context, q *connect.Request[v1.CardCommandRequest],
) (*connect.Response[v1.CardCommandResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	malformed := refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	o, factor, ok := order(q.Msg)
	switch {
	case !ok:
		return nil, malformed
	case s.Blanks == nil:
		return nil, refuse(v1.CentreReason_CENTRE_REASON_NO_BLANKS)
	}
	if _, err := s.desk.Bind(ctx, call.Terminal(ctx).ID, q.Msg.Ref, factor); err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_ACT_UNKNOWN)
	}
	field, err := s.Blanks.Personalise(ctx, factor, o)
	switch {
	case errors.Is(err, pboc.ErrNoPart):
		return nil, malformed
	case err != nil:
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_ACT_UNKNOWN)
	}
	return connect.NewResponse(&v1.CardCommandResponse{Field: field}), nil
}

// order is what a card is to get, in the words of pboc.
func order(m *v1.CardCommandRequest) (o pboc.Order, factor keys.Factor, ok bool) {
	ok = len(m.Challenge) == len(o.Challenge) && len(m.Factor) == len(factor) &&
		m.Index <= 0xFF && m.Sfi <= 0xFF && m.Offset <= 0xFF
	o = pboc.Order{
		Part: pboc.Part(m.Part), Index: byte(m.Index), SFI: byte(m.Sfi), Offset: byte(m.Offset), Data: m.Data,
	}
	copy(o.Challenge[:], m.Challenge)
	copy(factor[:], m.Factor)
	return o, factor, ok
}

// HolderCommand implements the contract. A clerk's session writes no other file:
// neither until when a card is good, nor whether it may be used.
func (s *Server) HolderCommand(ctx context.Context, q *connect.Request[v1.HolderCommandRequest],
) (*connect.Response[v1.HolderCommandResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	o := pboc.Order{
		Part: pboc.Part(q.Msg.Part), SFI: byte(q.Msg.Sfi), Offset: byte(q.Msg.Offset), Data: q.Msg.Data,
	}
	file := o.Part == pboc.PartFile && q.Msg.Sfi == uint32(s.Terms.HolderFile) && q.Msg.Offset <= 0xFF
	switch {
	case copy(o.Challenge[:], q.Msg.Challenge) != len(q.Msg.Challenge) || o.Part != pboc.PartProof && !file:
		return nil, refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	case s.Blanks == nil:
		return nil, refuse(v1.CentreReason_CENTRE_REASON_NO_BLANKS)
	}
	c, err := s.desk.Rewritable(ctx, strings.ToUpper(q.Msg.CardNo))
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_CARD_UNKNOWN)
	}
	field, err := s.Blanks.Personalise(ctx, c.Factor, o)
	if errors.Is(err, pboc.ErrNoPart) {
		return nil, refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	}
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_CARD_UNKNOWN)
	}
	return connect.NewResponse(&v1.HolderCommandResponse{Field: field}), nil
}

// RefuseName implements the contract.
func (s *Server) RefuseName(ctx context.Context, q *connect.Request[v1.RefuseNameRequest],
) (*connect.Response[v1.RefuseNameResponse], error) {
	n, err := s.clerk(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	m := q.Msg
	if m.Ref == "" || len(m.Ref) > 64 || m.StatusWord == 0 || m.StatusWord > 0xFFFF {
		return nil, refuse(v1.CentreReason_CENTRE_REASON_MALFORMED)
	}
	r := centre.NameRefused{
		Ref: m.Ref, Card: strings.ToUpper(m.CardNo), Terminal: call.Terminal(ctx).ID, Clerk: n.Member.No,
		Status: uint16(m.StatusWord),
	}
	if m.At != nil {
		r.At = m.At.AsTime()
	}
	if err := s.desk.TakeRefusal(ctx, r); err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_CARD_UNKNOWN)
	}
	return connect.NewResponse(&v1.RefuseNameResponse{}), nil
}

// SignPIN implements the contract. The PIN is checked as at any sign-in: whoever has
// a clerk's session cannot guess it here.
func (s *Server) SignPIN(ctx context.Context, q *connect.Request[v1.SignPINRequest],
) (*connect.Response[v1.SignPINResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	c, err := s.Books.Card(ctx, strings.ToUpper(q.Msg.CardNo))
	if err == nil && c.Status != store.CardActive {
		err = store.ErrNone
	}
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_CARD_UNKNOWN)
	}
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	if err := s.openPIN(ctx, c.Account, q.Msg.Challenge, q.Msg.SealedPin, &pin); err != nil {
		return nil, err
	}
	if err := s.provePIN(ctx, c.Account, &pin); err != nil {
		return nil, err
	}
	kept := onCard(&pin, q.Msg.Ascii)
	defer clear(kept)
	mac, err := s.Server.Keys.ReloadMAC(ctx, c.Factor, kept)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.SignPINResponse{Mac: mac[:]}), nil
}

// provePIN refuses unless the PIN is the account's.
func (s *Server) provePIN(ctx context.Context, a store.Account, pin *[wire.PINLen]byte) error {
	right, left, err := s.Server.CheckPIN(ctx, a, server.PINTries{
		Reserve: func() (store.PIN, int, error) { return s.Books.ReservePINTry(ctx, a) },
		Reset:   func() error { return s.Books.ResetPINTries(context.WithoutCancel(ctx), a) },
	}, pin)
	switch {
	case errors.Is(err, store.ErrPINLocked), err == nil && !right && left == 0:
		return refuse(v1.CentreReason_CENTRE_REASON_PIN_LOCKED)
	case err == nil && !right:
		return refusal(&v1.CentreRefusal{Reason: v1.CentreReason_CENTRE_REASON_PIN_WRONG, TriesLeft: int32(left)})
	}
	return err
}

// onCard returns a PIN as a card keeps it, which the caller wipes.
func onCard(pin *[wire.PINLen]byte, ascii bool) []byte {
	if ascii {
		return append([]byte(nil), pin[:]...)
	}
	b := make([]byte, 0, wire.PINLen/2)
	for i := 0; i < len(pin); i += 2 {
		b = append(b, (pin[i]-'0')<<4|(pin[i+1]-'0'))
	}
	return b
}
