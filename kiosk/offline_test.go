package kiosk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/ledger/push"
	"quancun/upstream/client"
)

// leaky is a way upstream on which one answer in five is lost, and that is cut
// now and then for the time of a few batches.
type leaky struct {
	upstream
	mu    sync.Mutex
	dice  *rand.Rand
	lost  int
	cuts  int // that are still to come
	quiet int // batches that do not get through
	taken int
}

func (u *leaky) Push(ctx context.Context, b journal.Batch) (journal.Ack, error) {
	u.mu.Lock()
	if u.quiet > 0 {
		u.quiet--
		u.mu.Unlock()
		return journal.Ack{}, errLost
	}
	lose := u.dice.IntN(5) == 0
	if u.taken++; u.cuts > 0 && u.taken%8 == 0 {
		u.cuts--
		u.quiet = 3
		u.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, 2*time.Millisecond) // in the middle of a batch
		defer cancel()
		return u.upstream.Push(ctx, b)
	}
	if lose {
		u.lost++
	}
	u.mu.Unlock()
	ack, err := u.upstream.Push(ctx, b)
	if lose {
		return journal.Ack{}, errLost
	}
	return ack, err
}

// TestThreeDaysOffline brings up what a busy till has written down in three days
// without its network, over a line that loses one answer in five and is cut five
// times in the middle of a batch: nothing is missing, and nothing is there twice.
func TestThreeDaysOffline(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty thousand entries take a while")
	}
	w := newCampus(t)
	p := w.newPost("T01", 0)
	const entries = 50_000
	p.open()
	defer p.close()
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() {
			for i := n; i < entries; i += 8 {
				e := journal.Entry{Kind: journal.CashIn, Ref: fmt.Sprint("cash", i), Amount: 100}
				if i%3 > 0 {
					e = journal.Entry{Kind: journal.CodeSale, Ref: fmt.Sprint("code", i), Account: "2026012345",
						Merchant: merchant, Amount: 1}
				}
				if _, err := p.book.Append(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	line := &leaky{upstream: p.client, dice: rand.New(rand.NewPCG(1, 2)), cuts: 5}
	p.pusher = push.New(push.Options{Book: p.book, Upstream: line, Campus: p.campus, Log: p.log})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := time.Now()
	for more, fails := true, 0; more; { // without the pauses, which synctest has seen
		var err error
		if more, err = p.pusher.Step(ctx); err != nil {
			more = true
			if fails++; fails > 500 {
				t.Fatalf("does not get through: %v", err)
			}
		}
	}
	t.Logf("%d answers lost, %v", line.lost, time.Since(begun).Round(time.Millisecond))
	waiting, err := p.book.Waiting(ctx)
	w.ok(err)
	if waiting.Count > 0 || line.lost < 5 || line.cuts > 0 {
		t.Errorf("%d entries wait; %d answers were lost, %d cuts are left", waiting.Count, line.lost, line.cuts)
	}
	const sold, cash = entries - (entries+2)/3, (entries + 2) / 3
	for account, want := range map[journal.Account]int{
		journal.MerchantAccount(merchant): sold, journal.TillAccount("T01"): -100 * cash,
		"holder/2026012345": int(opening) - sold,
	} {
		if got := w.booked(account); int(got) != want {
			t.Errorf("%s has %s, want %d fen", account, got, want)
		}
	}
	head, err := p.book.Head(ctx)
	w.ok(err)
	welcome, err := p.client.Hello(ctx, client.Hello{Journal: head})
	w.ok(err)
	if welcome.Journal != head {
		t.Errorf("upstream is at %d, the journal at %d", welcome.Journal.Seq, head.Seq)
	}
	if broken, err := w.books.Verify(ctx); err != nil || broken != nil {
		t.Errorf("books: %q, %v", broken, err)
	}
	exceptions, err := w.books.Exceptions(ctx)
	w.ok(err)
	for _, e := range exceptions {
		if e.Kind != "overdrawn" { // thirty yuan do not last for three days
			t.Errorf("exception %+v", e)
		}
	}
}
