package kiosk_test

import (
	"sync"
	"testing"
	"time"

	"quancun/journal"
	flow "quancun/kiosk/till"
	"quancun/reader"
	"quancun/reader/sim"
)

// bouncing is a reader that loses a card in the moment in which it is taken up, and has it
// again: a hand bounces.
type bouncing struct {
	*sim.Slot
	card *sim.Card
	once sync.Once
}

func (b *bouncing) Connect() (reader.Card, error) {
	b.once.Do(func() { b.Take(); b.Lay(b.card) })
	return b.Slot.Connect()
}

// TestTillBouncing: a card that bounced when it paid is left on the reader. It does not pay
// for the next customer.
func TestTillBouncing(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow(func(s *flow.Session) {
		s.Desk.Device = &bouncing{Slot: tills[0].slot, card: world.card}
	})
	w.price(lunch)
	w.layCard()
	w.see(flow.Sold)
	w.hear()
	w.price(yuan)
	w.see(flow.Present)
	time.Sleep(300 * time.Millisecond) // a sale would be made by now
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != lunch {
		t.Errorf("the canteen has %s, want %s", got, lunch)
	}
	w.layCard() // which is what pays
	if v := w.see(flow.Sold, flow.Declined, flow.Ask); v.Step != flow.Sold {
		t.Errorf("laid down again: step %d", v.Step)
	}
}

// TestTillBouncesAfter: the same, of a card that bounces when it has paid: the till says
// whose it is, and what it has paid.
func TestTillBouncesAfter(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	w.price(lunch)
	w.layCard()
	w.see(flow.Sold)
	w.layCard()
	if v := w.see(flow.Glance); v.Sale.Amount != lunch {
		t.Errorf("the card that has paid: %+v", v.Sale)
	}
	w.price(yuan)
	w.see(flow.Present)
	time.Sleep(300 * time.Millisecond) // a sale would be made by now
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != lunch {
		t.Errorf("the canteen has %s, want %s", got, lunch)
	}
	w.layCard()
	if v := w.see(flow.Sold, flow.Declined, flow.Ask); v.Step != flow.Sold {
		t.Errorf("laid down again: step %d", v.Step)
	}
}
