package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"quancun/money"
	v1 "quancun/upstream/wire/quancun/v1"
)

// CodePaymentState says how far a payment by code has come. Numbers as on the
// wire; none ever goes back, except that what was closed may turn out to have
// been paid and given back.
type CodePaymentState int

// The states of a payment by code.
const (
	CodePaymentWaiting  CodePaymentState = 1 // for the payer, or for the channel to say
	CodePaymentChecking CodePaymentState = 2 // nobody waits any more, and nobody knows what it came to
	CodePaymentPaid     CodePaymentState = 3
	CodePaymentClosed   CodePaymentState = 4 // unpaid; if money comes all the same, it goes back
	CodePaymentReturned CodePaymentState = 5 // was paid, and given back whole
)

// CodePaymentCause says why a payment was closed. Numbers as on the wire.
type CodePaymentCause int

// The causes. Zero is none that the channel has said.
const (
	CauseCode    CodePaymentCause = 1 // the code is wrong, used, or too old
	CausePayer   CodePaymentCause = 2 // the payer cannot pay with it
	CauseChannel CodePaymentCause = 3 // the channel does not do it
	CauseTime    CodePaymentCause = 4 // the payer has not agreed in time
)

// CodePayment is a sale by the payer's own code, as the channel knows it.
type CodePayment struct {
	OrderNo  string
	State    CodePaymentState
	Cause    CodePaymentCause // with CodePaymentClosed
	Amount   money.Fen
	Expires  time.Time // when the upstream stops waiting
	PaidAt   time.Time // by the channel's clock; zero unless paid
	TradeNo  string    // the channel's
	Refunded money.Fen // given back so far
}

// CodeRequest asks for a payment by code. The caller has written it down under
// OrderNo before, and no two codes have one number.
type CodeRequest struct {
	OrderNo  string
	Code     string // as scanned; it is a secret for a minute
	Merchant string
	Amount   money.Fen
}

// PayByCode has the channel ask whoever shows the code. It returns as soon as
// something is known: CodePaymentWaiting says that nothing is yet. The same
// request again is the same payment.
//
// Refusals: AmountOutOfRange, OrderConflict.
func (c *Client) PayByCode(ctx context.Context, q CodeRequest) (CodePayment, error) {
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.payment.PayByCode(ctx, connect.NewRequest(&v1.PayByCodeRequest{
		OrderNo: q.OrderNo, Code: q.Code, Merchant: q.Merchant, AmountFen: int64(q.Amount),
	}))
	if err != nil {
		return CodePayment{}, explain("pay by code", err)
	}
	return codePayment(r.Msg.Payment), nil
}

// GetCodePayment returns a payment of this terminal. It waits for its state to
// differ from known, at most for wait, and at most [GetTopUpWaitMax].
// Refusal: OrderUnknown.
func (c *Client) GetCodePayment(ctx context.Context, orderNo string, known CodePaymentState, wait time.Duration,
) (CodePayment, error) {
	wait = min(max(wait, 0), GetTopUpWaitMax)
	ctx, cancel := within(ctx, wait+quick)
	defer cancel()
	r, err := c.payment.GetCodePayment(ctx, connect.NewRequest(&v1.GetCodePaymentRequest{
		OrderNo: orderNo, Known: v1.CodePaymentState(known), WaitMs: int32(wait.Milliseconds()),
	}))
	if err != nil {
		return CodePayment{}, explain("get payment by code", err)
	}
	return codePayment(r.Msg.Payment), nil
}

// CancelCodePayment ends a payment that nobody waits for any more, and returns
// what it came to: closed, paid after all, returned, or CodePaymentChecking
// while nobody knows; the upstream then goes on by itself. Of q the code is not
// used. A payment of which the upstream has never heard is closed, and a request
// for it that is still on its way comes too late. Refusal: OrderConflict.
func (c *Client) CancelCodePayment(ctx context.Context, q CodeRequest) (CodePayment, error) {
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.payment.CancelCodePayment(ctx, connect.NewRequest(&v1.CancelCodePaymentRequest{
		OrderNo: q.OrderNo, Merchant: q.Merchant, AmountFen: int64(q.Amount),
	}))
	if err != nil {
		return CodePayment{}, explain("cancel payment by code", err)
	}
	return codePayment(r.Msg.Payment), nil
}

// RefundState says how far a refund of a payment by code has come. Numbers as on
// the wire.
type RefundState int

// The states of a refund.
const (
	RefundChecking RefundState = 1 // nobody knows yet; the upstream goes on asking
	RefundDone     RefundState = 2 // the channel has given it back
	RefundRefused  RefundState = 3 // it never will, under this number
)

// RefundCodePayment has the channel give back amount of a payment of this
// terminal, once for each refundNo, which the caller has written down before.
//
// Refusals: OrderUnknown for a payment that is none or was not paid,
// AmountOutOfRange with what is left, OrderConflict for the number of another
// amount.
func (c *Client) RefundCodePayment(ctx context.Context, orderNo, refundNo string, amount money.Fen,
) (RefundState, error) {
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.payment.RefundCodePayment(ctx, connect.NewRequest(&v1.RefundCodePaymentRequest{
		OrderNo: orderNo, RefundNo: refundNo, AmountFen: int64(amount),
	}))
	if err != nil {
		return 0, explain("refund payment by code", err)
	}
	return RefundState(r.Msg.State), nil
}

func codePayment(m *v1.CodePayment) CodePayment {
	return CodePayment{
		OrderNo: m.GetOrderNo(), State: CodePaymentState(m.GetState()), Cause: CodePaymentCause(m.GetCause()),
		Amount: money.Fen(m.GetAmountFen()), Expires: at(m.GetExpires()), PaidAt: at(m.GetPaidAt()),
		TradeNo: m.GetTradeNo(), Refunded: money.Fen(m.GetRefundedFen()),
	}
}
