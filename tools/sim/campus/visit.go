package campus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/biller/setup"
	"quancun/upstream/channel"
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
	c.service.pay(o.no)
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
		t := c.service.trades[o.no]
		crosses := t != nil && t.Status == channel.Closed && c.world.Now.Sub(o.shown) < time.Hour
		if crosses && !c.healed && c.dice.OneIn(3) {
			c.note("phone pays %s, which is closed: %t", o.no, c.service.pay(o.no))
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
	c.note("phone pays %s: %t", o.no, c.service.pay(o.no))
}

// room is where everybody lives, as a bill names it.
var room = []bill.Place{{Kind: bill.Area, ID: "1", Name: "东区"}, {Kind: bill.Room, ID: "101", Name: "101"}}

// orderOf returns the order of a bill.
func orderOf(no, biller string, amount money.Fen) bill.Order {
	o := bill.Order{OrderNo: no, Biller: biller, Amount: amount}
	if biller == setup.ElectricityName {
		o.Room = room
	}
	return o
}

// bill lets a holder pay the network fee, or for electricity: written down, asked
// for, and written down how it came out. What nobody knows yet is left open.
func (m *machine) bill(ctx context.Context, h *holder) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		return
	}
	c := m.campus
	o := orderOf(
		c.ref(m.station.ID+"_"), virtual.Pick(c.dice, []string{setup.NetworkName, setup.ElectricityName}),
		yuan+c.dice.Amount(40*yuan))
	_, err := m.append(ctx, journal.Entry{
		Kind: journal.RequestIntent, Ref: o.OrderNo, Account: h.account, Card: v.card.no, Amount: o.Amount,
		Details: fmt.Appendf(nil, `{"service":"bill","what":{"biller":%q}}`, o.Biller),
	})
	if err != nil {
		c.note("%s: bill %s is not written down: %v", m.name, o.OrderNo, err)
		return
	}
	h.billed += o.Amount
	desk := bill.New(m.client)
	b, err := desk.Pay(ctx, v.session, o)
	c.note("%s: %s pays %s to %s as %s: state %d, %v", m.name, h.account, o.Amount, o.Biller, o.OrderNo, b.State, err)
	if err == nil && b.State == bill.Held && c.dice.OneIn(2) { // does not wait for a biller that is down
		b, err = desk.End(ctx, v.session, o)
	}
	m.endBill(ctx, o.OrderNo, h.account, b.State, refused(err))
}

// endBill writes down what a bill has come to, once somebody knows.
func (m *machine) endBill(ctx context.Context, no, account string, s bill.State, refused bool) {
	e := journal.Entry{Kind: journal.RequestEnd, Ref: no, Account: account, Outcome: journal.NotDone}
	switch {
	case s == bill.Paid:
		e.Outcome = journal.Done
	case s != bill.Released && !refused:
		return
	}
	_, err := m.append(ctx, e)
	m.campus.note("%s: bill %s is %s: %v", m.name, no, e.Outcome, err)
}

// endBills asks what has become of the bills that were left open.
func (m *machine) endBills(ctx context.Context) {
	open, err := m.book.OpenItems(ctx)
	if err != nil {
		m.campus.note("%s: read what is open: %v", m.name, err)
		return
	}
	for _, e := range open {
		if e.Kind != journal.RequestIntent {
			continue
		}
		b, err := bill.New(m.client).Get(ctx, e.Ref, 0, 0)
		if refused(err) { // it has never arrived, and is not to arrive any more
			b, err = m.endLost(ctx, e)
			m.campus.cover(branchBillNever)
		}
		m.campus.note("%s: bill %s has state %d: %v", m.name, e.Ref, b.State, err)
		m.endBill(ctx, e.Ref, e.Account, b.State, refused(err))
	}
}

func (m *machine) endLost(ctx context.Context, e journal.Entry) (bill.Bill, error) {
	var what struct{ Biller string }
	r, err := e.Request()
	if err = errors.Join(err, json.Unmarshal(r.What, &what)); err != nil {
		return bill.Bill{}, err
	}
	return bill.New(m.client).EndLost(ctx, e.Account, orderOf(e.Ref, what.Biller, e.Amount))
}
