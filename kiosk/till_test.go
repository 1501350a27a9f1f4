package kiosk_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

const (
	merchant = "canteen-1"
	lunch    = 12 * yuan
)

// till is a cashier's window: a terminal with a SAM, and the Seller that a face
// will stand on.
type till struct {
	*post
	slot *sim.Slot
	sam  *brokenSAM

	seller *kiosk.Seller
	crash  func() // ends the terminal as a power cut would
}

// newShop is a world whose terminals are tills. It has no kiosk yet.
func newShop(t *testing.T, ids ...string) (*world, []*till) {
	t.Helper()
	w := newCampus(t)
	var all []*till
	for _, id := range ids {
		s, err := keys.ReadSecrets(filepath.Join(w.dir, "keys.json"))
		w.ok(err)
		c := &till{post: w.newPost(id, 0), slot: sim.NewSlot()}
		c.slot.Timeout = 500 * time.Millisecond
		c.sam = &brokenSAM{SAM: sim.NewSAM(c.number, s.Purchase, 1)}
		c.start()
		t.Cleanup(func() { c.crash() })
		c.heard()
		w.told(c.post) // upstream holds nothing for a journal of which it has nothing
		all = append(all, c)
	}
	return w, all
}

// heard waits until a till that is new has heard the upstream: before, it has no hotlist.
func (c *till) heard() {
	c.world.t.Helper()
	c.world.eventually(func() string {
		if c.feeds.Status(feed.Hotlist).Checked.IsZero() {
			return "upstream was never heard"
		}
		return ""
	})
}

// start starts what a power cut ends.
func (c *till) start() {
	c.world.t.Helper()
	c.open()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	health := make(chan kiosk.Health)
	running.Go(func() {
		for {
			select {
			case <-health:
			case <-ctx.Done():
				return
			}
		}
	})
	c.run(ctx, &running, health)
	c.seller = &kiosk.Seller{
		Settler: kiosk.Settler{
			Book: c.journal(), Issuer: c.up, Profile: c.world.profile, Terminal: c.number, SAM: c.sam,
		},
		Upstream: c.up, Push: c.pusher, Feeds: c.feeds, Terms: c.terms, Clock: c.clock, Budget: 20 * time.Second, Log: c.log,
	}
	c.crash = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		c.close()
	})
}

// restart is the end of a power cut. What broke is mended. The SAM has no
// power either, and begins anew.
func (c *till) restart() {
	c.world.t.Helper()
	c.crash()
	c.slot.Take()
	c.up.set(brokenAt{})
	c.disk.set(brokenAt{})
	c.world.card.Mend()
	c.sam.mend()
	c.start()
}

// verdict is what a cashier makes of a sale.
type verdict struct {
	sold    bool
	refused bool // certainly not sold; neither: nobody knows
	online  bool // the upstream had agreed
	err     error
}

// lay has the card laid down and read.
func (c *till) lay() (reader.Card, purse.Info, error) {
	c.slot.Take()
	c.slot.Lay(c.world.card)
	card, err := c.slot.Connect()
	if err != nil {
		return nil, purse.Info{}, err
	}
	info, err := purse.Open(card, c.world.profile)
	if err != nil {
		err = errors.Join(err, card.Close())
	}
	return card, info, err
}

// sell sells lunch as a cashier does, who asks for the same card again where
// nobody knows whether it has paid. A customer who leaves does not come back.
func (c *till) sell(amount money.Fen, leaves bool) verdict {
	c.world.t.Helper()
	card, info, err := c.lay()
	if err != nil {
		return verdict{refused: true, err: err} // the card was not read
	}
	sold, err := c.seller.Sell(c.world.t.Context(), card, kiosk.Sale{
		Ref: kiosk.NewRef(), Card: info, Merchant: merchant, Operator: "c7", Amount: amount,
	})
	card.Close()
	unknown := errors.Is(err, kiosk.ErrSaleInDoubt) || errors.Is(err, kiosk.ErrNotGenuine)
	switch {
	case err == nil:
		return verdict{sold: true, online: sold.Online}
	case !unknown:
		return verdict{refused: true, err: err}
	case leaves:
		return verdict{err: err}
	}
	return c.ask(err)
}

// ask asks the same card what became of the sale.
func (c *till) ask(cause error) verdict {
	card, info, err := c.lay()
	if err != nil {
		return verdict{err: errors.Join(cause, err)}
	}
	defer card.Close()
	all, err := c.seller.SettleOpen(c.world.t.Context(), card, info)
	for _, s := range all {
		if s.Kind == journal.SaleIntent && err == nil {
			return verdict{sold: s.Outcome == journal.Written, refused: s.Outcome == journal.NotWritten, err: cause}
		}
	}
	return verdict{err: errors.Join(cause, err)}
}

// tap has the card laid down as for the next sale, and taken away again.
func (c *till) tap() {
	c.world.t.Helper()
	card, info, err := c.lay()
	c.world.ok(err)
	defer card.Close()
	if _, err := c.seller.SettleOpen(c.world.t.Context(), card, info); err != nil {
		c.world.t.Errorf("settle: %v", err)
	}
}

// eventually waits until ok says "", and fails with what it says otherwise.
func (w *world) eventually(ok func() string) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		says := ok()
		if says == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal(says)
		}
	}
}

// told waits until everything that terminals have written down is upstream and
// nothing is open any more.
func (w *world) told(all ...*post) {
	w.t.Helper()
	for _, p := range all {
		w.eventually(func() string {
			open, err := p.book.OpenItems(w.t.Context())
			w.ok(err)
			waiting, err := p.book.Waiting(w.t.Context())
			w.ok(err)
			if len(open) > 0 || waiting.Count > 0 {
				return p.id + ": " + describeOpen(open) + " open; push: " + errText(p.pusher.Health().Err)
			}
			return ""
		})
	}
}

func errText(err error) string {
	if err == nil {
		return "well"
	}
	return err.Error()
}

func describeOpen(all []journal.Entry) (s string) {
	for _, e := range all {
		s += e.Kind.String() + " " + e.Ref + ", "
	}
	return s
}

// balanced checks that account, merchant, card and journals tell the same story
// of so many lunches, and returns how many that is by the card.
func (w *world) balanced(tills ...*till) int {
	w.t.Helper()
	paid := opening + w.paid() - w.purse()
	ctx := w.t.Context()
	got := w.booked(journal.MerchantAccount(merchant))
	if w.balance() != opening+w.paid()-paid || got != paid {
		w.t.Errorf("the card has paid %s; account %s, merchant %s", paid, w.balance(), got)
	}
	v, err := w.books.View(ctx, cardNo, time.Now())
	w.ok(err)
	if v.Card.Mirror != w.purse() || v.Held != 0 || len(v.OpenLoads) > 0 {
		w.t.Errorf("purse %s; mirror %s, held %s, open loads %+v", w.purse(), v.Card.Mirror, v.Held, v.OpenLoads)
	}
	for _, c := range tills {
		suspense := journal.SuspenseAccount(c.id)
		up := w.booked(suspense)
		here, err := c.book.Balance(ctx, suspense)
		w.ok(err)
		if up != 0 || here != 0 {
			w.t.Errorf("in suspense of %s: %s upstream, %s here", c.id, up, here)
		}
		if _, err := c.book.Verify(ctx); err != nil {
			w.t.Errorf("journal of %s: %v", c.id, err)
		}
	}
	if broken, err := w.books.Verify(ctx); err != nil || broken != nil {
		w.t.Errorf("books: %q, %v", broken, err)
	}
	claims, err := tills[0].client.Claims(ctx, cardNo)
	w.ok(err)
	exceptions, err := w.books.Exceptions(ctx)
	w.ok(err)
	if len(claims) > 0 || len(exceptions) > 0 {
		w.t.Errorf("open claims %+v, exceptions %+v", claims, exceptions)
	}
	return int(paid / lunch)
}

// limit gives the account a daily limit.
func (w *world) limit(f money.Fen) {
	w.t.Helper()
	w.ok(w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), `UPDATE holders SET daily_limit_fen = ?`, int64(f))
		return err
	}))
}

// booked is the balance of an account upstream, zero for one that never moved.
func (w *world) booked(a journal.Account) money.Fen {
	w.t.Helper()
	f, err := w.books.Balance(w.t.Context(), store.Account(a))
	if !errors.Is(err, store.ErrNone) {
		w.ok(err)
	}
	return f
}

// brokenSAM is a SAM of which one answer, or one command, is lost.
type brokenSAM struct {
	*sim.SAM
	mu   sync.Mutex
	ins  byte // guarded by mu
	kept bool // guarded by mu
}

func (m *brokenSAM) breakAt(ins byte, kept bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ins, m.kept = ins, kept
}

func (m *brokenSAM) mend() { m.breakAt(0, false) }

func (m *brokenSAM) Transmit(command []byte) ([]byte, error) {
	m.mu.Lock()
	broken := m.ins != 0 && len(command) > 1 && command[1] == m.ins
	kept := m.kept
	if broken {
		m.ins = 0
	}
	m.mu.Unlock()
	if broken && !kept {
		return nil, errLost
	}
	answer, err := m.SAM.Transmit(command)
	if broken {
		return nil, errLost
	}
	return answer, err
}
