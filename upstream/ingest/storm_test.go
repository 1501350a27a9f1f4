package ingest_test

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

var stormFor = flag.Duration("storm", 3*time.Second, "how long TestStorm blows")

const (
	stormTills     = 8
	stormBatch     = 100
	stormHolders   = 40
	stormMerchants = 10
)

// TestStorm has eight tills upload a hundred entries at a time, all to the same
// ten merchants and from the same forty holders and their cards, through two
// upstreams on one PostgreSQL: a canteen at noon, after an outage. Some answers
// are lost. Nobody has to give way to anybody, and everything counts once.
func TestStorm(t *testing.T) {
	d := pgtest.New(t)
	w := newWorld(t, d.DSN)
	second, err := booktest.Open(t.Context(), d.DSN, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	both := [2]*ingest.Ingest{w.in, ingest.New(second, w.keys, ingest.Policy{DailyLimit: 50 * yuan})}

	var cards []*purse
	for i := range stormHolders {
		cards = append(cards, w.card(i+1, w.holder(fmt.Sprint(2000+i), 1_000_000*yuan), 0))
	}
	var tills []*storming
	for i := range stormTills {
		tills = append(tills, &storming{
			till: w.till(fmt.Sprintf("C%02d", i)), cards: cards, dice: rand.New(rand.NewPCG(1, uint64(i))),
			sold: map[store.Account]money.Fen{},
		})
	}
	var wg sync.WaitGroup
	end := time.Now().Add(*stormFor)
	for i, c := range tills {
		wg.Go(func() {
			for n := i; time.Now().Before(end) && !t.Failed(); n++ {
				c.upload(t, both[n%2])
			}
		})
	}
	wg.Wait()
	stormed(t, d, second, w, tills)
}

// stormed checks what a storm leaves.
func stormed(t *testing.T, d pgtest.Database, second *store.Books, w *world, tills []*storming) {
	db, err := sql.Open("pgx", d.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var deadlocks int64
	err = db.QueryRow(`SELECT deadlocks FROM pg_stat_database WHERE datname = $1`, d.Name).Scan(&deadlocks)
	if err != nil || deadlocks != 0 || second.Retries() != 0 { // the world looks after the first
		t.Errorf("%d deadlocks, %d transactions gave way, %v", deadlocks, second.Retries(), err)
	}
	want, entries := map[store.Account]money.Fen{}, 0
	for i := range stormHolders {
		want[store.HolderAccount(fmt.Sprint(2000+i))] = 1_000_000 * yuan
	}
	for _, c := range tills {
		entries += len(c.bodies)
		for a, f := range c.sold {
			want[a] += f
		}
		h, err := w.in.Head(t.Context(), c.terminal.ID, c.epoch)
		if err != nil || h.Seq != c.next()-1 || h.Hash != c.head() || h.Seq == 0 {
			t.Errorf("%s: head %+v, %v; want %d", c.terminal.ID, h, err, c.next()-1)
		}
	}
	w.wants(want)
	w.sound()
	t.Logf("%d entries", entries)
}

// storming is a till in a storm.
type storming struct {
	*till
	cards []*purse
	dice  *rand.Rand
	sold  map[store.Account]money.Fen
}

// upload sells to whoever comes, in an order that is each time another, and
// pushes a batch of it, with or without an answer.
func (c *storming) upload(t *testing.T, in *ingest.Ingest) {
	from := c.next()
	for c.next() < from+stormBatch {
		c.sell()
	}
	b := c.batch(from, c.next()-1)
	q := ingest.Request{
		Epoch: c.epoch, Seq: c.next(), Attempt: fmt.Sprintf("%s-ask-%d", c.terminal.ID, c.next()),
		CardNo: c.cards[c.dice.IntN(len(c.cards))].no, Merchant: "m0", Amount: 1,
	}
	a, err := in.Authorize(t.Context(), c.terminal, q)
	if no := (*journal.PushError)(nil); a.Approved == (from == 1) || errors.As(err, &no) != (from == 1) {
		t.Errorf("%s: %+v, %v", c.terminal.ID, a, err)
	}
	for range 1 + c.dice.IntN(2) { // an answer may be lost
		ack, err := in.Push(t.Context(), c.terminal, b)
		if err != nil {
			t.Errorf("%s from %d: %v", c.terminal.ID, from, err)
			return
		}
		c.checkAck(b, ack)
	}
}

// sell sells to a card, to a card that is lost, or to an account.
func (c *storming) sell() {
	who, to := c.dice.IntN(stormHolders), fmt.Sprintf("m%d", c.dice.IntN(stormMerchants))
	amount := money.Fen(1 + c.dice.IntN(1000))
	e := journal.Entry{
		Ref: fmt.Sprintf("%s-%d", c.terminal.ID, c.next()), Merchant: to, Amount: amount, Kind: journal.SaleIntent,
	}
	payee, holder := store.Account(journal.MerchantAccount(to)), store.HolderAccount(fmt.Sprint(2000+who))
	switch c.dice.IntN(20) {
	case 0: // without a word of the card: no counter is to settle it
		e.Card = c.cards[who].no
		c.write(e)
		e.Kind = journal.SaleDoubt
		c.write(e)
		payee = suspense(c.terminal.ID)
	case 1, 2, 3, 4, 5:
		e.Card = c.cards[who].no
		c.write(e)
		e.Kind, e.Outcome = journal.SaleEnd, journal.Elsewhere
		c.write(e)
	default:
		e.Kind, e.Account = journal.CodeSale, holder.No()
		c.write(e)
	}
	c.sold[holder] -= amount
	c.sold[payee] += amount
}

// TestRefundsAtOnce gives one sale back at two tills, in the same moment: to a phone, so
// that no card keeps one waiting for the other. Both are posted, and people are told.
func TestRefundsAtOnce(t *testing.T) {
	d := pgtest.New(t)
	w := newWorld(t, d.DSN)
	w.holder("1001", 100*yuan)
	c, both := w.till("C01"), []*till{w.till("C02"), w.till("C03")}
	sale := c.sellByCode("1001", "s1", 10*yuan)
	c.push()
	db, err := sql.Open("pgx", d.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin() // in which somebody is at the merchant's account until both are there
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`SELECT 1 FROM accounts WHERE account = $1 FOR NO KEY UPDATE`, string(payee)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, r := range both {
		r.write(journal.Entry{
			Kind: journal.Refund, Ref: "r1", Account: "1001", Merchant: merchant, Amount: 10 * yuan, Origin: sale.Position(),
		})
		wg.Go(r.push)
	}
	for waiting := 0; waiting < len(both) && err == nil; {
		err = db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`,
			d.Name).Scan(&waiting)
	}
	if err := errors.Join(err, tx.Rollback()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	w.wants(map[store.Account]money.Fen{store.HolderAccount("1001"): 110 * yuan, payee: -10 * yuan})
	w.inbox(ingest.RefundTooHigh)
	w.sound()
}

// TestOlderBooks puts older books in the place of those that an upstream works on, as
// when a standby takes over that lacks the last moment: a holder and a card are in them
// no more. What they have bought is nobody's then, and listed, and no account is made
// that has no holder.
func TestOlderBooks(t *testing.T) {
	d := pgtest.New(t)
	w := newWorld(t, d.DSN)
	a, b := w.holder("1001", 0), w.holder("1002", 0)
	p, c := w.card(1, a, 50*yuan), w.till("C01")
	c.write(journal.Entry{Kind: journal.Started})
	c.sell(p, "s1", 3*yuan)
	c.sellByCode("1002", "s2", 4*yuan)
	c.rejects(c.batch(2, 4), journal.ErrGap, 0) // and has read whose they are
	db, err := sql.Open("pgx", d.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(fmt.Sprintf(`SET session_replication_role = replica; DELETE FROM purse_moves; DELETE FROM cards;
		DELETE FROM holders WHERE account = '%[1]s'; DELETE FROM accounts WHERE account = '%[1]s'`, b))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a terminal pushes again
		if _, err = w.in.Push(t.Context(), c.terminal, c.batch(1, 4)); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.wants(map[store.Account]money.Fen{a: 0, b: 0, payee: 7 * yuan, suspense("C01"): -7 * yuan})
	w.inbox(ingest.Lost, ingest.UnknownCard, ingest.UnknownAccount)
	w.holder("1002", 5*yuan) // the clerk does it again
	w.sound()
}
