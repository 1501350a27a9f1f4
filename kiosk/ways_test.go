package kiosk_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/rules"
	flow "quancun/kiosk/till"
	"quancun/reader/sim"
)

// TestListOfSilentCards: where the older journal of today is damaged, and cards tell
// nobody without a PIN what they have paid, no card is sold to in the dark. The list of
// ways to pay says so before one is laid down, and a card is there again with the upstream.
func TestListOfSilentCards(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	silent := *w.profile
	silent.PIN.ForLog = true
	w.profile = &silent
	w.ok(w.card.Update(func(s *sim.State) { s.PINForLog = true }))
	c.seller.Profile = w.profile
	if v := c.sell(lunch, false); !v.sold {
		t.Fatalf("the first: %+v", v)
	}
	w.told(c.post)
	old := c.oldJournal()
	w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
	w.ok(os.WriteFile(old, []byte("damaged"), 0o600))
	w.told(c.post)
	c.slot.Take()
	face := c.openWindow()
	face.pays(flow.NoReason)
	face.health <- kiosk.Health{Terminal: c.id, Reader: true, Since: time.Now()}
	face.pays(flow.PastGone)
	face.price(lunch)
	face.see(flow.Present)
	face.layCard()
	if v := face.see(flow.Declined); v.Fault != kiosk.CodePast {
		t.Errorf("refused with %d, want %d", v.Fault, kiosk.CodePast)
	}
	face.slot.Take() // or it would be tried again as soon as there is a price
	face.hear()
	face.health <- kiosk.Health{Terminal: c.id, Reader: true, Upstream: true}
	face.price(lunch)
	face.see(flow.Present)
	face.pays(flow.NoReason)
	face.layCard()
	if v := face.see(flow.Sold); !v.Sale.Online {
		t.Errorf("sold as %+v", v.Sale)
	}
}

// halfRead is a journal that somebody turns away from while its older epochs are read.
type halfRead struct {
	kiosk.Book
	left context.CancelFunc
}

func (b halfRead) Before(ctx context.Context, _ time.Time) ([]journal.Entry, error) {
	b.left()
	return nil, ctx.Err()
}

// TestDayHalfRead: a day of which reading was given up is read again, and no budget
// begins anew.
func TestDayHalfRead(t *testing.T) {
	t.Parallel()
	w, tills := newShop(t, "T01")
	c := tills[0]
	_, err := w.books.Publish(t.Context(), "settings", []byte(`{"offline_day_max_fen":1200}`))
	w.ok(err)
	w.eventually(func() string {
		if c.terms.Rules().DayMax != lunch {
			return "the settings did not come"
		}
		return ""
	})
	if v := c.sell(lunch, false); !v.sold {
		t.Fatalf("the first: %+v", v)
	}
	w.told(c.post)
	w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
	ctx, left := context.WithCancel(t.Context())
	whole := c.seller.Book
	c.seller.Book = halfRead{whole, left}
	card, info, err := c.lay()
	w.ok(err)
	_, err = c.seller.Sell(ctx, card, kiosk.Sale{Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Amount: 1})
	w.ok(card.Close())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: %v", err)
	}
	c.seller.Book = whole
	c.up.goAway("Authorize", false)
	if v := c.sell(1, false); !errors.Is(v.err, rules.ErrDay) {
		t.Errorf("more than a day: %+v, want %v", v, rules.ErrDay)
	}
}
