package kiosk_test

import (
	"context"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/client"
)

// tapBudget is how long a tap may wait here.
const tapBudget = 300 * time.Millisecond

// silent is an upstream that takes what a tap asks of it, and answers nothing.
type silent struct {
	upstream
	t *testing.T
}

// wait gives up when the caller does, who has to within the budget.
func (u silent) wait(ctx context.Context) error {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > tapBudget {
		u.t.Errorf("a tap waits until %v", end)
		return context.DeadlineExceeded
	}
	<-ctx.Done()
	return ctx.Err()
}

func (u silent) Authorize(ctx context.Context, _ client.AuthorizeRequest) (client.Approval, error) {
	return client.Approval{}, u.wait(ctx)
}

func (u silent) ReportLoad(ctx context.Context, _ client.LoadReport) (client.LoadStatus, error) {
	return client.LoadStatus{}, u.wait(ctx)
}

// TestTapBudget: an upstream that is slow instead of gone holds no call of a tap up for
// longer than its budget, also where a load of the card is open here; the till then
// decides alone, and everything agrees once the upstream answers again.
func TestTapBudget(t *testing.T) {
	for name, torn := range map[string]bool{"nothing open": false, "a load open": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tills := newShop(t, "T01")
			c := tills[0]
			if torn {
				w.credit(20 * yuan)
				w.card.Break(sim.Break{How: sim.TearAfter, INS: 0x52})
				c.tearLoad()
			}
			whole := c.up.whole()
			c.up.replace(silent{whole, t})
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
