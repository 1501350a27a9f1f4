package server

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/place"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

// GetAccount implements the contract.
func (s *Server) GetAccount(ctx context.Context, q *connect.Request[v1.GetAccountRequest],
) (*connect.Response[v1.GetAccountResponse], error) {
	_, v, err := s.view(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, v)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.GetAccountResponse{Account: a}), nil
}

// PlanLoad implements the contract. What the card says it holds changes
// nothing: a purse below its mirror has spent offline what is not booked yet,
// and must not be given it again.
func (s *Server) PlanLoad(ctx context.Context, q *connect.Request[v1.PlanLoadRequest],
) (*connect.Response[v1.PlanLoadResponse], error) {
	_, v, err := s.view(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, v)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.PlanLoadResponse{AmountFen: a.ToLoadFen, Account: a}), nil
}

// ListHistory implements the contract.
func (s *Server) ListHistory(ctx context.Context, q *connect.Request[v1.ListHistoryRequest],
) (*connect.Response[v1.ListHistoryResponse], error) {
	page, size := int(q.Msg.Page), int(q.Msg.PageSize)
	if page < 0 || page > 1_000_000 || size < 1 || size > 50 {
		return nil, malformed
	}
	n, err := s.open(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	if _, err := s.usable(ctx, n.card); err != nil {
		return nil, err
	}
	all, pages, err := s.Books.History(ctx, n.account, page, size)
	if err != nil {
		return nil, err
	}
	p := &v1.ListHistoryResponse{Pages: int32(pages)}
	for _, m := range all {
		p.Movements = append(p.Movements, &v1.Movement{
			At: timestamppb.New(m.At), Kind: v1.MovementKind(m.Kind), AmountFen: int64(m.Amount),
			BalanceFen: int64(m.Balance), Place: m.Place, Ref: m.Ref,
		})
	}
	return connect.NewResponse(p), nil
}

// view returns the account of a session.
//
// Who comes with a session has the answer of the sign-in that made it, and
// with it every late payment of before. So this is where those count as seen;
// in this session they stay on the screen.
func (s *Server) view(ctx context.Context, token []byte) (session, store.View, error) {
	n, err := s.open(ctx, token)
	if err != nil {
		return session{}, store.View{}, err
	}
	if _, err := s.usable(ctx, n.card); err != nil {
		return session{}, store.View{}, err
	}
	v, err := s.Books.View(ctx, n.card, n.issued)
	if err == nil && v.Unseen {
		err = s.Books.MarkSeen(ctx, n.account, n.issued)
	}
	return n, v, err
}

// account returns v as a screen may show it.
func (s *Server) account(ctx context.Context, v store.View) (*v1.Account, error) {
	var places place.Map
	if len(v.Doubts) > 0 {
		var err error
		if places, err = place.All(ctx, s.Books); err != nil {
			return nil, err
		}
	}
	return s.shown(v, places), nil
}

func (s *Server) shown(v store.View, places place.Map) *v1.Account {
	available := v.Balance - v.Held
	toLoad := s.toLoad(available, v.Card.Mirror)
	a := &v1.Account{
		AccountNo: v.Holder.Account.No(), MaskedName: MaskName(v.Holder.Name),
		MaskedNumber: MaskNumber(v.Holder.Number),
		BalanceFen:   int64(v.Balance), AvailableFen: int64(available),
		PurseFen: int64(v.Card.Mirror), ToLoadFen: int64(toLoad),
		KeptFen: int64(store.Kept(available, s.Policy.CardReserve)),
	}
	for _, o := range v.Checking {
		a.Open = append(a.Open, openOrder(v1.OpenKind_OPEN_KIND_TOP_UP_CHECKING, o))
	}
	for _, o := range v.Late {
		a.Open = append(a.Open, openOrder(v1.OpenKind_OPEN_KIND_TOP_UP_LATE, o))
	}
	for _, l := range v.OpenLoads {
		a.Open = append(a.Open, &v1.OpenItem{
			Kind: v1.OpenKind_OPEN_KIND_LOAD_DOUBT, AmountFen: int64(l.Amount),
			Since: timestamppb.New(l.Created), OrderNo: l.OrderNo,
		})
		toLoad -= l.Amount // told of already
	}
	for _, d := range v.Doubts {
		where := places.At(d.Terminal, d.Made)
		a.Open = append(a.Open, &v1.OpenItem{
			Kind: v1.OpenKind_OPEN_KIND_PURCHASE_DOUBT, AmountFen: int64(d.Amount), Since: timestamppb.New(d.Made),
			Place: d.Place, PlaceZh: where.ZH, PlaceEn: where.EN,
		})
	}
	if toLoad > 0 {
		a.Open = append(a.Open, &v1.OpenItem{
			Kind: v1.OpenKind_OPEN_KIND_NOT_LEVEL, AmountFen: int64(toLoad), Since: timestamppb.New(v.Credited),
		})
	}
	return a
}

func openOrder(kind v1.OpenKind, o store.Order) *v1.OpenItem {
	return &v1.OpenItem{Kind: kind, AmountFen: int64(o.Amount), Since: timestamppb.New(o.Created), OrderNo: o.No}
}

// toLoad returns by how much a purse is behind its account: never more than
// it may hold, and 0 when it is level or ahead.
func (s *Server) toLoad(available, mirror money.Fen) money.Fen {
	return max(min(available, s.Policy.PurseCeiling)-mirror, 0)
}
