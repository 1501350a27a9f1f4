package pay_test

import (
	"context"
	"testing"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/electricity"
	"quancun/kiosk/service/network"
	"quancun/kiosk/service/pay"
	"quancun/kiosk/service/tape/tapetest"
	"quancun/lab/breaker"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
	"quancun/upstream/store"
)

// lastOption answers a choice.
var lastOption = dialog.Answer{Choice: -1}

// film is a recorder in a world.
type film struct {
	w *world
	r *tapetest.Recorder
}

func newFilm(t *testing.T, name string) film {
	f := film{newWorld(t), tapetest.New(t, name)}
	f.r.Scrambled = true
	f.r.Now, f.r.Fixed = time.Now, map[dialog.Word]string{"pay.fact.record": "8812345"}
	return f
}

// visit records a visit of a holder who is signed in, and what becomes of what is being
// checked.
func (f film) visit(name string, s service.Service, say script) dialog.End {
	w := f.w
	w.t.Helper()
	balance, err := w.books.Balance(w.t.Context(), holder)
	w.ok(err)
	held, err := store.Held(w.t.Context(), w.books.Live(), holder)
	w.ok(err)
	v := tapetest.Visit{
		Name: name, Service: s, Answer: func(q dialog.Question) dialog.Answer {
			a := w.answer(q, say)
			if q.Kind == dialog.AskChoice && a.Choice == lastOption.Choice {
				a.Choice = len(q.Options) - 1
			}
			return a
		},
		Holder: service.Holder{Session: session, CardNo: "00002026000100012345", Account: client.Account{
			No: "2026000101", Balance: balance, Available: balance - held, Kept: store.Kept(balance-held, w.reserve),
		}},
	}
	e := f.r.Record(v)
	if e.Err != nil && e.Report.Follow != nil {
		w.network.Clear()
		w.campus.Clear()
		f.r.Follow(v, e)
	}
	return e
}

// saying is an upstream that says one thing of each bill. It begins with what it shows
// of the real one.
type saying struct {
	pay.Upstream
	bill bill.Bill
	err  error
}

func (s saying) Pay(context.Context, []byte, bill.Order) (bill.Bill, error) { return s.bill, s.err }

func (s saying) Get(context.Context, string, bill.State, time.Duration) (bill.Bill, error) {
	return bill.Bill{State: bill.Paid, Amount: s.bill.Amount, RecordNo: "8812345"}, nil
}

// rarely are what becomes of bills on bad days.
func rarely(amount money.Fen) map[string]saying {
	released := func(c bill.Cause) saying {
		return saying{bill: bill.Bill{State: bill.Released, Amount: amount, Cause: c}}
	}
	return map[string]saying{
		"says-no": released(bill.CauseRefused), "down": released(bill.CauseDown), "absent": released(bill.CauseAbsent),
		"ended": released(bill.CauseEnded), "people": released(bill.CausePeople),
		"referred": {bill: bill.Bill{State: bill.Referred, Amount: amount}},
		"waiting":  {bill: bill.Bill{State: bill.Held, Amount: amount, Deadline: time.Now().Add(30 * time.Minute)}},
		"unsure":   {bill: bill.Bill{State: bill.Checking, Amount: amount}},
		"limit":    {err: &client.Refusal{Reason: client.AmountOutOfRange}},
		"short":    {err: &client.Refusal{Reason: client.NotEnough}},
		"session":  {err: &client.Refusal{Reason: client.SessionOver}},
	}
}

// TestTapeNetwork records what a holder sees of the network fee.
func TestTapeNetwork(t *testing.T) {
	f := newFilm(t, "network")
	f.visit("paid", f.w.networkService(), tenYuan())
	other := tenYuan()
	other["pay.amount"] = []dialog.Answer{lastOption}
	f.visit("other", f.w.networkService(), other)
	f.kept()
	f.accounts()
	all := rarely(10 * yuan)
	for _, name := range []string{"waiting", "unsure", "referred", "says-no", "down", "limit"} {
		d := f.w.desk()
		one := all[name]
		one.Upstream = d.Upstream
		d.Upstream = one
		f.visit(name, network.Service(f.w.client, d), tenYuan())
	}
	owing := bill.NetworkAccount{
		MaskedUser: "2026****01", MaskedName: "张*丰", Status: bill.NetworkStopped, FeedsProduct: true,
		Products: []bill.NetworkProduct{{Name: "学生包月 30 元", Balance: -12_00, Checkout: "2026-12-01"}},
		Expires:  time.Now().Add(30 * 24 * time.Hour),
	}
	f.visit("owing", network.Service(account{owing, nil}, f.w.desk()), script{})
	f.visit("no-account", network.Service(account{err: &client.Refusal{Reason: client.AccountUnknown}}, f.w.desk()),
		script{})
	f.visit("not-said", network.Service(account{err: &client.Refusal{Reason: client.NotSaid, Said: "10001"}}, f.w.desk()),
		script{})
	big := tenYuan()
	big["pay.amount"] = []dialog.Answer{{Text: "¥100.00"}}
	f.visit("large", f.w.networkService(), big)
	big["pay.amount"] = []dialog.Answer{{Text: "¥50.00"}}
	f.visit("little", f.w.networkService(), big)
	f.visit("less", f.w.networkService(), script{}) // what is left does not do for all that is offered
	f.w.arm(breaker.Fault{Method: "*", Kind: breaker.HTML, Standing: true}, "network")
	f.visit("away", f.w.networkService(), script{})
}

// kept records who has only what is for the card, or little besides.
func (f film) kept() {
	w := f.w
	w.reserve = 150 * yuan
	f.visit("kept", w.networkService(), tenYuan())
	w.reserve = 500 * yuan
	f.visit("for-card", w.networkService(), script{})
	w.reserve = 0
}

// accounts records accounts of the network that cannot be used or paid for, and one of
// a sort that is newer than this terminal.
func (f film) accounts() {
	for _, one := range []struct {
		name   string
		status bill.NetworkStatus
	}{
		{"disabled", bill.NetworkDisabled}, {"paused", bill.NetworkPaused}, {"unopened", bill.NetworkUnopened},
		{"newer", 99},
	} {
		a := bill.NetworkAccount{
			MaskedUser: "2026****01", MaskedName: "张*丰", Status: one.status, Wallet: 5_00, FeedsProduct: true,
			Products: []bill.NetworkProduct{{Name: "学生包月 30 元", Balance: 18_50, Checkout: "2026-12-01"}},
		}
		f.visit(one.name, network.Service(account{a, nil}, f.w.desk()), script{})
	}
	d := f.w.desk()
	d.Upstream = billers{d.Upstream, func(b bill.Biller) []bill.Biller {
		b.Pays = false
		return []bill.Biller{b}
	}}
	f.visit("only-shown", network.Service(f.w.client, d), script{})
	d.Upstream = billers{d.Upstream, func(bill.Biller) []bill.Biller { return nil }}
	f.visit("not-here", network.Service(f.w.client, d), script{})
}

// billers is an upstream that has others instead of each biller.
type billers struct {
	pay.Upstream
	instead func(bill.Biller) []bill.Biller
}

func (b billers) Billers(ctx context.Context) (now []bill.Biller, err error) {
	all, err := b.Upstream.Billers(ctx)
	for _, one := range all {
		now = append(now, b.instead(one)...)
	}
	return now, err
}

// account is how a network account stands.
type account struct {
	bill.NetworkAccount
	err error
}

func (a account) Network(context.Context, []byte, string) (bill.NetworkAccount, error) {
	return a.NetworkAccount, a.err
}

// TestTapeElectricity records what a holder sees of electricity.
func TestTapeElectricity(t *testing.T) {
	f := newFilm(t, "electricity")
	f.visit("paid", f.w.electricityService(), room101())
	f.visit("mine", f.w.electricityService(), script{})
	f.visit("owing", f.w.electricityService(), f.room("102"))
	f.visit("offline", f.w.electricityService(), f.room("103"))
	f.visit("stale", f.w.electricityService(), f.room("104"))
	two := room101()
	two["electricity.mine"] = []dialog.Answer{lastOption}
	two["electricity.room"][0].Text, two["electricity.meter"] = "105", []dialog.Answer{{Text: "空调"}}
	f.visit("two-meters", f.w.electricityService(), two)
	all := rarely(20 * yuan)
	for _, name := range []string{"unsure", "absent", "ended", "people", "short", "session"} {
		d := f.w.desk()
		one := all[name]
		one.Upstream = d.Upstream
		d.Upstream = one
		f.visit(name, electricity.Service(f.w.client, d, time.Now), room101())
	}
	for _, c := range []struct {
		name string
		err  error
	}{
		{"no-rooms", &client.Refusal{Reason: client.AccountUnknown}}, {"no-answer", context.DeadlineExceeded},
	} {
		f.visit(c.name, electricity.Service(places{f.w.client, c.err}, f.w.desk(), time.Now), f.room("101"))
	}
	f.visit("room-gone", electricity.Service(places{f.w.client, nil}, f.w.desk(), time.Now), f.room("101"))
	f.meters()
	f.elsewhere()
	f.w.arm(breaker.Fault{Method: "*", Kind: breaker.HTML, Standing: true}, "electricity")
	f.visit("away", f.w.electricityService(), script{})
}

// meters records what meters can show, and what cannot be paid.
func (f film) meters() {
	left, much := int64(14_40), money.Fen(8_05)
	old := time.Now().Add(-30 * time.Hour)
	for _, one := range []struct {
		name string
		all  []bill.Meter
	}{
		{"old", []bill.Meter{{Energy: &left, Money: &much, Price: 56, ReadAt: old, Payable: true}}},
		{"not-read", []bill.Meter{
			{ID: "1", Name: "照明", Energy: &left, ReadAt: time.Now(), Payable: true}, {ID: "2", Name: "空调"},
			{ID: "3", Name: "热水", Money: &much, Payable: true},
		}},
		{"only-shown", []bill.Meter{{Energy: &left, ReadAt: time.Now()}}},
	} {
		s := electricity.Service(meters{f.w.client, one.all}, f.w.desk(), time.Now)
		f.visit(one.name, s, script{"electricity.mine": {{}}})
	}
}

// meters is an upstream that says one thing of each room.
type meters struct {
	*bill.Desk
	all []bill.Meter
}

func (m meters) Room(context.Context, []byte, string, []bill.Place) (string, []bill.Meter, error) {
	return "东区 3 号楼 101", m.all, nil
}

// elsewhere records a campus with two sorts of meters, and houses that have no floors.
func (f film) elsewhere() {
	d := f.w.desk()
	d.Upstream = billers{d.Upstream, func(b bill.Biller) []bill.Biller {
		other := b
		b.TitleZH, other.TitleZH = "龙山校区电费", "菱湖校区电费"
		b.TitleEN, other.TitleEN = "Electricity, Longshan campus", "Electricity, Linghu campus"
		return []bill.Biller{b, other}
	}}
	f.visit("two-billers", electricity.Service(f.w.client, d, time.Now), script{})
	s := room101()
	s["electricity.mine"] = []dialog.Answer{lastOption}
	f.visit("units", electricity.Service(units{f.w.client}, f.w.desk(), time.Now), s)
}

// units is an upstream of houses that have staircases, whatever it calls them.
type units struct{ *bill.Desk }

func (u units) Places(ctx context.Context, s []byte, biller string, above []bill.Place) ([]bill.Place, error) {
	if len(above) == 2 {
		return []bill.Place{{Kind: 99, ID: "1", Name: "1 单元"}, {Kind: 99, ID: "2", Name: "2 单元"}}, nil
	}
	return u.Desk.Places(ctx, s, biller, above)
}

// room goes down to a room, although another one is known, and leaves there.
func (f film) room(no string) script {
	s := room101()
	s["electricity.mine"] = []dialog.Answer{lastOption}
	s["electricity.room"][0].Text = no
	delete(s, "pay.amount")
	return s
}

// places is an upstream that has no such places, or no such room.
type places struct {
	*bill.Desk
	err error
}

func (p places) Places(ctx context.Context, s []byte, biller string, above []bill.Place) ([]bill.Place, error) {
	if p.err != nil {
		return nil, p.err
	}
	return p.Desk.Places(ctx, s, biller, above)
}

func (p places) Room(context.Context, []byte, string, []bill.Place) (string, []bill.Meter, error) {
	return "", nil, &client.Refusal{Reason: client.AccountUnknown}
}
