// Package bill is how a terminal pays the network fee and electricity for the
// holder who is signed in.
//
// It has its calls in common with package client, and its rule: no error is "done",
// a *client.Refusal is "certainly nothing has happened", and every other error is
// "unknown". After that the caller asks again under the same number. A bill that
// is done is not yet paid: its [State] says.
package bill

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/client"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Deadlines of calls, for callers that set no earlier one. Look-ups wait for the
// vendor, and Pay for it to book.
const (
	quick  = 5 * time.Second
	lookUp = 10 * time.Second
	slow   = 35 * time.Second
)

// WaitMax is the longest that [Desk.Get] waits.
const WaitMax = 20 * time.Second

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	rpc quancunv1connect.BillServiceClient
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	return &Desk{quancunv1connect.NewBillServiceClient(w.HTTP, w.URL, w.Options...)}
}

// BillerKind says what a biller is asked. Numbers as on the wire.
type BillerKind int

// The kinds of billers.
const (
	Network     BillerKind = 1 // [Desk.Network], and bills without a room
	Electricity BillerKind = 2 // [Desk.Places], [Desk.Room], and bills for a meter
)

// Biller is one that bills are paid to.
type Biller struct {
	Name              string
	Kind              BillerKind
	TitleZH, TitleEN  string
	Pays              bool // otherwise it only shows what is left
	Default, Min, Max money.Fen
	DownSince         time.Time // zero while it answers
	Answered          time.Time // when it last did; zero if nobody knows
}

// NetworkStatus says whether somebody may use the network. Numbers as on the wire.
type NetworkStatus int

// The statuses of a network account.
const (
	NetworkNormal   NetworkStatus = 1
	NetworkDisabled NetworkStatus = 2
	NetworkStopped  NetworkStatus = 3 // by the user, who keeps the number (停机保号)
	NetworkPaused   NetworkStatus = 4
	NetworkUnopened NetworkStatus = 5
)

// NetworkAccount has two sorts of balance, which are never added up.
type NetworkAccount struct {
	MaskedUser   string // often a student number
	MaskedName   string
	Status       NetworkStatus
	Wallet       money.Fen
	Products     []NetworkProduct
	FeedsProduct bool      // a bill feeds the product, and not the wallet
	Expires      time.Time // zero for never
}

// NetworkProduct is what a user has subscribed.
type NetworkProduct struct {
	Name, Billing string
	Balance       money.Fen // below zero is owed
	Checkout      string    // the day on which it is charged again: 2026-03-01
}

// PlaceKind is the sort of a place. Numbers as on the wire.
type PlaceKind int

// The sorts, from the top.
const (
	Area     PlaceKind = 1
	Building PlaceKind = 2
	Floor    PlaceKind = 3
	Room     PlaceKind = 4
)

// Place is an area, a building, a floor or a room.
type Place struct {
	Kind PlaceKind
	ID   string // the biller's own
	Name string
}

// Meter is one of a room's. What it shows is energy, or money, or both.
type Meter struct {
	ID      string // "" if a room has one only
	Name    string // such as 照明 or 空调; "" if the biller gives none
	Energy  *int64 // left, in hundredths of a kWh; below zero is owed; nil if not shown
	Money   *money.Fen
	Price   money.Fen // of a kWh; 0 if not said
	ReadAt  time.Time // when the meter was read; zero if not said
	Payable bool
}

// State says how far a bill has come. Numbers as on the wire.
type State int

// The states of a bill.
const (
	Held     State = 1 // the biller has not been reached yet; until the deadline
	Sent     State = 2 // the biller is being told
	Checking State = 3 // nobody knows; the upstream goes on asking
	Paid     State = 4
	Released State = 5 // not paid; the money is free again
	Referred State = 6 // people have to find out; the amount stays held
)

// Cause says why a bill was released. Numbers as on the wire.
type Cause int

// The causes.
const (
	CauseRefused Cause = 1 // the biller says no
	CauseDown    Cause = 2 // it was not reached before the deadline
	CauseEnded   Cause = 3 // by the holder, before it was sent
	CauseAbsent  Cause = 4 // the biller has not booked it
	CausePeople  Cause = 5 // people have found out that it was not booked
)

// Bill is a payment to a biller.
type Bill struct {
	OrderNo  string
	Biller   string
	Title    string
	Amount   money.Fen
	Created  time.Time
	Deadline time.Time // while it is held: when it is released
	State    State
	Cause    Cause  // with Released
	RecordNo string // the biller's, with Paid, if it gives one
	Late     bool   // paid after it was released
	Refunded money.Fen
}

// Order asks for a bill. The caller has written it down under OrderNo before.
type Order struct {
	OrderNo   string
	Biller    string
	Amount    money.Fen
	Room      []Place // of electricity: from the area down
	Meter     string  // Meter.ID
	MeterName string  // Meter.Name, for receipts
}

// Billers returns which there are and how they are. It needs no session.
func (d *Desk) Billers(ctx context.Context) (all []Biller, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ListBillers(ctx, connect.NewRequest(&v1.ListBillersRequest{}))
	if err != nil {
		return nil, client.Explain("list billers", err)
	}
	for _, b := range r.Msg.Billers {
		all = append(all, Biller{
			b.Name, BillerKind(b.Kind), b.TitleZh, b.TitleEn, b.Pays, money.Fen(b.DefaultFen), money.Fen(b.MinFen),
			money.Fen(b.MaxFen), at(b.DownSince), at(b.Answered),
		})
	}
	return all, nil
}

// Network returns how the holder's own network account stands. Refusal:
// AccountUnknown if there is none.
func (d *Desk) Network(ctx context.Context, session []byte, biller string) (NetworkAccount, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	r, err := d.rpc.GetNetwork(ctx, connect.NewRequest(&v1.GetNetworkRequest{Session: session, Biller: biller}))
	if err != nil {
		return NetworkAccount{}, client.Explain("get network account", err)
	}
	m := r.Msg.GetAccount()
	a := NetworkAccount{
		MaskedUser: m.GetMaskedUser(), MaskedName: m.GetMaskedName(), Status: NetworkStatus(m.GetStatus()),
		Wallet: money.Fen(m.GetWalletFen()), FeedsProduct: m.GetFeedsProduct(), Expires: at(m.GetExpires()),
	}
	for _, p := range m.GetProducts() {
		a.Products = append(a.Products, NetworkProduct{p.Name, p.Billing, money.Fen(p.BalanceFen), p.Checkout})
	}
	return a, nil
}

// Places returns what is below a place, all of one kind; the areas are below none.
// Refusal: AccountUnknown if there is nothing.
func (d *Desk) Places(ctx context.Context, session []byte, biller string, above []Place) (all []Place, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	r, err := d.rpc.ListPlaces(ctx, connect.NewRequest(&v1.ListPlacesRequest{
		Session: session, Biller: biller, Above: onWire(above),
	}))
	if err != nil {
		return nil, client.Explain("list places", err)
	}
	return placesOf(r.Msg.Places), nil
}

// Rooms returns the way to each room that the holder has paid for, the newest first:
// at most three.
func (d *Desk) Rooms(ctx context.Context, session []byte, biller string) (rooms [][]Place, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ListRooms(ctx, connect.NewRequest(&v1.ListRoomsRequest{Session: session, Biller: biller}))
	if err != nil {
		return nil, client.Explain("list rooms", err)
	}
	for _, room := range r.Msg.Rooms {
		rooms = append(rooms, placesOf(room.Places))
	}
	return rooms, nil
}

func placesOf(places []*v1.Place) (all []Place) {
	for _, p := range places {
		all = append(all, Place{PlaceKind(p.Kind), p.Id, p.Name})
	}
	return all
}

// Room returns a room's meters, and what it is called. Refusal: AccountUnknown if
// it is not there any more.
func (d *Desk) Room(ctx context.Context, session []byte, biller string, room []Place,
) (title string, all []Meter, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookUp)
	defer cancel()
	r, err := d.rpc.GetRoom(ctx, connect.NewRequest(&v1.GetRoomRequest{
		Session: session, Biller: biller, Room: onWire(room),
	}))
	if err != nil {
		return "", nil, client.Explain("get room", err)
	}
	for _, m := range r.Msg.Meters {
		x := Meter{ID: m.Id, Name: m.Name, Price: money.Fen(m.PriceFen), ReadAt: at(m.ReadAt), Payable: m.Payable}
		if m.HasEnergy {
			x.Energy = &m.Energy
		}
		if m.HasMoney {
			f := money.Fen(m.MoneyFen)
			x.Money = &f
		}
		all = append(all, x)
	}
	return r.Msg.Title, all, nil
}

// Pay holds the amount and has the biller told. It returns as soon as something is
// known: see the bill's state. The same order again is the same bill.
//
// Refusals: NotEnough with what is available, AmountOutOfRange with the bound,
// OrderConflict, CardIsHot and the like, SessionOver, Malformed.
func (d *Desk) Pay(ctx context.Context, session []byte, o Order) (Bill, error) {
	ctx, cancel := context.WithTimeout(ctx, slow)
	defer cancel()
	r, err := d.rpc.PayBill(ctx, connect.NewRequest(&v1.PayBillRequest{
		Session: session, OrderNo: o.OrderNo, Biller: o.Biller, AmountFen: int64(o.Amount), Room: onWire(o.Room),
		Meter: o.Meter, MeterName: o.MeterName,
	}))
	if err != nil {
		return Bill{}, client.Explain("pay bill", err)
	}
	return billOf(r.Msg.Bill), nil
}

// Get returns a bill of this terminal. It waits for its state to differ from known,
// at most for wait, and at most [WaitMax]. It needs no session. Refusal:
// OrderUnknown.
func (d *Desk) Get(ctx context.Context, orderNo string, known State, wait time.Duration) (Bill, error) {
	wait = min(max(wait, 0), WaitMax)
	ctx, cancel := context.WithTimeout(ctx, wait+quick)
	defer cancel()
	r, err := d.rpc.GetBill(ctx, connect.NewRequest(&v1.GetBillRequest{
		OrderNo: orderNo, Known: v1.BillState(known), WaitMs: int32(wait.Milliseconds()),
	}))
	if err != nil {
		return Bill{}, client.Explain("get bill", err)
	}
	return billOf(r.Msg.Bill), nil
}

// End ends a bill that the biller has not heard of yet, and returns what it came
// to. One of which the upstream has never heard is released, and a request for it
// that is still on its way comes too late. Refusal: OrderConflict.
func (d *Desk) End(ctx context.Context, session []byte, o Order) (Bill, error) {
	return d.end(ctx, &v1.EndBillRequest{Session: session}, o)
}

// EndLost ends a bill of which the upstream has never heard, for a holder who is not
// signed in any more, such as after a power cut. One that it has is returned as it
// stands. Refusals: OrderConflict, and those of an order that it would never take:
// AccountUnknown, AmountOutOfRange, Malformed.
func (d *Desk) EndLost(ctx context.Context, account string, o Order) (Bill, error) {
	return d.end(ctx, &v1.EndBillRequest{Account: account}, o)
}

func (d *Desk) end(ctx context.Context, q *v1.EndBillRequest, o Order) (Bill, error) {
	ctx, cancel := context.WithTimeout(ctx, slow) // it may have to wait for the call that sends it
	defer cancel()
	q.OrderNo, q.Biller, q.AmountFen, q.Room, q.Meter = o.OrderNo, o.Biller, int64(o.Amount), onWire(o.Room), o.Meter
	r, err := d.rpc.EndBill(ctx, connect.NewRequest(q))
	if err != nil {
		return Bill{}, client.Explain("end bill", err)
	}
	return billOf(r.Msg.Bill), nil
}

// List returns the holder's newest bills, wherever they were paid.
func (d *Desk) List(ctx context.Context, session []byte) (all []Bill, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ListBills(ctx, connect.NewRequest(&v1.ListBillsRequest{Session: session}))
	if err != nil {
		return nil, client.Explain("list bills", err)
	}
	for _, b := range r.Msg.Bills {
		all = append(all, billOf(b))
	}
	return all, nil
}

func billOf(m *v1.Bill) Bill {
	return Bill{
		OrderNo: m.GetOrderNo(), Biller: m.GetBiller(), Title: m.GetTitle(), Amount: money.Fen(m.GetAmountFen()),
		Created: at(m.GetCreated()), Deadline: at(m.GetDeadline()), State: State(m.GetState()),
		Cause: Cause(m.GetCause()), RecordNo: m.GetRecordNo(), Late: m.GetLate(),
		Refunded: money.Fen(m.GetRefundedFen()),
	}
}

func onWire(places []Place) (all []*v1.Place) {
	for _, p := range places {
		all = append(all, &v1.Place{Kind: v1.PlaceKind(p.Kind), Id: p.ID, Name: p.Name})
	}
	return all
}

func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
