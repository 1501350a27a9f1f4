// Package bath is how a terminal reserves a place in a bath for the holder who is
// signed in, and carries reports of water controllers.
//
// It has its calls in common with package client, and its rule: no error is "done",
// a *[Refusal] or *client.Refusal is "certainly nothing has happened", and every
// other error is "unknown". After that the caller asks again under the same ref.
package bath

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/upstream/client"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// quick is the deadline of calls, for callers that set no earlier one.
const quick = 5 * time.Second

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	rpc quancunv1connect.BathServiceClient
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	return &Desk{quancunv1connect.NewBathServiceClient(w.HTTP, w.URL, w.Options...)}
}

// Halls are the baths of the campus.
type Halls struct {
	Halls     []Hall
	DaysAhead int       // today and so many days after it can be reserved
	Today     time.Time // the midnight in Beijing with which today began, by the upstream

	// Who has not come NoShows times in NoShowDays reserves no more, until the first
	// of them is so long ago.
	NoShows, NoShowDays int
}

// Hall is a bath.
type Hall struct {
	No        uint16
	Name      string
	Whole     bool          // a code opens whichever stall is free; else it is of one stall
	Cap       money.Fen     // held for a shower, and the most that it costs
	Litre     money.Fen     // price of a litre
	CancelFor time.Duration // before a slot, until when it can be cancelled
	Closed    bool          // nothing can be reserved
	Stalls    int           // that are open
	Open      []Time        // every day, by their time
}

// Time is a part of a day, from midnight in Beijing.
type Time struct{ From, To time.Duration }

// Day is what is free on a day.
type Day struct {
	Hall  Hall
	Start time.Time // the midnight with which it begins
	Slots []Slot    // by their time
}

// Slot is a time that can be reserved.
type Slot struct {
	No       uint8
	From, To time.Time
	Places   int
	Free     int      // 0 if nothing can be reserved any more
	Stalls   []uint16 // those that are free; none of a whole hall, where nobody chooses
}

// State says how far a reservation has come. Numbers as on the wire.
type State int

// The states of a reservation.
const (
	Reserved  State = 1
	Cancelled State = 2 // in time
	Used      State = 3 // and paid
	NotUsed   State = 4 // the controller has said so
	Unknown   State = 5 // the controller has said nothing for a day
)

// Hold says what has become of the money that is held. Numbers as on the wire.
type Hold int

// The states of a hold.
const (
	Held     Hold = 1
	Captured Hold = 2 // what was used of it; the rest is free
	Released Hold = 3
)

// Reservation is a place in a slot.
type Reservation struct {
	Ref      string
	Hall     uint16
	HallName string
	Stall    uint16 // 0: whichever is free
	Slot     uint8
	From, To time.Time

	CancelTill time.Time
	Made       time.Time
	Cap        money.Fen // held, and the most that it costs
	Litre      money.Fen // price of a litre

	State    State
	Moved    time.Time // when it came to its state
	Hold     Hold
	Captured money.Fen // that was paid
	// ReleasedBy is until when money is held at the latest, whoever says nothing.
	ReleasedBy time.Time
	Closed     bool // by its stub: paid, although the controller's log is not here yet

	// Code is eight digits, for as long as they open: from Opens to OpensTill. They
	// are a secret of the holder. "" for none.
	Code             string
	Opens, OpensTill time.Time
	Number           *uint8 // of the code in its slot; it is no secret. nil: the upstream does not say

	Use *Use // nil until the controller has told of it
}

// Use is what a code was used for, by the controller.
type Use struct {
	Stall       uint16
	Start, End  time.Time
	Millilitres int64
	Amount      money.Fen // Captured of the reservation is what was paid
	Pauses      int
	Ending      Ending
}

// Ending says what has ended a shower. Numbers as on the wire.
type Ending int

// The endings.
const (
	ByKey   Ending = 1 // the cancel key
	ByCap   Ending = 2 // all that was held is used
	ByPause Ending = 3 // nobody went on
	ByTime  Ending = 4 // its slot and the grace were over
	ByPower Ending = 5 // the power was away, and nobody came back
)

// Request asks for a place. The caller has written it down under Ref before.
type Request struct {
	Ref   string // 1 to 64 letters, digits, "_"
	Hall  uint16
	Slot  uint8
	Day   time.Time // any moment of it
	Stall uint16    // 0 for whichever is free
}

// Act names what a holder asks for about a reservation. The caller has written it down
// under Ref before, and asks again under it: it is done once.
type Act struct {
	Ref         string // as of a Request
	Reservation string
}

// Halls returns the baths and when they are open.
func (d *Desk) Halls(ctx context.Context) (Halls, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ListBaths(ctx, connect.NewRequest(&v1.ListBathsRequest{}))
	if err != nil {
		return Halls{}, explain("list baths", err)
	}
	all := Halls{
		DaysAhead: int(r.Msg.DaysAhead), Today: at(r.Msg.Today), NoShows: int(r.Msg.NoShows),
		NoShowDays: int(r.Msg.NoShowDays),
	}
	for _, m := range r.Msg.Halls {
		all.Halls = append(all.Halls, hall(m))
	}
	return all, nil
}

// Day returns what is free in a hall so many days after today. Refusal: HallUnknown.
func (d *Desk) Day(ctx context.Context, hallNo uint16, ahead int) (Day, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetBathDay(ctx, connect.NewRequest(&v1.GetBathDayRequest{
		Hall: uint32(hallNo), Ahead: int32(ahead),
	}))
	if err != nil {
		return Day{}, explain("get bath day", err)
	}
	day := Day{Hall: hall(r.Msg.Hall), Start: at(r.Msg.Day)}
	for _, m := range r.Msg.Slots {
		s := Slot{
			No: uint8(m.Slot), From: at(m.From), To: at(m.To), Places: int(m.Places), Free: int(m.Free),
		}
		for _, n := range m.Stalls {
			s.Stalls = append(s.Stalls, uint16(n))
		}
		day.Slots = append(day.Slots, s)
	}
	return day, nil
}

// Reserve takes a place and holds what a shower may cost. The same request again
// is the same reservation, as it stands by then: it may be cancelled or over.
//
// Refusals: HallUnknown, HallClosed, SlotUnknown, SlotOver, TooFar, SlotFull,
// AlreadyYours, TooMany, NoShows with Until, NotEnough with Limit, Conflict,
// AccountEnded, Ended, GivenUp, and those of the session and its card (client.Refusal).
func (d *Desk) Reserve(ctx context.Context, s client.Session, q Request) (Reservation, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ReserveBath(ctx, connect.NewRequest(&v1.ReserveBathRequest{
		Session: s, Ref: q.Ref, Hall: uint32(q.Hall), Slot: uint32(q.Slot), Day: timestamppb.New(q.Day),
		Stall: uint32(q.Stall),
	}))
	if err != nil {
		return Reservation{}, explain("reserve bath", err)
	}
	return reservation(r.Msg.Reservation), nil
}

// End says whether a request or an act of this terminal's was done, for whoever has gone.
// One that has not come is ended: it never will be. Refusals: Malformed, RefUnknown (of
// another terminal).
func (d *Desk) End(ctx context.Context, ref string) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.EndBath(ctx, connect.NewRequest(&v1.EndBathRequest{Ref: ref}))
	if err != nil {
		return false, explain("end bath", err)
	}
	return r.Msg.Done, nil
}

// Cancel gives a reservation of the session's holder up. Its money stays held for a
// while: see Hold. One that is cancelled already is returned as it stands. Refusals:
// RefUnknown, TooLate, Over, Conflict, Ended, and those of the session.
func (d *Desk) Cancel(ctx context.Context, s client.Session, a Act) (Reservation, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.CancelBath(ctx, connect.NewRequest(&v1.CancelBathRequest{
		Session: s, Ref: a.Reservation, Act: a.Ref,
	}))
	if err != nil {
		return Reservation{}, explain("cancel bath", err)
	}
	return reservation(r.Msg.Reservation), nil
}

// Close has the session's holder pay for a shower by its stub, the eight digits that
// the controller has shown at its end, and frees the rest of what is held. What is paid
// already is returned as it stands. The same act again costs no second try. Refusals:
// Malformed, RefUnknown, Over (nothing is held any more), StubWrong with Tries,
// StubLocked, Conflict, Ended, and those of the session.
func (d *Desk) Close(ctx context.Context, s client.Session, a Act, stub string) (Reservation, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.CloseBath(ctx, connect.NewRequest(&v1.CloseBathRequest{
		Session: s, Ref: a.Reservation, Act: a.Ref, Stub: stub,
	}))
	if err != nil {
		return Reservation{}, explain("close bath", err)
	}
	return reservation(r.Msg.Reservation), nil
}

// Mine returns the reservations of the session's holder, the latest slot first: the
// newest, and all for which money is held.
func (d *Desk) Mine(ctx context.Context, s client.Session) (all []Reservation, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.ListBathReservations(ctx, connect.NewRequest(&v1.ListBathReservationsRequest{Session: s}))
	if err != nil {
		return nil, explain("list bath reservations", err)
	}
	for _, m := range r.Msg.Reservations {
		all = append(all, reservation(m))
	}
	return all, nil
}

// Taken is what a report of a controller has come to.
type Taken struct {
	Again  bool // it was there before, and has changed nothing
	Uses   int  // codes of which it has told for the first time
	Paid   money.Fen
	Freed  int // holds that were let go
	Listed int // lines that somebody has to look at
}

// Take brings a line of a controller's log. It may be brought again, by anybody.
// Refusal: ReportUnknown.
func (d *Desk) Take(ctx context.Context, line []byte) (Taken, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.TakeBathReport(ctx, connect.NewRequest(&v1.TakeBathReportRequest{Line: line}))
	if err != nil {
		return Taken{}, explain("take bath report", err)
	}
	m := r.Msg
	return Taken{m.Again, int(m.Uses), money.Fen(m.PaidFen), int(m.Freed), int(m.Listed)}, nil
}

// Reason says why the upstream refused. The numbers are printed: never renumbered.
type Reason int

// The reasons, as on the wire.
const (
	Malformed     Reason = 1
	HallUnknown   Reason = 2
	HallClosed    Reason = 3
	SlotUnknown   Reason = 4
	SlotOver      Reason = 5
	TooFar        Reason = 6 // so many days ahead nothing is reserved yet
	SlotFull      Reason = 7 // or the stall that was asked for is taken
	AlreadyYours  Reason = 8 // the holder has a place in this slot
	TooMany       Reason = 9
	NoShows       Reason = 10 // the holder has not come too often
	NotEnough     Reason = 11
	Conflict      Reason = 12 // the ref is of another reservation
	RefUnknown    Reason = 13
	TooLate       Reason = 14 // to cancel
	Over          Reason = 15 // it was used, or its slot has passed
	AccountEnded  Reason = 16
	ReportUnknown Reason = 17 // no controller of this campus has made it
	StubWrong     Reason = 18 // it is not of this reservation
	StubLocked    Reason = 19 // too many were wrong: wait for the controller's log
	Ended         Reason = 20 // it was ended before it came
	GivenUp       Reason = 21 // the holder has given places of this slot up as often as anybody may
)

// String returns the name on the wire.
func (r Reason) String() string { return v1.BathReason(r).String() }

// Refusal is the upstream's "no": nothing has happened. Find it with [errors.As].
type Refusal struct {
	Reason Reason
	Limit  money.Fen // with NotEnough: that has to be available
	Kept   money.Fen // with NotEnough: that would be enough, and only the card may spend
	Until  time.Time // with NoShows: when the holder may reserve again
	Tries  int       // with StubWrong: that are left
}

// Error names the reason.
func (r *Refusal) Error() string { return "upstream refused: " + r.Reason.String() }

// explain makes a Refusal of an error that carries one, and leaves every other to
// package client.
func explain(call string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			m, err := d.Value()
			if no, ok := m.(*v1.BathRefusal); err == nil && ok && no.Reason != 0 {
				return &Refusal{
					Reason: Reason(no.Reason), Limit: money.Fen(no.LimitFen), Kept: money.Fen(no.KeptFen),
					Until: at(no.Until), Tries: int(no.Tries),
				}
			}
		}
	}
	return client.Explain(call, err)
}
