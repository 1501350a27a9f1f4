package kiosk_test

import (
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/reader/sim"
)

// person is somebody in front of the machine, who does what the screen asks.
type person struct {
	*world
	wants   kiosk.Event // the tile
	refuses bool        // leaves instead of paying
	keeps   bool        // takes the card along instead of putting it back

	// instead is what the person does at a step in place of what it asks for.
	instead map[kiosk.Step]func(kiosk.View)

	told []kiosk.View // the screens that say how it went
	walk []kiosk.Step // every step, once
}

// verdicts are the steps that tell a person how it went.
var verdicts = []kiosk.Step{
	kiosk.Done, kiosk.OnAccount, kiosk.Unpaid, kiosk.Checking, kiosk.Fault, kiosk.CardOnly, kiosk.Account,
}

// visit is a whole stay at the machine, from Home to Home. A terminal that dies
// on the way is not waited for: stop says when to turn the power off.
func (p *person) visit(stop func(kiosk.View) bool) *person {
	p.t.Helper()
	deadline := time.After(90 * time.Second) // an upstream that is gone is asked for 23 s
	started := false
	last := kiosk.Step(0)
	for again := false; ; again = true {
		if !again && p.current.Step == kiosk.Home {
			p.views <- p.current // it has been standing there
		}
		select {
		case v := <-p.views:
			p.current = v
			if stop != nil && stop(v) {
				return p
			}
			if v.Step == kiosk.Home && len(p.walk) > 0 {
				return p // and not just other news of the machine's health
			}
			if v.Step == kiosk.Home && v.Health.Upstream && v.Health.Reader && !started {
				started = true
				p.input <- kiosk.Input{Event: p.wants}
				last = v.Step
			}
			if (v.Step != last || v.Notice == kiosk.OtherCardThere) && v.Step != kiosk.Home {
				last = v.Step
				p.walk = append(p.walk, v.Step)
				p.act(v)
			}
		case <-deadline:
			p.t.Fatalf("nobody came home; walked %v", p.walk)
		}
	}
}

func (p *person) act(v kiosk.View) {
	if slices.Contains(verdicts, v.Step) {
		p.told = append(p.told, v)
	}
	if do, ok := p.instead[v.Step]; ok {
		do(v)
		return
	}
	switch v.Step {
	case kiosk.Present:
		p.slot.Lay(p.card)
	case kiosk.Replace, kiosk.Doubt:
		p.slot.Take()
		if p.keeps {
			p.input <- kiosk.Input{Event: kiosk.Leave}
			return
		}
		p.slot.Lay(p.card)
	case kiosk.EnterPIN, kiosk.ReenterPIN:
		p.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
	case kiosk.Amount:
		p.input <- kiosk.Input{Event: kiosk.TypedAmount, Amount: 20 * yuan}
	case kiosk.Pay:
		p.pay(v)
	case kiosk.TakeCard:
		p.slot.Take()
	case kiosk.Account, kiosk.Done, kiosk.OnAccount, kiosk.Unpaid, kiosk.Checking, kiosk.Fault, kiosk.CardOnly:
		p.input <- kiosk.Input{Event: kiosk.Leave}
	}
}

func (p *person) pay(v kiosk.View) {
	if p.refuses {
		p.input <- kiosk.Input{Event: kiosk.Leave}
		return
	}
	if _, err := p.gateway.Pay(v.TopUp.QR, 0); err != nil {
		p.t.Errorf("pay %q: %v", v.TopUp.QR, err)
	}
}

func typed(digits string) *kiosk.PIN {
	p := new(kiosk.PIN)
	for _, d := range []byte(digits) {
		p.Add(d)
	}
	return p
}

// saw returns the last verdict of a step, and whether there was one.
func (p *person) saw(step kiosk.Step) (kiosk.View, bool) {
	for _, v := range slices.Backward(p.told) {
		if v.Step == step {
			return v, true
		}
	}
	return kiosk.View{}, false
}

func (w *world) topUp() *person { return &person{world: w, wants: kiosk.ChoseTopUp} }
func (w *world) look() *person  { return &person{world: w, wants: kiosk.ChoseAccount} }

// TestTopUp is the main job, whole: twenty yuan from a phone to a card.
func TestTopUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp().visit(nil)
	v, ok := p.saw(kiosk.Done)
	if !ok || v.Load.Amount != 20*yuan || v.Balance.Account != 50*yuan || v.Balance.Purse != 50*yuan ||
		v.Balance.ToLoad != 0 || v.Receipt.OrderNo == "" || v.Receipt.Number == 0 {
		t.Errorf("walked %v, told %+v", p.walk, v)
	}
	proof, err := journal.OpenReceipt(v.Receipt.Proof, w.campus)
	if err != nil || proof.Amount != 20*yuan || proof.Kind != journal.LoadEnd || proof.Outcome != journal.Written ||
		proof.Seq != v.Receipt.Number {
		t.Errorf("the receipt %q proves %+v, %v", v.Receipt.Proof, proof, err)
	}
	w.agree()
	if w.paid() != 20*yuan {
		t.Errorf("paid %s", w.paid())
	}
}

// TestTopUpRefused: who leaves pays nothing and is told so.
func TestTopUpRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp()
	p.refuses = true
	p.visit(nil)
	if _, ok := p.saw(kiosk.Unpaid); !ok {
		t.Errorf("walked %v", p.walk)
	}
	w.agree()
	if w.paid() != 0 {
		t.Errorf("paid %s", w.paid())
	}
}

// TestTopUpBroken breaks a top-up of twenty yuan at each point at which the
// world can break it, in both kinds: with no effect, and with its effect but
// the answer lost. Then the power fails, and the holder comes back.
//
// Wherever it broke: the person was not told what was not so, and in the end
// payer, account, journal and card agree, without an alarm.
func TestTopUpBroken(t *testing.T) {
	for _, point := range []string{
		"LookUpCard", "SignIn", "CreateTopUp", "GetTopUp", "PlanLoad", "AuthorizeLoad", "ReportLoad",
		"disk top-up intent", "disk top-up end", "disk load intent", "disk load end",
	} {
		for _, kept := range []bool{false, true} {
			name := point + "/Lost"
			if kept {
				name = point + "/Kept"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				at := brokenAt{point, kept}
				if disk, ok := cut(point, "disk "); ok {
					w.disk.set(brokenAt{disk, kept})
				} else {
					w.up.set(at)
				}
				w.survive(w.topUp().visit(nil))
			})
		}
	}
}

func cut(s, prefix string) (string, bool) {
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return s, false
}

// TestTopUpTorn pulls or silences the card at each of its commands.
func TestTopUpTorn(t *testing.T) {
	for _, how := range []struct {
		name string
		how  sim.How
	}{
		{"TornBefore", sim.TearBefore}, {"TornAfter", sim.TearAfter},
		{"SilentBefore", sim.SilentBefore}, {"SilentAfter", sim.SilentAfter},
	} {
		for _, at := range []struct {
			name string
			b    sim.Break
		}{
			{"UID", sim.Break{INS: 0xCA}}, {"Select", sim.Break{INS: 0xA4}}, {"Read15", sim.Break{INS: 0xB0}},
			{"Balance", sim.Break{INS: 0x5C}}, {"PIN", sim.Break{INS: 0x20}},
			{"BalanceAgain", sim.Break{INS: 0x5C, Skip: 1}},
			{"Init", sim.Break{INS: 0x50}}, {"Credit", sim.Break{INS: 0x52}},
		} {
			t.Run(how.name+at.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				b := at.b
				b.How = how.how
				w.card.Break(b)
				w.survive(w.topUp().visit(nil))
			})
		}
	}
}

// TestTopUpWrongMAC: a card or an upstream that cannot prove itself gets
// nothing written, and the money stays on the account.
func TestTopUpWrongMAC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.card.Break(sim.Break{How: sim.WrongMAC, INS: 0x50})
	p := w.topUp().visit(nil)
	if v, ok := p.saw(kiosk.OnAccount); !ok || v.Fault != kiosk.CodeNotGenuine || v.Balance.Account != 50*yuan {
		t.Errorf("walked %v, told %+v", p.walk, v)
	}
	if w.purse() != opening {
		t.Errorf("purse %s", w.purse())
	}
}

// TestTopUpCardGone: the card is taken along in mid-write. The person is told
// that the money is safe, and the next visit brings the card level.
func TestTopUpCardGone(t *testing.T) {
	for _, how := range []sim.How{sim.TearBefore, sim.TearAfter} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.card.Break(sim.Break{How: how, INS: 0x52})
			p := w.topUp()
			p.keeps = true
			p.visit(nil)
			if _, ok := p.saw(kiosk.OnAccount); !ok {
				t.Errorf("walked %v", p.walk)
			}
			w.survive(p)
		})
	}
}

// survive turns the power off and on, lets the holder come back twice, and
// then checks that everything agrees: the second visit changes nothing.
func (w *world) survive(p *person) {
	w.t.Helper()
	w.honest(p)
	w.restart()
	w.look().visit(nil)
	w.agree()
	before := w.purse()
	again := w.look().visit(nil)
	if v, ok := again.saw(kiosk.Account); !ok || v.Balance.ToLoad != 0 || len(v.Open) != 0 || w.purse() != before {
		w.t.Errorf("second visit: walked %v, told %+v", again.walk, again.told)
	}
	w.agree()
}

// honest checks that nobody was told what was not so.
func (w *world) honest(p *person) {
	w.t.Helper()
	// Whoever takes the card away before they are signed in, when nothing has
	// happened yet, stands before the first page again.
	inside := slices.ContainsFunc(p.walk, func(s kiosk.Step) bool { return s > kiosk.SigningIn })
	if len(p.told) == 0 && inside {
		w.t.Errorf("nobody said how it went; walked %v", p.walk)
	}
	if _, ok := p.saw(kiosk.Unpaid); ok && w.paid() != 0 {
		w.t.Errorf("told unpaid, and %s were paid", w.paid())
	}
	if v, ok := p.saw(kiosk.Done); ok && (w.purse() != v.Balance.Purse || w.paid() == 0) {
		w.t.Errorf("told done with %s, the purse has %s, paid %s", v.Balance.Purse, w.purse(), w.paid())
	}
	if _, ok := p.saw(kiosk.OnAccount); ok && w.balance() != opening+w.paid() {
		w.t.Errorf("told on account, and it has %s", w.balance())
	}
}

// TestTopUpKilled turns the power off at each step, whatever is under way.
func TestTopUpKilled(t *testing.T) {
	for step := kiosk.Reading; step <= kiosk.Done; step++ {
		switch step {
		case kiosk.Account, kiosk.CardLog, kiosk.OtherSum, kiosk.Cancelling, kiosk.Unpaid,
			kiosk.Checking, kiosk.Replace, kiosk.Rereading, kiosk.ReenterPIN, kiosk.Unlocking, kiosk.Doubt,
			kiosk.Settling:
			continue // no whole top-up comes along there
		}
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.topUp().visit(func(v kiosk.View) bool { return v.Step == step })
			w.restart()
			w.look().visit(nil)
			w.agree()
		})
	}
}
