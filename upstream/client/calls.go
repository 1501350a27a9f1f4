package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Hello tells the upstream about this terminal, and returns what the school
// allows and how far this machine's clock is off.
func (c *Client) Hello(ctx context.Context, h Hello) (Welcome, error) {
	return c.hello(ctx, &v1.HelloRequest{
		Version: h.Version, Time: timestamppb.New(c.now()),
		Epoch: h.Journal.Epoch.String(), JournalHead: h.Journal.Seq, JournalHash: h.Journal.Hash[:],
		JournalAcked: h.Acked, Feeds: h.Feeds, Fault: h.Fault,
	})
}

// Ping is [Client.Hello] from somebody who has nothing to tell, such as a tool
// beside a terminal at work. Refusal: TerminalUnknown.
func (c *Client) Ping(ctx context.Context) (Welcome, error) { return c.hello(ctx, &v1.HelloRequest{}) }

func (c *Client) hello(ctx context.Context, q *v1.HelloRequest) (Welcome, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	sent := c.now()
	r, err := c.rpc.Hello(ctx, connect.NewRequest(q))
	if err != nil {
		return Welcome{}, explain("hello", err)
	}
	w, err := welcome(r.Msg)
	if err != nil {
		return Welcome{}, fmt.Errorf("hello: %w", err)
	}
	// The upstream read its clock half a round trip after we read ours.
	w.Drift = sent.Add(c.now().Sub(sent) / 2).Sub(w.Time)
	c.mu.Lock()
	c.pinKey = r.Msg.PinPublicKey
	c.mu.Unlock()
	return w, nil
}

// LookUpCard returns whether a card may be used at all, and a challenge for
// the next SignIn with it. A card that may not be used is no error.
func (c *Client) LookUpCard(ctx context.Context, cardNo string) (Card, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	r, err := c.rpc.LookUpCard(ctx, connect.NewRequest(&v1.LookUpCardRequest{CardNo: cardNo}))
	if err != nil {
		return Card{}, explain("look up card", err)
	}
	return Card{CardStatus(r.Msg.Status), r.Msg.Challenge, r.Msg.PinLocked}, nil
}

// SignIn seals pin, which is six ASCII digits, and opens a session. The
// challenge is from [Client.LookUpCard] and good for one SignIn, right or
// wrong. The caller wipes pin; no copy of it is left here.
//
// Refusals: PINWrong with the tries left, PINLocked (also for the fifth wrong
// PIN itself), ChallengeSpent, and those of the card.
func (c *Client) SignIn(ctx context.Context, cardNo string, challenge []byte, pin *[wire.PINLen]byte,
) (Session, Account, error) {
	ctx, cancel := within(ctx, 2*quick)
	defer cancel()
	key, err := c.sealingKey(ctx)
	if err != nil {
		return nil, Account{}, fmt.Errorf("sign in: %w", err)
	}
	sealed, err := wire.SealPIN(key, challenge, cardNo, pin)
	if err != nil {
		return nil, Account{}, fmt.Errorf("sign in: %w", err)
	}
	r, err := c.rpc.SignIn(ctx, connect.NewRequest(&v1.SignInRequest{
		CardNo: cardNo, Challenge: challenge, SealedPin: sealed,
	}))
	if err != nil {
		err = explain("sign in", err)
		if no := (*Refusal)(nil); errors.As(err, &no) && no.Reason == Malformed {
			c.forgetKey() // the upstream may have a new one
		}
		return nil, Account{}, err
	}
	return Session(r.Msg.Session), account(r.Msg.Account), nil
}

// CheckPIN asks whether pin, which is six ASCII digits, is that of an account whose
// holder shows no card. The caller wipes pin; no copy of it is left here. No error
// is "right".
//
// Refusals: PINWrong with the tries left, PINLocked (also for the fifth wrong PIN
// itself), AccountUnknown.
func (c *Client) CheckPIN(ctx context.Context, account string, pin *[wire.PINLen]byte) error {
	ctx, cancel := within(ctx, 2*quick)
	defer cancel()
	looked, err := c.rpc.LookUpAccount(ctx, connect.NewRequest(&v1.LookUpAccountRequest{Account: account}))
	if err != nil {
		return explain("look up account", err)
	}
	sealed, err := c.SealPIN(ctx, looked.Msg.Challenge, wire.CodePIN(account), pin)
	if err != nil {
		return fmt.Errorf("check PIN: %w", err)
	}
	_, err = c.rpc.CheckAccountPIN(ctx, connect.NewRequest(&v1.CheckAccountPINRequest{
		Account: account, Challenge: looked.Msg.Challenge, SealedPin: sealed,
	}))
	if err == nil {
		return nil
	}
	err = explain("check PIN", err)
	if no := (*Refusal)(nil); errors.As(err, &no) && no.Reason == Malformed {
		c.forgetKey() // the upstream may have a new one
	}
	return err
}

// Account returns the balance of the session's account and what is open.
func (c *Client) Account(ctx context.Context, s Session) (Account, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	r, err := c.rpc.GetAccount(ctx, connect.NewRequest(&v1.GetAccountRequest{Session: s}))
	if err != nil {
		return Account{}, explain("account", err)
	}
	return account(r.Msg.Account), nil
}

// CreateTopUp makes an order under the terminal's own number, which the caller
// has written down, and returns what the payer scans. The same number with the
// same content is the same order.
//
// Refusals: AmountOutOfRange, BalanceCap, OrderConflict, ChannelRefused,
// SessionOver, and those of the card.
func (c *Client) CreateTopUp(ctx context.Context, s Session, orderNo string, amount money.Fen) (TopUp, error) {
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.rpc.CreateTopUp(ctx, connect.NewRequest(&v1.CreateTopUpRequest{
		Session: s, OrderNo: orderNo, AmountFen: int64(amount),
	}))
	if err != nil {
		return TopUp{}, explain("create top-up", err)
	}
	return topUp(r.Msg.TopUp), nil
}

// GetTopUp returns an order of this terminal. It waits for the order's state
// to differ from known, at most for wait, and at most [GetTopUpWaitMax].
// Refusal: OrderUnknown.
func (c *Client) GetTopUp(ctx context.Context, orderNo string, known TopUpState, wait time.Duration) (TopUp, error) {
	wait = min(max(wait, 0), GetTopUpWaitMax)
	ctx, cancel := within(ctx, wait+quick)
	defer cancel()
	r, err := c.rpc.GetTopUp(ctx, connect.NewRequest(&v1.GetTopUpRequest{
		OrderNo: orderNo, Known: v1.TopUpState(known), WaitMs: int32(wait.Milliseconds()),
	}))
	if err != nil {
		return TopUp{}, explain("get top-up", err)
	}
	return topUp(r.Msg.TopUp), nil
}

// CancelTopUp ends an order that nobody waits for any more, and returns what
// it came to: TopUpClosed, TopUpPaid after all, TopUpReturned, or
// TopUpChecking while nobody knows; the upstream then goes on by itself.
// Refusal: OrderUnknown.
func (c *Client) CancelTopUp(ctx context.Context, orderNo string) (TopUp, error) {
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.rpc.CancelTopUp(ctx, connect.NewRequest(&v1.CancelTopUpRequest{OrderNo: orderNo}))
	if err != nil {
		return TopUp{}, explain("cancel top-up", err)
	}
	return topUp(r.Msg.TopUp), nil
}

// PlanLoad returns how much the session's card has to be written up by. purse
// is what the card says it holds; the amount never depends on it.
func (c *Client) PlanLoad(ctx context.Context, s Session, purse money.Fen) (Plan, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	r, err := c.rpc.PlanLoad(ctx, connect.NewRequest(&v1.PlanLoadRequest{
		Session: s, Reading: &v1.Reading{PurseFen: int64(purse)},
	}))
	if err != nil {
		return Plan{}, explain("plan load", err)
	}
	return Plan{money.Fen(r.Msg.AmountFen), account(r.Msg.Account)}, nil
}

// AuthorizeLoad has the card's MAC1 checked and returns the MAC2. The same
// request again gets the same answer; the same load with a new offer gets a
// new one, as long as the card's counter shows that it was not written.
//
// Refusals: MAC1Wrong, NothingToLoad, LoadDone, LoadConflict, CardAhead, and
// those of the card.
func (c *Client) AuthorizeLoad(ctx context.Context, l LoadRequest) (Authorization, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	r, err := c.rpc.AuthorizeLoad(ctx, connect.NewRequest(&v1.AuthorizeLoadRequest{
		LoadId: l.LoadID, CardNo: l.CardNo, AmountFen: int64(l.Amount), OrderNo: l.OrderNo, Factor: l.Factor[:],
		Offer: &v1.LoadOffer{
			Balance: l.Offer.Balance, Counter: uint32(l.Offer.Counter),
			KeyVersion: uint32(l.Offer.KeyVersion), Algorithm: uint32(l.Offer.Algorithm),
			Random: l.Offer.Random[:], Mac1: l.Offer.MAC1[:],
		},
	}))
	if err != nil {
		return Authorization{}, explain("authorize load", err)
	}
	var a Authorization
	if len(r.Msg.Stamp) != len(a.At) || len(r.Msg.Mac2) != len(a.MAC2) {
		return Authorization{}, errors.New("authorize load: malformed answer")
	}
	copy(a.At[:], r.Msg.Stamp)
	copy(a.MAC2[:], r.Msg.Mac2)
	return a, nil
}

// ReportLoad tells what became of a load, and returns what the upstream makes
// of it: a claim without a TAC may stay LoadDoubt. It is idempotent.
// Refusal: TACWrong.
func (c *Client) ReportLoad(ctx context.Context, l LoadReport) (LoadStatus, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	q := &v1.ReportLoadRequest{LoadId: l.LoadID, Outcome: v1.LoadOutcome(l.Outcome), Evidence: l.Evidence}
	if l.TAC.Valid() {
		q.Tac = l.TAC[:]
	}
	r, err := c.rpc.ReportLoad(ctx, connect.NewRequest(q))
	if err != nil {
		return LoadStatus{}, explain("report load", err)
	}
	return LoadStatus{LoadOutcome(r.Msg.Outcome), money.Fen(r.Msg.PurseFen)}, nil
}

// sealingKey returns the upstream's key for PINs, and asks for it if need be.
func (c *Client) sealingKey(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	key := c.pinKey
	c.mu.Unlock()
	if key != nil {
		return key, nil
	}
	if _, err := c.Ping(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pinKey, nil
}

func (c *Client) forgetKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinKey = nil
}
