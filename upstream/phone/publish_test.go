package phone_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"quancun/paycode"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/wire"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestRevokedStays: two campusd tell terminals of phones at the same moment. What one of
// them has read before a phone was revoked is never told after it.
func TestRevokedStays(t *testing.T) {
	ctx, dsn := t.Context(), pgtest.New(t).DSN
	campus, err := paycode.GenerateKey(paycode.Ed25519)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	var both [2]*store.Books
	var all [2]*phone.Registry
	for i := range both {
		both[i], err = booktest.Open(ctx, dsn, nil)
		ok(err)
		defer both[i].Close()
		all[i], err = phone.Open(ctx, both[i], phone.Policy{School: 7, CodeMax: 5000, DayMax: 5000, Days: 3}, campus)
		ok(err)
	}
	const rounds = 25
	for i := range rounds {
		a := fmt.Sprint(1000 + i)
		h := store.Holder{Account: store.HolderAccount(a), Name: "张三", Number: a}
		ok(both[0].AddHolder(ctx, h, store.PIN{}, 0))
		ok(phone.Invite(ctx, both[0], a, [32]byte{byte(i), 1}, time.Now().Add(time.Hour)))
		key, err := paycode.GenerateKey(paycode.Ed25519)
		ok(err)
		_, err = all[0].Bind(ctx, [32]byte{byte(i), 1}, key.Public(), "手机")
		ok(err)
		start, errs := make(chan struct{}), make([]error, 3)
		var wg sync.WaitGroup
		for n, do := range []func() error{
			func() error { return phone.Revoke(ctx, both[0], key.Public().ID(), "lost") },
			func() error { return all[1].Publish(ctx) },
			func() error { return all[1].Publish(ctx) },
		} {
			wg.Go(func() {
				<-start
				errs[n] = do()
			})
		}
		close(start)
		wg.Wait()
		for _, err := range errs {
			ok(err)
		}
		k, err := phone.Keys(ctx, both[0].Live(), both[0].Now())
		ok(err)
		want, err := k.Bytes()
		ok(err)
		_, got, err := both[0].Content(ctx, wire.FeedKeys)
		ok(err)
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: terminals are told of other phones than those that are revoked", i)
		}
	}
}
