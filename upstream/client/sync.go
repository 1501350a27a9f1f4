package client

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Push hands entries to the upstream, and returns its head of this journal and
// the cosigned checkpoint once all of them are durable there. The same batch
// again gets the same answer.
//
// A [*journal.PushError] says why the batch does not fit and what the upstream
// has; nothing of it was taken, and nothing may be dropped for it. Neither it
// nor a [*Refusal], which is about the terminal, says anything about an entry.
// Every other error is unknown: the batch is pushed again.
func (c *Client) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	ctx, cancel := within(ctx, long)
	defer cancel()
	r, err := c.bulk.Push(ctx, connect.NewRequest(&v1.PushRequest{
		Epoch: b.Epoch[:], From: b.From, Entries: b.Bodies, Note: b.Note,
	}))
	if err != nil {
		return journal.Ack{}, explain("push", err)
	}
	h, err := head(r.Msg.Head)
	if err != nil || h.Epoch != b.Epoch {
		return journal.Ack{}, errors.Join(errors.New("push: answer about another journal"), err)
	}
	return journal.Ack{Head: h, Note: r.Msg.Note}, nil
}

// Reading is what a card has just said of itself. The zero Reading is none.
type Reading struct {
	Purse   money.Fen
	Offline uint16 // transaction counter
	Online  uint16 // transaction counter
}

// AuthorizeRequest asks whether an account may spend. Epoch and Seq are the
// position that the terminal's next entry will have, and Attempt is the Ref
// under which the sale would be written there.
type AuthorizeRequest struct {
	Epoch    journal.Epoch
	Seq      int64
	Attempt  string
	CardNo   string // "" for a virtual card
	Account  string // account number; "" for the card's
	Merchant string
	Amount   money.Fen
	Virtual  bool   // the card reserve is not to be touched
	Code     string // that the virtual card's phone has shown
	Reading  Reading
}

// Approval is the upstream's answer. The hold that it has placed lives until
// the journal has passed its number, whatever the time.
type Approval struct {
	Approved   bool
	Reason     Reason          // of a decline
	Available  money.Fen       // to this sale, before it
	Kept       money.Fen       // with NotEnough: that would be enough, and only the card may spend it
	SpentToday money.Fen       // that the upstream knows of, this sale not counted
	DailyLimit money.Fen       // above which the PIN is asked
	Claims     []journal.Claim // open on this card
	Holder     string          // masked name of whose code was approved; "" with a card
}

// Authorize places a hold. The same attempt again is the same hold. A decline
// is an answer and no error.
//
// A [*journal.PushError] says that the upstream has to be told of this journal
// first, and how far it has it: it holds nothing, and has not refused.
func (c *Client) Authorize(ctx context.Context, q AuthorizeRequest) (Approval, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	m := &v1.AuthorizeRequest{
		Epoch: q.Epoch[:], Seq: q.Seq, Attempt: q.Attempt, CardNo: q.CardNo, Account: q.Account,
		Merchant: q.Merchant, AmountFen: int64(q.Amount), Virtual: q.Virtual, Code: q.Code,
	}
	if q.Reading != (Reading{}) {
		m.Reading = &v1.Reading{
			PurseFen: int64(q.Reading.Purse), Offline: uint32(q.Reading.Offline), Online: uint32(q.Reading.Online),
		}
	}
	r, err := c.sync.Authorize(ctx, connect.NewRequest(m))
	if err != nil {
		return Approval{}, explain("authorize", err)
	}
	a := Approval{
		Approved: r.Msg.Approved, Reason: Reason(r.Msg.Reason), Available: money.Fen(r.Msg.AvailableFen),
		SpentToday: money.Fen(r.Msg.SpentTodayFen), DailyLimit: money.Fen(r.Msg.DailyLimitFen),
		Kept: money.Fen(r.Msg.KeptFen), Holder: r.Msg.MaskedName,
	}
	if a.Claims, err = claims(r.Msg.Claims); err != nil {
		return Approval{}, fmt.Errorf("authorize: %w", err)
	}
	return a, nil
}

// Claims returns the writes to a card whose outcome nobody knows yet, oldest
// first, whichever terminal has made them.
func (c *Client) Claims(ctx context.Context, cardNo string) ([]journal.Claim, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	r, err := c.sync.ListClaims(ctx, connect.NewRequest(&v1.ListClaimsRequest{CardNo: cardNo}))
	if err != nil {
		return nil, explain("claims", err)
	}
	all, err := claims(r.Msg.Claims)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return all, nil
}

// SettlementsMax is how many [Client.Settlements] tells of at once.
const SettlementsMax = 100

// Settlements returns what has become of this terminal's own doubts, by the
// Refs of their intents: [journal.Elsewhere] or [journal.ElsewhereNot]. One
// that is still open is absent.
func (c *Client) Settlements(ctx context.Context, refs []string) (map[string]journal.Outcome, error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	refs = refs[:min(len(refs), SettlementsMax)]
	r, err := c.sync.GetSettlements(ctx, connect.NewRequest(&v1.GetSettlementsRequest{Refs: refs}))
	if err != nil {
		return nil, explain("settlements", err)
	}
	all := make(map[string]journal.Outcome, len(r.Msg.Outcomes))
	for ref, o := range r.Msg.Outcomes {
		outcome := journal.Outcome(o)
		if o > 255 || outcome != journal.Elsewhere && outcome != journal.ElsewhereNot {
			return nil, fmt.Errorf("settlements: outcome %d", o) // a later upstream's: ask later
		}
		all[ref] = outcome
	}
	return all, nil
}

// head reads how far a journal has come.
func head(m *v1.JournalHead) (h journal.Head, err error) {
	if len(m.GetEpoch()) != len(h.Epoch) || m.GetSeq() < 0 || m.GetSeq() > 0 && len(m.GetHash()) != len(h.Hash) {
		return h, errors.New("malformed head of a journal")
	}
	copy(h.Epoch[:], m.Epoch)
	copy(h.Hash[:], m.Hash)
	h.Seq = m.Seq
	return h, nil
}

func claims(all []*v1.Claim) ([]journal.Claim, error) {
	var out []journal.Claim
	for _, m := range all {
		c := journal.Claim{
			Position: journal.Position{Terminal: m.Terminal, Seq: m.Seq},
			Kind:     journal.Kind(m.Kind), Ref: m.Ref, Card: m.CardNo, Amount: money.Fen(m.AmountFen),
		}
		p := m.GetPurse()
		if len(m.Epoch) != len(c.Epoch) || m.Kind > 0xFFFF || len(p.GetTerminalNo()) != len(c.Purse.TerminalNo) ||
			len(p.GetStamp()) != len(c.Purse.Stamp) || p.GetCounter() > 0xFFFF ||
			p.GetKeyVersion() > 0xFF || p.GetAlgorithm() > 0xFF {
			return nil, errors.New("malformed claim")
		}
		copy(c.Epoch[:], m.Epoch)
		c.Purse = journal.Purse{
			Balance: p.Balance, Counter: uint16(p.Counter), KeyVersion: byte(p.KeyVersion),
			Algorithm: byte(p.Algorithm), TraceNo: p.TraceNo,
			TerminalNo: pboc.TerminalNo(p.TerminalNo), Stamp: pboc.Stamp(p.Stamp),
		}
		out = append(out, c)
	}
	return out, nil
}
