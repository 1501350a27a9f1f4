package holder

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/phone"
	"quancun/upstream/place"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Holders says who is signed in at the terminal that calls: package server. All of
// them refuse.
type Holders interface {
	Holder(ctx context.Context, session []byte) (store.Account, error)
	Spender(ctx context.Context, session []byte) (store.Account, error)
	// Card is Spender, with the card that was signed in with.
	Card(ctx context.Context, session []byte) (cardNo string, a store.Account, err error)
}

// Server answers terminals.
type Server struct {
	quancunv1connect.UnimplementedHolderServiceHandler

	desk    *Desk
	holders Holders
}

// NewServer returns a server, to be served by the one that knows the holders beside
// its own services.
func NewServer(d *Desk, h Holders) *Server { return &Server{desk: d, holders: h} }

// Handler implements the upstream's services.
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewHolderServiceHandler(s, options...)
}

// ListOpenMoney implements the contract.
func (s *Server) ListOpenMoney(ctx context.Context, q *connect.Request[v1.ListOpenMoneyRequest],
) (*connect.Response[v1.ListOpenMoneyResponse], error) {
	a, err := s.holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	is, err := s.desk.Open(ctx, a)
	if err != nil {
		return nil, err
	}
	p := &v1.ListOpenMoneyResponse{
		BalanceFen: int64(is.Balance), HeldFen: int64(is.Held),
		KeptFen: int64(store.Kept(is.Balance-is.Held, s.desk.Terms.CardReserve)),
	}
	if q.Msg.CardNo != "" {
		c, err := s.desk.Chip(ctx, a, q.Msg.CardNo)
		if errors.Is(err, store.ErrNone) {
			return nil, call.Refuse(v1.Reason_REASON_CARD_UNKNOWN)
		}
		if err != nil {
			return nil, err
		}
		p.PurseFen = int64(c.Purse)
		for _, b := range c.Purchases {
			p.Purchases = append(p.Purchases, &v1.CardPurchase{
				TerminalNo: b.TerminalNo[:], Stamp: b.Stamp[:], AmountFen: int64(b.Amount),
			})
		}
	}
	if p.Terminals, err = s.terminals(ctx, q.Msg.TerminalNos); err != nil {
		return nil, err
	}
	for _, o := range is.Open {
		p.Open = append(p.Open, &v1.OpenMoney{
			Sort: v1.OpenSort(o.Sort), AmountFen: int64(o.Amount), Since: stamp(o.Since), Ref: o.Ref, Place: o.Place,
			CardEnd: end(o.Card), Held: o.Held, People: o.People, Due: stamp(o.Due), Heard: stamp(o.Heard),
			PlaceZh: o.Where.ZH, PlaceEn: o.Where.EN,
		})
	}
	return connect.NewResponse(p), nil
}

// numbersMax is how many terminals of a card's log are looked up: more than a log has.
const numbersMax = 20

// terminals returns which terminals have the numbers, of those that are known.
func (s *Server) terminals(ctx context.Context, numbers [][]byte) (all []*v1.TerminalPlace, err error) {
	named, err := place.Numbered(ctx, s.desk.Books, numbers[:min(len(numbers), numbersMax)])
	for _, t := range named {
		all = append(all, &v1.TerminalPlace{
			TerminalNo: t.No[:], Terminal: t.ID, PlaceZh: t.Place.ZH, PlaceEn: t.Place.EN,
		})
	}
	return all, err
}

// end is as much of a card's number as a screen may show.
func end(cardNo string) string { return cardNo[max(len(cardNo)-4, 0):] }

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ListRecords implements the contract.
func (s *Server) ListRecords(ctx context.Context, q *connect.Request[v1.ListRecordsRequest],
) (*connect.Response[v1.ListRecordsResponse], error) {
	m := q.Msg
	f := Filter{Page: int(m.Page), Size: int(m.PageSize)}
	if f.Page < 0 || f.Page > 1_000_000 || f.Size < 1 || f.Size > 50 || len(m.Kinds) > 99 {
		return nil, call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	for _, k := range m.Kinds {
		f.Kinds = append(f.Kinds, store.Kind(k))
	}
	if m.From != nil {
		f.From = m.From.AsTime()
	}
	if m.To != nil {
		f.To = m.To.AsTime()
	}
	a, err := s.holders.Spender(ctx, m.Session)
	if err != nil {
		return nil, err
	}
	all, pages, err := s.desk.Records(ctx, a, f)
	if err != nil {
		return nil, err
	}
	p := &v1.ListRecordsResponse{Pages: int32(pages)}
	for _, r := range all {
		p.Records = append(p.Records, onWire(r))
	}
	return connect.NewResponse(p), nil
}

func onWire(r Record) *v1.Record {
	return &v1.Record{
		Id: r.ID, Title: r.Title, RecordNo: r.RecordNo,
		Movement: &v1.Movement{
			At: stamp(r.At), Kind: v1.MovementKind(r.Kind), AmountFen: int64(r.Amount), BalanceFen: int64(r.Balance),
			Place: r.Place, Ref: r.Ref, PlaceZh: r.Where.ZH, PlaceEn: r.Where.EN,
		},
	}
}

// GetRecord implements the contract.
func (s *Server) GetRecord(ctx context.Context, q *connect.Request[v1.GetRecordRequest],
) (*connect.Response[v1.GetRecordResponse], error) {
	a, err := s.holders.Spender(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	r, c, err := s.desk.Record(ctx, a, q.Msg.Id)
	if errors.Is(err, store.ErrNone) {
		return nil, call.Refuse(v1.Reason_REASON_ORDER_UNKNOWN)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.GetRecordResponse{Record: onWire(r), Copy: c.Text()}), nil
}

// GetLimits implements the contract.
func (s *Server) GetLimits(ctx context.Context, q *connect.Request[v1.GetLimitsRequest],
) (*connect.Response[v1.GetLimitsResponse], error) {
	a, err := s.holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	l, err := s.desk.Limits(ctx, a)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.GetLimitsResponse{
		DailyFen: int64(l.DailyLimit), Own: l.Own, SpentFen: int64(l.Spent), CardReserveFen: int64(l.CardReserve),
		PurseFen: int64(l.PurseCeiling), BalanceFen: int64(l.BalanceCap), Phones: l.Phones,
		CodeFen: int64(l.CodeMax), CodeDayFen: int64(l.CodeDayMax), Phone: l.Phone, PhoneSince: stamp(l.PhoneSince),
		Until: stamp(l.Until),
	}), nil
}

// InvitePhone implements the contract.
func (s *Server) InvitePhone(ctx context.Context, q *connect.Request[v1.InvitePhoneRequest],
) (*connect.Response[v1.InvitePhoneResponse], error) {
	a, err := s.holders.Spender(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	code, expires, err := s.desk.Invite(ctx, a)
	if errors.Is(err, phone.ErrAccount) {
		return nil, call.Refuse(v1.Reason_REASON_ACCOUNT_UNKNOWN)
	}
	if err != nil {
		return nil, err
	}
	s.desk.Log.Info("phone invited", "account", a.No(), "terminal", call.Terminal(ctx).ID)
	return connect.NewResponse(&v1.InvitePhoneResponse{
		AccountNo: a.No(), Code: code.Text(), Ca: s.desk.CA.String(), Address: s.desk.Terms.PhoneAddress,
		Expires: stamp(expires),
	}), nil
}

// GetCardCheck implements the contract.
func (s *Server) GetCardCheck(ctx context.Context, q *connect.Request[v1.GetCardCheckRequest],
) (*connect.Response[v1.GetCardCheckResponse], error) {
	cardNo, a, err := s.holders.Card(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	c, err := s.desk.Check(ctx, a, cardNo)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.GetCardCheckResponse{
		Wanted: c.Wanted, Name: c.Name, Number: c.Number, InitialPin: c.InitialPIN,
	}), nil
}

// CheckCard implements the contract.
func (s *Server) CheckCard(ctx context.Context, q *connect.Request[v1.CheckCardRequest],
) (*connect.Response[v1.CheckCardResponse], error) {
	cardNo, _, err := s.holders.Card(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	err = s.desk.Checked(ctx, Checked{Card: cardNo, Terminal: call.Terminal(ctx).ID, Agrees: q.Msg.Agrees})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.CheckCardResponse{}), nil
}
