package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

// AuthorizeLoad implements the contract.
//
// MAC1 proves the card, its balance and its online counter. The counter tells
// what became of the loads that are open; then the books say how much may be
// written; then the load is in the books; and only then the MAC2 leaves.
func (s *Server) AuthorizeLoad(ctx context.Context, q *connect.Request[v1.AuthorizeLoadRequest],
) (*connect.Response[v1.AuthorizeLoadResponse], error) {
	a, err := parseAuthorize(terminal(ctx), q.Msg)
	if err != nil {
		return nil, err
	}
	if err := s.proveCard(ctx, a); err != nil {
		return nil, err
	}
	var offer store.Offer
	var refused error
	err = s.Books.WithCard(ctx, a.load.CardNo, func(c store.CardTx) error {
		var err error
		refused = nil // this may be done again
		if offer, err = s.authorize(c, a); errors.As(err, new(*refusal)) {
			refused, err = err, nil // what the counter has settled stays
		}
		return err
	})
	if err := errors.Join(err, refused); err != nil {
		return nil, err
	}
	mac2, err := s.Keys.MAC2(ctx, ingest.Words(a.load.Amount, a.factor, offer))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.AuthorizeLoadResponse{Stamp: offer.Stamp[:], Mac2: mac2[:]}), nil
}

// authorization is a request for a MAC2.
type authorization struct {
	load   store.Load
	offer  store.Offer
	factor keys.Factor
}

func parseAuthorize(t store.Terminal, m *v1.AuthorizeLoadRequest) (a authorization, err error) {
	no, ok := cardNo(m.CardNo)
	id, ok2 := loadID(m.LoadId)
	o := m.Offer
	if !ok || !ok2 || o == nil || len(m.Factor) != 8 || len(o.Random) != 4 || len(o.Mac1) != 4 ||
		o.Counter > 0xFFFF || o.KeyVersion > 0xFF || o.Algorithm > 0xFF ||
		m.AmountFen <= 0 || m.AmountFen > 1<<32-1 || m.OrderNo != "" && !orderNo(m.OrderNo) {
		return a, malformed
	}
	a.factor = keys.Factor(m.Factor)
	a.load = store.Load{
		ID: id, CardNo: no, Terminal: t.ID, Amount: money.Fen(m.AmountFen), OrderNo: m.OrderNo,
	}
	a.offer = store.Offer{
		LoadID: id, Balance: o.Balance, Counter: uint16(o.Counter), KeyVersion: byte(o.KeyVersion),
		Algorithm: byte(o.Algorithm), Random: [4]byte(o.Random), MAC1: pboc.MAC(o.Mac1), Terminal: t.No,
	}
	return a, nil
}

// proveCard refuses unless MAC1 is that of the card in the books.
func (s *Server) proveCard(ctx context.Context, a authorization) error {
	c, err := s.Books.Card(ctx, a.load.CardNo)
	if errors.Is(err, store.ErrNone) {
		return refuseCard(c, err)
	}
	if err != nil {
		return err
	}
	err = keys.ErrWrong
	if c.Factor == a.factor {
		err = s.Keys.CheckMAC1(ctx, ingest.Words(a.load.Amount, a.factor, a.offer), a.offer.MAC1)
	}
	if !errors.Is(err, keys.ErrWrong) {
		return err
	}
	s.Log.Warn("MAC1 wrong", "terminal", a.load.Terminal)
	_, err = s.Books.Alarm(ctx, store.Alarm{
		Kind: store.AlarmMAC1Wrong, Ref: a.load.CardNo, Detail: "on terminal " + a.load.Terminal,
	})
	if err != nil {
		return err
	}
	return refuse(v1.Reason_REASON_MAC1_WRONG)
}

// authorize returns the offer to answer, with its stamp, written down.
func (s *Server) authorize(c store.CardTx, a authorization) (store.Offer, error) {
	old, err := c.Load(a.load.ID)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNone) {
		return store.Offer{}, err
	}
	if known && !sameLoad(old, a.load) {
		return store.Offer{}, refuseAlarmed(c, v1.Reason_REASON_LOAD_CONFLICT, store.Alarm{
			Kind: store.AlarmLoadConflict, Ref: a.load.ID, Detail: "again on terminal " + a.load.Terminal})
	}
	if o, ok, err := replay(c, a); ok || err != nil {
		return o, err
	}
	if err := settleByCounter(c, a); err != nil {
		return store.Offer{}, err
	}
	if err := refuseCard(c.Card(), nil); err != nil {
		return store.Offer{}, err
	}
	if known {
		if old, err = c.Load(a.load.ID); err != nil { // the counter may have settled it
			return store.Offer{}, err
		}
		if old.State == store.LoadWritten {
			return store.Offer{}, refuse(v1.Reason_REASON_LOAD_DONE)
		}
	}
	if err := s.checkAmount(c, a); err != nil {
		return store.Offer{}, err
	}
	return s.writeOffer(c, a, known)
}

func sameLoad(a, b store.Load) bool {
	return a.CardNo == b.CardNo && a.Terminal == b.Terminal && a.Amount == b.Amount && a.OrderNo == b.OrderNo
}

func refuseAlarmed(c store.CardTx, r v1.Reason, a store.Alarm) error {
	if err := c.Alarm(a); err != nil {
		return err
	}
	return refuse(r)
}

// replay finds the very offer that was answered before under an open load: its
// answer was lost, and is given again, byte for byte.
func replay(c store.CardTx, a authorization) (o store.Offer, ok bool, err error) {
	l, err := c.Load(a.load.ID)
	if errors.Is(err, store.ErrNone) || err == nil && l.State != store.LoadOpen {
		return o, false, nil
	}
	if err != nil {
		return o, false, err
	}
	offers, err := c.Offers(a.load.ID)
	for _, o := range offers {
		if o.Same(a.offer) {
			return o, true, refuseCard(c.Card(), nil)
		}
	}
	return o, false, err
}

// settleByCounter settles what is open on a card by the counter that it has
// just proved. A load that was offered at N has not happened while the card
// says N, and has when it says N+1. A new INITIALIZE voids every earlier MAC2,
// so of several loads at one N only the last can have happened.
func settleByCounter(c store.CardTx, a authorization) error {
	last, err := c.LastOffer()
	if errors.Is(err, store.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	written, err := c.WrittenAt(last.Counter)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return err
	}
	happened := err == nil
	switch now := a.offer.Counter; {
	case now == last.Counter && !happened:
		return settleRest(c, a.load.ID)
	case now == last.Counter+1 && now != 0:
		if !happened {
			l, err := c.Load(last.LoadID)
			if err := errors.Join(err, ingest.SettleWritten(c, l, "counter")); err != nil {
				return err
			}
			written.ID = last.LoadID
		}
		return settleRest(c, written.ID)
	default:
		return refuseAlarmed(c, v1.Reason_REASON_CARD_AHEAD, store.Alarm{
			Kind: store.AlarmCounter, Ref: a.load.CardNo,
			Detail: fmt.Sprintf("counter %d, last offer at %d, written %t", now, last.Counter, happened)})
	}
}

// settleRest settles the open loads of a card as not written, but for one.
func settleRest(c store.CardTx, except string) error {
	open, err := c.Open()
	for _, l := range open {
		if l.ID != except {
			err = errors.Join(err, c.Settle(l.ID, store.LoadNotWritten, "counter"))
		}
	}
	return err
}

// checkAmount refuses what would lift the purse above its account. The books
// count, and not what the card holds: what it lacks it has spent offline.
func (s *Server) checkAmount(c store.CardTx, a authorization) error {
	card := c.Card()
	if pboc.Fen(a.offer.Balance) > card.Mirror {
		return refuseAlarmed(c, v1.Reason_REASON_CARD_AHEAD, store.Alarm{
			Kind: store.AlarmCardAhead, Ref: card.No,
			Detail: fmt.Sprintf("purse %s, books %s", pboc.Fen(a.offer.Balance), card.Mirror)})
	}
	available, err := c.Available()
	if err != nil {
		return err
	}
	if a.load.Amount > s.toLoad(available, card.Mirror) {
		return refuse(v1.Reason_REASON_NOTHING_TO_LOAD)
	}
	return nil
}

// writeOffer writes the load down, and the offer with a stamp of its own.
func (s *Server) writeOffer(c store.CardTx, a authorization, known bool) (store.Offer, error) {
	o := a.offer
	o.Stamp = stampOf(s.Now())
	last, err := c.LastOffer()
	switch {
	case err == nil && stampTime(o.Stamp).Compare(stampTime(last.Stamp)) <= 0:
		o.Stamp = stampOf(stampTime(last.Stamp).Add(time.Second))
	case err != nil && !errors.Is(err, store.ErrNone):
		return o, err
	}
	if known {
		err = c.Settle(a.load.ID, store.LoadOpen, "") // it may have been called not written
	} else {
		err = c.AddLoad(a.load)
	}
	return o, errors.Join(err, c.AddOffer(o))
}

// ReportLoad implements the contract.
func (s *Server) ReportLoad(ctx context.Context, q *connect.Request[v1.ReportLoadRequest],
) (*connect.Response[v1.ReportLoadResponse], error) {
	r, err := parseReport(terminal(ctx), q.Msg)
	if err != nil {
		return nil, err
	}
	l, err := s.Books.Load(ctx, r.loadID)
	if errors.Is(err, store.ErrNone) {
		return s.reportUnknown(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	p := &v1.ReportLoadResponse{}
	var refused error
	err = s.Books.WithCard(ctx, l.CardNo, func(c store.CardTx) error {
		refused = nil // this may be done again
		err := s.report(ctx, c, r)
		if errors.As(err, new(*refusal)) {
			refused, err = err, nil // the alarm stays
		}
		if err != nil {
			return err
		}
		l, err := c.Load(r.loadID)
		p.Outcome, p.PurseFen = outcomes[l.State], int64(c.Card().Mirror)
		return err
	})
	if err := errors.Join(err, refused); err != nil {
		return nil, err
	}
	return connect.NewResponse(p), nil
}

var outcomes = map[store.LoadState]v1.LoadOutcome{
	store.LoadOpen:       v1.LoadOutcome_LOAD_OUTCOME_DOUBT,
	store.LoadWritten:    v1.LoadOutcome_LOAD_OUTCOME_WRITTEN,
	store.LoadNotWritten: v1.LoadOutcome_LOAD_OUTCOME_NOT_WRITTEN,
}

// report is what a terminal says of a load.
type report struct {
	terminal string
	loadID   string
	outcome  v1.LoadOutcome
	tac      pboc.MAC // zero for none
	evidence string
}

func parseReport(t store.Terminal, m *v1.ReportLoadRequest) (r report, err error) {
	known := m.Outcome >= v1.LoadOutcome_LOAD_OUTCOME_WRITTEN && m.Outcome <= v1.LoadOutcome_LOAD_OUTCOME_DOUBT
	id, ok := loadID(m.LoadId)
	if !ok || !known || len(m.Tac) != 0 && len(m.Tac) != 4 {
		return r, malformed
	}
	r = report{t.ID, id, m.Outcome, pboc.MAC{}, clip(m.Evidence)}
	copy(r.tac[:], m.Tac)
	return r, nil
}

// reportUnknown answers about a load that was never authorized here. Nobody
// can have written it with our MAC2, unless these books are older than it.
func (s *Server) reportUnknown(ctx context.Context, r report) (*connect.Response[v1.ReportLoadResponse], error) {
	if r.outcome == v1.LoadOutcome_LOAD_OUTCOME_NOT_WRITTEN {
		return connect.NewResponse(&v1.ReportLoadResponse{Outcome: r.outcome}), nil
	}
	s.Log.Error("load unknown", "load", r.loadID, "terminal", r.terminal, "outcome", r.outcome.String())
	_, err := s.Books.Alarm(ctx, store.Alarm{Kind: store.AlarmLoadUnknown, Ref: r.loadID,
		Detail: fmt.Sprintf("%s by %q on terminal %s", r.outcome, r.evidence, r.terminal)})
	if err != nil {
		return nil, err
	}
	if r.outcome == v1.LoadOutcome_LOAD_OUTCOME_WRITTEN {
		return nil, refuse(v1.Reason_REASON_TAC_WRONG)
	}
	return connect.NewResponse(&v1.ReportLoadResponse{Outcome: v1.LoadOutcome_LOAD_OUTCOME_DOUBT}), nil
}

var loadStates = map[v1.LoadOutcome]store.LoadState{
	v1.LoadOutcome_LOAD_OUTCOME_DOUBT:       store.LoadOpen,
	v1.LoadOutcome_LOAD_OUTCOME_WRITTEN:     store.LoadWritten,
	v1.LoadOutcome_LOAD_OUTCOME_NOT_WRITTEN: store.LoadNotWritten,
}

// report writes down what became of a load.
func (s *Server) report(ctx context.Context, c store.CardTx, r report) error {
	err := ingest.ReportLoad(ctx, s.Keys, c, r.loadID, ingest.LoadReport{
		Terminal: r.terminal, State: loadStates[r.outcome], TAC: r.tac, Evidence: r.evidence,
	})
	switch {
	case errors.Is(err, ingest.ErrForeignLoad):
		return refuse(v1.Reason_REASON_LOAD_CONFLICT)
	case errors.Is(err, ingest.ErrTAC):
		s.Log.Error("TAC wrong", "load", r.loadID, "terminal", r.terminal)
		return refuseAlarmed(c, v1.Reason_REASON_TAC_WRONG, store.Alarm{
			Kind: store.AlarmTACWrong, Ref: r.loadID, Detail: "by " + r.evidence + " on terminal " + r.terminal})
	}
	return err
}

// loadID returns a load ID as the books have it.
func loadID(s string) (string, bool) {
	b, err := hex.DecodeString(s)
	return hex.EncodeToString(b), err == nil && len(b) == 16
}
