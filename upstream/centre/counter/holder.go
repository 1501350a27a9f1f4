package counter

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/centre"
	"quancun/upstream/server"
	v1 "quancun/upstream/wire/quancun/v1"
)

// FindHolder implements the contract.
func (s *Server) FindHolder(ctx context.Context, q *connect.Request[v1.FindHolderRequest],
) (*connect.Response[v1.FindHolderResponse], error) {
	n, err := s.clerk(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	key := centre.Key{
		Account: q.Msg.GetAccount(), Card: strings.ToUpper(q.Msg.GetCardNo()), Number: q.Msg.GetNumber(),
	}
	p, err := s.desk.Find(ctx, key)
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_HOLDER_UNKNOWN)
	}
	token, err := s.Sessions.Token(ctx, n)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.FindHolderResponse{Holder: s.holder(p), Session: token}), nil
}

// LookUpRegister implements the contract.
func (s *Server) LookUpRegister(ctx context.Context, q *connect.Request[v1.LookUpRegisterRequest],
) (*connect.Response[v1.LookUpRegisterResponse], error) {
	if _, err := s.clerk(ctx, q.Msg.Session); err != nil {
		return nil, err
	}
	name, err := s.desk.Registered(ctx, q.Msg.Number)
	if err != nil {
		return nil, explain(err, v1.CentreReason_CENTRE_REASON_HOLDER_UNKNOWN)
	}
	return connect.NewResponse(&v1.LookUpRegisterResponse{Name: name}), nil
}

func (s *Server) holder(p centre.Person) *v1.CentreHolder {
	h := &v1.CentreHolder{
		Account: p.Account.No(), Name: p.Name, MaskedName: server.MaskName(p.Name), Number: p.Number,
		Closed: !p.Closed.IsZero(), Until: timestamp(p.Until),
		BalanceFen: int64(p.Balance), AvailableFen: int64(p.Balance - p.Held),
		DailyLimitFen: int64(s.Terms.DailyLimit), TopUpMaxFen: int64(s.topUpMax(p)),
		PinLocked: p.PINLocked, ReplacementFeeFen: int64(s.Terms.ReplacementFee),
	}
	if p.Limit != nil {
		h.DailyLimitFen, h.OwnLimit = int64(*p.Limit), true
	}
	for _, c := range p.Cards {
		m := &v1.CentreCard{CardNo: c.No, Status: v1.CardStatus(c.Status), PurseFen: int64(c.Mirror), Uid: c.UID}
		if f, ok := p.Found[c.No]; ok {
			m.Found = &v1.FoundCard{
				Place: f.Terminal, At: timestamppb.New(f.At), PlaceZh: f.Where.ZH, PlaceEn: f.Where.EN,
			}
		}
		if r, ok := p.Refused[c.No]; ok {
			m.NameRefused = &v1.NameRefused{
				StatusWord: uint32(r.Status), At: timestamppb.New(r.At), Place: r.Terminal,
				PlaceZh: r.Where.ZH, PlaceEn: r.Where.EN,
			}
		}
		h.Cards = append(h.Cards, m)
	}
	for _, o := range p.Open {
		h.Open = append(h.Open, &v1.OpenItem{
			Kind: openKinds[o.Kind], AmountFen: int64(o.Amount), Since: timestamppb.New(o.Since), Place: o.Place,
		})
	}
	for _, a := range p.Acts {
		h.Acts = append(h.Acts, said(a))
	}
	return h
}

var openKinds = map[centre.OpenKind]v1.OpenKind{
	centre.OpenTopUp: v1.OpenKind_OPEN_KIND_TOP_UP_CHECKING, centre.OpenLoad: v1.OpenKind_OPEN_KIND_LOAD_DOUBT,
	centre.OpenSale: v1.OpenKind_OPEN_KIND_PURCHASE_DOUBT, centre.OpenHold: v1.OpenKind_OPEN_KIND_HOLD,
	centre.OpenLostSale: v1.OpenKind_OPEN_KIND_PURCHASE_LOST, centre.OpenBill: v1.OpenKind_OPEN_KIND_BILL,
	centre.OpenBath: v1.OpenKind_OPEN_KIND_BATH,
}

// said is an act on the wire.
func said(a centre.Act) *v1.CentreDone {
	return &v1.CentreDone{
		Act: &v1.CentreAct{
			Ref: a.Ref, Kind: int32(a.Kind), Account: a.Account.No(), Document: int32(a.Document), CardNo: a.Card,
		},
		Place: a.Place, Clerk: a.Clerk, Before: a.Before, After: a.After, At: timestamppb.New(a.At),
	}
}

// timestamp returns a time, and nothing for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
