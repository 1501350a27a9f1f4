package kiosk_test

import (
	"context"
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// TestBought gives a service what the card says that it has bought, where its purse
// holds less than the books say, and spares every other card the question.
func TestBought(t *testing.T) {
	t.Parallel()
	for name, paid := range map[string]money.Fen{"Dark": 1250, "Level": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCampus(t)
			var holder service.Holder
			w.services = []service.Service{{Name: task, SignIn: true, Run: func(_ context.Context, v *service.Visit) (
				dialog.Report, error) {
				holder = v.Holder
				return dialog.Report{}, nil
			}}}
			record, err := hex.DecodeString(bought)
			w.ok(err)
			w.ok(w.card.Update(func(s *sim.State) {
				s.Balance -= uint32(paid)
				s.Log = []sim.Hex{record}
			}))
			w.startKiosk(0)
			p := w.look()
			p.instead = map[kiosk.Step]func(kiosk.View){
				kiosk.Account: func(kiosk.View) { w.input <- kiosk.Input{Event: kiosk.ChoseService, Service: task} },
				kiosk.Served:  func(kiosk.View) { w.input <- kiosk.Input{Event: kiosk.Leave} },
			}
			p.visit(nil)
			if holder.Purse != opening-paid || holder.Account.Purse != opening || holder.CardNo != cardNo {
				t.Errorf("purse %s of %s", holder.Purse, holder.Account.Purse)
			}
			switch all := holder.Bought; {
			case paid == 0 && len(all) > 0:
				t.Errorf("a card that is level was asked: %+v", all)
			case paid > 0 && (len(all) != 1 || all[0].Amount != paid || all[0].TerminalNo.String() != "000000020416" ||
				!all[0].At.Equal(time.Date(2026, 11, 26, 12, 1, 2, 0, beijing.Zone))):
				t.Errorf("bought %+v", all)
			}
		})
	}
}

// TestFirstThen goes on to what the person came for, once the new card was compared.
func TestFirstThen(t *testing.T) {
	topUp := kiosk.Input{Event: kiosk.ChoseTopUp}
	other := kiosk.Input{Event: kiosk.ChoseService, Service: task}
	for _, tt := range []struct {
		name  string
		chose kiosk.Input
		away  bool // the card is taken at the end of the check
		want  kiosk.Step
	}{
		{"TopUp", topUp, false, kiosk.Amount}, {"Service", other, false, kiosk.Serving},
		{"TopUpAway", topUp, true, kiosk.Home}, {"ServiceAway", other, true, kiosk.Home},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asks := func(name dialog.Word) func(context.Context, *service.Visit) (dialog.Report, error) {
					return func(ctx context.Context, v *service.Visit) (dialog.Report, error) {
						_, err := v.Choose(ctx, name, []dialog.Option{{Word: "agrees"}, {Word: "differs"}})
						return dialog.Report{}, err
					}
				}
				s := newStandServing(t, gate{}, service.Service{Name: check, SignIn: true, Unlisted: true, Run: asks(check)},
					service.Service{Name: task, SignIn: true, Run: asks(task)})
				s.inputs <- tt.chose
				s.want(kiosk.Present)
				s.slot.Lay(factory(t, func(h *sim.Holder) { h.PIN = pin }))
				s.want(kiosk.EnterPIN)
				s.inputs <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
				s.want(kiosk.Serving)
				s.answer(dialog.Answer{Choice: 0})
				s.want(kiosk.Served)
				if tt.away {
					s.slot.Take()
					synctest.Wait()
				}
				s.inputs <- kiosk.Input{Dialog: dialog.Input{No: s.now().Dialog.No, Event: dialog.Left}}
				v := s.want(tt.want)
				if tt.want == kiosk.Serving && (v.Chosen != task || v.Dialog.Question.Name != task) {
					t.Errorf("then comes %+v", v)
				}
			})
		})
	}
}

// check is the check of a new card, in this test's words.
const check dialog.Word = "test.check"

// gate is an upstream that knows everybody's PIN.
type gate struct{ upstream }

func (gate) LookUpCard(context.Context, string) (client.Card, error) {
	return client.Card{Status: client.CardActive}, nil
}

func (gate) SignIn(context.Context, string, []byte, *[kiosk.PINLength]byte) (client.Session, client.Account, error) {
	return client.Session("s"), account, nil
}

func (gate) Account(context.Context, client.Session) (client.Account, error) { return account, nil }

func (gate) Claims(context.Context, string) ([]journal.Claim, error) { return nil, nil }

var account = client.Account{No: "2026012345", MaskedName: "欧**明", Balance: 50 * money.Yuan, Available: 50 * money.Yuan,
	Purse: 50 * money.Yuan}

// TestFirst leads who comes for the account with a new card to compare it first. Only
// who has said how it is has done so; then comes the account.
func TestFirst(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*stand)
		then kiosk.Step
		said []int // 0 it agrees, 1 it is not mine
	}{
		{"Leave", func(s *stand) { s.inputs <- kiosk.Input{Event: kiosk.Leave} }, kiosk.TakeCard, nil},
		{"Back", func(s *stand) {
			s.inputs <- kiosk.Input{Dialog: dialog.Input{No: s.now().Dialog.No, Event: dialog.Left}}
		}, kiosk.Account, nil},
		{"Time", func(*stand) { time.Sleep(76 * time.Second) }, kiosk.TakeCard, nil},
		{"Card taken", func(s *stand) { s.slot.Take() }, kiosk.Home, nil},
		{"Agrees", func(s *stand) { s.answer(dialog.Answer{Choice: 0}) }, kiosk.Served, []int{0}},
		{"Not mine", func(s *stand) { s.answer(dialog.Answer{Choice: 1}) }, kiosk.Served, []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []int
				s := newStandServing(t, gate{}, service.Service{Name: check, SignIn: true, Unlisted: true, Run: func(
					ctx context.Context, v *service.Visit) (dialog.Report, error) {
					i, err := v.Choose(ctx, check, []dialog.Option{{Word: "agrees"}, {Word: "differs"}})
					if err == nil {
						said = append(said, i)
					}
					return dialog.Report{}, err
				}})
				s.slot.Lay(factory(t, func(h *sim.Holder) { h.PIN = pin }))
				s.want(kiosk.EnterPIN)
				s.inputs <- kiosk.Input{Event: kiosk.Typed, PIN: typed(pin)}
				if v := s.want(kiosk.Serving); v.Chosen != check || len(v.Services) != 0 {
					t.Errorf("before the account comes %+v", v)
				}
				tt.do(s)
				s.want(tt.then)
				if len(said) != len(tt.said) || len(said) > 0 && said[0] != tt.said[0] {
					t.Errorf("said %v, want %v", said, tt.said)
				}
				if tt.then == kiosk.Served {
					s.inputs <- kiosk.Input{Event: kiosk.Back}
					s.want(kiosk.Account)
				}
			})
		})
	}
}
