package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

// hot makes holders that many write to at once, and returns an order for one
// of them.
func hot(t testing.TB, b *store.Books, holders int) func(no string, who int) store.Order {
	t.Helper()
	ids := make([]store.Order, holders)
	for i := range ids {
		a, card := store.HolderAccount(fmt.Sprint(5000+i)), fmt.Sprintf("%020d", 5000+i)
		ids[i] = store.Order{Terminal: "K01", Account: a, CardNo: card, Amount: yuan}
		err1 := b.AddHolder(t.Context(), store.Holder{Account: a, Number: a.No()}, store.PIN{}, 0)
		err2 := b.AddCard(t.Context(), store.Card{No: card, Account: a, Status: store.CardActive})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}
	return func(no string, who int) store.Order {
		o := ids[who]
		o.No, o.Created, o.Expires = no, time.Now(), time.Now()
		return o
	}
}

// TestStorm has many writers at few accounts, in an order that is each time
// another: a canteen at noon. Nobody has to give way to anybody.
func TestStorm(t *testing.T) {
	const writers, holders = 8, 10
	d := pgtest.New(t)
	p := place{d.DSN, "pgx"}
	both := [2]*store.Books{newBooks(t, p), open(t, p, nil)}
	newOrder := hot(t, both[0], holders)
	var done atomic.Int64
	end := time.Now().Add(4 * time.Second)
	atOnce(both, writers, func(b *store.Books, w int) {
		for i := 0; time.Now().Before(end) && !t.Failed(); i++ {
			o := newOrder(fmt.Sprintf("W%d_%d", w, i), rand.IntN(holders))
			if err := storm(t.Context(), b, o); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
			done.Add(1)
		}
	})
	var deadlocks, sum int64
	admin := place{d.Admin, "pgx"}.attack(t)
	if err := admin.QueryRow(`SELECT deadlocks FROM pg_stat_database WHERE datname = $1`, d.Name).Scan(&deadlocks); err != nil {
		t.Fatal(err)
	}
	err := admin.QueryRow(`SELECT sum(balance_fen)::bigint FROM accounts WHERE account LIKE 'holder/5%'`).Scan(&sum)
	if err != nil || deadlocks != 0 || sum != done.Load()*int64(yuan) {
		t.Errorf("%d deadlocks, %d fen after %d top-ups of a yuan, %v", deadlocks, sum, done.Load(), err)
	}
	check(t, both[0])
	t.Logf("%d top-ups", done.Load())
}

// storm does all that a top-up and a load do.
func storm(ctx context.Context, b *store.Books, o store.Order) error {
	if _, err := b.CreateOrder(ctx, o, 1<<40); err != nil {
		return err
	}
	if _, err := b.Advance(ctx, o.No, store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()}); err != nil {
		return err
	}
	err := b.WithCard(ctx, o.CardNo, func(c store.CardTx) error {
		_, err := c.Available()
		return errors.Join(err, c.Alarm(store.Alarm{Kind: store.AlarmCounter, Ref: "all"}))
	})
	return errors.Join(err, b.MarkSeen(ctx, o.Account, time.Now()), b.Hear(ctx, o.Terminal, store.Heard{JournalHead: 1}))
}

// TestRestart stops and crashes PostgreSQL under load. What was acknowledged
// is there, nothing is there twice, and whoever was cut off was told neither
// yes nor no.
func TestRestart(t *testing.T) {
	const writers = 6
	cluster, err := pgtest.Start(t.Context()) // of its own: others go on meanwhile
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := cluster.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := newBooks(t, place{d.DSN, "pgx"})
	newOrder := hot(t, b, writers)
	var made, cut [writers]int
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			made[w], cut[w] = insist(t, b, stop, func(i int) store.Order { return newOrder(fmt.Sprintf("W%d_%d", w, i), w) })
		})
	}
	for i := range 4 {
		time.Sleep(300 * time.Millisecond)
		if err := cluster.Restart(t.Context(), i%2 == 0); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wg.Wait()
	for w, n := range made {
		f, err := b.Balance(t.Context(), newOrder("", w).Account)
		if err != nil || f != money.Fen(n)*yuan || n == 0 {
			t.Errorf("writer %d: balance %s after %d top-ups of a yuan, %v", w, f, n, err)
		}
	}
	check(t, b)
	t.Logf("top-ups %v, cut off %v times", made, cut)
	if cut == [writers]int{} {
		t.Error("nobody was cut off")
	}
}

// TestDeadConnections: whoever comes first after PostgreSQL has ended all
// connections does not pay for it.
func TestDeadConnections(t *testing.T) {
	d := pgtest.New(t)
	b := newBooks(t, place{d.DSN, "pgx"})
	if _, err := b.Order(t.Context(), "O1"); !errors.Is(err, store.ErrNone) { // opens one to read
		t.Fatal(err)
	}
	_, err := place{d.Admin, "pgx"}.attack(t).Exec(`
		SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1 AND datname = $2`,
		pgtest.Role, d.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Order(t.Context(), "O1"); !errors.Is(err, store.ErrNone) {
		t.Errorf("Order: %v", err)
	}
	if err := b.ResetPINTries(t.Context(), holder); err != nil {
		t.Errorf("ResetPINTries: %v", err)
	}
}

// insist makes and pays one order after the other, each until it is told that
// it is done, and counts how often it was told nothing.
func insist(t *testing.T, b *store.Books, stop chan struct{}, next func(i int) store.Order) (made, cut int) {
	for {
		select {
		case <-stop:
			return made, cut
		default:
		}
		o := next(made)
		_, err := b.CreateOrder(t.Context(), o, 1<<40)
		if err == nil {
			_, err = b.Advance(t.Context(), o.No, store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()})
		}
		switch kind(err) {
		case "":
			made++
		case "none", "conflict", "backward": // a lie
			t.Errorf("order %s: %v", o.No, err)
			return made, cut
		default:
			cut++
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// TestOlderBooks puts older books under a campusd that knows of accounts which are
// not in them: it makes them again.
func TestOlderBooks(t *testing.T) {
	d := pgtest.New(t)
	b := newBooks(t, place{d.DSN, "pgx"})
	till, shop := store.Account("till/C01"), store.Account("merchant/m1")
	move := func() (posted []store.Posted, err error) {
		err = b.Write(t.Context(), func(tx *sqldb.Tx) error {
			at, err := b.LockAccounts(t.Context(), tx, []store.Account{till, shop, till})
			if err != nil {
				return err
			}
			posted, err = b.PostAll(t.Context(), tx, at, []store.Entry{{
				Kind: store.KindCash, Place: "C01", Debit: till, Credit: shop, Amount: yuan,
			}})
			return err
		})
		return posted, err
	}
	for _, want := range []money.Fen{1, 2, 3, 1, 2} {
		if want == 1 { // what is there at first is nothing as well
			_, err := place{d.Admin, "pgx"}.attack(t).Exec(`
				SET session_replication_role = replica;
				DELETE FROM entries WHERE debit = 'till/C01';
				DELETE FROM accounts WHERE account IN ('till/C01', 'merchant/m1')`)
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, err := move(); err != nil || got[0].Credit != want*yuan || got[0].Debit != -want*yuan {
			t.Fatalf("moved to %+v, %v; want %s", got, err, want*yuan)
		}
	}
	check(t, b)
}
