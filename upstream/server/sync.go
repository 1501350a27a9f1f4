package server

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Push implements the contract.
func (s *Server) Push(ctx context.Context, q *connect.Request[v1.PushRequest],
) (*connect.Response[v1.PushResponse], error) {
	b := journal.Batch{From: q.Msg.From, Bodies: q.Msg.Entries, Note: q.Msg.Note}
	if !epoch(&b.Epoch, q.Msg.Epoch) {
		return nil, malformed
	}
	ack, err := s.Journals.Push(ctx, terminal(ctx), b)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.PushResponse{Head: head(ack.Head), Note: ack.Note}), nil
}

// epoch reads one, and reports whether it is one.
func epoch(to *journal.Epoch, b []byte) bool { return len(b) == len(to) && copy(to[:], b) == len(to) }

func head(h journal.Head) *v1.JournalHead {
	return &v1.JournalHead{Epoch: h.Epoch[:], Seq: h.Seq, Hash: h.Hash[:]}
}

var pushReasons = map[error]v1.PushReason{
	journal.ErrFork:     v1.PushReason_PUSH_REASON_FORK,
	journal.ErrGap:      v1.PushReason_PUSH_REASON_GAP,
	journal.ErrUnproven: v1.PushReason_PUSH_REASON_UNPROVEN,
}

// rejected is a batch that does not fit, on the wire. It is no refusal: it
// says nothing about money.
func rejected(e *journal.PushError) error {
	w := connect.NewError(connect.CodeAborted, e)
	d, err := connect.NewErrorDetail(&v1.PushRejected{Reason: pushReasons[e.Reason], Head: head(e.Head)})
	if err != nil {
		return errInternal
	}
	w.AddDetail(d)
	return w
}

// Authorize implements the contract.
func (s *Server) Authorize(ctx context.Context, q *connect.Request[v1.AuthorizeRequest],
) (*connect.Response[v1.AuthorizeResponse], error) {
	m := q.Msg
	r := ingest.Request{
		Seq: m.Seq, Attempt: m.Attempt, CardNo: m.CardNo, Account: m.Account, Merchant: m.Merchant,
		Amount: money.Fen(m.AmountFen), Virtual: m.Virtual, Code: m.Code,
	}
	ok := epoch(&r.Epoch, m.Epoch)
	if ok && m.CardNo != "" {
		r.CardNo, ok = cardNo(m.CardNo)
	}
	if x := m.Reading; ok && x != nil {
		r.Reading = &ingest.Reading{Purse: money.Fen(x.PurseFen), Offline: uint16(x.Offline)}
		if online := uint16(x.Online); online > 0 { // a card that was never loaded tells nothing
			r.Reading.Online = &online
		}
		ok = x.Offline <= 0xFFFF && x.Online <= 0xFFFF
	}
	if !ok || r.Check() != nil {
		return nil, malformed
	}
	a, err := s.Journals.Authorize(ctx, terminal(ctx), r)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.AuthorizeResponse{
		MaskedName: s.nameOf(ctx, m, a),
		Approved:   a.Approved, Reason: a.Reason, AvailableFen: int64(a.Available),
		KeptFen: int64(a.Kept), SpentTodayFen: int64(a.SpentToday), DailyLimitFen: int64(a.DailyLimit),
		Claims: claims(a.Claims),
	}), nil
}

// nameOf is whose code was approved, masked. It is nothing to refuse a sale for.
func (s *Server) nameOf(ctx context.Context, m *v1.AuthorizeRequest, a ingest.Approval) string {
	if !a.Approved || m.CardNo != "" {
		return ""
	}
	h, err := s.Books.Holder(ctx, store.HolderAccount(m.Account))
	if err != nil {
		return ""
	}
	return MaskName(h.Name)
}

// ListClaims implements the contract.
func (s *Server) ListClaims(ctx context.Context, q *connect.Request[v1.ListClaimsRequest],
) (*connect.Response[v1.ListClaimsResponse], error) {
	no, ok := cardNo(q.Msg.CardNo)
	if !ok {
		return nil, malformed
	}
	all, err := s.Journals.Claims(ctx, no)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListClaimsResponse{Claims: claims(all)}), nil
}

func claims(all []journal.Claim) (out []*v1.Claim) {
	for _, c := range all {
		p := c.Purse
		out = append(out, &v1.Claim{
			Terminal: c.Terminal, Epoch: c.Epoch[:], Seq: c.Seq, Kind: uint32(c.Kind), Ref: c.Ref, CardNo: c.Card,
			AmountFen: int64(c.Amount),
			Purse: &v1.ClaimPurse{
				Balance: p.Balance, Counter: uint32(p.Counter), KeyVersion: uint32(p.KeyVersion),
				Algorithm: uint32(p.Algorithm), TerminalNo: p.TerminalNo[:], TraceNo: p.TraceNo, Stamp: p.Stamp[:],
			},
		})
	}
	return out
}

// settlementsMax is how many a terminal may ask about at once.
const settlementsMax = 100

// GetSettlements implements the contract.
func (s *Server) GetSettlements(ctx context.Context, q *connect.Request[v1.GetSettlementsRequest],
) (*connect.Response[v1.GetSettlementsResponse], error) {
	if len(q.Msg.Refs) > settlementsMax {
		return nil, malformed
	}
	all, err := s.Journals.Settlements(ctx, terminal(ctx).ID, q.Msg.Refs)
	if err != nil {
		return nil, err
	}
	p := &v1.GetSettlementsResponse{Outcomes: map[string]uint32{}}
	for ref, o := range all {
		p.Outcomes[ref] = uint32(o)
	}
	return connect.NewResponse(p), nil
}

// PullFeed implements the contract.
func (s *Server) PullFeed(ctx context.Context, q *connect.Request[v1.PullFeedRequest],
) (*connect.Response[v1.PullFeedResponse], error) {
	var issued time.Time
	if q.Msg.Issued != nil {
		issued = q.Msg.Issued.AsTime()
	}
	f, err := s.Feeds.Step(ctx, q.Msg.Name, q.Msg.Have, issued)
	if errors.Is(err, store.ErrNone) {
		return nil, malformed
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.PullFeedResponse{Feed: f}), nil
}

// greet adds to an answer how far we have the terminal's journal, and which
// versions of the feeds there are.
func (s *Server) greet(ctx context.Context, q *v1.HelloRequest, p *v1.HelloResponse) error {
	if s.Journals == nil {
		return nil
	}
	if e, err := journal.ParseEpoch(q.Epoch); err == nil {
		h, err := s.Journals.Greet(ctx, journal.Position{Terminal: terminal(ctx).ID, Epoch: e, Seq: q.JournalAcked})
		if err != nil {
			return err
		}
		p.Journal = head(h)
	}
	var err error
	p.Feeds, err = s.Feeds.Versions(ctx)
	return err
}
