package kiosk_test

import (
	"context"
	"sync/atomic"
	"testing"

	"quancun/journal"
	"quancun/kiosk"
	flow "quancun/kiosk/till"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// onceHeard is the way upstream whose line goes down after the first answer to a tap.
type onceHeard struct {
	kiosk.Authorizer
	heard atomic.Bool
}

func (o *onceHeard) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	if o.heard.Swap(true) {
		return client.Approval{}, errLost
	}
	return o.Authorizer.Authorize(ctx, q)
}

// TestDeclinedThenSilent: the upstream says that the account has not enough, and asks what
// became of the sale before. That it says nothing when it is asked once more makes no sale.
func TestDeclinedThenSilent(t *testing.T) {
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	world.card.Break(sim.Break{How: sim.TearBefore, INS: 0x54})
	w.price(20 * yuan)
	w.layCard()
	w.see(flow.Doubt)
	world.eventually(func() string {
		if world.booked(journal.SuspenseAccount(w.id)) != 20*yuan {
			return "the doubt is not upstream"
		}
		return ""
	})
	world.debit(15 * yuan) // of 30 that were there: not enough for 20
	world.card.Mend()
	tills[0].seller.Upstream = &onceHeard{Authorizer: tills[0].seller.Upstream}
	w.layCard()
	if v := w.see(flow.Sold, flow.Declined, flow.PaidBefore); v.Step != flow.Declined {
		t.Errorf("step %d, sale %+v, although the upstream has said not enough", v.Step, v.Sale)
	}
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != 0 {
		t.Errorf("the canteen has %s, the account %s", got, world.balance())
	}
}
