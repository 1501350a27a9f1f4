package kiosk_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	lab "quancun/lab/alipay"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/reader/sim"
	"quancun/upstream/client"
	"quancun/upstream/store"
)

// The tests of this file are about what a person is told, whatever breaks.

// TestKeptCardBalance: who takes the card along while paying is told what is on
// the account now, and not what was there before.
func TestKeptCardBalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp()
	p.keeps = true
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) { w.slot.Take(); p.pay(v) }}
	p.visit(nil)
	if v, ok := p.saw(kiosk.OnAccount); !ok || v.Balance.Account != 50*yuan || v.Receipt.OrderNo == "" {
		t.Errorf("walked %v, told balance %+v receipt %+v, account has %s", p.walk, v.Balance, v.Receipt, w.balance())
	} else if r, err := journal.OpenReceipt(v.Receipt.Proof, w.campus); err != nil || r.Amount != 20*yuan ||
		r.Kind != journal.TopUpEnd || r.Outcome != journal.Paid || r.Ref != v.Receipt.OrderNo {
		t.Errorf("the receipt %q proves %+v, %v", v.Receipt.Proof, r, err)
	}
}

// TestPaidThenGone: the upstream goes away right after the payment.
func TestPaidThenGone(t *testing.T) {
	for _, point := range []string{"PlanLoad", "AuthorizeLoad"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.up.goAway(point, false)
			p := w.topUp().visit(nil)
			if v, ok := p.saw(kiosk.OnAccount); !ok || v.Balance.Account != 50*yuan {
				t.Errorf("walked %v, told balance %+v, account has %s", p.walk, v.Balance, w.balance())
			}
		})
	}
}

// accountless loses every answer of Account.
type accountless struct{ upstream }

func (accountless) Account(context.Context, client.Session) (client.Account, error) {
	return client.Account{}, errLost
}

func TestDoneWithoutAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.replace(accountless{w.client})
	p := w.topUp().visit(nil)
	if v, ok := p.saw(kiosk.Done); !ok || v.Balance.Account != 50*yuan {
		t.Errorf("walked %v, told balance %+v, account has %s", p.walk, v.Balance, w.balance())
	}
}

// TestChannelAway: the payment service does not answer; nobody is sent to a
// page without a code.
func TestChannelAway(t *testing.T) {
	for _, tt := range []struct {
		name    string
		methods []string
	}{{"All", []string{"precreate", "query", "cancel"}}, {"Precreate", []string{"precreate"}}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, m := range tt.methods {
				if _, err := w.gateway.Arm(lab.Fault{Method: m, Kind: lab.Drop, Standing: true}); err != nil {
					t.Fatal(err)
				}
			}
			p := w.topUp()
			p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) {
				if v.TopUp.QR == "" {
					t.Error("asked to scan nothing")
				}
				w.input <- kiosk.Input{Event: kiosk.Leave}
			}}
			begun := time.Now()
			p.visit(nil)
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("kept waiting for %v; walked %v", took, p.walk)
			}
		})
	}
}

// told calls heard when the upstream has been told that a card was written.
type told struct {
	upstream
	heard func()
}

func (u told) ReportLoad(ctx context.Context, l client.LoadReport) (client.LoadStatus, error) {
	s, err := u.upstream.ReportLoad(ctx, l)
	if l.Outcome == client.LoadWritten {
		u.heard()
	}
	return s, err
}

// TestTakenBeforeDone: the card is lifted when it has been written, while the
// upstream is still being told, and another is laid down. Its holder does not
// get to the account of the first.
func TestTakenBeforeDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := factory(t, func(h *sim.Holder) { h.CardNo[9], h.UID = 0x99, [4]byte{9, 9, 9, 9} })
	w.up.replace(told{w.client, func() {
		w.slot.Take()
		time.Sleep(20 * time.Millisecond)
		w.slot.Lay(other)
		time.Sleep(50 * time.Millisecond)
	}})
	p := w.topUp()
	leave := func() { w.input <- kiosk.Input{Event: kiosk.Leave} }
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Done: func(kiosk.View) { w.input <- kiosk.Input{Event: kiosk.ChoseAccount}; leave() },
		kiosk.Account: func(v kiosk.View) {
			t.Errorf("under another card: the account of %s with %s", v.Holder.Name, v.Balance.Account)
		},
		kiosk.Pay: func(v kiosk.View) { p.pay(v) },
	}
	p.visit(nil)
}

// forgetful has never heard of any order.
type forgetful struct{ upstream }

func (forgetful) GetTopUp(context.Context, string, client.TopUpState, time.Duration) (client.TopUp, error) {
	time.Sleep(300 * time.Millisecond)
	return client.TopUp{}, &client.Refusal{Reason: client.OrderUnknown}
}
func (forgetful) CancelTopUp(context.Context, string) (client.TopUp, error) {
	return client.TopUp{}, &client.Refusal{Reason: client.OrderUnknown}
}

// TestOrderForgotten: an upstream whose books are older than the order knows
// nothing of it. Somebody has seen its code, so nobody says that it was not paid.
func TestOrderForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.replace(forgetful{w.client})
	p := w.topUp().visit(nil)
	if _, ok := p.saw(kiosk.Unpaid); ok {
		t.Errorf("told that nothing was charged, and %s were paid; walked %v", w.paid(), p.walk)
	}
	time.Sleep(200 * time.Millisecond) // rounds of the Keeper, which does not say so either
	if open, err := w.book.OpenItems(t.Context()); err != nil || len(open) != 1 {
		t.Errorf("the journal has %d open, %v; want the order", len(open), err)
	}
}

// TestOrderForgottenAfterRestart: the same, of an order whose code was on the
// screen when the power failed. Nobody who knew that is there any more, but the
// journal is.
func TestOrderForgottenAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topUp().visit(func(v kiosk.View) bool { return v.Step == kiosk.Pay })
	w.crash()
	w.up.replace(forgetful{w.client})
	w.startTerminal()
	time.Sleep(300 * time.Millisecond) // rounds of the Keeper
	open, err := w.book.OpenItems(t.Context())
	if err != nil || len(open) != 1 || open[0].Kind != journal.TopUpIntent {
		t.Errorf("the journal has %+v open, %v; want the order", open, err)
	}
}

// TestOrderNeverMade: an order whose code nobody has seen is refused once the
// upstream says that it does not know it, also after a restart.
func TestOrderNeverMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.set(brokenAt{"CreateTopUp", false})
	w.topUp().visit(func(v kiosk.View) bool { return v.Step == kiosk.Ordering })
	w.eventually(func() string { // the step is shown before its intent is written
		if !w.up.broke() {
			return "nothing asked for the order"
		}
		return ""
	})
	w.crash()
	w.startTerminal()
	w.told(w.post)
	entries, err := w.book.Recent(t.Context(), 10)
	w.ok(err)
	if !slices.ContainsFunc(entries, func(e journal.Entry) bool { return e.Outcome == journal.Refused }) {
		t.Errorf("the journal has %+v", entries)
	}
}

// TestJournalDiesAfterWrite: the card is written, and then the disk fails.
func TestJournalDiesAfterWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.set(brokenAt{point: "load end"})
	p := w.topUp().visit(nil)
	if v, ok := p.saw(kiosk.OnAccount); ok && w.purse() != opening {
		t.Errorf("told that the money is not on the card (purse %s, fault %d), and it has %s", v.Balance.Purse, v.Fault, w.purse())
	}
}

// mute is an upstream that does not answer Hello.
type mute struct{ upstream }

func (mute) Hello(context.Context, client.Hello) (client.Welcome, error) {
	return client.Welcome{}, errLost
}

// TestBeforeHello: a load before the first Hello must not be made under the
// terminal number zero.
func TestBeforeHello(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp() // credited, not on the card
	p.keeps = true
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) { w.slot.Take(); p.pay(v) }}
	p.visit(nil)
	w.crash()
	w.slot.Take()
	w.up.replace(mute{w.client})
	w.startTerminal()
	w.slot.Lay(w.card)
	for end := time.After(time.Minute); ; {
		select {
		case v := <-w.views:
			if v.Step == kiosk.EnterPIN {
				w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
			}
			if v.Step == kiosk.OnAccount || v.Step == kiosk.Done || v.Step == kiosk.Account || v.Step == kiosk.Fault {
				alarms, _ := w.books.Alarms(t.Context())
				if v.Fault == kiosk.CodeNotGenuine || len(alarms) > 0 {
					t.Errorf("step %d fault %d, alarms %+v", v.Step, v.Fault, alarms)
				}
				return
			}
		case <-end:
			t.Fatal("nothing")
		}
	}
}

// TestDoubtLeft: who leaves while nobody knows whether the card was written is
// not told that it was not.
func TestDoubtLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	p := w.topUp()
	p.keeps = true
	p.visit(nil)
	if v, ok := p.saw(kiosk.OnAccount); !ok || v.Fault != kiosk.CodeLoadDoubt {
		t.Errorf("told fault %d; the purse has %s", v.Fault, w.purse())
	}
}

// TestDoubtLeftLater: a card that keeps no log and proves nothing comes back, and only its
// counter could tell, for which it wants its PIN, or the upstream, which is away. Who
// leaves then, or takes it away, is not told that it was not written either.
func TestDoubtLeftLater(t *testing.T) {
	for name, do := range map[string]map[kiosk.Step]func(*world, kiosk.View){
		"leaves": {kiosk.ReenterPIN: func(w *world, _ kiosk.View) { w.input <- kiosk.Input{Event: kiosk.Leave} }},
		"takes the card": {
			kiosk.ReenterPIN: func(w *world, _ kiosk.View) { w.slot.Take() },
			kiosk.Replace:    func(w *world, _ kiosk.View) { w.input <- kiosk.Input{Event: kiosk.Leave} },
		},
		"upstream is away": {kiosk.ReenterPIN: func(w *world, _ kiosk.View) {
			w.up.goAway("ReportLoad", false)
			w.input <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
			p := w.topUp()
			p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Doubt: func(kiosk.View) {
				w.slot.Take()
				w.ok(w.card.Update(func(s *sim.State) { s.Last, s.Log = sim.Proof{}, nil }))
				w.slot.Lay(w.card)
			}}
			for at, it := range do {
				p.instead[at] = func(v kiosk.View) { it(w, v) }
			}
			p.visit(nil)
			if v, ok := p.saw(kiosk.OnAccount); !ok || v.Fault != kiosk.CodeLoadDoubt {
				t.Errorf("walked %v; told fault %d; the purse has %s", p.walk, v.Fault, w.purse())
			}
			w.survive(p)
		})
	}
}

// TestLateTold: a payment that came after its order was closed is told of at the
// holder's next visit, by a page that shows it.
func TestLateTold(t *testing.T) {
	for _, wants := range []kiosk.Event{kiosk.ChoseAccount, kiosk.ChoseTopUp} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.topUp()
			p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Pay: func(v kiosk.View) {
				_, err := w.gateway.Pay(v.TopUp.QR, 4*time.Second) // long after it was cancelled
				w.ok(err)
				w.input <- kiosk.Input{Event: kiosk.Leave}
			}}
			p.visit(nil)
			if _, ok := p.saw(kiosk.Unpaid); !ok {
				t.Errorf("walked %v", p.walk)
			}
			for end := time.Now().Add(time.Minute); w.balance() == opening && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			late := func(v kiosk.View) bool {
				return v.Step == kiosk.Account && slices.ContainsFunc(v.Open, func(o kiosk.Open) bool {
					return o.Kind == kiosk.TopUpLate
				})
			}
			first := &person{world: w, wants: wants}
			first.visit(nil)
			second := w.look().visit(nil)
			if !slices.ContainsFunc(first.told, late) && !slices.ContainsFunc(second.told, late) {
				t.Errorf("never told; walked %v and %v, account has %s", first.walk, second.walk, w.balance())
			}
		})
	}
}

// listener hears what a terminal says of itself.
type listener struct {
	upstream
	heard chan client.Hello
}

func (l listener) Hello(ctx context.Context, h client.Hello) (client.Welcome, error) {
	select {
	case l.heard <- h:
	default:
	}
	return l.upstream.Hello(ctx, h)
}

// TestGreetingSaysWhatWasAcknowledged: an upstream that was restored from a copy
// learns from it that it has lost something, were it one entry only.
func TestGreetingSaysWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.told(w.post)
	l := listener{w.client, make(chan client.Hello)}
	w.up.replace(l)
	acked, err := w.book.Acked(t.Context())
	w.ok(err)
	if h := <-l.heard; h.Acked != acked.Seq || h.Acked == 0 || h.Journal.Epoch != acked.Epoch {
		t.Errorf("it says %+v, and the upstream has acknowledged %+v", h, acked)
	}
}

// TestJournalFaultIsHeard: a journal that was found damaged has ended. The
// upstream hears of it from the terminal itself, which still greets, and has an
// alarm; how far the journal had come it does not forget.
func TestJournalFaultIsHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.told(w.post)
	var before store.Standing
	w.eventually(func() (wrong string) { // its first greeting may come after what it has to tell
		var err error
		if before, err = w.books.Standing(t.Context(), "K01"); before.Epoch == "" {
			wrong = "it has greeted nobody"
		}
		w.ok(err)
		return wrong
	})
	w.ok(w.book.Close())
	w.eventually(func() string {
		alarms, err := w.books.Alarms(t.Context())
		w.ok(err)
		for _, a := range alarms {
			if a.Kind == store.AlarmJournalFault && a.Ref == "K01" && strings.Contains(a.Detail, ledger.ErrFailed.Error()) {
				return ""
			}
		}
		return fmt.Sprintf("nobody has heard of it: %+v", alarms)
	})
	k, err := w.books.Terminal(t.Context(), "K01")
	w.ok(err)
	if k.Fault == "" || len(k.Feeds) != len(feed.Names) {
		t.Errorf("the upstream knows %+v", k)
	}
	if after, err := w.books.Standing(t.Context(), "K01"); err != nil || after.Epoch != before.Epoch || after.Said < before.Said {
		t.Errorf("it stands at %+v, %v; before at %+v", after, err, before)
	}
}
