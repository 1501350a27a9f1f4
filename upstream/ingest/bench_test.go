package ingest_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store/pgtest"
)

// BenchmarkPush pushes one entry at a time, as a till that is online, and 100,
// of a canteen at noon: each holder once, few merchants. An op is an entry.
func BenchmarkPush(b *testing.B) {
	for _, kind := range []string{"code", "card"} {
		for _, per := range []int{1, 100} {
			name := fmt.Sprintf("%s/%d", kind, per)
			b.Run("sqlite/"+name, func(b *testing.B) {
				benchmarkPush(b, newWorld(b, filepath.Join(b.TempDir(), "books.db")), kind, per)
			})
			b.Run("postgres/"+name, func(b *testing.B) { benchmarkPush(b, newWorld(b, pgtest.New(b).DSN), kind, per) })
		}
	}
}

const benchHolders = 1000

func benchmarkPush(b *testing.B, w *world, kind string, per int) {
	var purses []*purse
	for i := range benchHolders {
		a := w.holder(fmt.Sprint(1000+i), 1_000_000*yuan)
		purses = append(purses, w.card(i+1, a, 50*yuan))
	}
	c := w.till("C01")
	var batches []journal.Batch
	b.StopTimer()
	for n := 0; n < b.N; {
		p := purses[n%len(purses)]
		ref := fmt.Sprintf("%d", n)
		if kind == "code" {
			c.write(journal.Entry{
				Kind: journal.CodeSale, Ref: ref, Account: fmt.Sprint(1000 + n%benchHolders),
				Merchant: fmt.Sprintf("m%d", n%10), Amount: money.Fen(n%1000 + 1),
			})
			n++
		} else {
			p.balance = 5000
			c.sell(p, ref, money.Fen(n%1000+1))
			n += 2
		}
	}
	var tree journal.Frontier
	for from := 0; from < len(c.bodies); from += per {
		to := min(from+per, len(c.bodies))
		for _, h := range c.hashes[from:to] {
			tree.Append(h)
		}
		note, err := journal.Checkpoint{
			Terminal: c.terminal.ID, Epoch: c.epoch, Size: int64(to), Root: tree.Root(),
		}.Sign(c.key)
		if err != nil {
			b.Fatal(err)
		}
		batches = append(batches, journal.Batch{
			Epoch: c.epoch, From: int64(from) + 1, Bodies: c.bodies[from:to], Note: note,
		})
	}
	before := cpu()
	start := time.Now()
	b.StartTimer()
	for _, batch := range batches {
		if _, err := w.in.Push(b.Context(), c.terminal, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "entries/s")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
	if lines, err := w.books.Exceptions(b.Context()); err != nil || len(lines) > 0 {
		b.Fatalf("%d exceptions, %v", len(lines), err)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
