package kiosk_test

import (
	"testing"

	"quancun/journal"
	flow "quancun/kiosk/till"
	"quancun/reader/sim"
)

// TestTillEarlierUnpaid: a sale of which nobody knew whether its card had paid turns out
// not to have been paid when the card pays for something else. The cashier is told.
func TestTillEarlierUnpaid(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	world.card.Break(sim.Break{How: sim.TearBefore, INS: 0x54})
	w.price(lunch)
	w.layCard()
	w.see(flow.Doubt)
	w.do(flow.Input{Event: flow.Leave})
	first := w.see(flow.Unknown)
	w.do(flow.Input{Event: flow.Leave})
	w.see(flow.Ready)
	world.card.Mend()
	w.price(yuan)
	w.layCard()
	v := w.see(flow.Sold, flow.Declined, flow.PaidBefore)
	if v.Step != flow.Sold || len(v.News) != 1 || v.News[0].Ref != first.Sale.Ref || v.News[0].Amount != lunch ||
		v.News[0].Done || v.News[0].With != flow.ByCard {
		t.Errorf("step %d, of the sale before the cashier is told %+v", v.Step, v.News)
	}
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != yuan {
		t.Errorf("the canteen has %s, want %s", got, yuan)
	}
}
