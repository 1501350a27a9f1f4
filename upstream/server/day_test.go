package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/channel"
	"quancun/upstream/client"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
)

// day is a world in which everything happens by dice.
type day struct {
	*world
	rng    *rand.Rand
	orders []string // that a payer has seen
	loads  int
	spent  money.Fen // offline, not booked yet
}

// TestDay lets dice order, pay, walk away, pay late, tear cards, spend offline,
// cut lines and crash the upstream. In the end the account has what the
// channel was paid, once, and the books' mirror is what the purse was given.
func TestDay(t *testing.T) {
	for _, dsn := range []string{"", "", pgtest.New(t).DSN} {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d,shared=%t", seed, store.IsShared(dsn)), func(t *testing.T) {
			t.Parallel()
			d := &day{world: newWorldOn(t, dsn), rng: rand.New(rand.NewPCG(seed, 0))}
			for i := range 60 {
				d.step(i)
			}
			d.evening()
		})
	}
}

func (d *day) step(i int) {
	d.t.Helper()
	switch n := d.rng.IntN(20); {
	case n < 5:
		d.topUp(fmt.Sprintf("D%03d", i))
	case n < 9 && len(d.orders) > 0:
		d.phone(d.orders[d.rng.IntN(len(d.orders))])
	case n < 12 && len(d.orders) > 0:
		d.fault("query", "cancel")
		no := d.orders[d.rng.IntN(len(d.orders))]
		if _, err := d.client.CancelTopUp(d.t.Context(), no); reason(err) != 0 {
			d.t.Errorf("cancel: %v", err)
		}
	case n < 17:
		d.load()
	case n < 19:
		d.spend()
	default:
		d.restart()
	}
}

// fault breaks the next call of some methods, each one time in three.
func (d *day) fault(methods ...string) {
	for _, m := range methods {
		if d.rng.IntN(3) == 0 {
			d.ch.breakNext(fault{method: m, kept: d.rng.IntN(2) == 0})
		}
	}
}

func (d *day) topUp(no string) {
	d.t.Helper()
	d.fault("precreate", "precreate", "precreate", "query")
	s := d.session()
	o, err := d.client.CreateTopUp(d.t.Context(), s, no, money.Fen(100+d.rng.IntN(2000)))
	if err != nil && reason(err) != client.BalanceCap {
		d.t.Errorf("top-up: %v", err)
	}
	if o.QR != "" {
		d.orders = append(d.orders, no)
	}
}

// phone pays an order that was shown, be it closed by now; what was given back
// or paid can not be paid again.
func (d *day) phone(no string) {
	t, err := d.ch.Query(d.t.Context(), no)
	if err == nil && t.Status != channel.Paid && t.Status != channel.Returned {
		d.ch.pay(no)
	}
}

// load brings the card level, and may be torn at every point.
func (d *day) load() {
	d.t.Helper()
	ctx := d.t.Context()
	plan, err := d.client.PlanLoad(ctx, d.session(), d.card.purse)
	if err != nil || plan.Amount == 0 {
		if err != nil {
			d.t.Errorf("plan: %v", err)
		}
		return
	}
	amount := 1 + money.Fen(d.rng.Int64N(int64(plan.Amount)))
	d.loads++
	_, a, err := d.authorize(id(d.loads), amount)
	if reason(err) == client.NothingToLoad {
		return // the counter has just settled a load that was torn
	}
	if err != nil {
		d.t.Errorf("authorize: %v", err)
		return
	}
	r := client.LoadReport{LoadID: id(d.loads), Outcome: client.LoadDoubt}
	if d.rng.IntN(4) > 0 {
		tac, ok := d.card.credit(a.At, a.MAC2)
		if !ok {
			d.t.Error("the card refused our MAC2")
		}
		r.Outcome = []client.LoadOutcome{client.LoadWritten, client.LoadWritten, client.LoadDoubt}[d.rng.IntN(3)]
		if d.rng.IntN(3) > 0 && r.Outcome == client.LoadWritten {
			r.TAC, r.Evidence = tac, "response"
		}
	} else if d.rng.IntN(2) == 0 {
		r.Outcome, r.TAC = client.LoadNotWritten, pboc.MAC{}
	}
	if d.rng.IntN(3) == 0 {
		return // the card and the line went together
	}
	if _, err := d.client.ReportLoad(ctx, r); err != nil {
		d.t.Errorf("report: %v", err)
	}
}

func (d *day) spend() {
	if d.card.purse == 0 {
		return
	}
	f := money.Fen(d.rng.Int64N(int64(d.card.purse)))
	d.card.purse -= f
	d.spent += f
}

// evening lets everything come to its end, and counts.
func (d *day) evening() {
	d.t.Helper()
	d.ch.mend()
	balance := money.Fen(opening)
	for _, no := range d.orders {
		if _, err := d.client.CancelTopUp(d.t.Context(), no); err != nil {
			d.t.Errorf("cancel at last: %v", err)
		}
		form := url.Values{"out_trade_no": {no}, "sign": {"good"}}
		r := httptest.NewRequest("POST", "/alipay/notify", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		d.notify.ServeHTTP(httptest.NewRecorder(), r)
		want := client.TopUpClosed
		t, err := d.ch.Query(d.t.Context(), no)
		switch {
		case err != nil:
			d.t.Error(err)
		case t.Status == channel.Paid:
			want, balance = client.TopUpPaid, balance+t.Amount
		case t.Status == channel.Returned:
			want = client.TopUpReturned
		}
		d.becomes(no, want)
	}
	d.loads++
	if _, _, err := d.authorize(id(d.loads), 1); err != nil && reason(err) != client.NothingToLoad {
		d.t.Errorf("the last offer: %v", err)
	}
	if got := d.mirror(); got != d.card.purse+d.spent {
		d.t.Errorf("mirror %s, purse %s and %s spent", got, d.card.purse, d.spent)
	}
	if got := d.alarms(); got != nil {
		d.t.Errorf("alarms %q, want none", got)
	}
	d.check(balance)
}

// becomes waits for an order to be in a state, whatever it was before.
func (d *day) becomes(no string, want client.TopUpState) {
	d.t.Helper()
	var o client.TopUp
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var err error
		if o, err = d.client.GetTopUp(d.t.Context(), no, 0, 0); err == nil && o.State == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	d.t.Errorf("order %s in state %d, want %d", no, o.State, want)
}
