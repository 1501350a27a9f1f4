package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTakeDue: of many upstreams on one PostgreSQL that see an order due, one
// gets it, and it is due again when that one has died.
func TestTakeDue(t *testing.T) {
	p := inPostgres(t)
	b := newBooks(t, p)
	ctx, now := t.Context(), time.Now()
	create(t, b, "O1")
	if err := b.Hasten(ctx, "O1"); err != nil {
		t.Fatal(err)
	}
	due, _, err := b.DueOrders(ctx, now.Add(time.Second), 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("DueOrders = %+v, %v", due, err)
	}
	var got atomic.Int32
	var all sync.WaitGroup
	until := now.Add(time.Minute).Truncate(time.Millisecond)
	for range 4 {
		upstream := open(t, p, nil)
		all.Go(func() {
			taken, err := upstream.TakeDue(ctx, due[0], until)
			if err != nil {
				t.Error(err)
			}
			if taken {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d upstreams have taken it, want 1", got.Load())
	}
	if due, next, err := b.DueOrders(ctx, now.Add(time.Second), 1); err != nil || len(due) != 0 || !next.Equal(until) {
		t.Errorf("DueOrders = %+v, next %v, %v; want none until %v", due, next, err, until)
	}
}

// TestTakeDueOfFile: books in a file have one upstream only, which never waits
// for itself.
func TestTakeDueOfFile(t *testing.T) {
	b := newBooks(t, inFile(t))
	create(t, b, "O1")
	if err := b.Hasten(t.Context(), "O1"); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Second)
	for range 2 {
		due, _, err := b.DueOrders(t.Context(), now, 1)
		if err != nil || len(due) != 1 {
			t.Fatalf("DueOrders = %+v, %v", due, err)
		}
		if taken, err := b.TakeDue(t.Context(), due[0], now.Add(time.Minute)); err != nil || !taken {
			t.Errorf("TakeDue = %t, %v", taken, err)
		}
	}
}
