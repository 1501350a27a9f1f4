// Package service answers terminals about bills: which billers there are, how a
// network account or a room's meter stands, and what becomes of a bill.
//
// It knows whom a session is of and what a vendor is asked; what happens to money
// is package biller's.
package service

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/biller"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/server"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

const (
	// waitMax is the longest that GetBill waits.
	waitMax = 20 * time.Second

	// lookAgain is how often it looks at the books while it waits, since another
	// upstream on the same books may have moved the bill.
	lookAgain = 2 * time.Second

	// lookUpMax is how long a vendor may take to say how something stands: somebody
	// stands there and waits.
	lookUpMax = 8 * time.Second

	// listMax is how many bills a holder is shown.
	listMax = 20

	// roomsMax is how many of a holder's rooms are offered: this year's, and the one
	// before.
	roomsMax = 3
)

// Holders says whose a session is. Spender only does if the card may be used.
type Holders interface {
	Holder(ctx context.Context, session []byte) (store.Account, error)
	Spender(ctx context.Context, session []byte) (store.Account, error)
}

// Books says who a holder is.
type Books interface {
	Holder(ctx context.Context, a store.Account) (store.Holder, error)
}

// Biller is a biller as terminals see it. One of Network and Rooms is set.
type Biller struct {
	Name              string
	TitleZH, TitleEN  string
	Default, Min, Max money.Fen
	Network           *srun.Client
	Rooms             electricity.Vendor
	Pays              bool // it is in the desk too
}

// Config is what a service is made of.
type Config struct {
	Desk    *biller.Desk
	Holders Holders
	Books   Books
	Billers []Biller // in the order in which they are shown
}

// Service answers terminals.
type Service struct{ Config }

// New returns a service.
func New(c Config) *Service { return &Service{c} }

// Handler returns where the calls arrive. It belongs behind package server's,
// which says which terminal asks.
func (s *Service) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewBillServiceHandler(s, options...)
}

func (s *Service) biller(name string) (Biller, error) {
	for _, b := range s.Billers {
		if b.Name == name {
			return b, nil
		}
	}
	return Biller{}, call.Refuse(v1.Reason_REASON_MALFORMED)
}

// ListBillers implements the contract.
func (s *Service) ListBillers(context.Context, *connect.Request[v1.ListBillersRequest],
) (*connect.Response[v1.ListBillersResponse], error) {
	var m v1.ListBillersResponse
	for _, b := range s.Billers {
		w := &v1.Biller{
			Name: b.Name, Kind: v1.BillerKind_BILLER_KIND_NETWORK, TitleZh: b.TitleZH, TitleEn: b.TitleEN,
			Pays: b.Pays, DefaultFen: int64(b.Default), MinFen: int64(b.Min), MaxFen: int64(b.Max),
		}
		if b.Rooms != nil {
			w.Kind = v1.BillerKind_BILLER_KIND_ELECTRICITY
		}
		h, _ := s.Desk.Health(b.Name)
		w.DownSince, w.Answered = stamp(h.DownSince), stamp(h.Answered)
		m.Billers = append(m.Billers, w)
	}
	return connect.NewResponse(&m), nil
}

// asked is a bill as the terminal that calls describes it. Who is not signed in any
// more is named by account.
type asked struct {
	session     []byte
	account     string
	no, biller  string
	amount      int64
	room        []*v1.Place
	meter, name string
}

// bill returns what is asked for, if it can be.
func (s *Service) bill(ctx context.Context, q asked) (biller.Bill, error) {
	account, err := s.whose(ctx, q)
	if err != nil {
		return biller.Bill{}, err
	}
	b, err := s.biller(q.biller)
	if err != nil {
		return biller.Bill{}, err
	}
	out := biller.Bill{
		No: q.no, Terminal: call.Terminal(ctx).ID, Account: account, Biller: b.Name, Amount: money.Fen(q.amount),
		Title: b.TitleZH,
	}
	switch {
	case !isNumber(q.no) || !b.Pays:
		return biller.Bill{}, call.Refuse(v1.Reason_REASON_MALFORMED)
	case out.Amount < b.Min:
		return biller.Bill{}, &call.Refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: b.Min}
	case out.Amount > b.Max:
		return biller.Bill{}, &call.Refusal{Reason: v1.Reason_REASON_AMOUNT_OUT_OF_RANGE, Limit: b.Max}
	case b.Rooms == nil:
		h, err := s.Books.Holder(ctx, account)
		out.Target = h.Number
		return out, err
	}
	path := pathOf(q.room)
	out.Title = strings.TrimSpace(b.TitleZH + " " + path.Title() + " " + q.name)
	if out.Target, err = electricity.Target(path, q.meter); err != nil || len(q.meter) > 100 || len(q.name) > 100 {
		return biller.Bill{}, call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	return out, nil
}

// whose returns the account of who asks, or asked before the terminal was killed.
func (s *Service) whose(ctx context.Context, q asked) (store.Account, error) {
	if q.account == "" {
		return s.Holders.Spender(ctx, q.session)
	}
	h, err := s.Books.Holder(ctx, store.HolderAccount(q.account))
	if errors.Is(err, store.ErrNone) {
		err = call.Refuse(v1.Reason_REASON_ACCOUNT_UNKNOWN)
	}
	return h.Account, err
}

// PayBill implements the contract.
func (s *Service) PayBill(ctx context.Context, q *connect.Request[v1.PayBillRequest],
) (*connect.Response[v1.PayBillResponse], error) {
	m := q.Msg
	b, err := s.bill(ctx, asked{
		session: m.Session, no: m.OrderNo, biller: m.Biller, amount: m.AmountFen, room: m.Room, meter: m.Meter,
		name: m.MeterName,
	})
	if err != nil {
		return nil, err
	}
	if b, err = s.Desk.Order(ctx, b); err != nil {
		return nil, refusal(err)
	}
	return connect.NewResponse(&v1.PayBillResponse{Bill: onWire(b)}), nil
}

// EndBill implements the contract.
func (s *Service) EndBill(ctx context.Context, q *connect.Request[v1.EndBillRequest],
) (*connect.Response[v1.EndBillResponse], error) {
	m := q.Msg
	b, err := s.bill(ctx, asked{
		session: m.Session, account: m.Account, no: m.OrderNo, biller: m.Biller, amount: m.AmountFen, room: m.Room,
		meter: m.Meter,
	})
	if err != nil {
		return nil, err
	}
	if b, err = s.end(ctx, b, m.Account != ""); err != nil {
		return nil, refusal(err)
	}
	return connect.NewResponse(&v1.EndBillResponse{Bill: onWire(b)}), nil
}

// end ends a bill. Without its holder it leaves one alone that is here: the holder
// wanted it paid, and nobody has said otherwise since.
func (s *Service) end(ctx context.Context, b biller.Bill, alone bool) (biller.Bill, error) {
	if alone {
		was, err := s.Desk.Bill(ctx, b.No)
		switch {
		case err == nil && was.Terminal != b.Terminal:
			return biller.Bill{}, store.ErrConflict
		case !errors.Is(err, store.ErrNone):
			return was, err
		}
	}
	return s.Desk.End(ctx, b)
}

// refusal returns what a terminal is told of an order that was not taken. Every
// other error stays an unknown outcome.
func refusal(err error) error {
	var little *biller.NotEnoughError
	switch {
	case errors.As(err, &little):
		return &call.Refusal{Reason: v1.Reason_REASON_NOT_ENOUGH, Limit: little.Available, Kept: little.Kept}
	case errors.Is(err, store.ErrConflict):
		return call.Refuse(v1.Reason_REASON_ORDER_CONFLICT)
	case errors.Is(err, biller.ErrEnded):
		return call.Refuse(v1.Reason_REASON_CARD_RETIRED)
	case errors.Is(err, biller.ErrNoBiller):
		return call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	return err
}

// GetBill implements the contract. It sleeps until the bill has moved, and looks
// at the books then and now and then.
func (s *Service) GetBill(ctx context.Context, q *connect.Request[v1.GetBillRequest],
) (*connect.Response[v1.GetBillResponse], error) {
	timer := time.NewTimer(min(max(time.Duration(q.Msg.WaitMs)*time.Millisecond, 0), waitMax))
	defer timer.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	moved, leave := s.Desk.Watch(q.Msg.OrderNo) // before the first look, so that no move is missed
	defer leave()
	for over := false; ; {
		b, err := s.Desk.Bill(ctx, q.Msg.OrderNo)
		if errors.Is(err, store.ErrNone) || err == nil && b.Terminal != call.Terminal(ctx).ID {
			return nil, call.Refuse(v1.Reason_REASON_ORDER_UNKNOWN)
		}
		if err != nil {
			return nil, err
		}
		if m := onWire(b); over || m.State != q.Msg.Known {
			return connect.NewResponse(&v1.GetBillResponse{Bill: m}), nil
		}
		select {
		case <-moved():
		case <-again.C:
		case <-timer.C:
			over = true
		case <-s.Desk.Over():
			over = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ListBills implements the contract.
func (s *Service) ListBills(ctx context.Context, q *connect.Request[v1.ListBillsRequest],
) (*connect.Response[v1.ListBillsResponse], error) {
	account, err := s.Holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	all, err := s.Desk.BillsOf(ctx, account)
	if err != nil {
		return nil, err
	}
	var m v1.ListBillsResponse
	for _, b := range all[:min(len(all), listMax)] {
		m.Bills = append(m.Bills, onWire(b))
	}
	return connect.NewResponse(&m), nil
}

// onWire returns b as terminals see it. States and causes have the same numbers.
func onWire(b biller.Bill) *v1.Bill {
	return &v1.Bill{
		OrderNo: b.No, Biller: b.Biller, Title: b.Title, AmountFen: int64(b.Amount), Created: stamp(b.Created),
		Deadline: stamp(b.Deadline), State: v1.BillState(b.State), Cause: v1.BillCause(b.Cause), RecordNo: b.RecordNo,
		Late: b.Late, RefundedFen: int64(b.Refunded),
	}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func isNumber(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	return 1 <= len(s) && len(s) <= 64 && strings.Trim(s, letters) == ""
}

// lookUp asks a vendor how something stands, and keeps note of whether it answers.
func lookUp[T any](ctx context.Context, s *Service, b Biller, ask func(context.Context) (T, error)) (T, error) {
	limited, stop := context.WithTimeout(ctx, lookUpMax)
	defer stop()
	v, err := ask(limited)
	if ctx.Err() == nil {
		s.Desk.Note(b.Name, err)
	}
	var unclear *vendor.Unclear
	switch {
	case errors.Is(err, vendor.ErrNoTarget):
		err = call.Refuse(v1.Reason_REASON_ACCOUNT_UNKNOWN)
	case errors.As(err, &unclear):
		err = &call.Refusal{Reason: v1.Reason_REASON_NOT_SAID, Said: unclear.Code, Cause: err}
	}
	return v, err
}

// GetNetwork implements the contract.
func (s *Service) GetNetwork(ctx context.Context, q *connect.Request[v1.GetNetworkRequest],
) (*connect.Response[v1.GetNetworkResponse], error) {
	account, err := s.Holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	b, err := s.biller(q.Msg.Biller)
	if err != nil || b.Network == nil {
		return nil, call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	h, err := s.Books.Holder(ctx, account)
	if err != nil {
		return nil, err
	}
	a, err := lookUp(ctx, s, b, func(ctx context.Context) (srun.Account, error) {
		return b.Network.Account(ctx, h.Number)
	})
	if err != nil {
		return nil, err
	}
	m := &v1.NetworkAccount{
		MaskedUser: server.MaskNumber(a.User), MaskedName: server.MaskName(a.RealName),
		Status: v1.NetworkStatus(a.Status) + 1, WalletFen: int64(a.Wallet),
		FeedsProduct: a.FeedsProduct, Expires: stamp(a.Expires),
	}
	for _, p := range a.Products {
		m.Products = append(m.Products, &v1.NetworkProduct{
			Name: p.Name, Billing: p.Billing, BalanceFen: int64(p.Balance), Checkout: p.Checkout,
		})
	}
	return connect.NewResponse(&v1.GetNetworkResponse{Account: m}), nil
}

// ListPlaces implements the contract.
func (s *Service) ListPlaces(ctx context.Context, q *connect.Request[v1.ListPlacesRequest],
) (*connect.Response[v1.ListPlacesResponse], error) {
	b, err := s.rooms(ctx, q.Msg.Session, q.Msg.Biller)
	if err != nil {
		return nil, err
	}
	places, err := lookUp(ctx, s, b, func(ctx context.Context) ([]electricity.Place, error) {
		return b.Rooms.Places(ctx, pathOf(q.Msg.Above))
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ListPlacesResponse{Places: placesOf(places)}), nil
}

// ListRooms implements the contract. What a holder has paid for is in the books
// already, so nothing is kept for it.
func (s *Service) ListRooms(ctx context.Context, q *connect.Request[v1.ListRoomsRequest],
) (*connect.Response[v1.ListRoomsResponse], error) {
	account, err := s.Holders.Holder(ctx, q.Msg.Session)
	if err != nil {
		return nil, err
	}
	bills, err := s.Desk.BillsOf(ctx, account)
	if err != nil {
		return nil, err
	}
	var m v1.ListRoomsResponse
	for _, room := range roomsOf(bills, q.Msg.Biller) {
		m.Rooms = append(m.Rooms, &v1.RoomPath{Places: placesOf(room)})
	}
	return connect.NewResponse(&m), nil
}

// roomsOf returns the rooms that bills have paid for, in their order.
func roomsOf(bills []biller.Bill, name string) (rooms []electricity.Path) {
	for _, b := range bills {
		if b.Biller != name || b.State != biller.Paid {
			continue
		}
		room, err := electricity.RoomOf(b.Target)
		if err != nil || slices.ContainsFunc(rooms, room.Same) { // a network's user is no room
			continue
		}
		if rooms = append(rooms, room); len(rooms) == roomsMax {
			break
		}
	}
	return rooms
}

func placesOf(p electricity.Path) (all []*v1.Place) {
	for _, x := range p {
		all = append(all, &v1.Place{Kind: v1.PlaceKind(x.Kind), Id: x.ID, Name: x.Name})
	}
	return all
}

// GetRoom implements the contract.
func (s *Service) GetRoom(ctx context.Context, q *connect.Request[v1.GetRoomRequest],
) (*connect.Response[v1.GetRoomResponse], error) {
	b, err := s.rooms(ctx, q.Msg.Session, q.Msg.Biller)
	if err != nil {
		return nil, err
	}
	path := pathOf(q.Msg.Room)
	meters, err := lookUp(ctx, s, b, func(ctx context.Context) ([]electricity.Meter, error) {
		return b.Rooms.Meters(ctx, path)
	})
	if err != nil {
		return nil, err
	}
	m := v1.GetRoomResponse{Title: path.Title()}
	for _, x := range meters {
		w := &v1.Meter{
			Id: x.ID, Name: x.Name, PriceFen: int64(x.Price), ReadAt: stamp(x.ReadAt), Payable: x.Payable && b.Pays,
		}
		if x.Energy != nil {
			w.HasEnergy, w.Energy = true, int64(*x.Energy)
		}
		if x.Money != nil {
			w.HasMoney, w.MoneyFen = true, int64(*x.Money)
		}
		m.Meters = append(m.Meters, w)
	}
	return connect.NewResponse(&m), nil
}

// rooms returns the biller that has them, for a holder who is signed in.
func (s *Service) rooms(ctx context.Context, session []byte, name string) (Biller, error) {
	if _, err := s.Holders.Holder(ctx, session); err != nil {
		return Biller{}, err
	}
	b, err := s.biller(name)
	if err == nil && b.Rooms == nil {
		err = call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	return b, err
}

func pathOf(places []*v1.Place) (p electricity.Path) {
	for _, x := range places {
		p = append(p, electricity.Place{Kind: electricity.Kind(x.GetKind()), ID: x.GetId(), Name: x.GetName()})
	}
	return p
}
