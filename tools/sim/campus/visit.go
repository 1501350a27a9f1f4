package campus

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/request"
	"quancun/kiosk/service/pay"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/biller/setup"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// order is a top-up as the payer knows it: from the moment in which its code is
// on a screen, it may be paid.
type order struct {
	no     string
	holder *holder
	amount money.Fen
	shown  time.Time
}

// visit is a holder at a kiosk who has put the card down and typed the PIN.
type visit struct {
	*machine
	holder  *holder
	card    *plastic
	info    purse.Info
	session client.Session
}

// visit lets a holder top up, or only bring the card level.
func (m *machine) visit(ctx context.Context, h *holder) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		return
	}
	m.elsewhere(ctx, v)
	if m.campus.dice.OneIn(2) {
		v.topUp(ctx)
	}
	v.load(ctx)
}

// atKiosk lets a holder sign in, or reports that it did not come to that.
func (m *machine) atKiosk(ctx context.Context, h *holder) (*visit, bool) {
	v := &visit{machine: m, holder: h, card: h.card.lay()}
	var err error
	if v.info, err = purse.Open(v.card, m.campus.works.Profile); err != nil {
		m.campus.note("%s: card %s not read: %v", m.name, v.card.name(), err)
		return nil, false
	}
	known, err := m.client.LookUpCard(ctx, v.card.no)
	if err != nil || known.Status != client.CardActive {
		return nil, false
	}
	v.session, _, err = m.client.SignIn(ctx, v.card.no, known.Challenge, (*[6]byte)([]byte(works.PIN)))
	if err != nil {
		m.campus.note("%s: sign-in of %s: %v", m.name, h.account, err)
		return nil, false
	}
	if p := m.campus.works.Profile.PIN; p.ForLoad {
		err = purse.VerifyPIN{
			PIN: (*purse.PIN)([]byte(works.PIN)), Encoding: profile.PINEncoding(p.Encoding), Key: p.Key,
		}.Send(v.card)
	}
	return v, err == nil
}

// topUp orders at a kiosk, pays or walks away, and loads the card.
func (v *visit) topUp(ctx context.Context) {
	c := v.campus
	o := &order{no: c.ref(v.station.ID + "_"), holder: v.holder, amount: yuan + c.dice.Amount(100*yuan)}
	intent := journal.Entry{Kind: journal.TopUpIntent, Ref: o.no, Card: v.card.no, Amount: o.amount}
	if _, err := v.append(ctx, intent); err != nil {
		return
	}
	t, err := v.client.CreateTopUp(ctx, v.session, o.no, o.amount)
	c.note("%s: order %s of %s: %v", v.name, o.no, o.amount, err)
	if refused(err) {
		v.end(ctx, o.no, journal.Refused)
		return
	}
	if err != nil || t.QR == "" {
		return // nobody knows, and nobody has seen a code: the keeper goes on
	}
	if _, err := v.append(ctx, journal.Entry{Kind: journal.TopUpShown, Ref: o.no}); err != nil {
		return
	}
	o.shown = c.world.Now
	c.orders = append(c.orders, o)
	c.world.Pass(time.Duration(c.dice.Between(4, 60)) * time.Second)
	if c.dice.OneIn(4) {
		return // walks away, and pays later or never
	}
	c.payments.Pay(o.no)
	c.office.attend(ctx)
	t, err = v.client.GetTopUp(ctx, o.no, client.TopUpWaiting, 0)
	if outcome := orderEnd(t.State); err == nil && outcome != 0 {
		v.end(ctx, o.no, outcome)
	}
}

func (v *visit) end(ctx context.Context, no string, o journal.Outcome) {
	_, _ = v.append(ctx, journal.Entry{Kind: journal.TopUpEnd, Ref: no, Outcome: o})
}

// orderEnd says what a state means to a journal; 0 while nobody knows.
func orderEnd(s client.TopUpState) journal.Outcome {
	switch s {
	case client.TopUpPaid:
		return journal.Paid
	case client.TopUpClosed, client.TopUpReturned:
		return journal.Closed
	}
	return 0
}

func refused(err error) bool {
	var no *client.Refusal
	return errors.As(err, &no)
}

// load brings the card level with the account.
func (v *visit) load(ctx context.Context) {
	c := v.campus
	v.card.maybeTear(2)
	done, err := v.loader.Load(ctx, v.card, kiosk.LoadRequest{Session: v.session, Card: v.info},
		func(kiosk.LoadStage, money.Fen) {})
	c.note("%s: load of %s: %s, %v", v.name, v.card.name(), done.Amount, err)
}

// payLate lets payments cross the cancellation of their orders.
func (c *Campus) payLate() {
	for _, o := range c.orders {
		crosses := c.payments.Closed(o.no) && c.world.Now.Sub(o.shown) < time.Hour
		if crosses && !c.healed && c.dice.OneIn(3) {
			c.note("phone pays %s, which is closed: %t", o.no, c.payments.Pay(o.no))
		}
	}
}

// pay lets somebody pay an order whose code they have seen, in time or too late.
func (c *Campus) pay() {
	if len(c.orders) == 0 {
		return
	}
	o := virtual.Pick(c.dice, c.orders[max(0, len(c.orders)-3):]) // nobody remembers older ones
	if c.world.Now.Sub(o.shown) > time.Hour {
		return // no code lives so long
	}
	c.note("phone pays %s: %t", o.no, c.payments.Pay(o.no))
}

// room is where everybody lives, as a bill names it, and as a journal does.
var (
	room  = []bill.Place{{Kind: bill.Area, ID: "1", Name: "东区"}, {Kind: bill.Room, ID: "101", Name: "101"}}
	notes = map[string]json.RawMessage{
		setup.NetworkName: json.RawMessage(`{"biller":"network"}`),
		setup.ElectricityName: json.RawMessage(`{"biller":"electricity","room":[` +
			`{"kind":1,"id":"1","name":"东区"},{"kind":4,"id":"101","name":"101"}]}`),
	}
)

// bill lets a holder pay the network fee, or for electricity: written down, asked
// for, and written down how it came out. What nobody knows yet is the keeper's.
func (m *machine) bill(ctx context.Context, h *holder) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		return
	}
	c := m.campus
	o := bill.Order{
		OrderNo: c.ref(m.station.ID + "_"), Biller: setup.NetworkName, Amount: yuan + c.dice.Amount(40*yuan),
	}
	if c.dice.OneIn(4) { // the other biller can be asked, in more ways that go wrong
		o.Biller, o.Room = setup.ElectricityName, room
	}
	outcome, err := m.requests.Do(ctx, request.Request{
		Ref: o.OrderNo, Service: pay.Service, Account: h.account, Amount: o.Amount, What: notes[o.Biller],
	}, func(ctx context.Context) (journal.Outcome, error) { return v.pay(ctx, o) })
	c.note("%s: bill %s of %s to %s by %s: %s, %v", m.name, o.OrderNo, o.Amount, o.Biller, h.account, outcome, err)
}

// pay has the upstream pay a bill, and returns what it came to, as far as somebody
// knows. Who does not want to wait for a biller that is down ends it.
func (v *visit) pay(ctx context.Context, o bill.Order) (journal.Outcome, error) {
	desk := bill.New(v.client)
	b, err := desk.Pay(ctx, v.session, o)
	if err == nil && b.State == bill.Held && v.campus.dice.OneIn(2) {
		b, err = desk.End(ctx, v.session, o)
	}
	switch {
	case refused(err), err == nil && b.State == bill.Released:
		return journal.NotDone, err
	case err == nil && b.State == bill.Paid:
		return journal.Done, nil
	}
	return 0, err
}
