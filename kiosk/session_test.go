package kiosk_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// away is an upstream that never answers.
type away struct{ upstream }

var errAway = errors.New("no route to host")

func (away) LookUpCard(context.Context, string) (client.Card, error) { return client.Card{}, errAway }

// noBook is a journal that a flow without money never opens.
type noBook struct{ kiosk.Book }

func (noBook) OpenFor(context.Context, string) ([]journal.Entry, error) { return nil, nil }

// stand is a terminal in a bubble of its own, and a person in front of it.
type stand struct {
	t      *testing.T
	slot   *sim.Slot
	inputs chan kiosk.Input
	health chan kiosk.Health

	paper *noPaper

	ends error // with which the session is to end

	mu    sync.Mutex
	views []kiosk.View // guarded by mu
}

func newStand(t *testing.T, up kiosk.Upstream) *stand { return newStandOn(t, up, noBook{}) }

func newStandServing(t *testing.T, up kiosk.Upstream, all ...service.Service) *stand {
	return newStandOn(t, up, noBook{}, all...)
}

func newStandOn(t *testing.T, up kiosk.Upstream, book kiosk.Book, all ...service.Service) *stand {
	s := &stand{t: t, slot: sim.NewSlot(), inputs: make(chan kiosk.Input), health: make(chan kiosk.Health),
		paper: &noPaper{out: true}}
	clock, log := kiosk.NewClock(time.Now, ledger.Uptime), slog.New(slog.DiscardHandler)
	cards := make(chan reader.State)
	session := &kiosk.Session{
		Desk: &kiosk.Desk{
			Device: s.slot, Upstream: up, Book: book, Profile: profile.Default(), Clock: clock,
			Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}), InHand: new(kiosk.InHand), Log: log, First: unlisted(all),
		},
		Clock: clock, Cards: cards, Inputs: s.inputs, Health: s.health, Log: log, Services: all, Paper: s.paper,
		Show: func(v kiosk.View) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.views = append(s.views, v)
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.ends = context.Canceled
	ran, watched := make(chan error, 1), make(chan error, 1)
	go func() { ran <- session.Run(ctx) }()
	go func() { watched <- reader.Watch(ctx, s.slot, cards, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; !errors.Is(err, s.ends) {
			t.Errorf("Run = %v, want %v", err, s.ends)
		}
		if err := <-watched; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch = %v", err)
		}
	})
	s.health <- kiosk.Health{Terminal: "T1", Upstream: true}
	synctest.Wait() // until it knows of its reader: before that Home refuses what needs one
	return s
}

// unlisted has the service that nobody is offered come first.
func unlisted(all []service.Service) func(context.Context, client.Session) dialog.Word {
	return func(context.Context, client.Session) (name dialog.Word) {
		for _, one := range all {
			if one.Unlisted {
				name = one.Name
			}
		}
		return name
	}
}

// now waits until nothing moves any more and returns what the screen shows.
func (s *stand) now() kiosk.View {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.views[len(s.views)-1]
}

func (s *stand) want(step kiosk.Step) kiosk.View {
	s.t.Helper()
	v := s.now()
	if v.Step != step {
		s.t.Fatalf("step = %d, want %d; view %+v", v.Step, step, v)
	}
	return v
}

// factory issues cards of the default profile under keys of this test.
func factory(t *testing.T, change func(*sim.Holder)) *sim.Card {
	t.Helper()
	no, err := purse.ParseCardNo("00002026000100012345")
	if err != nil {
		t.Fatal(err)
	}
	h := sim.Holder{
		CardNo: no, UID: [4]byte{1, 2, 3, 4}, Name: "欧阳晓明", Number: "2026012345",
		Start: 20000101, Expiry: 20991231, Balance: 50 * money.Yuan,
	}
	if change != nil {
		change(&h)
	}
	state, err := sim.Issue(profile.Default(), sim.Masters{Load: pboc.Key{1}, TAC: pboc.Key{2}}, h)
	if err != nil {
		t.Fatal(err)
	}
	return sim.New(state)
}

// TestPresentEnds: whoever walks away is not waited for, and whoever wants
// more time gets it.
func TestPresentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		s.want(kiosk.Home)
		s.inputs <- kiosk.Input{Event: kiosk.ChoseTopUp}
		if v := s.want(kiosk.Present); v.Service != kiosk.TopUpService || v.Warning {
			t.Errorf("view %+v", v)
		}
		time.Sleep(26 * time.Second)
		if v := s.want(kiosk.Present); !v.Warning {
			t.Error("nobody was asked whether they are still there")
		}
		s.inputs <- kiosk.Input{Event: kiosk.MoreTime}
		if v := s.want(kiosk.Present); v.Warning || time.Until(v.Ends) != 45*time.Second {
			t.Errorf("after more time: warning %v, ends in %v", v.Warning, time.Until(v.Ends))
		}
		time.Sleep(46 * time.Second)
		s.want(kiosk.Home)
	})
}

// bought is what a card writes down of a lunch for 12.50 at noon.
const bought = "0007" + "000000" + "000004E2" + "06" + "000000020416" + "20261126120102"

// TestUpstreamAway: the card still says what it holds and what it has done, and the
// machine says that it cannot ask anybody else.
func TestUpstreamAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		record, err := hex.DecodeString(bought)
		if err != nil {
			t.Fatal(err)
		}
		card := factory(t, nil)
		if err := card.Update(func(s *sim.State) { s.Log = []sim.Hex{record} }); err != nil {
			t.Fatal(err)
		}
		s.slot.Lay(card)
		v := s.want(kiosk.CardOnly)
		if l := v.Log; !l.Read || len(l.Movements) != 1 || l.Movements[0].Amount != -1250 ||
			l.Movements[0].Kind != kiosk.MovedPurchase || l.Movements[0].Place != "000000020416" ||
			!l.Movements[0].At.Equal(time.Date(2026, 11, 26, 12, 1, 2, 0, beijing.Zone)) {
			t.Errorf("log %+v", l)
		}
		if v.Balance != (kiosk.Balance{Purse: 50 * money.Yuan}) || v.Holder.Name != "欧**明" ||
			v.Holder.Number != "20******45" || v.Holder.Card != "2345" {
			t.Errorf("view %+v", v)
		}
		time.Sleep(61 * time.Second)
		s.want(kiosk.TakeCard)
		s.slot.Take()
		if v := s.want(kiosk.Home); v.Holder != (kiosk.Holder{}) || v.Balance != (kiosk.Balance{}) {
			t.Errorf("something personal stays: %+v", v)
		}
		if err := card.Update(func(s *sim.State) { s.PINForLog = true }); err != nil {
			t.Fatal(err)
		}
		s.slot.Lay(card)
		if v := s.want(kiosk.CardOnly); v.Log.Read || v.Balance.Purse != 50*money.Yuan {
			t.Errorf("a card that keeps its log to itself: %+v", v)
		}
	})
}

// TestUnhurried: whoever asks for it on Home has three times as long, is warned in
// time, and nobody after them has.
func TestUnhurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		visit := func(long time.Duration) {
			t.Helper()
			s.inputs <- kiosk.Input{Event: kiosk.ChoseAccount}
			s.want(kiosk.Present)
			time.Sleep(long - 21*time.Second)
			if s.want(kiosk.Present).Warning {
				t.Error("warned too early")
			}
			time.Sleep(2 * time.Second)
			if !s.want(kiosk.Present).Warning {
				t.Error("not warned")
			}
			s.inputs <- kiosk.Input{Event: kiosk.MoreTime}
			time.Sleep(long - time.Second)
			s.want(kiosk.Present)
			time.Sleep(2 * time.Second)
			s.want(kiosk.Home)
		}
		s.inputs <- kiosk.Input{Event: kiosk.Pace, Unhurried: true}
		visit(135 * time.Second)
		visit(45 * time.Second)
		s.inputs <- kiosk.Input{Event: kiosk.Pace, Unhurried: true}
		s.inputs <- kiosk.Input{Event: kiosk.Pace}
		visit(45 * time.Second)
	})
}

// TestForeignCards: every card that is not ours, or not valid, gets its own
// code, and taking it away leads home.
func TestForeignCards(t *testing.T) {
	for _, tt := range []struct {
		name string
		card func(*testing.T) *sim.Card
		want kiosk.Code
	}{
		{"Bank", foreign(sim.Bank), kiosk.CodeForeignCard},
		{"M1", foreign(sim.M1), kiosk.CodeForeignCard},
		{"Blank", foreign(sim.Blank), kiosk.CodeForeignCard},
		{"Expired", issued(func(h *sim.Holder) { h.Expiry = 19991231 }), kiosk.CodeExpired},
		{"NotStarted", issued(func(h *sim.Holder) { h.Start = 20980101 }), kiosk.CodeNotStarted},
		{"NotEnabled", issued(func(h *sim.Holder) { h.Disabled = true }), kiosk.CodeNotEnabled},
		{"Silent", broken(sim.SilentBefore), kiosk.CodeCardSilent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, away{})
				s.slot.Lay(tt.card(t))
				time.Sleep(10 * time.Second)
				if v := s.want(kiosk.Fault); v.Fault != tt.want {
					t.Errorf("fault = %d, want %d", v.Fault, tt.want)
				}
				s.slot.Take()
				s.want(kiosk.Home)
			})
		})
	}
}

// TestTornReading: a card that is lifted while it is read has lost nothing, and
// the machine is free for the next person.
func TestTornReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		s.slot.Lay(broken(sim.TearBefore)(t))
		if v := s.want(kiosk.Home); v.Fault != 0 || v.Holder != (kiosk.Holder{}) {
			t.Errorf("view %+v", v)
		}
	})
}

func foreign(m sim.Model) func(*testing.T) *sim.Card {
	return func(*testing.T) *sim.Card { return sim.New(sim.Foreign(m, [4]byte{9, 9, 9, 9})) }
}

func issued(change func(*sim.Holder)) func(*testing.T) *sim.Card {
	return func(t *testing.T) *sim.Card { return factory(t, change) }
}

// broken is a card that breaks at its first SELECT.
func broken(how sim.How) func(*testing.T) *sim.Card {
	return func(t *testing.T) *sim.Card {
		c := factory(t, nil)
		c.Break(sim.Break{How: how, INS: 0xA4})
		return c
	}
}

// TestOutOfOrder: a machine that cannot write money down takes none, says why,
// and comes back by itself.
func TestOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		s.health <- kiosk.Health{Terminal: "T1", Upstream: true, Fault: kiosk.CodeFull}
		if v := s.want(kiosk.OutOfOrder); v.Fault != kiosk.CodeFull || v.Health.Terminal != "T1" {
			t.Errorf("view %+v", v)
		}
		s.slot.Lay(factory(t, nil)) // nothing happens
		s.want(kiosk.OutOfOrder)
		s.health <- kiosk.Health{Terminal: "T1", Upstream: true}
		s.want(kiosk.Home)
	})
}

// TestUnavailable: what cannot work now does not begin.
func TestUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		s.health <- kiosk.Health{Terminal: "T1"}
		s.inputs <- kiosk.Input{Event: kiosk.ChoseTopUp}
		s.want(kiosk.Home) // upstream is away
		s.slot.Plug(false)
		synctest.Wait()
		s.inputs <- kiosk.Input{Event: kiosk.ChoseAccount}
		if v := s.want(kiosk.Home); v.Health.Reader {
			t.Error("the reader is said to be there")
		}
		s.inputs <- kiosk.Input{Event: kiosk.Paid} // a screen has no say in that
		s.want(kiosk.Home)
	})
}

// TestRestart: a machine whose journal has failed says so, and then ends, because
// only a new start can tell what is on the disk.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, away{})
		s.ends = kiosk.ErrRestart
		s.health <- kiosk.Health{Terminal: "T1", Upstream: true, Fault: kiosk.CodeJournal}
		if v := s.want(kiosk.OutOfOrder); v.Fault != kiosk.CodeJournal {
			t.Errorf("fault %d", v.Fault)
		}
		time.Sleep(11 * time.Second)
	})
}
