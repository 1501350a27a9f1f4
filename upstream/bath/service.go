package bath

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/bathcode"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
	"quancun/water"
)

// Holders says who is signed in at the terminal that calls: package server.
type Holders interface {
	// Holder returns the account of a session, and Spender only if its card may
	// still spend. Both refuse.
	Holder(ctx context.Context, session []byte) (store.Account, error)
	Spender(ctx context.Context, session []byte) (store.Account, error)
}

// Server answers terminals.
type Server struct {
	quancunv1connect.UnimplementedBathServiceHandler

	desk    *Desk
	holders Holders
}

// NewServer returns a server, to be served by the one that knows the holders
// beside its own services.
func NewServer(d *Desk, h Holders) *Server { return &Server{desk: d, holders: h} }

// Handler implements the upstream's services.
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewBathServiceHandler(s, options...)
}

// refused puts a refusal of this package on the wire. Every other error stays an
// unknown outcome.
func refused(err error) error {
	var no *Refusal
	if !errors.As(err, &no) {
		return err
	}
	m := &v1.BathRefusal{Reason: v1.BathReason(no.Reason), LimitFen: int64(no.Limit), KeptFen: int64(no.Kept),
		Tries: int32(no.Tries)}
	if !no.Until.IsZero() {
		m.Until = timestamppb.New(no.Until)
	}
	return &call.Refused{Reason: m.Reason.String(), Detail: m}
}

// ListBaths implements the contract.
func (s *Server) ListBaths(ctx context.Context, _ *connect.Request[v1.ListBathsRequest],
) (*connect.Response[v1.ListBathsResponse], error) {
	halls, err := s.desk.Halls(ctx)
	if err != nil {
		return nil, err
	}
	p := &v1.ListBathsResponse{
		DaysAhead: int32(s.desk.policy.DaysAhead),
		Today:     timestamppb.New(bathcode.DayOf(s.desk.books.Now()).Start()),
		NoShows:   int32(s.desk.policy.NoShows), NoShowDays: int32(s.desk.policy.Span / (24 * time.Hour)),
	}
	for _, h := range halls {
		p.Halls = append(p.Halls, hallOnWire(h))
	}
	return connect.NewResponse(p), nil
}

func hallOnWire(h Hall) *v1.BathHall {
	m := &v1.BathHall{
		Hall: uint32(h.No), Name: h.Name, Whole: h.Whole, CapFen: int64(h.Cap), LitreFen: int64(h.Tariff.PerLitre),
		CancelMinutes: int32(h.Cancel), Closed: h.Closed,
	}
	for _, t := range h.Stalls {
		if !t.Closed {
			m.Stalls++
		}
	}
	for _, t := range h.open() {
		m.Open = append(m.Open, &v1.BathTime{FromMinute: int32(t.From), ToMinute: int32(t.To)})
	}
	return m
}

// open returns when a hall is open: its slots, joined where they touch.
func (h Hall) open() (all []water.Time) {
	slots := slices.SortedFunc(slices.Values(h.Slots), func(a, b Slot) int { return a.From - b.From })
	for _, t := range slots {
		switch last := len(all) - 1; {
		case t.Closed:
		case last >= 0 && all[last].To == t.From:
			all[last].To = t.To
		default:
			all = append(all, t.Time)
		}
	}
	return all
}

// GetBathDay implements the contract.
func (s *Server) GetBathDay(ctx context.Context, q *connect.Request[v1.GetBathDayRequest],
) (*connect.Response[v1.GetBathDayResponse], error) {
	if q.Msg.Hall > 65535 || q.Msg.Ahead < 0 || q.Msg.Ahead > 365 {
		return nil, refused(refuse(Malformed))
	}
	day := bathcode.DayOf(s.desk.books.Now()) + bathcode.Day(q.Msg.Ahead)
	h, all, err := s.desk.Day(ctx, uint16(q.Msg.Hall), day)
	if err != nil {
		return nil, refused(err)
	}
	p := &v1.GetBathDayResponse{Hall: hallOnWire(h), Day: timestamppb.New(day.Start())}
	for _, f := range all {
		m := &v1.BathSlot{
			Slot: uint32(f.Slot), From: timestamppb.New(f.From), To: timestamppb.New(f.To),
			Places: int32(f.Places), Free: int32(f.Free),
		}
		for _, stall := range f.Stalls {
			m.Stalls = append(m.Stalls, uint32(stall))
		}
		p.Slots = append(p.Slots, m)
	}
	return connect.NewResponse(p), nil
}

// ReserveBath implements the contract.
func (s *Server) ReserveBath(ctx context.Context, q *connect.Request[v1.ReserveBathRequest],
) (*connect.Response[v1.ReserveBathResponse], error) {
	m := q.Msg
	if !isRef(m.Ref) || m.Hall > 65535 || m.Stall > 65535 || m.Slot > 255 || !m.Day.IsValid() {
		return nil, refused(refuse(Malformed))
	}
	account, err := s.holders.Spender(ctx, m.Session)
	if err != nil {
		return nil, err
	}
	r, err := s.desk.Reserve(ctx, Request{
		Ref: m.Ref, Terminal: call.Terminal(ctx).ID, Account: account, Hall: uint16(m.Hall), Stall: uint16(m.Stall),
		Day: bathcode.DayOf(m.Day.AsTime()), Slot: uint8(m.Slot),
	})
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.ReserveBathResponse{Reservation: s.onWire(r)}), nil
}

// EndBath implements the contract.
func (s *Server) EndBath(ctx context.Context, q *connect.Request[v1.EndBathRequest],
) (*connect.Response[v1.EndBathResponse], error) {
	if !isRef(q.Msg.Ref) {
		return nil, refused(refuse(Malformed))
	}
	done, err := s.desk.End(ctx, call.Terminal(ctx).ID, q.Msg.Ref)
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.EndBathResponse{Done: done}), nil
}

// CancelBath implements the contract.
func (s *Server) CancelBath(ctx context.Context, q *connect.Request[v1.CancelBathRequest],
) (*connect.Response[v1.CancelBathResponse], error) {
	if !isRef(q.Msg.Act) {
		return nil, refused(refuse(Malformed))
	}
	account, err := s.holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	r, err := s.desk.Cancel(ctx, Act{q.Msg.Act, call.Terminal(ctx).ID, account, q.Msg.Ref})
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.CancelBathResponse{Reservation: s.onWire(r)}), nil
}

// ListBathReservations implements the contract.
func (s *Server) ListBathReservations(ctx context.Context, q *connect.Request[v1.ListBathReservationsRequest],
) (*connect.Response[v1.ListBathReservationsResponse], error) {
	account, err := s.holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	all, err := s.desk.Mine(ctx, account)
	if err != nil {
		return nil, err
	}
	p := &v1.ListBathReservationsResponse{}
	for _, r := range all {
		p.Reservations = append(p.Reservations, s.onWire(r))
	}
	return connect.NewResponse(p), nil
}

// CloseBath implements the contract.
func (s *Server) CloseBath(ctx context.Context, q *connect.Request[v1.CloseBathRequest],
) (*connect.Response[v1.CloseBathResponse], error) {
	if !isRef(q.Msg.Act) {
		return nil, refused(refuse(Malformed))
	}
	account, err := s.holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	r, err := s.desk.Close(ctx, Closing{Act{q.Msg.Act, call.Terminal(ctx).ID, account, q.Msg.Ref}, q.Msg.Stub})
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.CloseBathResponse{Reservation: s.onWire(r)}), nil
}

// TakeBathReport implements the contract.
func (s *Server) TakeBathReport(ctx context.Context, q *connect.Request[v1.TakeBathReportRequest],
) (*connect.Response[v1.TakeBathReportResponse], error) {
	t, err := s.desk.Take(ctx, call.Terminal(ctx).ID, q.Msg.Line)
	if err != nil {
		return nil, refused(err)
	}
	return connect.NewResponse(&v1.TakeBathReportResponse{
		Again: t.Again, Uses: int32(t.Uses), PaidFen: int64(t.Paid), Freed: int32(t.Freed), Listed: int32(t.Listed),
	}), nil
}

// onWire returns a reservation as its holder sees it, with its code for as long as
// that is one to show.
func (s *Server) onWire(r Reservation) *v1.BathReservation {
	grace := s.desk.policy.Grace
	m := &v1.BathReservation{
		Ref: r.Ref, Hall: uint32(r.Slot.Place.Hall), HallName: r.HallName, Stall: uint32(r.Slot.Place.Stall),
		Slot: uint32(r.Slot.No), From: timestamppb.New(r.From), To: timestamppb.New(r.To),
		CancelTill: timestamppb.New(r.CancelTill), Made: timestamppb.New(r.Made), CapFen: int64(r.Cap),
		LitreFen: int64(r.Tariff.PerLitre), State: v1.BathState(r.State), Moved: timestamppb.New(r.Moved),
		Hold: v1.BathHold(r.Hold), CapturedFen: int64(r.Captured),
		Opens: timestamppb.New(r.From.Add(-grace)), OpensTill: timestamppb.New(r.To.Add(grace)),
		ReleasedBy: timestamppb.New(r.To.Add(s.desk.policy.ReleasedIn)), Closed: r.Stub != nil,
		Number: new(uint32(r.N)),
	}
	if r.opens(s.desk.books.Now(), grace) {
		m.Code = string(s.desk.Code(r))
	}
	if u := r.Use; u != nil {
		m.Use = &v1.BathUse{
			Stall: uint32(u.Stall), Start: timestamppb.New(time.Unix(u.Start, 0)),
			End: timestamppb.New(time.Unix(u.End, 0)), Millilitres: u.Pulses * 1000 / r.Tariff.PulsesPerLitre,
			AmountFen: int64(u.Amount), Pauses: int32(u.Pauses), Ending: int32(u.Ending),
		}
	}
	return m
}

func isRef(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	return 1 <= len(s) && len(s) <= 64 && strings.Trim(s, letters) == ""
}
