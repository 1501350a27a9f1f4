package till

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// TestForeignCardIsNobody: a bank card that follows a sale in the queue is
// declined as what it is, and the customer before is not named beside it.
func TestForeignCardIsNobody(t *testing.T) {
	slot := sim.NewSlot()
	slot.Lay(sim.New(sim.Foreign(sim.Bank, [4]byte{9, 9, 9, 9})))
	d := &Desk{
		Device: slot, Profile: profile.Default(), Clock: kiosk.NewClock(time.Now), Log: slog.New(slog.DiscardHandler),
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
