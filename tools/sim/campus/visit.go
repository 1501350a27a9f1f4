package campus

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	baths "quancun/kiosk/service/bath"
	losses "quancun/kiosk/service/lost"
	"quancun/kiosk/service/pay"
	"quancun/lab/disk"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/biller/setup"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
	"quancun/upstream/client/bill"
	"quancun/upstream/client/lost"
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
	if err == nil && known.Status == client.CardHot {
		m.find(ctx, v.card)
	}
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
		if crosses && !c.healed && !c.dice.OneIn(3) {
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

// see has a healthy machine look at a card once more, which settles all that
// only the card can tell.
func (m *machine) see(ctx context.Context, h *holder) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		m.campus.wrong("%s cannot use %s", h.account, m.name)
		return
	}
	ended, err := m.loader.SettleOpen(ctx, v.card, v.info)
	if err != nil {
		m.campus.wrong("%s cannot settle %s: %v", m.name, v.card.name(), err)
	}
	m.campus.maySettle(ended)
	m.elsewhere(ctx, v)
	v.load(ctx)
	if err := m.loader.Sight(ctx, v.card, v.card.no); err != nil {
		m.campus.wrong("%s cannot read the counters of %s: %v", m.name, v.card.name(), err)
	}
}

// elsewhere has the card say what became of what other terminals could not
// finish.
func (m *machine) elsewhere(ctx context.Context, v *visit) {
	claims, err := m.client.Claims(ctx, v.card.no)
	if err != nil {
		return
	}
	wrote, err := m.loader.Witness(ctx, v.card, claims)
	if wrote {
		m.campus.cover(branchWitness)
	}
	m.campus.note("%s: %s is asked about %d claims: %v", m.name, v.card.name(), len(claims), err)
}

// serve has a holder use one of the kiosk's services: the real script, on a goroutine of
// its own, which runs only while its holder waits. What is unknown in the end they do
// not wait for.
func (m *machine) serve(ctx context.Context, s service.Service, h service.Holder,
	answer func(context.Context, dialog.Question) dialog.Answer,
) error {
	c := dialog.Begin(ctx, kiosk.NewRef(), func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return s.Run(ctx, &service.Visit{Talk: t, Holder: h})
	})
	defer c.Stop()
	for {
		select {
		case q := <-c.Asks():
			if q.Kind != dialog.Working {
				c.Answer(answer(ctx, q))
			}
		case e := <-c.Ended():
			return e.Err
		}
	}
}

// left is the answer of somebody who goes away.
var left = dialog.Answer{Left: true}

// choose answers with the option that has a word, or one that can be had if it is "".
func (m *machine) choose(q dialog.Question, word dialog.Word) dialog.Answer {
	var can []int
	for i, o := range q.Options {
		if o.Note == "" && (word == "" || o.Word == word) {
			can = append(can, i)
		}
	}
	if len(can) == 0 {
		return left
	}
	return dialog.Answer{Choice: virtual.Pick(m.campus.dice, can)}
}

// disturb may have the line falter or the power fail right after the last word of a
// holder, when only the request itself is left to be written down, sent and answered. It
// returns what puts that right.
func (m *machine) disturb() (after func()) {
	switch d := m.campus.dice; {
	case m.campus.healed:
	case d.OneIn(4):
		weak := m.line.weak
		m.line.weak = 2
		return func() { m.line.weak = weak }
	case d.OneIn(5):
		m.disk.Break(disk.Fault{Nth: d.Between(1, 14), Failure: disk.IO, Forever: true})
		return func() {
			m.campus.note("%s: power cut within a request", m.name)
			m.campus.cover(branchPowerCut)
			m.crash()
		}
	}
	return func() {}
}

// ended notes what a machine's journal says that a request has come to.
func (m *machine) ended(e journal.Entry) {
	c := m.campus
	r, err := e.Request()
	if err != nil {
		return
	}
	about := map[string][2]Branch{
		baths.Service: {branchBathNever, branchBathKept}, baths.Cancelling: {branchBathNever, branchBathKept},
		baths.Settling: {branchBathNever, branchBathKept}, journal.Loss: {branchLossNever, branchLossKept},
	}
	if b, counts := about[r.Service]; counts && m.keeping {
		c.cover(map[bool]Branch{false: b[0], true: b[1]}[e.Outcome == journal.Done])
	}
	if r.Service == journal.Loss && e.Outcome == journal.Done {
		c.stopped(e.Ref)
	}
}

// asks are what the keeper of requests asks.
func (m *machine) asks(p *programs) {
	b := &baths.Desk{Upstream: bath.New(m.client), Log: m.campus.log}
	for _, name := range baths.Services {
		p.requested.Asks[name] = b.Ask
	}
	p.losses = &losses.Desk{Upstream: lost.New(m.client), Requests: p.requests, Now: m.watch.Now}
	p.requested.Asks[journal.Loss], p.requested.Asks[losses.Found] = p.losses.Ask, p.losses.AskFound
}

// judgeRequests holds what holders were told of their requests against the books: what
// was done is there, and what was not is not. Where the books are older than what was
// told, people know of it.
func (c *Campus) judgeRequests(up *copied) {
	for key, e := range up.entries {
		r, err := e.Request()
		if key.kind != journal.RequestEnd || err != nil || r.Service == losses.Found {
			continue
		}
		if _, booked := up.requests[r.Service]; !booked {
			continue
		}
		done, here := e.Outcome == journal.Done, up.requests[r.Service][e.Ref]
		listed := up.listed[e.Position().String()]
		if done != here && !(c.restored && (listed || !done)) {
			c.wrong("%s was told that %s %s was done: %t; the books have it: %t, and people know: %t",
				e.Terminal, r.Service, e.Ref, done, here, listed)
		}
	}
}
