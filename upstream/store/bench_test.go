package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"quancun/upstream/store"
)

// BenchmarkTopUp is what a top-up costs the books: an order that is made, shown
// and paid. Three transactions each.
func BenchmarkTopUp(b *testing.B) {
	for name, in := range map[string]func(testing.TB) place{"SQLite": inFile, "PostgreSQL": inPostgres} {
		b.Run(name, func(b *testing.B) {
			books := newBooks(b, in(b))
			newOrder := hot(b, books, 16)
			var n atomic.Int64
			b.SetParallelism(4) // callers for each core
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					if err := topUp(b, books, newOrder(fmt.Sprintf("B%d", i), int(i%16))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(3*b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

func topUp(b *testing.B, books *store.Books, o store.Order) error {
	if _, err := books.CreateOrder(b.Context(), o, 1<<40); err != nil {
		return err
	}
	if _, err := books.Advance(b.Context(), o.No, store.OrderStep{To: store.OrderWaiting, QR: "q"}); err != nil {
		return err
	}
	_, err := books.Advance(b.Context(), o.No, store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()})
	return err
}
