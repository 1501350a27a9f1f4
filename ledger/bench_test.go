package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"quancun/journal"
)

// BenchmarkAppend has 1, 100 and 1000 callers sell at once, and says what a
// sale costs the processor. On a file system in memory that is all it costs.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			dir, err := os.MkdirTemp(os.Getenv("LEDGER_BENCH_DIR"), "")
			if err != nil {
				b.Fatal(err)
			}
			defer os.RemoveAll(dir)
			book, err := Open(b.Context(), filepath.Join(dir, "journal.db"), plain)
			if err != nil {
				b.Fatal(err)
			}
			defer book.Close()
			var n atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			begun := cpu()
			for range callers {
				all.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						e := journal.Entry{Kind: journal.CodeSale, Ref: fmt.Sprintf("%016x", i),
							Account: "2026000101", Merchant: "canteen-1", Operator: "c7", Amount: 1250}
						if _, err := book.Append(b.Context(), e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric((cpu()-begun)/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is the time in microseconds that this process has used.
func cpu() float64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1000
}

// BenchmarkVerify audits a busy terminal's year, and opens it.
func BenchmarkVerify(b *testing.B) {
	dir, err := os.MkdirTemp(os.Getenv("LEDGER_BENCH_DIR"), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	book, err := Open(b.Context(), filepath.Join(dir, "journal.db"), plain)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { book.Close() }()
	var n atomic.Int64
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() {
			for i := n.Add(1); i <= 100_000; i = n.Add(1) {
				e := journal.Entry{Kind: journal.CodeSale, Ref: fmt.Sprintf("%016x", i),
					Account: "2026000101", Merchant: "canteen-1", Operator: "c7", Amount: 1250}
				if _, err := book.Append(b.Context(), e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.Run("Whole", func(b *testing.B) {
		begun := cpu()
		for b.Loop() {
			if _, err := book.Verify(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu()-begun)/float64(b.N)/1000, "cpu-ms/op")
	})
	b.Run("Open", func(b *testing.B) {
		begun := cpu()
		for b.Loop() {
			if err := book.Close(); err != nil {
				b.Fatal(err)
			}
			if book, err = Open(b.Context(), filepath.Join(dir, "journal.db"), plain); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu()-begun)/float64(b.N)/1000, "cpu-ms/op")
	})
}
