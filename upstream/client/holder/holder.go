// Package holder is how a terminal asks for what is of the holder who is signed
// in, beside the balance: open money, records and copies of receipts, limits, a code
// for a phone, and the check of a new card.
//
// It has its calls in common with package client, and its rule: no error is "done",
// a *client.Refusal is "certainly nothing has happened", and every other error is
// "unknown". None of the calls moves money, so each may be made again.
package holder

import (
	"context"
	"net/url"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// quick is the deadline of calls, for callers that set no earlier one.
const quick = 5 * time.Second

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	rpc     quancunv1connect.HolderServiceClient
	address string // host:port of the upstream
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	d := &Desk{rpc: quancunv1connect.NewHolderServiceClient(w.HTTP, w.URL, w.Options...)}
	if u, err := url.Parse(w.URL); err == nil {
		d.address = u.Host
	}
	return d
}

// Sort says why money is on its way. Numbers as on the wire.
type Sort int

// The sorts of open money.
const (
	TopUpWaiting  Sort = 1  // can still be paid
	TopUpChecking Sort = 2  // nobody knows yet whether it was paid
	TopUpLate     Sort = 3  // was paid after the machine had given up, and is on the account
	TopUpReturned Sort = 4  // was paid, and given back by the channel
	LoadDoubt     Sort = 5  // the card left while it was being written
	PurchaseDoubt Sort = 6  // the card left while it was paying; the amount is set aside
	Sale          Sort = 7  // approved, and the till has not told yet what became of it
	BillHeld      Sort = 8  // the biller is not reached
	BillChecking  Sort = 9  // nobody knows yet whether the biller has booked it
	BathReserved  Sort = 10 // for a shower
	BathUnsettled Sort = 11 // its slot is over, and the controller has not told
	Owed          Sort = 12 // the account is below zero
	Inquiry       Sort = 13 // people look into a movement of the account
)

// Open is money that is on its way.
type Open struct {
	Sort    Sort
	Amount  money.Fen
	Since   time.Time    // zero if nobody knows
	Ref     string       // by which people find it again
	Place   string       // terminal, merchant, bath, or who is paid
	CardEnd string       // of a card in doubt: the last digits of its number
	Held    bool         // it is part of the balance, and not available
	People  bool         // people have to find out
	Due     time.Time    // until then it is decided by itself; zero: no time can be promised
	Heard   time.Time    // when the terminal that has to tell was last heard of
	Where   client.Place // the terminal stood
}

// Purchase is what a card writes down of a purchase itself.
type Purchase struct {
	TerminalNo pboc.TerminalNo
	Stamp      pboc.Stamp
	Amount     money.Fen
}

// Standing is an account, with all that is open of it.
type Standing struct {
	Balance money.Fen
	Held    money.Fen // of it
	Kept    money.Fen // of what is available: only the card may spend it
	Open    []Open    // the oldest first

	Purse     money.Fen  // what the card's purse holds by the books
	Purchases []Purchase // of the card, which terminals have told of: the last ones

	Terminals map[pboc.TerminalNo]Terminal // those of the card's log that are known
}

// Terminal is one that a card has in its log.
type Terminal struct {
	ID    string
	Where client.Place
}

// Card is the one that lies at the terminal. Its zero value is none.
type Card struct {
	No  string
	Log []pboc.TerminalNo // the terminals in it
}

// Open returns all money of the holder that is on its way, and what the books say of
// the card that lies there, and of the terminals in its log; its number "" is none. It is
// told also to who has a lost card.
func (d *Desk) Open(ctx context.Context, session client.Session, c Card) (s Standing, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	q := &v1.ListOpenMoneyRequest{Session: session, CardNo: c.No}
	for _, no := range c.Log {
		q.TerminalNos = append(q.TerminalNos, no[:])
	}
	r, err := d.rpc.ListOpenMoney(ctx, connect.NewRequest(q))
	if err != nil {
		return Standing{}, client.Explain("list open money", err)
	}
	s.Balance, s.Held = money.Fen(r.Msg.BalanceFen), money.Fen(r.Msg.HeldFen)
	s.Kept, s.Purse = money.Fen(r.Msg.KeptFen), money.Fen(r.Msg.PurseFen)
	for _, p := range r.Msg.Purchases {
		b := Purchase{Amount: money.Fen(p.AmountFen)}
		copy(b.TerminalNo[:], p.TerminalNo)
		copy(b.Stamp[:], p.Stamp)
		s.Purchases = append(s.Purchases, b)
	}
	s.Terminals = terminals(r.Msg.Terminals)
	for _, o := range r.Msg.Open {
		s.Open = append(s.Open, Open{
			Sort: Sort(o.Sort), Amount: money.Fen(o.AmountFen), Since: at(o.Since), Ref: o.Ref, Place: o.Place,
			CardEnd: o.CardEnd, Held: o.Held, People: o.People, Due: at(o.Due), Heard: at(o.Heard),
			Where: client.Place{ZH: o.PlaceZh, EN: o.PlaceEn},
		})
	}
	return s, nil
}

func terminals(all []*v1.TerminalPlace) map[pboc.TerminalNo]Terminal {
	m := make(map[pboc.TerminalNo]Terminal, len(all))
	for _, t := range all {
		var no pboc.TerminalNo
		copy(no[:], t.TerminalNo)
		m[no] = Terminal{t.Terminal, client.Place{ZH: t.PlaceZh, EN: t.PlaceEn}}
	}
	return m
}

// Record is a movement of an account, or a load of a card's purse.
type Record struct {
	client.Movement
	ID       string
	Title    string // who was paid, or which bath; "" for what has none
	RecordNo string // the biller's
}

// Filter says which records are wanted.
type Filter struct {
	Kinds    []client.MovementKind // empty for all
	From, To time.Time             // zero for no bound; To is not included
	Page     int                   // from 0
	Size     int                   // 1 to 50
}

// Records returns a page of the holder's records, newest first, and how many pages
// there are.
func (d *Desk) Records(ctx context.Context, session client.Session, f Filter) (all []Record, pages int, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	q := &v1.ListRecordsRequest{Session: session, Page: int32(f.Page), PageSize: int32(f.Size)}
	for _, k := range f.Kinds {
		q.Kinds = append(q.Kinds, v1.MovementKind(k))
	}
	if !f.From.IsZero() {
		q.From = timestamppb.New(f.From)
	}
	if !f.To.IsZero() {
		q.To = timestamppb.New(f.To)
	}
	r, err := d.rpc.ListRecords(ctx, connect.NewRequest(q))
	if err != nil {
		return nil, 0, client.Explain("list records", err)
	}
	for _, m := range r.Msg.Records {
		all = append(all, record(m))
	}
	return all, int(r.Msg.Pages), nil
}

// Receipt returns a record, and the code of a copy of its receipt, which the campus
// has signed. Refusal: OrderUnknown.
func (d *Desk) Receipt(ctx context.Context, session client.Session, id string) (r Record, code string, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	p, err := d.rpc.GetRecord(ctx, connect.NewRequest(&v1.GetRecordRequest{Session: session, Id: id}))
	if err != nil {
		return Record{}, "", client.Explain("get record", err)
	}
	return record(p.Msg.Record), p.Msg.Copy, nil
}

func record(m *v1.Record) Record {
	v := m.GetMovement()
	return Record{
		ID: m.GetId(), Title: m.GetTitle(), RecordNo: m.GetRecordNo(),
		Movement: client.Movement{
			At: at(v.GetAt()), Kind: client.MovementKind(v.GetKind()), Amount: money.Fen(v.GetAmountFen()),
			Balance: money.Fen(v.GetBalanceFen()), Place: v.GetPlace(), Ref: v.GetRef(),
			Where: client.Place{ZH: v.GetPlaceZh(), EN: v.GetPlaceEn()},
		},
	}
}

// Limits are what the holder may spend.
type Limits struct {
	Daily       money.Fen // above it the PIN is asked for
	Own         bool      // set for this holder, and not the school's
	Spent       money.Fen // today, as far as it is known
	CardReserve money.Fen // that only the card may spend
	Purse       money.Fen // the most that a card holds
	Balance     money.Fen // no top-up lifts the account above it
	Phones      bool      // the school has virtual cards
	Code        money.Fen // of one code of a phone, where nobody can be asked
	CodeDay     money.Fen // in a day, likewise
	Phone       string    // the holder's, as it calls itself
	PhoneSince  time.Time // zero: the holder has none
	Until       time.Time // when the account ends; zero: it does not
}

// Limits returns the holder's.
func (d *Desk) Limits(ctx context.Context, session client.Session) (Limits, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetLimits(ctx, connect.NewRequest(&v1.GetLimitsRequest{Session: session}))
	if err != nil {
		return Limits{}, client.Explain("get limits", err)
	}
	m := r.Msg
	l := Limits{
		Daily: money.Fen(m.DailyFen), Own: m.Own, Spent: money.Fen(m.SpentFen), Purse: money.Fen(m.PurseFen),
		Balance: money.Fen(m.BalanceFen), Phones: m.Phones, Code: money.Fen(m.CodeFen),
		CodeDay: money.Fen(m.CodeDayFen), Phone: m.Phone, PhoneSince: at(m.PhoneSince), Until: at(m.Until),
	}
	l.CardReserve = money.Fen(m.CardReserveFen)
	return l, nil
}

// Invitation is what a phone scans to become the holder's virtual card.
type Invitation struct {
	Text    string // secret: whoever scans it first is the holder's phone
	Expires time.Time
}

// Invite makes one, in which the upstream is where this terminal finds it unless
// the school says otherwise. Refusal: AccountUnknown for who can have none.
func (d *Desk) Invite(ctx context.Context, session client.Session) (Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.InvitePhone(ctx, connect.NewRequest(&v1.InvitePhoneRequest{Session: session}))
	if err != nil {
		return Invitation{}, client.Explain("invite phone", err)
	}
	m := r.Msg
	address := m.Address
	if address == "" {
		address = d.address
	}
	t, err := wire.ParseTicket(address + "/" + m.AccountNo + "/" + m.Code + "/" + m.Ca)
	if err != nil {
		return Invitation{}, err
	}
	return Invitation{t.Text(), at(m.Expires)}, nil
}

// CardCheck is what a holder compares with the card.
type CardCheck struct {
	Wanted     bool // it is new and nobody has compared it yet, or it was corrected since
	Name       string
	Number     string // student or staff number
	InitialPIN bool   // the PIN is still the one that was made from the ID number
}

// CardCheck returns what is to be compared with the card of the session.
func (d *Desk) CardCheck(ctx context.Context, session client.Session) (CardCheck, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetCardCheck(ctx, connect.NewRequest(&v1.GetCardCheckRequest{Session: session}))
	if err != nil {
		return CardCheck{}, client.Explain("get card check", err)
	}
	return CardCheck{r.Msg.Wanted, r.Msg.Name, r.Msg.Number, r.Msg.InitialPin}, nil
}

// CheckCard writes down what the holder has said.
func (d *Desk) CheckCard(ctx context.Context, session client.Session, agrees bool) error {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	_, err := d.rpc.CheckCard(ctx, connect.NewRequest(&v1.CheckCardRequest{Session: session, Agrees: agrees}))
	return client.Explain("check card", err)
}

func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
