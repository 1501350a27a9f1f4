package till

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// TestForeignCardIsNobody: a bank card that follows a sale in the queue is
// declined as what it is, and the customer before is not named beside it.
func TestForeignCardIsNobody(t *testing.T) {
	slot := sim.NewSlot()
	slot.Lay(sim.New(sim.Foreign(sim.Bank, [4]byte{9, 9, 9, 9})))
	d := &Desk{
		Device: slot, Profile: profile.Default(), Clock: kiosk.NewClock(time.Now, ledger.Uptime), Log: slog.New(slog.DiscardHandler),
		info: purse.Info{CardNo: purse.CardNo{1}, Name: "欧阳晓明", Balance: 18 * money.Yuan}, // of the sale before
	}
	defer d.leave()
	o := d.sell(t.Context(), View{Step: Selling, Amount: 12 * money.Yuan})
	if o.event != Failed || o.patch == nil {
		t.Fatalf("event %d", o.event)
	}
	var v View
	o.patch(&v)
	if v.Fault != kiosk.CodeForeignCard || v.Holder.Name != "" || v.Balance != 0 || v.Known || v.Short {
		t.Errorf("foreign card is shown as %+v", v)
	}
}

// TestDoubtIsNoRefusal: whatever step an error stops, one that leaves money in
// doubt is never shown as a refusal.
func TestDoubtIsNoRefusal(t *testing.T) {
	d := &Desk{Log: slog.New(slog.DiscardHandler)}
	for err, want := range map[error]Event{
		kiosk.ErrSaleInDoubt: NotKnown, kiosk.ErrNotGenuine: NotKnown, tender.ErrUnknown: NotKnown,
		tender.ErrOffline: Failed, kiosk.ErrNoSAM: Failed,
	} {
		if o := d.fail("test", fmt.Errorf("wrapped: %w", err)); o.event != want {
			t.Errorf("%v leads to event %d, want %d", err, o.event, want)
		}
	}
}

// pinned is a way of paying that wants a PIN.
type pinned struct {
	pin   string
	sales []tender.Sale
}

func (p *pinned) Sell(_ context.Context, code string, s tender.Sale) (tender.Sold, error) {
	p.sales = append(p.sales, s)
	if code != "code" || !s.PIN {
		return tender.Sold{}, tender.ErrPIN
	}
	return tender.Sold{Ref: s.Ref, Entry: 7, Online: true, Holder: "张*三"}, nil
}

func (p *pinned) CheckPIN(_ context.Context, ref string, pin *[kiosk.PINLength]byte) error {
	switch {
	case p.pin == "":
		return errors.New("connection cut")
	case ref != p.sales[0].Ref:
		return errors.New("of another sale")
	case string(pin[:]) != p.pin:
		return &client.Refusal{Reason: client.PINWrong, TriesLeft: 4}
	}
	return nil
}

// TestCodeWithPIN: a code above the daily limit pays with its holder's PIN, under
// one name; and certainly does not if nobody can be asked about the PIN.
func TestCodeWithPIN(t *testing.T) {
	way := &pinned{pin: "271828"}
	d := &Desk{
		Cards: &kiosk.Seller{}, Clock: kiosk.NewClock(time.Now, ledger.Uptime), Log: slog.New(slog.DiscardHandler),
		Ways: []Way{{Kind: ByCode, Takes: func(string) bool { return true }, Seller: way}},
	}
	v := View{Step: Paying, Amount: 60 * money.Yuan, Health: kiosk.Health{Upstream: true}}
	for i, tt := range []struct {
		do   string // a code, or a PIN
		want Event
	}{{"code", NeedPIN}, {"000000", PINWrong}, {"271828", PINCode}, {"", Paid}} {
		var o outcome
		if i == 1 || i == 2 {
			o = d.checkPIN(t.Context(), pinOf(tt.do), v)
		} else {
			o = d.pay(t.Context(), tt.do, v)
		}
		if o.event != tt.want {
			t.Fatalf("%d: %q leads to event %d, want %d", i, tt.do, o.event, tt.want)
		}
		if o.patch != nil {
			o.patch(&v)
		}
	}
	if len(way.sales) != 2 || way.sales[0].Ref != way.sales[1].Ref || v.Sale.Ref != way.sales[0].Ref || v.Sale.Holder != "张*三" {
		t.Errorf("sales %+v, shown %+v", way.sales, v.Sale)
	}
	way.pin = ""
	d.pay(t.Context(), "code", v)
	if o := d.checkPIN(t.Context(), pinOf("271828"), v); o.event != Failed {
		t.Errorf("without an answer: event %d", o.event)
	} else if o.patch(&v); v.Fault != kiosk.CodeOffline {
		t.Errorf("without an answer: fault %d", v.Fault)
	}
}

func pinOf(digits string) *kiosk.PIN {
	p := new(kiosk.PIN)
	for _, d := range []byte(digits) {
		p.Add(d)
	}
	return p
}

// keeping refuses every code, because of what is kept for the card.
type keeping struct{ err error }

func (k keeping) Sell(context.Context, string, tender.Sale) (tender.Sold, error) {
	return tender.Sold{}, k.err
}

// TestKeptForTheCard: where an account has enough, but for what only the card may spend,
// the page says how much that is, and the next page does not.
func TestKeptForTheCard(t *testing.T) {
	for err, want := range map[error]money.Fen{
		fmt.Errorf("sell: %w", &tender.KeptError{Kept: 20 * money.Yuan}): 20 * money.Yuan, tender.ErrNotEnough: 0,
	} {
		d := &Desk{
			Cards: &kiosk.Seller{}, Clock: kiosk.NewClock(time.Now, ledger.Uptime), Log: slog.New(slog.DiscardHandler),
			Ways: []Way{{Kind: ByCode, Takes: func(string) bool { return true }, Seller: keeping{err}}},
		}
		v := View{Step: Paying, Amount: 60 * money.Yuan, Health: kiosk.Health{Upstream: true}}
		o := d.pay(t.Context(), "code", v)
		v = v.at(Declined, o.event)
		o.patch(&v)
		if o.event != Failed || v.Fault != kiosk.CodeNotEnough || v.Kept != want {
			t.Errorf("%v: event %d, fault %d, %s kept", err, o.event, v.Fault, v.Kept)
		}
		if v = v.at(Ready, Leave); v.Kept != 0 {
			t.Errorf("the next page says that %s are kept", v.Kept)
		}
	}
}
