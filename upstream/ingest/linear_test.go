package ingest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

var linearHistories = flag.Int("histories", 6, "how many histories TestLinearizable checks on each engine")

const (
	linearClients = 8
	linearOps     = 200 // in a history
	linearTills   = 3
	linearEntries = 60 // in a till's journal
)

// call is what a client asks of one till's journal or of the account that it
// sells from. from is 0 for the head, and to 0 too for the balance.
type call struct {
	till     *linearTill
	from, to int64
	balance  bool
}

// answer is what it got. A lost one may have had its effect, or have it yet.
type answer struct {
	head    int64
	gap     bool
	balance money.Fen
	lost    bool
}

// linearTill is a till that sells from an account of its own: after n entries of
// it there is left[n].
type linearTill struct {
	*till
	account store.Account
	left    []money.Fen
}

// linear is a journal upstream as a number: how far it has come.
var linear = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		parts := map[*linearTill][]porcupine.Operation{}
		for _, op := range all {
			c := op.Input.(call).till
			parts[c] = append(parts[c], op)
		}
		var each [][]porcupine.Operation
		for _, part := range parts {
			each = append(each, part)
		}
		return each
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		head, q, a := state.(int64), input.(call), output.(answer)
		gap := q.from > head+1
		after := head
		if q.from > 0 && !gap {
			after = max(head, q.to)
		}
		switch {
		case a.lost:
			return true, after
		case q.balance:
			return a.balance == q.till.left[head], head
		}
		return a.gap == gap && a.head == after, after
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// TestLinearizable has eight clients push three journals, again and again, out
// of order and over each other, some of whose answers are lost, while they look
// at heads and balances. There is always one order of all that in which every
// answer is right: what was acknowledged is seen by everybody from then on.
//
// -histories=500 for many.
func TestLinearizable(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { linearizable(t, filepath.Join(t.TempDir(), "books.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { linearizable(t, pgtest.New(t).DSN) })
}

func linearizable(t *testing.T, dsn string) {
	w := newWorld(t, dsn)
	second, err := booktest.Open(t.Context(), dsn, nil) // another campusd on the same books
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	both := []*linearClient{{w.books, w.in}, {second, ingest.New(second, w.keys, ingest.Policy{})}}
	var lost, gaps, unseen int
	for n := range *linearHistories {
		h := playLinear(t, w, both, n)
		if got := porcupine.CheckOperationsTimeout(linear, h, time.Minute); got != porcupine.Ok {
			t.Fatalf("history %d is %s:\n%s", n, got, describe(h))
		}
		for _, op := range h {
			a := op.Output.(answer)
			lost, gaps = lost+b2i(a.lost), gaps+b2i(a.gap)
		}
		unseen += b2i(lied(t, h))
	}
	w.sound()
	t.Logf("%d histories, %d answers lost, %d gaps, %d lies told and seen", *linearHistories, lost, gaps, unseen)
	if lost == 0 || gaps == 0 || unseen == 0 {
		t.Error("something never happened")
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lied makes the last look at a head a stale one, as of an upstream that
// forgets what it has acknowledged, and reports whether there was one. It has to
// be seen, or the check sees nothing.
func lied(t *testing.T, h []porcupine.Operation) bool {
	t.Helper()
	h = slices.Clone(h)
	slices.SortFunc(h, func(a, b porcupine.Operation) int { return int(b.Call - a.Call) })
	for i, op := range h {
		q, a := op.Input.(call), op.Output.(answer)
		if q.from > 0 || q.balance || a.lost || a.head < 2 {
			continue
		}
		known := slices.ContainsFunc(h, func(o porcupine.Operation) bool { // somebody was told before
			said := o.Output.(answer)
			return o.Input.(call).till == q.till && o.Return < op.Call && !said.lost && said.head == a.head
		})
		if !known {
			continue
		}
		a.head--
		h[i].Output = a
		if got := porcupine.CheckOperationsTimeout(linear, h, time.Minute); got != porcupine.Illegal {
			t.Errorf("a stale head is %s", got)
		}
		return true
	}
	return false
}

func describe(h []porcupine.Operation) (s string) {
	for _, op := range h {
		q := op.Input.(call)
		s += fmt.Sprintf("%d: %d-%d %s %d-%d %t: %+v\n", op.ClientId, op.Call, op.Return, q.till.terminal.ID, q.from, q.to,
			q.balance, op.Output)
	}
	return s
}

// playLinear makes a history.
func playLinear(t *testing.T, w *world, both []*linearClient, n int) []porcupine.Operation {
	var tills []*linearTill
	for i := range linearTills {
		tills = append(tills, newLinearTill(w, fmt.Sprintf("H%d-%d", n, i)))
	}
	begun := time.Now()
	var mu sync.Mutex
	var all []porcupine.Operation
	var wg sync.WaitGroup
	for id := range linearClients {
		dice := rand.New(rand.NewPCG(uint64(n), uint64(id)))
		wg.Go(func() {
			for range linearOps / linearClients {
				q := ask(dice, tills[dice.IntN(len(tills))])
				op := porcupine.Operation{ClientId: id, Input: q, Call: int64(time.Since(begun))}
				a := both[id%len(both)].do(t, dice, q)
				op.Output, op.Return = a, int64(time.Since(begun))
				if a.lost {
					op.Return = math.MaxInt64
				}
				mu.Lock()
				all = append(all, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i, op := range all { // a client goes on after a lost answer, and porcupine wants one call of each at a time
		if op.Output.(answer).lost {
			all[i].ClientId = linearClients + i
		}
	}
	return all
}

func newLinearTill(w *world, id string) *linearTill {
	c := &linearTill{till: w.till(id), account: w.holder(id, 1000*yuan), left: []money.Fen{1000 * yuan}}
	for n := range linearEntries {
		c.sellByCode(id, fmt.Sprintf("%s-%d", id, n), money.Fen(n+1))
		c.left = append(c.left, c.left[n]-money.Fen(n+1))
	}
	return c
}

// ask draws what to ask: mostly to push what may be next, or was before.
func ask(dice *rand.Rand, c *linearTill) call {
	switch dice.IntN(4) {
	case 0:
		return call{till: c}
	case 1:
		return call{till: c, balance: true}
	}
	h, err := c.w.in.Head(context.Background(), c.terminal.ID, c.epoch)
	if err != nil {
		c.w.t.Error(err)
	}
	from := max(1, min(h.Seq+int64(dice.IntN(6))-2, linearEntries))
	return call{till: c, from: from, to: min(from+int64(dice.IntN(4)), linearEntries)}
}

// linearClient is a way to the books.
type linearClient struct {
	books *store.Books
	in    *ingest.Ingest
}

func (u *linearClient) do(t *testing.T, dice *rand.Rand, q call) (a answer) {
	ctx := t.Context()
	var h journal.Head
	var err error
	switch {
	case q.balance:
		a.balance, err = u.books.Balance(ctx, q.till.account)
	case q.from == 0:
		h, err = u.in.Head(ctx, q.till.terminal.ID, q.till.epoch)
	default:
		if dice.IntN(8) == 0 { // the line is cut
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(dice.IntN(4000))*time.Microsecond)
			defer cancel()
		}
		var ack journal.Ack
		ack, err = u.in.Push(ctx, q.till.terminal, q.till.batch(q.from, q.to))
		h = ack.Head
		var no *journal.PushError
		if errors.As(err, &no) && no.Reason == journal.ErrGap {
			a.gap, h, err = true, no.Head, nil
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || q.from > 0 && dice.IntN(10) == 0 {
		return answer{lost: true}
	}
	if err != nil {
		t.Errorf("%s from %d: %v", q.till.terminal.ID, q.from, err)
	}
	if a.head = h.Seq; h.Seq > 0 && h.Hash != q.till.hashes[h.Seq-1] {
		t.Errorf("%s: head %d has another hash", q.till.terminal.ID, h.Seq)
	}
	return a
}
