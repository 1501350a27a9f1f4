package kiosk_test

import (
	"context"
	"testing"

	"quancun/kiosk"
	"quancun/money"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// TestSettledBehindPIN: a load whose end only the card's counter can tell, for
// which it wants its PIN, is settled once that is typed. The page says what was
// loaded, and gives the receipt.
func TestSettledBehindPIN(t *testing.T) {
	w := newWorld(t)
	first := w.topUp() // the money is on the account, the card is taken along
	first.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Pay:     func(v kiosk.View) { w.slot.Take(); first.pay(v) },
		kiosk.Replace: func(kiosk.View) { w.input <- kiosk.Input{Event: kiosk.Leave} },
	}
	first.visit(nil)
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	p := w.look()
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Doubt: func(kiosk.View) {
		w.slot.Take()
		w.ok(w.card.Update(func(s *sim.State) { s.Last, s.Log = sim.Proof{}, nil }))
		w.slot.Lay(w.card)
	}}
	p.visit(nil)
	if v, ok := p.saw(kiosk.Done); !ok || v.Load.Amount != 20*yuan || v.Receipt.Number == 0 {
		t.Errorf("walked %v; load %+v, receipt %+v", p.walk, v.Load, v.Receipt)
	} else if v.Receipt.Proof == "" || v.Balance.Purse != opening+20*yuan {
		t.Errorf("balance %+v, receipt %+v", v.Balance, v.Receipt)
	}
	w.agree()
}

// plansNot answers what is to be loaded so often, and then no more.
type plansNot struct {
	upstream
	left *int
}

func (u plansNot) PlanLoad(ctx context.Context, s client.Session, purse money.Fen) (client.Plan, error) {
	if *u.left--; *u.left < 0 {
		return client.Plan{}, errLost
	}
	return u.upstream.PlanLoad(ctx, s, purse)
}

// TestSettledThenAway: a load that was in doubt is settled behind the PIN, and then the
// upstream does not say what else there is to load. The page says what was loaded, and
// not that the card is as it was.
func TestSettledThenAway(t *testing.T) {
	w := newWorld(t)
	left := 2 // of the load that is torn, and of the one that teaches upstream its end
	w.up.replace(plansNot{w.client, &left})
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	p := w.topUp()
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Doubt: func(kiosk.View) {
		w.slot.Take()
		w.ok(w.card.Update(func(s *sim.State) { s.Last, s.Log = sim.Proof{}, nil }))
		w.slot.Lay(w.card)
	}}
	p.visit(nil)
	v, ok := p.saw(kiosk.Done)
	if !ok || v.Load.Amount != 20*yuan || v.Balance.ToLoad != 0 || v.Receipt.Number == 0 {
		t.Errorf("walked %v; told %+v", p.walk, p.told)
	}
	w.agree()
}

// TestDoubtThenAway: nobody knows whether a card was written, and then its PIN cannot be
// checked. The page and the receipt do not say that the money is not on it: it is.
func TestDoubtThenAway(t *testing.T) {
	w := newWorld(t)
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	p := w.topUp()
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Doubt: func(kiosk.View) {
			w.slot.Take()
			w.ok(w.card.Update(func(s *sim.State) { s.Last, s.Log = sim.Proof{}, nil }))
			w.slot.Lay(w.card)
		},
		kiosk.ReenterPIN: func(kiosk.View) {
			w.up.goAway("SignIn", false)
			w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
		},
	}
	p.visit(nil)
	v, ok := p.saw(kiosk.OnAccount)
	if !ok || v.Fault != kiosk.CodeLoadDoubt || !v.InDoubt() || w.purse() != opening+20*yuan {
		t.Errorf("walked %v; purse %s, told fault %d of %s", p.walk, w.purse(), v.Fault, v.TopUp.Amount)
	}
}
