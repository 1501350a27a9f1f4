package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

const (
	// getWaitMax is the longest that GetTopUp waits.
	getWaitMax = 20 * time.Second

	// lookAgain is how often it looks at the books while it waits, since
	// another upstream on the same books may have moved the order.
	lookAgain = 2 * time.Second
)

// CreateTopUp implements the contract.
func (s *Server) CreateTopUp(ctx context.Context, q *connect.Request[v1.CreateTopUpRequest],
) (*connect.Response[v1.CreateTopUpResponse], error) {
	if !orderNo(q.Msg.OrderNo) {
		return nil, malformed
	}
	n, err := s.open(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	if _, err := s.usable(ctx, n.card); err != nil {
		return nil, err
	}
	o, err := s.writeOrder(ctx, n, q.Msg.OrderNo, money.Fen(q.Msg.AmountFen))
	if err != nil {
		return nil, err
	}
	if o.State == store.OrderCreated {
		if o, err = s.engine.start(ctx, o.No); err != nil {
			if errors.Is(err, channel.ErrRefused) {
				return nil, refuse(v1.Reason_REASON_CHANNEL_REFUSED)
			}
			return nil, err
		}
	}
	return connect.NewResponse(&v1.CreateTopUpResponse{TopUp: topUp(o)}), nil
}

// writeOrder has the order in the books when it returns, or refuses it.
func (s *Server) writeOrder(ctx context.Context, n session, no string, amount money.Fen) (store.Order, error) {
	_, err := s.Books.Order(ctx, no)
	if errors.Is(err, store.ErrNone) {
		err = s.checkRange(amount) // an order that is there was in range when it was made
	}
	if err != nil {
		return store.Order{}, err
	}
	now := s.Now()
	o, err := s.Books.CreateOrder(ctx, store.Order{
		No: no, Terminal: n.terminal, CardNo: n.card, Account: n.account, Amount: amount,
		Created: now, Expires: now.Add(s.Policy.Pay), Next: now.Add(s.engine.pace.Start),
	}, s.Policy.BalanceCap)
	var full *store.CapError
	switch {
	case errors.As(err, &full):
		return store.Order{}, &refusal{Reason: v1.Reason_REASON_BALANCE_CAP, Limit: full.Room}
	case errors.Is(err, store.ErrConflict):
		s.Log.Error("order number with other content", "order", no, "terminal", n.terminal)
		return store.Order{}, refuse(v1.Reason_REASON_ORDER_CONFLICT)
	case errors.Is(err, store.ErrEnded):
		return store.Order{}, refuse(v1.Reason_REASON_CARD_RETIRED)
	}
	return o, err
}

func (s *Server) checkRange(amount money.Fen) error {
	switch {
	case amount < s.Policy.TopUpMin || amount <= 0:
		return &refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: s.Policy.TopUpMin}
	case amount > s.Policy.TopUpMax:
		return &refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: s.Policy.TopUpMax}
	}
	return nil
}

// GetTopUp implements the contract. It sleeps until the engine has moved the
// order, and asks the database then and now and then.
func (s *Server) GetTopUp(ctx context.Context, q *connect.Request[v1.GetTopUpRequest],
) (*connect.Response[v1.GetTopUpResponse], error) {
	wait := min(max(time.Duration(q.Msg.WaitMs)*time.Millisecond, 0), getWaitMax)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	moved, leave := s.engine.Watch(q.Msg.OrderNo) // before the first look, so that no move is missed
	defer leave()
	for {
		o, err := s.ownOrder(ctx, q.Msg.OrderNo)
		if err != nil {
			return nil, err
		}
		t := topUp(o)
		if t.State != q.Msg.Known {
			return connect.NewResponse(&v1.GetTopUpResponse{TopUp: t}), nil
		}
		select {
		case <-moved():
		case <-again.C:
		case <-timer.C:
			return connect.NewResponse(&v1.GetTopUpResponse{TopUp: t}), nil
		case <-s.engine.clerk.Over():
			return connect.NewResponse(&v1.GetTopUpResponse{TopUp: t}), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// CancelTopUp implements the contract.
func (s *Server) CancelTopUp(ctx context.Context, q *connect.Request[v1.CancelTopUpRequest],
) (*connect.Response[v1.CancelTopUpResponse], error) {
	if _, err := s.ownOrder(ctx, q.Msg.OrderNo); err != nil {
		return nil, err
	}
	o, err := s.engine.end(ctx, q.Msg.OrderNo)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.CancelTopUpResponse{TopUp: topUp(o)}), nil
}

// ownOrder returns an order of the terminal that calls.
func (s *Server) ownOrder(ctx context.Context, no string) (store.Order, error) {
	o, err := s.Books.Order(ctx, no)
	if errors.Is(err, store.ErrNone) || err == nil && o.Terminal != terminal(ctx).ID {
		return store.Order{}, refuse(v1.Reason_REASON_ORDER_UNKNOWN)
	}
	return o, err
}

// states are the books' states as a terminal sees them. Whether the channel
// knows an order yet is none of its business.
var states = map[store.OrderState]v1.TopUpState{
	store.OrderCreated:  v1.TopUpState_TOP_UP_STATE_WAITING,
	store.OrderWaiting:  v1.TopUpState_TOP_UP_STATE_WAITING,
	store.OrderChecking: v1.TopUpState_TOP_UP_STATE_CHECKING,
	store.OrderPaid:     v1.TopUpState_TOP_UP_STATE_PAID,
	store.OrderClosed:   v1.TopUpState_TOP_UP_STATE_CLOSED,
	store.OrderReturned: v1.TopUpState_TOP_UP_STATE_RETURNED,
}

func topUp(o store.Order) *v1.TopUp {
	t := &v1.TopUp{
		OrderNo: o.No, State: states[o.State], AmountFen: int64(o.Amount),
		Expires: timestamppb.New(o.Expires), BalanceFen: int64(o.Balance), Late: o.Late,
	}
	if o.State == store.OrderWaiting {
		t.Qr = o.QR
	}
	if !o.PaidAt.IsZero() {
		t.PaidAt = timestamppb.New(o.PaidAt)
	}
	return t
}

func orderNo(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	return 1 <= len(s) && len(s) <= 64 && strings.Trim(s, letters) == ""
}
