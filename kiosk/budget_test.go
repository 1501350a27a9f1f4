package kiosk_test

import (
	"context"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	flow "quancun/kiosk/till"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// tapBudget is how long a tap may wait here.
const tapBudget = 300 * time.Millisecond

// slow is an upstream that takes its time over what a tap asks of it. Of a load it
// hears after a while, and then it says what it always does; or not at all.
type slow struct {
	upstream
	t     *testing.T
	hears time.Duration  // after which it hears of a load; 0: never
	used  *time.Duration // that it has kept the tap waiting; one call is made at a time
}

// wait keeps a call waiting, for no longer than its caller does, who has to give up
// within what is left of the tap's budget.
func (u slow) wait(ctx context.Context, long time.Duration) error {
	begun := time.Now()
	defer func() { *u.used += time.Since(begun) }()
	left := tapBudget - *u.used
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > left {
		u.t.Errorf("a tap that may wait for %v more waits until %v", left, end)
		return context.DeadlineExceeded
	}
	after := make(<-chan time.Time)
	if long > 0 {
		after = time.After(long)
	}
	select {
	case <-after:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u slow) Authorize(ctx context.Context, _ client.AuthorizeRequest) (client.Approval, error) {
	return client.Approval{}, u.wait(ctx, 0)
}

func (u slow) ReportLoad(ctx context.Context, r client.LoadReport) (client.LoadStatus, error) {
	if err := u.wait(ctx, u.hears); err != nil {
		return client.LoadStatus{}, err
	}
	return u.upstream.ReportLoad(context.WithoutCancel(ctx), r)
}

// TestTapBudget: an upstream that is slow instead of gone holds a tap up no longer than
// its budget, in all that it is asked, also where a load of the card is open here and
// takes a part of that, or the whole; the till then decides alone, and everything agrees
// once the upstream answers again.
func TestTapBudget(t *testing.T) {
	for name, tt := range map[string]struct {
		torn  bool
		hears time.Duration
	}{
		"nothing open": {}, "a load open": {torn: true}, "a load is heard of": {true, tapBudget / 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			if tt.torn {
				w.credit(20 * yuan)
				w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
				c.tearLoad()
			}
			whole := c.up.whole()
			c.up.replace(slow{whole, t, tt.hears, new(time.Duration)})
			c.seller.Budget = tapBudget
			if v := c.sell(lunch, false); !v.sold || v.online {
				t.Errorf("told %+v, want it sold alone", v)
			}
			c.up.replace(whole)
			c.tap()
			w.told(c.post)
			if got := w.booked(journal.MerchantAccount(merchant)); got != lunch {
				t.Errorf("the canteen has %s, want %s", got, lunch)
			}
			if broken, err := w.books.Verify(t.Context()); err != nil || broken != nil {
				t.Errorf("books: %q, %v", broken, err)
			}
		})
	}
}

// TestOneBudget: a card that comes back after a sale that has not been made is settled
// and pays in one tap, which has one budget for both.
func TestOneBudget(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	c := tills[0]
	w := c.openWindow()
	w.price(lunch)
	world.card.Break(sim.Break{How: sim.TearBefore, INS: 0x54})
	w.layCard()
	w.see(flow.Doubt)

	world.card.Mend()
	world.credit(20 * yuan)
	here := c.slot
	c.slot = sim.NewSlot() // the same card, before it comes back to the till
	world.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
	c.tearLoad()
	c.slot = here
	world.card.Mend()

	whole := c.up.whole()
	c.up.replace(slow{whole, t, 0, new(time.Duration)})
	c.seller.Budget = tapBudget
	w.layCard()
	if v := w.see(flow.Sold); v.Sale.Online {
		t.Errorf("sold %+v, which the upstream has never heard of", v.Sale)
	}
	c.up.replace(whole)
	world.told(c.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != lunch {
		t.Errorf("the canteen has %s, want %s", got, lunch)
	}
}

// tearLoad has the till load the card, which is torn off.
func (c *till) tearLoad() {
	c.world.t.Helper()
	card, info, err := c.lay()
	c.world.ok(err)
	defer card.Close()
	ctx := c.world.t.Context()
	digits := [kiosk.PINLength]byte([]byte(pin))
	look, err := c.up.LookUpCard(ctx, cardNo)
	c.world.ok(err)
	session, _, err := c.up.SignIn(ctx, cardNo, look.Challenge, &digits)
	c.world.ok(err)
	shown := purse.PIN([]byte(pin))
	c.world.ok(purse.VerifyPIN{PIN: &shown, Encoding: c.world.profile.PIN.Encoding, Key: c.world.profile.PIN.Key}.Send(card))
	loader := &kiosk.Loader{Settler: c.seller.Settler}
	loader.SAM = nil
	_, err = loader.Load(ctx, card, kiosk.LoadRequest{Session: session, Card: info},
		func(kiosk.LoadStage, money.Fen) {})
	if err == nil {
		c.world.t.Fatal("the load was not torn")
	}
}
