package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
)

const (
	benchTerminal = "BENCH"
	bareDisk      = "one page overwritten and synchronised"
	turnLength    = 300 * time.Millisecond
)

// till is a journal on the disk and the disk's bare limit beside it.
type till struct {
	book *ledger.Book
	key  ed25519.PrivateKey
	raw  *rawDisk
	n    atomic.Int64
}

func newTill(ctx context.Context, dir string) (_ *till, err error) {
	t := new(till)
	if t.raw, err = newRawDisk(dir); err != nil {
		return nil, err
	}
	if _, t.key, err = ed25519.GenerateKey(nil); err != nil {
		return nil, err
	}
	t.book, err = ledger.Open(ctx, filepath.Join(dir, "journal.db"), ledger.Options{
		Terminal: benchTerminal, Key: t.key, Version: "bench",
	})
	return t, err
}

func (t *till) close() error { return errors.Join(t.book.Close(), t.raw.close()) }

// ref names the next sale as terminals do: in the order of time.
func (t *till) ref() string { return fmt.Sprintf("%016x", t.n.Add(1)) }

// codeSale is a sale that is one entry: a virtual card's.
func (t *till) codeSale(ctx context.Context) error {
	_, err := t.book.Append(ctx, journal.Entry{
		Kind: journal.CodeSale, Ref: t.ref(), Account: "2026000101", Merchant: "canteen-1",
		Operator: "c7", Amount: 12*money.Yuan + 50,
	})
	return err
}

// cardSale is a sale that is two entries: before the card is written, and
// after.
func (t *till) cardSale(ctx context.Context) error {
	e := journal.Entry{
		Kind: journal.SaleIntent, Ref: t.ref(), Card: "00002026000100012345", Merchant: "canteen-1",
		Operator: "c7", Amount: 12*money.Yuan + 50, Purse: &journal.Purse{Balance: 5000, Counter: 7, TraceNo: 9},
	}
	if _, err := t.book.Append(ctx, e); err != nil {
		return err
	}
	e.Kind, e.Outcome, e.Purse = journal.SaleEnd, journal.Written, &journal.Purse{
		Balance: 5000, Counter: 7, TraceNo: 9, TAC: [4]byte{1, 2, 3, 4},
	}
	_, err := t.book.Append(ctx, e)
	return err
}

func (t *till) bare() (rate, error) { return repeat(turnLength, 1, t.raw.write) }

// together has n callers append at once, for about a turn.
func (t *till) together(ctx context.Context, n int) (r rate, err error) {
	var callers sync.WaitGroup
	var done atomic.Int64
	failed := make(chan error, n)
	start := time.Now()
	for range n {
		callers.Go(func() {
			for time.Since(start) < turnLength {
				if err := t.codeSale(ctx); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	callers.Wait()
	r.n, r.took = int(done.Load()), time.Since(start)
	select {
	case err = <-failed:
	default:
	}
	return r, err
}

// measureCommits measures P1 to P3 and P10: what a sale costs until it is on
// the disk.
func measureCommits(ctx context.Context, dir string) (_ []figure, err error) {
	t, err := newTill(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	one, err := interleave(func() (rate, error) {
		return repeat(turnLength, 1, func() error { return t.codeSale(ctx) })
	}, t.bare)
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{"P1", ratio(one), "", bareDisk, "a sale of one entry, durable: " + speeds(one) + "; at least 0.45, aim 0.60"},
		{"P1.p50", slower(one), "", bareDisk, "the same by the median time of one; at most 2.2"},
	}
	for _, many := range []struct {
		callers int
		goal    string
	}{{100, "at least 8, aim 12"}, {1000, "at least 14"}} {
		all, err := interleave(func() (rate, error) { return t.together(ctx, many.callers) }, t.bare)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{
			fmt.Sprintf("P2.%d", many.callers), ratio(all), "", bareDisk,
			fmt.Sprintf("%d callers at once: %s; %s", many.callers, speeds(all), many.goal),
		})
	}
	card, err := interleave(func() (rate, error) {
		return repeat(turnLength, 1, func() error { return t.cardSale(ctx) })
	}, t.bare)
	if err != nil {
		return nil, err
	}
	figures = append(figures, figure{"P3", ratio(card), "", bareDisk,
		"a card sale, intent and end: " + speeds(card) + "; at least 0.20"})
	var singles []time.Duration
	for _, p := range one {
		singles = append(singles, median(p.ours.each))
	}
	return append(figures, t.proofShare(median(singles))), nil
}

// proofShare measures P10: what hashing, the tree and a signature for each
// batch cost, as a share of a commit.
func (t *till) proofShare(commit time.Duration) figure {
	e := journal.Entry{
		Terminal: benchTerminal, Seq: 1, At: time.Now(), Kind: journal.CodeSale, Ref: t.ref(),
		Account: "2026000101", Merchant: "canteen-1", Operator: "c7", Amount: 1250,
	}.Post(false, 0)
	body := e.Encode(journal.Hash{})
	const n = 100_000
	var tree journal.Frontier
	start := time.Now()
	for range n {
		tree.Append(journal.HashOf(body))
	}
	each := time.Since(start) / n
	start = time.Now()
	const signatures = 200
	for range signatures {
		c := journal.Checkpoint{Terminal: benchTerminal, Size: tree.Size, Root: tree.Root()}
		if _, err := c.Sign(t.key); err != nil {
			panic("bench: internal error: " + err.Error()) // an Ed25519 key in memory
		}
	}
	sign := time.Since(start) / signatures
	return figure{"P10", 100 * each.Seconds() / commit.Seconds(), "%", "a commit's median time",
		fmt.Sprintf("hash and tree %v an entry of %d bytes, commit %v; a checkpoint's signature is %v, "+
			"once a batch and outside the commit; at most 12", each, len(body), commit, sign)}
}

// auditEntries is a busy till's year.
const auditEntries = 100_000

// measureAudit measures P9: how soon a terminal with a year behind it is
// ready, and how long a whole audit takes.
func measureAudit(ctx context.Context, dir string) (_ []figure, err error) {
	t, err := newTill(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.fill(ctx, auditEntries); err != nil {
		return nil, err
	}
	var whole, opened []time.Duration
	for range turns {
		start := time.Now()
		if _, err := t.book.Verify(ctx); err != nil {
			return nil, err
		}
		whole = append(whole, time.Since(start))
		took, err := t.reopen(ctx, dir)
		if err != nil {
			return nil, err
		}
		opened = append(opened, took)
	}
	return []figure{
		{"P9.audit", median(whole).Seconds(), "s", "", "every rule over 100,000 entries; at most 1.0"},
		{"P9.open", 1000 * median(opened).Seconds(), "ms", "", "from nothing to ready with 100,000 entries"},
	}, nil
}

// fill appends until the journal has n entries.
func (t *till) fill(ctx context.Context, n int64) error {
	for {
		head, err := t.book.Head(ctx)
		if err != nil || head.Seq >= n {
			return err
		}
		if _, err := t.together(ctx, 1000); err != nil {
			return err
		}
	}
}

// reopen closes the journal and measures its opening.
func (t *till) reopen(ctx context.Context, dir string) (took time.Duration, err error) {
	if err := t.book.Close(); err != nil {
		return 0, err
	}
	start := time.Now()
	t.book, err = ledger.Open(ctx, filepath.Join(dir, "journal.db"), ledger.Options{
		Terminal: benchTerminal, Key: t.key, Version: "bench",
	})
	return time.Since(start), err
}
