package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/keys"
	"quancun/upstream/place"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// heard is what a terminal says of itself at a time.
func heard(m *v1.HelloRequest, now time.Time) store.Heard {
	h := store.Heard{
		Version: clip(m.Version), Drift: m.Time.AsTime().Sub(now), Epoch: clip(m.Epoch), JournalHead: m.JournalHead,
		Feeds: map[string]uint64{}, Fault: clipTo(m.Fault, faultMax),
	}
	for _, name := range wire.FeedNames() {
		if v, told := m.Feeds[name]; told {
			h.Feeds[name] = v
		}
	}
	return h
}

// faultMax is how much of a fault is kept.
const faultMax = 300

// Hello implements the contract.
func (s *Server) Hello(ctx context.Context, q *connect.Request[v1.HelloRequest],
) (*connect.Response[v1.HelloResponse], error) {
	t, now := terminal(ctx), s.Now()
	if q.Msg.Time != nil { // without, it only asks for the key
		err := s.Books.Hear(ctx, t.ID, heard(q.Msg, now))
		if err != nil {
			return nil, err
		}
	}
	p := &v1.Policy{
		TopUpMinFen: int64(s.Policy.TopUpMin), TopUpMaxFen: int64(s.Policy.TopUpMax),
		BalanceCapFen: int64(s.Policy.BalanceCap), PaySeconds: int32(s.Policy.Pay / time.Second),
	}
	for _, f := range s.Policy.TopUpChoices {
		p.TopUpChoicesFen = append(p.TopUpChoicesFen, int64(f))
	}
	stands, err := place.Of(ctx, s.Books, t.ID)
	if err != nil {
		return nil, err
	}
	answer := &v1.HelloResponse{
		Time: timestamppb.New(now), PinPublicKey: s.Keys.PINPublicKey(), Policy: p, TerminalNo: t.No[:],
		SchoolZh: s.SchoolZH, SchoolEn: s.SchoolEN, PlaceZh: stands.ZH, PlaceEn: stands.EN,
	}
	if err := s.greet(ctx, q.Msg, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(answer), nil
}

// LookUpCard implements the contract.
func (s *Server) LookUpCard(ctx context.Context, q *connect.Request[v1.LookUpCardRequest],
) (*connect.Response[v1.LookUpCardResponse], error) {
	no, ok := cardNo(q.Msg.CardNo)
	if !ok {
		return nil, malformed
	}
	c, err := s.Books.Card(ctx, no)
	if errors.Is(err, store.ErrNone) {
		return connect.NewResponse(&v1.LookUpCardResponse{Status: v1.CardStatus_CARD_STATUS_UNKNOWN}), nil
	}
	if err != nil {
		return nil, err
	}
	p := &v1.LookUpCardResponse{Status: v1.CardStatus(c.Status)}
	if c.Status == store.CardActive {
		h, err := s.Books.Holder(ctx, c.Account)
		if err != nil {
			return nil, err
		}
		p.PinLocked = h.PINLocked
		if p.Challenge, err = s.challenges.issue(ctx, terminal(ctx).ID, no); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(p), nil
}

// SignIn implements the contract. The challenge is spent whatever comes of it.
func (s *Server) SignIn(ctx context.Context, q *connect.Request[v1.SignInRequest],
) (*connect.Response[v1.SignInResponse], error) {
	no, ok := cardNo(q.Msg.CardNo)
	if !ok {
		return nil, malformed
	}
	good, err := s.challenges.spend(ctx, terminal(ctx).ID, no, q.Msg.Challenge)
	if err != nil {
		return nil, err
	}
	if !good {
		return nil, refuse(v1.Reason_REASON_CHALLENGE_SPENT)
	}
	c, err := s.usable(ctx, no)
	if err != nil {
		return nil, err
	}
	sealed := wire.SealedPIN{CardNo: q.Msg.CardNo, Challenge: q.Msg.Challenge, Sealed: q.Msg.SealedPin}
	if err := s.provePIN(ctx, c.Account, sealed); err != nil {
		return nil, err
	}
	n := session{terminal(ctx).ID, no, c.Account, s.Now().Truncate(time.Millisecond)}
	token, err := s.seal(ctx, n)
	if err != nil {
		return nil, err
	}
	v, err := s.Books.View(ctx, no, n.issued)
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, v)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.SignInResponse{Session: token, Account: a}), nil
}

// LookUpAccount implements the contract. Whether there is such an account only who
// has a PIN for it hears.
func (s *Server) LookUpAccount(ctx context.Context, q *connect.Request[v1.LookUpAccountRequest],
) (*connect.Response[v1.LookUpAccountResponse], error) {
	challenge, err := s.Challenge(ctx, wire.CodePIN(q.Msg.Account))
	return connect.NewResponse(&v1.LookUpAccountResponse{Challenge: challenge}), err
}

// CheckAccountPIN implements the contract. The challenge is spent whatever comes
// of it.
func (s *Server) CheckAccountPIN(ctx context.Context, q *connect.Request[v1.CheckAccountPINRequest],
) (*connect.Response[v1.CheckAccountPINResponse], error) {
	m, name := q.Msg, wire.CodePIN(q.Msg.Account)
	good, err := s.SpendChallenge(ctx, name, m.Challenge)
	if err != nil {
		return nil, err
	}
	if !good {
		return nil, refuse(v1.Reason_REASON_CHALLENGE_SPENT)
	}
	account := store.HolderAccount(m.Account)
	if _, err := s.Books.Holder(ctx, account); errors.Is(err, store.ErrNone) {
		return nil, refuse(v1.Reason_REASON_ACCOUNT_UNKNOWN)
	} else if err != nil {
		return nil, err
	}
	err = s.provePIN(ctx, account, wire.SealedPIN{CardNo: name, Challenge: m.Challenge, Sealed: m.SealedPin})
	return connect.NewResponse(&v1.CheckAccountPINResponse{}), err
}

// provePIN refuses unless the sealed PIN is the account's.
func (s *Server) provePIN(ctx context.Context, a store.Account, sealed wire.SealedPIN) error {
	var pin [wire.PINLen]byte
	defer clear(pin[:])
	err := s.Keys.OpenPIN(ctx, sealed, &pin)
	if errors.Is(err, keys.ErrWrong) {
		return malformed // nobody's finger did that, so it costs no try
	}
	if err != nil {
		return err
	}
	right, left, err := s.checkPIN(ctx, a, &pin)
	switch {
	case errors.Is(err, store.ErrPINLocked), err == nil && !right && left == 0:
		return refuse(v1.Reason_REASON_PIN_LOCKED)
	case err == nil && !right:
		return &refusal{Reason: v1.Reason_REASON_PIN_WRONG, TriesLeft: left}
	}
	return err
}

// usable returns a card that may be used, or refuses.
func (s *Server) usable(ctx context.Context, no string) (store.Card, error) {
	c, err := s.Books.Card(ctx, no)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return store.Card{}, err
	}
	return c, refuseCard(c, err)
}

// refuseCard returns why a card may not be used, or nil. err is that of its
// look-up.
func refuseCard(c store.Card, err error) error {
	switch {
	case err != nil:
		return refuse(v1.Reason_REASON_CARD_UNKNOWN)
	case c.Status == store.CardActive:
		return nil
	case c.Status == store.CardRetired:
		return refuse(v1.Reason_REASON_CARD_RETIRED)
	}
	return refuse(v1.Reason_REASON_CARD_HOT)
}

// cardNo returns a card number as the books have it.
func cardNo(s string) (string, bool) {
	s = strings.ToUpper(s)
	return s, len(s) == 20 && strings.Trim(s, "0123456789ABCDEF") == ""
}

// clip bounds what a terminal says of itself.
func clip(s string) string { return clipTo(s, 64) }

func clipTo(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
