package kiosk_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/shift"
	flow "quancun/kiosk/till"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/sim"
	faces "quancun/upstream/client/photo"
	"quancun/upstream/photo"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// window is a till with its face: the flow, and a cashier who sees its views.
type window struct {
	*till
	inputs  chan flow.Input
	health  chan kiosk.Health
	news    chan flow.News
	views   chan flow.View
	current flow.View                    // seen last
	heard   atomic.Pointer[reader.State] // by the till, of its reader
	close   func()
}

// openWindow starts the face of a till, as a cashier finds it after a start, with
// whatever else it has.
func (c *till) openWindow(with ...func(*flow.Session)) *window {
	c.world.t.Helper()
	w := &window{
		till: c, inputs: make(chan flow.Input), health: make(chan kiosk.Health), news: make(chan flow.News),
		views: make(chan flow.View, 4096),
	}
	cards := make(chan reader.State)
	session := &flow.Session{
		Desk: &flow.Desk{
			Device: c.slot, Cards: c.seller, Gate: c.up, Book: c.book, Profile: c.world.profile, Clock: c.clock,
			Plan: flow.Plan{Merchant: merchant, Operator: flow.Operator{No: "c7"}}, Log: c.log,
		},
		Terms: c.terms, Feeds: c.feeds, Cards: cards, Inputs: w.inputs, Health: w.health, News: w.news,
		Unread: filepath.Join(c.world.dir, c.id+".unread"),
		Log:    c.log,
		Show:   func(v flow.View) { w.views <- v },
	}
	for _, more := range with {
		more(session)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	states := make(chan reader.State)
	running.Go(func() { session.Run(ctx) })                         //nolint:errcheck // ends by cancel
	running.Go(func() { reader.Watch(ctx, c.slot, states, c.log) }) //nolint:errcheck // ends by cancel
	running.Go(func() { w.pass(ctx, states, cards) })
	w.close = sync.OnceFunc(func() { cancel(); running.Wait() })
	c.world.t.Cleanup(w.close)
	w.health <- kiosk.Health{Terminal: c.id, Upstream: true}
	w.see(flow.Ready)
	return w
}

// pass tells the till what its reader sees.
func (w *window) pass(ctx context.Context, states <-chan reader.State, cards chan<- reader.State) {
	for now := range states {
		select {
		case cards <- now:
			w.heard.Store(&now)
		case <-ctx.Done():
		}
	}
}

// hear waits until the till has heard of all that was done at its reader.
func (w *window) hear() {
	w.world.t.Helper()
	now, err := w.slot.Wait(w.world.t.Context(), reader.State{})
	w.world.ok(err)
	w.world.eventually(func() string {
		if last := w.heard.Load(); last == nil || *last != now {
			return "the till does not hear of its reader"
		}
		return ""
	})
}

// see waits for one of the steps and returns its view.
func (w *window) see(steps ...flow.Step) flow.View {
	w.world.t.Helper()
	late := time.After(60 * time.Second)
	for {
		for _, s := range steps {
			if w.current.Step == s {
				return w.current
			}
		}
		select {
		case w.current = <-w.views:
		case <-late:
			w.world.t.Fatalf("the till shows step %d, and none of %v", w.current.Step, steps)
		}
	}
}

// do has the cashier do something, and forgets what was shown before.
func (w *window) do(in flow.Input) {
	w.world.t.Helper()
	w.current = flow.View{}
	w.inputs <- in
}

func (w *window) price(f money.Fen) { w.do(flow.Input{Event: flow.Priced, Amount: f}) }

// layCard has the card laid down anew.
func (w *window) layCard() {
	w.slot.Take()
	w.hear() // a hand is slower than the reader
	w.current = flow.View{}
	w.slot.Lay(w.world.card)
}

// leaveDoubt has the card torn off while it pays, and the cashier leave it at that.
func (w *window) leaveDoubt() flow.View {
	w.world.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
	w.price(lunch)
	w.layCard()
	doubt := w.see(flow.Doubt)
	w.do(flow.Input{Event: flow.Leave})
	w.see(flow.Unknown)
	return doubt
}

func (w *window) typePIN(digits string) {
	p := new(kiosk.PIN)
	for _, d := range digits {
		p.Add(byte(d))
	}
	w.do(flow.Input{Event: flow.Typed, PIN: p})
}

// TestTillSells is a lunch at the window, and what comes after it: the same card
// again is answered, and the same price once more is asked about.
func TestTillSells(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	w.price(lunch)
	w.see(flow.Present)
	w.layCard()
	v := w.see(flow.Sold)
	if v.Sale.Amount != lunch || !v.Sale.Online || v.Balance != opening-lunch || v.Holder.Name != "欧**明" ||
		v.Sale.Number == 0 {
		t.Errorf("sold: %+v", v)
	}
	w.layCard()
	if v := w.see(flow.Glance); v.Balance != opening-lunch || v.Sale.Amount != lunch {
		t.Errorf("re-tap is answered by %+v", v)
	}
	w.do(flow.Input{Event: flow.Leave})
	w.see(flow.Ready)
	w.do(flow.Product{Name: "鱼", Price: lunch}.Input())
	w.see(flow.Present)
	w.layCard()
	w.see(flow.Ask)
	w.do(flow.Input{Event: flow.Confirmed})
	w.see(flow.Sold)
	lines, err := shift.Sales(t.Context(), w.book, shift.Period{Until: time.Now().AddDate(100, 0, 0)}, shift.ByItem)
	world.ok(err)
	if len(lines) != 2 || lines[0].Net() != lunch || lines[1].Key != "鱼" || lines[1].Net() != lunch {
		t.Errorf("by item: %+v", lines)
	}
	world.told(w.post)
	if n := world.balanced(w.till); n != 2 {
		t.Errorf("%d lunches paid, want 2", n)
	}
}

// TestTillShowsWhoHasPaid: the photo comes after the sale, for which nobody waits, and
// ends with it. Of a sale that the upstream knows nothing of there is none.
func TestTillShowsWhoHasPaid(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	var picture bytes.Buffer
	world.ok(png.Encode(&picture, image.NewGray(image.Rect(0, 0, 60, 80))))
	small, err := photo.Shrink(&picture)
	world.ok(err)
	world.ok(photo.Put(t.Context(), world.books, store.HolderAccount("2026012345"), small))
	w := tills[0].openWindow(func(s *flow.Session) { s.Desk.Photos = faces.New(tills[0].client) })
	w.price(lunch)
	w.see(flow.Present)
	w.layCard()
	v := w.see(flow.Sold)
	if v.Photo != nil {
		t.Error("a sale waits for the photo")
	}
	for v.Photo == nil {
		select {
		case v = <-w.views:
		case <-time.After(60 * time.Second):
			t.Fatal("no photo comes")
		}
	}
	if v.Step != flow.Sold || v.Photo.Bounds() != image.Rect(0, 0, photo.Width, photo.Height) {
		t.Errorf("step %d shows a photo of %v", v.Step, v.Photo.Bounds())
	}
	w.do(flow.Input{Event: flow.Leave})
	if v := w.see(flow.Ready); v.Photo != nil {
		t.Error("the photo stays when its sale is over")
	}
}

// TestTillLeavesCards: the card of the last customer, who has left it lying
// there, is not charged for the next.
func TestTillLeavesCards(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	w.price(lunch)
	w.layCard()
	w.see(flow.Sold)
	w.price(lunch + yuan)
	w.see(flow.Present)
	time.Sleep(300 * time.Millisecond)
	for len(w.views) > 0 {
		if w.current = <-w.views; w.current.Step != flow.Present {
			t.Fatalf("went on to step %d by itself", w.current.Step)
		}
	}
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// TestTillLimit: above the daily limit the holder's PIN is asked, upstream or, in
// the dark, of the card.
func TestTillLimit(t *testing.T) {
	for _, dark := range []bool{false, true} {
		t.Run(fmt.Sprint("dark=", dark), func(t *testing.T) {
			t.Parallel()
			world, tills := newShop(t, "T01")
			world.limit(10 * yuan)
			w := tills[0].openWindow()
			price := lunch
			if dark {
				w.up.goAway("Authorize", false)
				w.health <- kiosk.Health{Terminal: w.id, Since: time.Now()}
				w.seller.Terms = kiosk.NewTerms(w.id, w.number)
				price = 51 * yuan
				state := world.card.State()
				state.Balance = uint32(60 * yuan)
				world.card = sim.New(state)
			}
			w.price(price)
			w.layCard()
			w.see(flow.EnterPIN)
			w.typePIN("000000")
			if v := w.see(flow.EnterPIN); !v.PIN.Wrong || v.PIN.TriesLeft == 0 {
				t.Errorf("wrong PIN: %+v", v.PIN)
			}
			w.typePIN(pin)
			if v := w.see(flow.Sold, flow.Declined); v.Step != flow.Sold || v.Sale.Online == dark {
				t.Errorf("after the PIN: step %d, fault %d, sale %+v", v.Step, v.Fault, v.Sale)
			}
			if dark {
				return // the purse held more than the account: not for the books
			}
			world.told(w.post)
			world.balanced(w.till)
		})
	}
}

// TestTillLoadsFirst: a purse that is too low is loaded from the account, and pays
// in the same tap; also when the card is torn off while it is loaded.
func TestTillLoadsFirst(t *testing.T) {
	const price, more = 40 * yuan, 20 * yuan // the purse holds 30, the account 50
	for name, breaks := range map[string][]sim.Break{
		"whole": nil, "torn before": {{How: sim.TearBefore, INS: 0x52}}, "torn after": {{How: sim.TearAfter, INS: 0x52}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world, tills := newShop(t, "T01")
			world.credit(more)
			w := tills[0].openWindow()
			w.price(price)
			w.layCard()
			if v := w.see(flow.Declined); !v.Short || v.Balance != opening {
				t.Fatalf("declined: %+v", v)
			}
			for _, b := range breaks {
				world.card.Break(b)
			}
			w.do(flow.Input{Event: flow.LoadFirst})
			w.see(flow.EnterPIN)
			w.typePIN(pin)
			v := w.see(flow.Sold, flow.Present, flow.Declined, flow.Unknown)
			for again := 0; breaks != nil && v.Step != flow.Sold && again < 3; again++ {
				if v.Step != flow.Present || v.Notice != flow.CardLeft {
					t.Fatalf("after the card was torn off: step %d, notice %d, fault %d", v.Step, v.Notice, v.Fault)
				}
				w.layCard()
				if v = w.see(flow.Sold, flow.Declined, flow.EnterPIN); v.Step == flow.Declined && v.Short {
					w.do(flow.Input{Event: flow.LoadFirst})
					v = w.see(flow.EnterPIN)
				}
				if v.Step == flow.EnterPIN {
					w.typePIN(pin)
					v = w.see(flow.Sold, flow.Present, flow.Declined)
				}
			}
			if v.Step != flow.Sold || v.Balance != opening+more-price {
				t.Fatalf("step %d, fault %d, balance %s", v.Step, v.Fault, v.Balance)
			}
			world.told(w.post)
			got := world.booked(journal.MerchantAccount(merchant))
			if left := opening + more - price; world.balance() != left || world.purse() != left || got != price {
				t.Errorf("account %s, purse %s, merchant %s", world.balance(), world.purse(), got)
			}
			if broken, err := world.books.Verify(t.Context()); err != nil || broken != nil {
				t.Errorf("books: %q, %v", broken, err)
			}
		})
	}
}

// untold is an upstream that has no news yet of what is in doubt.
type untold struct{ upstream }

func (untold) Settlements(context.Context, []string) (map[string]journal.Outcome, error) {
	return nil, nil
}

// TestTillLoadsFirstPaidBefore: a card that tells nothing without its PIN was torn off, and
// the till was started anew, whose SAM knows of it no more. When it is loaded for another
// price its PIN is there, and it tells that it has paid: the cashier is asked before it
// pays a second time.
func TestTillLoadsFirstPaidBefore(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	silent := *world.profile
	silent.PIN.ForLog = true
	world.profile = &silent
	world.ok(world.card.Update(func(s *sim.State) { s.PINForLog = true }))
	c := tills[0]
	c.seller.Profile = world.profile
	c.up.replace(untold{c.client})
	world.credit(20 * yuan)
	w := c.openWindow()
	world.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
	w.price(lunch)
	w.layCard()
	first := w.see(flow.Doubt)
	w.close()
	c.restart()
	w = c.openWindow()
	w.price(25 * yuan) // of which 18 are on the card
	w.layCard()
	if v := w.see(flow.Declined, flow.Sold, flow.PaidBefore); !v.Short {
		t.Fatalf("declined: %+v", v)
	}
	w.do(flow.Input{Event: flow.LoadFirst})
	w.see(flow.EnterPIN)
	w.typePIN(pin)
	v := w.see(flow.PaidBefore, flow.Sold, flow.Declined, flow.Present)
	if v.Step != flow.PaidBefore || v.Sale.Ref != first.Sale.Ref || v.Sale.Amount != lunch {
		t.Fatalf("step %d, fault %d, sale %+v; want %+v", v.Step, v.Fault, v.Sale, first.Sale)
	}
	w.do(flow.Input{Event: flow.WasThis})
	if v := w.see(flow.Sold); v.Sale.Ref != first.Sale.Ref {
		t.Errorf("it was this one: %+v", v)
	}
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != lunch {
		t.Errorf("the merchant has %s", got)
	}
}

// credit puts money on the holder's account that is not on the card, and debit takes it off.
func (w *world) credit(f money.Fen) { w.correct(store.Opening, holderAccount, f) }
func (w *world) debit(f money.Fen)  { w.correct(holderAccount, store.Opening, f) }

var holderAccount = store.HolderAccount("2026012345")

func (w *world) correct(from, to store.Account, f money.Fen) {
	w.t.Helper()
	ctx := w.t.Context()
	w.ok(w.books.Write(ctx, func(tx *sqldb.Tx) error {
		at, err := w.books.LockAccounts(ctx, tx, []store.Account{from, to})
		if err != nil {
			return err
		}
		_, err = w.books.PostAll(ctx, tx, at, []store.Entry{{
			Kind: store.KindCorrection, Place: "clearing", Debit: from, Credit: to, Amount: f,
		}})
		return err
	}))
}

// TestTillTorn: a card that is torn off is asked for, and says itself whether it
// has paid. One that has not pays in the same tap.
func TestTillTorn(t *testing.T) {
	for name, how := range map[string]sim.How{"before": sim.TearBefore, "after": sim.TearAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world, tills := newShop(t, "T01")
			w := tills[0].openWindow()
			world.card.Break(sim.Break{How: how, INS: 0x54})
			w.price(lunch)
			w.layCard()
			if v := w.see(flow.Doubt); v.Sale.Ref == "" || v.Sale.Amount != lunch {
				t.Errorf("doubt: %+v", v.Sale)
			}
			w.layCard()
			if v := w.see(flow.Sold); v.Balance != opening-lunch {
				t.Errorf("balance %s", v.Balance)
			}
			world.told(w.post)
			if n := world.balanced(w.till); n != 1 {
				t.Errorf("%d lunches paid, want 1", n)
			}
		})
	}
}

// TestTillOtherCard: while a card is in doubt another one is not charged, and is
// told apart; the right one settles it.
func TestTillOtherCard(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	world.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
	w.price(lunch)
	w.layCard()
	first := w.see(flow.Doubt)
	right := world.card
	world.card = factory(t, func(h *sim.Holder) { h.CardNo[9], h.UID = 0x99, [4]byte{9, 9, 9, 9} })
	w.layCard()
	w.see(flow.Settling)
	if v := w.see(flow.Doubt); v.Notice != flow.OtherCardThere || v.Sale.Ref != first.Sale.Ref {
		t.Errorf("another card: notice %d, sale %+v", v.Notice, v.Sale)
	}
	world.card = right
	w.layCard()
	if v := w.see(flow.Sold, flow.Unknown); v.Step != flow.Sold || v.Sale.Ref != first.Sale.Ref {
		t.Errorf("the right card: step %d, sale %+v", v.Step, v.Sale)
	}
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// TestTillHearsOfDoubt: the page of a sale of which nobody knows changes by itself
// once it was settled elsewhere, and the news of it is not told a second time.
func TestTillHearsOfDoubt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		how  sim.How
		came journal.Outcome
		want flow.Step
	}{
		"Written":    {sim.TearAfter, journal.Elsewhere, flow.Sold},
		"NotWritten": {sim.TearBefore, journal.ElsewhereNot, flow.Declined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world, tills := newShop(t, "T01")
			w := tills[0].openWindow()
			world.card.Break(sim.Break{How: tt.how, INS: 0x54})
			w.price(lunch)
			w.layCard()
			doubt := w.see(flow.Doubt)
			w.do(flow.Input{Event: flow.Leave})
			w.see(flow.Unknown)
			w.news <- flow.News{Ref: "another", Amount: lunch, With: flow.ByCard, Done: true}
			item, err := w.book.Get(t.Context(), doubt.Sale.Ref)
			if err != nil {
				t.Fatal(err)
			}
			end := journal.Entry{Kind: journal.SaleEnd, Ref: doubt.Sale.Ref, Outcome: tt.came}
			if _, err := w.book.Append(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			n, ok := flow.NewsOf(item.First, item.First.Ref, tt.came.Happened())
			if !ok {
				t.Fatal("no news")
			}
			w.current = flow.View{}
			w.news <- n
			v := w.see(flow.Sold, flow.Declined)
			if v.Step != tt.want || v.Sale.Ref != doubt.Sale.Ref || len(v.News) != 1 || v.News[0].Ref != "another" ||
				(v.Sale.Number > 0) != tt.came.Happened() || v.Fault.Doubt() {
				t.Errorf("the page shows %+v", v)
			}
			for _, unread := range []int{1, 0} { // what was not read is there after a restart
				w.close()
				w = tills[0].openWindow()
				if v := w.see(flow.Ready); len(v.News) != unread {
					t.Errorf("after a restart %+v, want %d", v.News, unread)
				}
				if unread > 0 {
					w.do(flow.Input{Event: flow.Read})
					w.see(flow.Ready)
				}
			}
		})
	}
}

// TestTillNumberTakenTorn: somebody writes before the intent of a sale, which is begun anew,
// and then the card is lifted. It pays when it is laid down again: the name of the first
// attempt is used up.
func TestTillNumberTakenTorn(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	c := tills[0]
	c.seller.Book = &hurried{brokenBook: c.journal(), times: 1}
	w := c.openWindow()
	world.card.Break(sim.Break{How: sim.TearBefore, INS: 0x50, Skip: 1})
	w.price(lunch)
	w.layCard()
	if v := w.see(flow.Present, flow.Sold, flow.Declined); v.Step == flow.Present {
		w.see(flow.Selling)
		if v = w.see(flow.Present, flow.Sold, flow.Declined); v.Notice != flow.CardLeft {
			t.Fatalf("step %d, notice %d, fault %d", v.Step, v.Notice, v.Fault)
		}
	}
	w.layCard()
	if v := w.see(flow.Sold, flow.Declined); v.Step != flow.Sold {
		t.Errorf("laid down again: fault %d", v.Fault)
	}
	world.told(w.post)
	if got := world.booked(journal.MerchantAccount(merchant)); got != lunch {
		t.Errorf("the merchant has %s", got)
	}
}

// TestTillWasThis: a sale that the card has paid, and whose customer was asked to
// pay again, is said to be this one: it is paid once.
func TestTillWasThis(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	first := w.leaveDoubt()
	w.do(flow.Input{Event: flow.Leave})
	w.see(flow.Ready)
	w.price(lunch)
	w.layCard()
	if v := w.see(flow.PaidBefore, flow.Sold, flow.Declined); v.Step != flow.PaidBefore || v.Sale.Ref != first.Sale.Ref {
		t.Fatalf("the card again: step %d, sale %+v", v.Step, v.Sale)
	}
	w.do(flow.Input{Event: flow.WasThis})
	if v := w.see(flow.Sold); v.Sale.Ref != first.Sale.Ref || v.Last.Ref != first.Sale.Ref || v.Balance != opening-lunch {
		t.Errorf("it was this one: %+v", v)
	}
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// TestTillOutOfOrder: a till that cannot write takes nobody's money, and goes on
// when it can.
func TestTillOutOfOrder(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	w.price(lunch)
	w.see(flow.Present)
	w.health <- kiosk.Health{Terminal: w.id, Upstream: true, Fault: kiosk.CodeFull}
	if v := w.see(flow.OutOfOrder); v.Fault != kiosk.CodeFull || v.Amount != 0 {
		t.Errorf("out of order: fault %d, price %s", v.Fault, v.Amount)
	}
	w.slot.Lay(world.card)
	w.hear()
	w.slot.Take()
	w.health <- kiosk.Health{Terminal: w.id, Upstream: true}
	w.see(flow.Ready)
	w.price(lunch)
	w.layCard()
	w.see(flow.Sold)
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// TestTillDark: with the upstream gone the card pays, the screen says so, and
// everything reconciles when it is back.
func TestTillDark(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	w.up.goAway("Authorize", false)
	w.health <- kiosk.Health{Terminal: w.id, Since: time.Now()}
	w.price(lunch)
	w.layCard()
	v := w.see(flow.Sold)
	if v.Sale.Online || v.Health.Upstream || v.Dark.Sale == 0 || v.Ways[0].Why != flow.NoReason {
		t.Errorf("dark: %+v", v)
	}
	w.up.set(brokenAt{})
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// serve sells lunch at the window as a cashier does, and says what the cashier
// was told. A customer who leaves does not come back.
func (w *window) serve(leaves bool) verdict {
	w.world.t.Helper()
	w.price(lunch)
	w.see(flow.Present)
	w.layCard()
	for again := 0; ; again++ {
		v := w.see(flow.Sold, flow.Declined, flow.Unknown, flow.Doubt, flow.Present, flow.PaidBefore, flow.OutOfOrder)
		switch {
		case v.Step == flow.Sold:
			return verdict{sold: true}
		case v.Step == flow.Declined:
			return verdict{refused: true, err: fmt.Errorf("declined, fault %d", v.Fault)}
		case v.Step == flow.Present:
			return verdict{refused: true, err: fmt.Errorf("lifted too early")}
		case v.Step != flow.Doubt, leaves, again > 2:
			return verdict{err: fmt.Errorf("step %d, fault %d", v.Step, v.Fault)}
		}
		w.layCard()
	}
}

// TestTillBroken breaks a sale through the till's face at each point at which the
// world can break it, as TestSaleBroken does without one. Whatever the screen
// said has to be so after a power cut.
func TestTillBroken(t *testing.T) {
	for name, breaks := range saleBreaks() {
		for _, leaves := range []bool{false, true} {
			if leaves {
				name += ", leaves"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				world, tills := newShop(t, "T01")
				w := tills[0].openWindow()
				breaks(world, w.till)
				v := w.serve(leaves)
				w.close()
				world.surviveSale(v, w.till)
			})
		}
	}
}

// TestTillKilled turns the power off while each step of a sale is shown, and
// looks again: whoever starts the till anew is told of the sale that was made.
func TestTillKilled(t *testing.T) {
	for _, at := range []flow.Step{flow.Present, flow.Selling, flow.Doubt, flow.Settling, flow.Sold} {
		t.Run(fmt.Sprint("step ", int(at)), func(t *testing.T) {
			t.Parallel()
			world, tills := newShop(t, "T01")
			w := tills[0].openWindow()
			if at == flow.Doubt || at == flow.Settling {
				world.card.Break(sim.Break{How: sim.TearAfter, INS: 0x54})
			}
			w.price(lunch)
			w.layCard()
			if at == flow.Settling {
				w.see(flow.Doubt)
				w.layCard()
			}
			w.see(at)
			v := verdict{sold: at == flow.Sold}
			w.close()
			world.surviveSale(v, w.till)
			paid := world.purse() != opening
			told := w.openWindow().current.Last
			if _, err := w.book.Get(t.Context(), told.Ref); paid != (told.Amount == lunch) || paid && err != nil {
				t.Errorf("card has paid: %v; the till says %+v (%v)", paid, told, err)
			}
			if held := world.booked(journal.SuspenseAccount(w.id)); held != 0 {
				t.Errorf("%s stay in suspense", held)
			}
		})
	}
}

// TestTillRepeatsElsewhere: a sale that was settled elsewhere is of a moment ago,
// too: the same card with the same price is asked about.
func TestTillRepeatsElsewhere(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	w := tills[0].openWindow()
	doubt := w.leaveDoubt()
	item, err := w.book.Get(t.Context(), doubt.Sale.Ref)
	world.ok(err)
	_, err = w.book.Append(t.Context(), journal.Entry{
		Kind: journal.SaleEnd, Ref: doubt.Sale.Ref, Outcome: journal.Elsewhere})
	world.ok(err)
	n, _ := flow.NewsOf(item.First, item.First.Ref, true)
	w.news <- n
	w.see(flow.Sold)
	w.do(flow.Input{Event: flow.Leave})
	w.see(flow.Ready)
	w.price(lunch)
	w.see(flow.Present)
	w.layCard()
	if v := w.see(flow.Ask, flow.Sold, flow.PaidBefore, flow.Declined); v.Step != flow.Ask {
		t.Errorf("step %d, the purse has %s", v.Step, v.Balance)
	}
}
