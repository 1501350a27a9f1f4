package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/kiosk"
	"quancun/ledger"
	"quancun/money"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

const (
	rushTills  = 20
	rushCards  = 20 // of each till
	rushLength = 20 * time.Second
)

// rush is a canteen at noon: tills that sell at once to one upstream. The cards
// are in this process and answer at once, so that what is measured is
// everything but them: on this machine's processors are the tills too.
type rush struct {
	upstream *upstreamBench
	secrets  *keys.Secrets
	tills    []*rushTill
}

// rushTill is one of them, with the cards that come to it.
type rushTill struct {
	benchTill
	slot  *sim.Slot
	cards []*sim.Card
}

// measureRush measures sales with the upstream's word, from the moment a card
// is there until the sale's end is durable in the till's journal.
func measureRush(ctx context.Context, dir string) (_ []figure, err error) {
	u, err := newUpstream(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	r := &rush{upstream: u}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	each := make([][]time.Duration, rushTills)
	alone := make([]int, rushTills)
	start := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for i, t := range r.tills {
		g.Go(func() (err error) { each[i], alone[i], err = t.sell(gctx, start.Add(rushLength)); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	took := time.Since(start)
	var all []time.Duration
	dark := 0
	for i := range each {
		all, dark = append(all, each[i]...), dark+alone[i]
	}
	note := fmt.Sprintf("%d tills at one upstream, %d sales, %d of them without its word in %v; "+
		"each a hold, an intent, a debit and an end, pushed beside; cards answer at once",
		rushTills, len(all), dark, tapBudget)
	return []figure{
		{Name: "rush.sales_per_s", Value: float64(len(all)) / took.Seconds(), Unit: "/s", Note: note},
		{Name: "rush.p50", Value: milliseconds(quantile(all, 0.50)), Unit: "ms", Note: "the same, of one sale"},
		{Name: "rush.p99", Value: milliseconds(quantile(all, 0.99)), Unit: "ms", Note: "the same, of one sale"},
	}, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// open opens the tills, and gives holders cards.
func (r *rush) open(ctx context.Context) (err error) {
	s := r.upstream.stack
	if err := publishRules(ctx, s); err != nil {
		return err
	}
	if r.secrets, err = keys.ReadSecrets(s.File("upstream/keys.json")); err != nil {
		return err
	}
	soft, err := keys.OpenSoftware(s.File("upstream/keys.json"))
	if err != nil {
		return err
	}
	books, err := store.OpenDSN(ctx, s.File("upstream/books.db"), nil)
	if err != nil {
		return err
	}
	for i := range rushTills {
		t := &rushTill{slot: sim.NewSlot()}
		r.tills = append(r.tills, t)
		if err := r.enrol(ctx, t, i); err != nil {
			return errors.Join(err, books.Close())
		}
		for j := range rushCards {
			c, err := issue(ctx, books, soft, i*rushCards+j)
			if err != nil {
				return errors.Join(err, books.Close())
			}
			t.cards = append(t.cards, c)
		}
	}
	return books.Close()
}

// enrol makes a till of t and starts it.
func (r *rush) enrol(ctx context.Context, t *rushTill, i int) (err error) {
	u := *r.upstream
	u.terminal = fmt.Sprintf("rush%02d", i)
	if err := u.enrol(ctx); err != nil {
		return err
	}
	t.who, t.profile, t.client = u.who, profile.Default(), u.dial("")
	file := func(name string) string { return filepath.Join(u.dir, u.terminal+name) }
	t.book, err = ledger.Open(ctx, file(".db"), ledger.Options{
		Terminal: u.terminal, Key: u.keys.Journal, Campus: u.who.CampusKey,
	})
	if err != nil {
		return err
	}
	return t.start(ctx, file("-feeds.db"), r.secrets)
}

// issue gives the n-th holder a card.
func issue(ctx context.Context, books *store.Books, soft *keys.Software, n int) (*sim.Card, error) {
	const filled = 10_000 * money.Fen(1) // in the purse and on the account
	var no purse.CardNo
	copy(no[:], []byte{0, 0, 0x20, 0x26, 0x99})
	binary.BigEndian.PutUint32(no[len(no)-4:], uint32(n))
	holder := holderNo(int64(n))
	state, err := sim.Issue(profile.Default(), sim.Masters{}, sim.Holder{
		CardNo: no, UID: [4]byte{9, 0, byte(n >> 8), byte(n)}, Name: "测", Number: holder,
		Start: 20200101, Expiry: 20991231, PIN: "000000", Balance: filled,
	})
	if err != nil {
		return nil, err
	}
	var factor keys.Factor
	copy(factor[:], no[2:])
	own := soft.CardKeys(factor)
	state.Keys = sim.Keys{
		Load: sim.Key(own.DLK), Purchase: sim.Key(own.DPK), TAC: sim.Key(own.DTK), Reload: sim.Key(own.DRPK),
	}
	return sim.New(state), books.AddCard(ctx, store.Card{
		No: no.Full(), Account: store.HolderAccount(holder), Factor: factor, UID: fmt.Sprintf("%08x", n),
		Status: store.CardActive, Mirror: filled,
	})
}

// sell sells to one card after the other, and returns how long each sale took
// and how many of them were made without the upstream's word.
func (t *rushTill) sell(ctx context.Context, end time.Time) (each []time.Duration, alone int, err error) {
	for n := 0; time.Now().Before(end); n++ {
		t.slot.Take()
		t.slot.Lay(t.cards[n%len(t.cards)])
		start := time.Now()
		online, err := t.one(ctx)
		if err != nil {
			return nil, 0, err
		}
		each = append(each, time.Since(start))
		if !online {
			alone++
		}
	}
	return each, alone, nil
}

func (t *rushTill) one(ctx context.Context) (online bool, err error) {
	card, err := t.slot.Connect()
	if err != nil {
		return false, err
	}
	defer card.Close()
	info, err := purse.Open(card, t.profile)
	if err != nil {
		return false, err
	}
	sold, err := t.seller.Sell(ctx, card, kiosk.Sale{
		Ref: kiosk.NewRef(), Card: info, Merchant: "m1", Operator: "bench", Amount: 1,
	})
	return sold.Online, err
}

func (r *rush) stop() error {
	var errs []error
	for _, t := range r.tills {
		errs = append(errs, t.stop())
		if t.client != nil {
			t.client.Close()
		}
		if t.book != nil {
			errs = append(errs, t.book.Close())
		}
	}
	return errors.Join(append(errs, r.upstream.close())...)
}
