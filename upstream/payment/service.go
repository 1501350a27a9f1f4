package payment

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

const (
	// waitMax is the longest that GetCodePayment waits.
	waitMax = 20 * time.Second

	// lookAgain is how often it looks at the books while it waits, since another
	// upstream on the same books may have moved the payment.
	lookAgain = 2 * time.Second
)

// codeLenMax is more than any wallet's code has.
const codeLenMax = 64

// Handler returns where the calls about payments by code arrive. It belongs
// behind package server's, which says which terminal asks.
func (d *Desk) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewPaymentServiceHandler(service{d}, options...)
}

// service answers terminals.
type service struct{ desk *Desk }

// PayByCode implements the contract.
func (s service) PayByCode(ctx context.Context, q *connect.Request[v1.PayByCodeRequest],
) (*connect.Response[v1.PayByCodeResponse], error) {
	m := q.Msg
	p, err := asked(ctx, m.OrderNo, m.Merchant, m.AmountFen)
	if err == nil && (m.Code == "" || len(m.Code) > codeLenMax) {
		err = call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	if err != nil {
		return nil, err
	}
	p, err = s.desk.Pay(ctx, p, m.Code)
	if errors.Is(err, store.ErrConflict) {
		return nil, call.Refuse(v1.Reason_REASON_ORDER_CONFLICT)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.PayByCodeResponse{Payment: onWire(p)}), nil
}

// asked returns a payment as the terminal that calls describes it.
func asked(ctx context.Context, no, merchant string, amount int64) (Payment, error) {
	p := Payment{No: no, Terminal: call.Terminal(ctx).ID, Merchant: merchant, Amount: money.Fen(amount)}
	switch {
	case !isNumber(no) || !journal.IsName(merchant):
		return p, call.Refuse(v1.Reason_REASON_MALFORMED)
	case p.Amount < 1 || p.Amount > journal.AmountMax:
		return p, &call.Refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: journal.AmountMax}
	}
	return p, nil
}

// GetCodePayment implements the contract. It sleeps until the payment has
// moved, and looks at the books then and now and then.
func (s service) GetCodePayment(ctx context.Context, q *connect.Request[v1.GetCodePaymentRequest],
) (*connect.Response[v1.GetCodePaymentResponse], error) {
	timer := time.NewTimer(min(max(time.Duration(q.Msg.WaitMs)*time.Millisecond, 0), waitMax))
	defer timer.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	moved, leave := s.desk.hub.Watch(q.Msg.OrderNo) // before the first look, so that no move is missed
	defer leave()
	for over := false; ; {
		p, err := s.own(ctx, q.Msg.OrderNo)
		if err != nil {
			return nil, err
		}
		if m := onWire(p); over || m.State != q.Msg.Known {
			return connect.NewResponse(&v1.GetCodePaymentResponse{Payment: m}), nil
		}
		select {
		case <-moved():
		case <-again.C:
		case <-timer.C:
			over = true
		case <-s.desk.clerk.Over():
			over = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// CancelCodePayment implements the contract.
func (s service) CancelCodePayment(ctx context.Context, q *connect.Request[v1.CancelCodePaymentRequest],
) (*connect.Response[v1.CancelCodePaymentResponse], error) {
	m := q.Msg
	p, err := asked(ctx, m.OrderNo, m.Merchant, m.AmountFen)
	if err != nil {
		return nil, err
	}
	p, err = s.desk.End(ctx, p)
	if errors.Is(err, store.ErrConflict) {
		return nil, call.Refuse(v1.Reason_REASON_ORDER_CONFLICT)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.CancelCodePaymentResponse{Payment: onWire(p)}), nil
}

// RefundCodePayment implements the contract.
func (s service) RefundCodePayment(ctx context.Context, q *connect.Request[v1.RefundCodePaymentRequest],
) (*connect.Response[v1.RefundCodePaymentResponse], error) {
	m := q.Msg
	if !isNumber(m.RefundNo) || m.AmountFen < 1 {
		return nil, call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	if _, err := s.own(ctx, m.OrderNo); err != nil {
		return nil, err
	}
	r, err := s.desk.Refund(ctx, Refund{OrderNo: m.OrderNo, No: m.RefundNo, Amount: money.Fen(m.AmountFen)})
	var much *TooMuchError
	switch {
	case errors.As(err, &much):
		return nil, &call.Refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: much.Left}
	case errors.Is(err, store.ErrConflict):
		return nil, call.Refuse(v1.Reason_REASON_ORDER_CONFLICT)
	case errors.Is(err, store.ErrNone):
		return nil, call.Refuse(v1.Reason_REASON_ORDER_UNKNOWN)
	case err != nil:
		return nil, err
	}
	p, err := s.own(ctx, m.OrderNo)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.RefundCodePaymentResponse{
		State: refundStates[r.State], RefundedFen: int64(p.Refunded),
	}), nil
}

// own returns a payment of the terminal that calls.
func (s service) own(ctx context.Context, no string) (Payment, error) {
	p, err := s.desk.Payment(ctx, no)
	if errors.Is(err, store.ErrNone) || err == nil && p.Terminal != call.Terminal(ctx).ID {
		return Payment{}, call.Refuse(v1.Reason_REASON_ORDER_UNKNOWN)
	}
	return p, err
}

// states are the rows' states as a terminal sees them. Whether the channel
// knows a payment yet is none of its business.
var states = map[State]v1.CodePaymentState{
	Created:  v1.CodePaymentState_CODE_PAYMENT_STATE_WAITING,
	Waiting:  v1.CodePaymentState_CODE_PAYMENT_STATE_WAITING,
	Checking: v1.CodePaymentState_CODE_PAYMENT_STATE_CHECKING,
	Paid:     v1.CodePaymentState_CODE_PAYMENT_STATE_PAID,
	Closed:   v1.CodePaymentState_CODE_PAYMENT_STATE_CLOSED,
	Returned: v1.CodePaymentState_CODE_PAYMENT_STATE_RETURNED,
}

var refundStates = map[RefundState]v1.RefundState{
	RefundAsked:   v1.RefundState_REFUND_STATE_CHECKING,
	RefundDone:    v1.RefundState_REFUND_STATE_DONE,
	RefundRefused: v1.RefundState_REFUND_STATE_REFUSED,
}

func onWire(p Payment) *v1.CodePayment {
	m := &v1.CodePayment{
		OrderNo: p.No, State: states[p.State], AmountFen: int64(p.Amount), Expires: timestamppb.New(p.Expires),
		TradeNo: p.TradeNo, RefundedFen: int64(p.Refunded),
	}
	if p.State == Closed {
		m.Cause = v1.CodePaymentCause(p.Cause)
	}
	if !p.PaidAt.IsZero() {
		m.PaidAt = timestamppb.New(p.PaidAt)
	}
	return m
}

func isNumber(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	return 1 <= len(s) && len(s) <= 64 && strings.Trim(s, letters) == ""
}
