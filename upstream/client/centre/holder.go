package centre

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/upstream/client"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Find is by what a holder is looked for. One of them is set.
type Find struct {
	Account string // account number
	Card    string // number of a card, 20 hexadecimal digits
	Number  string // student or staff number
}

// Holder is all that a clerk has to know.
type Holder struct {
	Account    string // account number
	Name       string // in full, to be compared with the document; nowhere else
	MaskedName string
	Number     string // student or staff number

	Closed             bool
	Until              time.Time // zero unless the account ends by itself
	Balance, Available money.Fen // Available is what is not held
	DailyLimit         money.Fen
	OwnLimit           bool      // set for this holder, and not the school's
	TopUpMax           money.Fen // that may still be taken in cash
	ReplacementFee     money.Fen // the school's; 0 for none
	PINLocked          bool

	Cards []Card
	Open  []Open // what keeps the account from being retired, besides a balance
	Acts  []Done // what was done for them before, the newest first
}

// Card is one of a holder's.
type Card struct {
	No, UID string
	Status  client.CardStatus
	Purse   money.Fen // by the books

	// FoundAt is the terminal on whose reader it was laid since it was lost, at
	// Found; "" for none.
	FoundAt    string
	FoundWhere client.Place // that terminal stood
	Found      time.Time

	// Refused is the status word by which it has refused another name, at RefusedAt; 0:
	// it has refused none. It is not to be tried again.
	Refused      uint16
	RefusedAt    string // terminal
	RefusedWhere client.Place
	RefusedOn    time.Time
}

// Open is something that is under way or in doubt.
type Open struct {
	Kind   client.OpenKind
	Amount money.Fen
	Since  time.Time
	Place  string
}

// Find returns a holder. It also keeps the clerk's session alive. Refusals:
// HolderUnknown, SessionOver, Forbidden.
func (d *Desk) Find(ctx context.Context, clerk string, f Find) (Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return Holder{}, err
	}
	q := &v1.FindHolderRequest{Session: session}
	switch {
	case f.Card != "":
		q.By = &v1.FindHolderRequest_CardNo{CardNo: f.Card}
	case f.Number != "":
		q.By = &v1.FindHolderRequest_Number{Number: f.Number}
	default:
		q.By = &v1.FindHolderRequest_Account{Account: f.Account}
	}
	r, err := d.rpc.FindHolder(ctx, connect.NewRequest(q))
	if err != nil {
		return Holder{}, explain("find holder", err)
	}
	d.client.KeepStaffSession(clerk, r.Msg.Session)
	return holder(r.Msg.Holder), nil
}

// Registered returns how the school's own register calls whoever has a student or
// staff number. Refusal: HolderUnknown if it does not.
func (d *Desk) Registered(ctx context.Context, clerk, number string) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	session, err := d.session(clerk)
	if err != nil {
		return "", err
	}
	r, err := d.rpc.LookUpRegister(ctx, connect.NewRequest(&v1.LookUpRegisterRequest{Session: session, Number: number}))
	if err != nil {
		return "", explain("look up register", err)
	}
	return r.Msg.Name, nil
}

func holder(m *v1.CentreHolder) Holder {
	h := Holder{
		Account: m.GetAccount(), Name: m.GetName(), MaskedName: m.GetMaskedName(), Number: m.GetNumber(),
		Closed: m.GetClosed(), Until: at(m.GetUntil()),
		Balance: money.Fen(m.GetBalanceFen()), Available: money.Fen(m.GetAvailableFen()),
		DailyLimit: money.Fen(m.GetDailyLimitFen()), OwnLimit: m.GetOwnLimit(),
		TopUpMax: money.Fen(m.GetTopUpMaxFen()), ReplacementFee: money.Fen(m.GetReplacementFeeFen()),
		PINLocked: m.GetPinLocked(),
	}
	for _, c := range m.GetCards() {
		h.Cards = append(h.Cards, Card{
			No: c.GetCardNo(), UID: c.GetUid(),
			Status: client.CardStatus(c.GetStatus()), Purse: money.Fen(c.GetPurseFen()),
			FoundAt: c.GetFound().GetPlace(), Found: at(c.GetFound().GetAt()),
			Refused:   uint16(c.GetNameRefused().GetStatusWord()),
			RefusedAt: c.GetNameRefused().GetPlace(), RefusedOn: at(c.GetNameRefused().GetAt()),
			RefusedWhere: client.Place{ZH: c.GetNameRefused().GetPlaceZh(), EN: c.GetNameRefused().GetPlaceEn()},
			FoundWhere:   client.Place{ZH: c.GetFound().GetPlaceZh(), EN: c.GetFound().GetPlaceEn()},
		})
	}
	for _, o := range m.GetOpen() {
		h.Open = append(h.Open, Open{
			client.OpenKind(o.GetKind()), money.Fen(o.GetAmountFen()), at(o.GetSince()), o.GetPlace(),
		})
	}
	for _, a := range m.GetActs() {
		h.Acts = append(h.Acts, done(a))
	}
	return h
}
