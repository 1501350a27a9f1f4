package auditor

import (
	"context"
	"fmt"
	"math"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
)

// Terminal looks at the journal and the feeds of a terminal for as long as its
// program runs. Make another one after every start.
type Terminal struct {
	book  *ledger.Book
	feeds *feed.Feeds

	head     journal.Head
	acked    int64
	compared int64 // how far the upstream's copy was held against it
	balances map[journal.Account]money.Fen
	versions map[string]uint64
	broken   []string
}

// NewTerminal returns an auditor who has seen nothing yet but the versions of
// feeds that were on the disk before, which it goes on with.
func NewTerminal(book *ledger.Book, feeds *feed.Feeds, versions map[string]uint64) *Terminal {
	return &Terminal{book: book, feeds: feeds, versions: versions}
}

func (t *Terminal) wrong(format string, args ...any) {
	t.broken = append(t.broken, fmt.Sprintf(format, args...))
}

// Epoch returns the epoch that the terminal is in, as of the last look.
func (t *Terminal) Epoch() journal.Epoch { return t.head.Epoch }

// Look returns what is wrong, one line each.
func (t *Terminal) Look(ctx context.Context) (broken []string, err error) {
	t.broken = nil
	if err := t.lookAtEntries(ctx); err != nil {
		return nil, err
	}
	acked, err := t.book.Acked(ctx)
	if err != nil {
		return nil, err
	}
	if acked.Seq > t.head.Seq || acked.Seq < t.acked || acked.Epoch != t.head.Epoch {
		t.wrong("%s/%d is acknowledged, after %d, of %d", acked.Epoch, acked.Seq, t.acked, t.head.Seq)
	}
	t.acked = acked.Seq
	for _, name := range feed.Names {
		version := t.feeds.Status(name).Version
		if version < t.versions[name] {
			t.wrong("feed %s was at %d, and is at %d", name, t.versions[name], version)
		}
		t.versions[name] = version
	}
	return t.broken, nil
}

// lookAtEntries adds up the entries that are new: each comes to nothing, and each
// account holds what its postings say.
func (t *Terminal) lookAtEntries(ctx context.Context) error {
	head, err := t.book.Head(ctx)
	if err != nil || head == t.head {
		return err
	}
	if head.Epoch != t.head.Epoch {
		t.head, t.acked, t.compared = journal.Head{Epoch: head.Epoch}, 0, 0
		t.balances = map[journal.Account]money.Fen{}
	}
	entries, err := t.book.Since(ctx, t.head.Seq+1, math.MaxInt32)
	if err != nil {
		return err
	}
	moved := map[journal.Account]bool{}
	for _, e := range entries {
		if e.Seq != t.head.Seq+1 {
			t.wrong("entry %d follows entry %d", e.Seq, t.head.Seq)
		}
		t.head.Seq = e.Seq
		if err := t.add(e, moved); err != nil {
			return err
		}
	}
	if t.head.Seq != head.Seq {
		t.wrong("the head is %d, the last entry %d", head.Seq, t.head.Seq)
	}
	t.head = head
	for a := range moved {
		if balance, err := t.book.Balance(ctx, a); err != nil || balance != t.balances[a] {
			t.wrong("%s holds %s, by its entries %s: %v", a, balance, t.balances[a], err)
		}
	}
	return nil
}

// add adds up what an entry moves: it comes to nothing (M1). The first of an
// epoch says with what its accounts begin.
func (t *Terminal) add(e journal.Entry, moved map[journal.Account]bool) error {
	postings := e.Postings
	if e.Kind == journal.EpochOpened {
		o, err := e.Opening()
		if err != nil {
			return err
		}
		for a, f := range o.Accounts {
			postings = append(postings, journal.Posting{Account: a, Amount: f})
		}
	}
	var sum money.Fen
	for _, p := range postings {
		sum += p.Amount
		t.balances[p.Account] += p.Amount
		moved[p.Account] = true
	}
	if sum != 0 {
		t.wrong("entry %d sums to %s", e.Seq, sum)
	}
	return nil
}

// Compare holds the upstream's copy against the journal: it is the beginning of
// it (I14), and reaches as far as the terminal believes it does (I13). older says
// that the upstream has come back from a copy, and may have less.
func (t *Terminal) Compare(ctx context.Context, up journal.Head, older bool) (broken []string, err error) {
	t.broken = nil
	switch {
	case up.Seq > t.head.Seq:
		t.wrong("the upstream has %d entries of %d", up.Seq, t.head.Seq)
	case up.Seq < t.acked && !older:
		t.wrong("the upstream has %d entries, and has acknowledged %d", up.Seq, t.acked)
	case up.Seq > 0 && up.Seq != t.compared:
		hash, err := t.book.HashAt(ctx, up.Seq)
		if err != nil {
			return nil, err
		}
		if hash != up.Hash {
			t.wrong("the upstream has another entry %d", up.Seq)
		}
		t.compared = up.Seq
	}
	return t.broken, nil
}
