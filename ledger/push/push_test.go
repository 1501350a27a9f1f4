package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
)

// rig is a Pusher at work on a virtual clock.
type rig struct {
	*Pusher
	shelf  *shelf
	campus *campus
}

// play runs a Pusher over a journal of n entries, and f beside it.
func play(t *testing.T, n int, f func(t *testing.T, r rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := rig{shelf: newShelf(n), campus: newCampus()}
		r.Pusher = New(Options{
			Book: r.shelf, Upstream: r.campus, Campus: public("campus"),
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		f(t, r)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		if r.shelf.refuses > 0 {
			t.Errorf("%d wrong acknowledgements reached the journal", r.shelf.refuses)
		}
	})
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// level checks that upstream has the whole journal, once, and has signed for it.
func (r rig) level(t *testing.T) {
	t.Helper()
	if got := r.campus.bodies[r.shelf.epoch]; !slices.EqualFunc(got, r.shelf.bodies, slices.Equal[[]byte]) {
		t.Errorf("upstream has %d entries, the journal %d", len(got), len(r.shelf.bodies))
	}
	if int(r.shelf.acked.Seq) != len(r.shelf.bodies) {
		t.Errorf("%d of %d acknowledged", r.shelf.acked.Seq, len(r.shelf.bodies))
	}
	if h := r.Health(); h.Err != nil || !h.Failing.IsZero() {
		t.Errorf("health %+v", h)
	}
}

// TestWithinTwoSeconds: what is appended is upstream within two seconds, and
// what is appended together goes up together.
func TestWithinTwoSeconds(t *testing.T) {
	play(t, 35, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		for range 20 {
			calls := len(r.campus.calls)
			r.shelf.append("intent")
			after(100 * time.Millisecond)
			r.shelf.append("end")
			after(1900 * time.Millisecond)
			r.level(t)
			if n := len(r.campus.calls) - calls; n != 1 {
				t.Errorf("%d batches for one sale", n)
			}
		}
		after(time.Hour)
		if n := len(r.campus.calls); n > 24 {
			t.Errorf("%d batches, and an hour had nothing to push", n)
		}
	})
}

// TestBackOff: while upstream is away it is asked ever less, and after that at
// once everything goes up.
func TestBackOff(t *testing.T) {
	play(t, 5, func(t *testing.T, r rig) {
		r.campus.mu.Lock()
		r.campus.worse = func(int) trouble { return trouble{before: errors.New("connection refused")} }
		r.campus.mu.Unlock()
		r.shelf.append("first that is not taken")
		after(time.Hour)
		calls := r.campus.calls
		if n := len(calls); n < 60 || n > 140 { // 30 to 60 s apart, after the first minute
			t.Errorf("%d attempts in an hour", n)
		}
		for i := 10; i < len(calls); i++ {
			if d := calls[i].Sub(calls[i-1]); d < 30*time.Second || d > time.Minute {
				t.Errorf("attempts %v apart", d)
			}
		}
		h := r.Health()
		if h.Err == nil || time.Since(h.Failing) < 59*time.Minute {
			t.Errorf("health %+v", h)
		}
		for range 100 {
			r.shelf.append("more")
		}
		r.Heard(journal.Head{Epoch: r.shelf.epoch}, false) // a greeting was answered; pushes are still not
		after(10 * time.Second)
		if n := len(r.campus.calls) - len(calls); n > 1 {
			t.Errorf("%d attempts in ten seconds", n)
		}
		again := len(r.campus.calls) + 1
		r.campus.mu.Lock()
		r.campus.worse = func(call int) trouble { // it is back, and not quite yet
			if call == again {
				return trouble{before: errors.New("starting")}
			}
			return trouble{}
		}
		r.campus.mu.Unlock()
		r.Heard(journal.Head{Epoch: r.shelf.epoch}, true)
		after(4 * time.Second)
		r.level(t)
	})
}

// TestSlowLine: over a line on which a usual batch does not fit into its time,
// batches become smaller until everything is upstream, and larger again when the
// line is better.
func TestSlowLine(t *testing.T) {
	play(t, 0, func(t *testing.T, r rig) {
		r.shelf.max = journal.BatchMax
		slow := func(each time.Duration, n int) time.Duration {
			r.campus.mu.Lock()
			r.campus.each = each
			r.campus.mu.Unlock()
			for range n {
				r.shelf.append("K01")
			}
			begun := time.Now()
			for int(r.acked()) < len(r.shelf.bodies) && time.Since(begun) < 24*time.Hour {
				after(time.Second)
			}
			r.level(t)
			return time.Since(begun)
		}
		if took := slow(time.Second, 500); took > 20*time.Minute { // 8:20 of it on the line
			t.Errorf("500 entries took %v at one a second", took)
		}
		if took := slow(50*time.Second, 3); took > 10*time.Minute {
			t.Errorf("3 entries took %v", took)
		}
		calls := len(r.campus.calls)
		slow(time.Millisecond, 10_000)
		if n := len(r.campus.calls) - calls; n > 30 { // 10 of them with as many as may be
			t.Errorf("10000 entries went up in %d batches", n)
		}
	})
}

func (r rig) acked() int64 {
	r.shelf.mu.Lock()
	defer r.shelf.mu.Unlock()
	return r.shelf.acked.Seq
}

// TestAnyAnswer: whatever upstream says to a batch, nothing is dropped, nothing
// is acknowledged that was not signed for, and the rest goes up as soon as
// upstream takes it.
func TestAnyAnswer(t *testing.T) {
	other, _ := journal.Campus{Name: CampusName, Key: keyOf("somebody")}.Cosign(
		must(journal.Checkpoint{Terminal: "T1", Epoch: journal.Epoch{1}, Size: 10}.Sign(keyOf("T1"))), public("T1"), noon)
	for name, what := range map[string]trouble{
		"400":            {before: errors.New("invalid_argument")},
		"404":            {before: errors.New("not_found")},
		"409":            {before: errors.New("aborted")},
		"410":            {before: errors.New("gone")},
		"422":            {before: errors.New("unprocessable")},
		"500":            {before: errors.New("internal")},
		"500 and taken":  {after: errors.New("internal")},
		"lost answer":    {after: context.DeadlineExceeded},
		"silence":        {hang: true},
		"unproven":       {before: &journal.PushError{Reason: journal.ErrUnproven}},
		"fork of equals": {before: &journal.PushError{Reason: journal.ErrFork, Head: journal.Head{Epoch: journal.Epoch{1}}}},
		"gap of nothing": {before: &journal.PushError{Reason: journal.ErrGap, Head: journal.Head{Epoch: journal.Epoch{1}}}},
		"gap ahead": {before: &journal.PushError{Reason: journal.ErrGap,
			Head: journal.Head{Epoch: journal.Epoch{9}, Seq: 99}}},
		"no note":     {twist: func(a journal.Ack) *journal.Ack { a.Note = nil; return &a }},
		"bad note":    {twist: func(a journal.Ack) *journal.Ack { a.Note = a.Note[:len(a.Note)-9]; return &a }},
		"other key":   {twist: func(a journal.Ack) *journal.Ack { a.Note = other; return &a }},
		"other head":  {twist: func(a journal.Ack) *journal.Ack { a.Head.Hash[0] ^= 1; return &a }},
		"older head":  {twist: func(a journal.Ack) *journal.Ack { a.Head.Seq--; return &a }},
		"other epoch": {twist: func(a journal.Ack) *journal.Ack { a.Head.Epoch[0]++; return &a }},
		"empty":       {twist: func(journal.Ack) *journal.Ack { return &journal.Ack{} }},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 25, func(t *testing.T, r rig) {
				r.campus.mu.Lock()
				r.campus.worse = func(call int) trouble {
					if call%2 == 1 && call < 12 {
						return what
					}
					return trouble{}
				}
				r.campus.mu.Unlock()
				after(20 * time.Minute)
				r.level(t)
				var want []string
				if name == "fork of equals" { // see TestSuperseded
					want = []string{"forked"}
				}
				if !slices.Equal(r.shelf.opened, want) {
					t.Errorf("new epochs: %q, want %q", r.shelf.opened, want)
				}
			})
		})
	}
}

// TestSuperseded: a machine whose clone was the first to find out, and has gone
// on in a new epoch. All that upstream has of the old one is this machine's too,
// and yet upstream takes no more of it.
func TestSuperseded(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		old := journal.Epoch{1}
		r.campus.mu.Lock()
		r.campus.worse = func(int) trouble {
			if r.shelf.epoch != old {
				return trouble{}
			}
			return trouble{before: &journal.PushError{Reason: journal.ErrFork, Head: r.shelf.head(10)}}
		}
		r.campus.mu.Unlock()
		r.shelf.append("next")
		after(5 * time.Second)
		r.level(t)
		if !slices.Equal(r.shelf.opened, []string{"forked"}) || r.Health().Diverged != journal.Forked {
			t.Errorf("new epochs %q, health %+v", r.shelf.opened, r.Health())
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestOldNote: a signature for less than was sent acknowledges nothing.
func TestOldNote(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		var old journal.Ack
		r.campus.mu.Lock()
		r.campus.worse = func(int) trouble {
			return trouble{twist: func(a journal.Ack) *journal.Ack {
				if old.Note == nil {
					old = a
				}
				a.Note = old.Note
				return &a
			}}
		}
		r.campus.mu.Unlock()
		r.shelf.append("one")
		after(2 * time.Second)
		r.shelf.append("two")
		after(time.Hour)
		if acked := r.shelf.acked; acked.Seq != 11 || !errors.Is(r.Health().Err, errAck) {
			t.Errorf("acknowledged %d, health %+v", acked.Seq, r.Health())
		}
	})
}

// TestTrust: after a renewal another key of the campus acknowledges, and the one
// before does no more.
func TestTrust(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		r.Trust(public("another campus"))
		r.shelf.append("next")
		after(time.Minute)
		if acked := r.shelf.acked; acked.Seq != 10 || !errors.Is(r.Health().Err, errAck) {
			t.Errorf("acknowledged %d, health %+v", acked.Seq, r.Health())
		}
		r.Trust(public("campus"))
		after(2 * time.Minute)
		r.level(t)
	})
}

// TestOtherHead: a note that is right, with a head that is not, acknowledges
// nothing.
func TestOtherHead(t *testing.T) {
	for name, twist := range map[string]func(*journal.Ack){
		"hash":  func(a *journal.Ack) { a.Head.Hash[0] ^= 1 },
		"older": func(a *journal.Ack) { a.Head.Seq-- },
		"epoch": func(a *journal.Ack) { a.Head.Epoch[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 10, func(t *testing.T, r rig) {
				after(time.Second)
				r.level(t)
				r.campus.mu.Lock()
				r.campus.worse = func(int) trouble {
					return trouble{twist: func(a journal.Ack) *journal.Ack { twist(&a); return &a }}
				}
				r.campus.mu.Unlock()
				r.shelf.append("next")
				after(time.Hour)
				if acked := r.shelf.acked; acked.Seq != 10 || !errors.Is(r.Health().Err, errAck) {
					t.Errorf("acknowledged %d, health %+v", acked.Seq, r.Health())
				}
			})
		})
	}
}

// TestOldNews: what upstream says of an epoch that this journal is not in tells
// nothing of this one.
func TestOldNews(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.Heard(journal.Head{Epoch: journal.Epoch{9}, Seq: 99, Hash: journal.Hash{9}}, false)
		after(time.Second)
		r.level(t)
		if len(r.shelf.opened) > 0 {
			t.Errorf("new epochs: %q", r.shelf.opened)
		}
	})
}

// renew has the journal go on in a new epoch, of which upstream has all.
func (r rig) renew(t *testing.T) {
	t.Helper()
	if err := r.shelf.NewEpoch(t.Context(), "test", journal.Head{}); err != nil {
		t.Fatal(err)
	}
	r.next = 0
	r.shelf.append("goes on")
	after(time.Minute)
	r.level(t)
}

// restored puts an upstream back to a moment before the epochs that have begun
// since.
func (r rig) restored(t *testing.T, have int) {
	t.Helper()
	r.campus.mu.Lock()
	defer r.campus.mu.Unlock()
	r.campus.needs = map[journal.Epoch]int{}
	for e, bodies := range r.shelf.old {
		r.campus.needs[e] = len(bodies)
	}
	for e := range r.campus.bodies {
		if e != (journal.Epoch{1}) {
			r.campus.bodies[e] = nil
		}
	}
	r.campus.bodies[journal.Epoch{1}] = r.campus.bodies[journal.Epoch{1}][:have]
}

// TestOldEpochs: an upstream that was put back by several epochs gets all of them
// again, the oldest first.
func TestOldEpochs(t *testing.T) {
	for _, have := range []int{13, 0} {
		play(t, 35, func(t *testing.T, r rig) {
			after(time.Second)
			r.renew(t)
			r.renew(t)
			for range 2 { // it happens again
				r.restored(t, have)
				r.shelf.append("next")
				after(5 * time.Minute)
				r.level(t)
				for e, want := range r.shelf.old {
					if got := r.campus.bodies[e]; !slices.EqualFunc(got, want, slices.Equal[[]byte]) {
						t.Errorf("upstream has %d entries of epoch %s, want %d", len(got), e, len(want))
					}
				}
			}
			if !slices.Equal(r.shelf.opened, []string{"test", "test"}) {
				t.Errorf("new epochs: %q", r.shelf.opened)
			}
		})
	}
}

// TestOldEpochIsGone: what cannot be pushed as it was, a new epoch carries over.
func TestOldEpochIsGone(t *testing.T) {
	play(t, 35, func(t *testing.T, r rig) {
		after(time.Second)
		r.renew(t)
		r.restored(t, 13)
		r.shelf.mu.Lock()
		r.shelf.gone = true
		r.shelf.mu.Unlock()
		r.shelf.append("next")
		after(2 * time.Second)
		if !slices.Equal(r.shelf.opened, []string{"test", "restored"}) {
			t.Errorf("new epochs: %q", r.shelf.opened)
		}
		r.campus.mu.Lock()
		r.campus.needs = nil // its opening says that they are gone
		r.campus.mu.Unlock()
		after(2 * time.Minute)
		r.level(t)
	})
}

// TestAsksAgain: an upstream that takes entries of an older epoch and asks for
// them again and again is not given them without a pause.
func TestAsksAgain(t *testing.T) {
	play(t, 35, func(t *testing.T, r rig) {
		after(time.Second)
		r.renew(t)
		r.restored(t, 13)
		calls := len(r.campus.calls)
		r.campus.mu.Lock()
		r.campus.worse = func(int) trouble {
			r.campus.bodies[journal.Epoch{1}] = r.campus.bodies[journal.Epoch{1}][:13]
			return trouble{}
		}
		r.campus.mu.Unlock()
		r.shelf.append("next")
		after(time.Hour)
		if n := len(r.campus.calls) - calls; n > 600 || r.Health().Err == nil {
			t.Errorf("%d calls in an hour, health %+v", n, r.Health())
		}
		r.campus.mu.Lock()
		r.campus.worse = nil
		r.campus.mu.Unlock()
		after(5 * time.Minute)
		r.level(t)
	})
}

// TestUpstreamRestored: an upstream that has lost what it had gets it again.
func TestUpstreamRestored(t *testing.T) {
	play(t, 60, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		r.campus.mu.Lock()
		r.campus.bodies[r.shelf.epoch] = r.campus.bodies[r.shelf.epoch][:13]
		r.campus.mu.Unlock()
		r.shelf.append("next")
		after(2 * time.Second)
		r.level(t)
		if len(r.shelf.opened) > 0 {
			t.Errorf("new epochs: %q", r.shelf.opened)
		}
	})
}

// TestQuietAfterRestore: the same when nothing new comes, and a greeting is all
// that tells.
func TestQuietAfterRestore(t *testing.T) {
	for n, have := range []int{13, 0, 13} {
		play(t, 60, func(t *testing.T, r rig) {
			after(time.Second)
			r.level(t)
			r.campus.mu.Lock()
			r.campus.bodies[r.shelf.epoch] = r.campus.bodies[r.shelf.epoch][:have]
			r.campus.mu.Unlock()
			if n == 2 {
				r.next = 0 // the machine was off meanwhile
			}
			r.Heard(r.campus.head(r.shelf.epoch), true)
			after(2 * time.Second)
			r.level(t)
			if len(r.shelf.opened) > 0 {
				t.Errorf("new epochs: %q", r.shelf.opened)
			}
		})
	}
}

// TestDiverged: a journal that was restored from an older copy, or that has a
// clone, is noticed at a greeting or at a push, goes on in a new epoch with what
// upstream has not taken, and says so. That happens once an hour at most.
func TestDiverged(t *testing.T) {
	for _, greeted := range []bool{true, false} {
		for _, cut := range []int{5, 2} { // what the restored journal has of upstream's ten
			for _, more := range []int{0, 1, 20} { // what it has written since
				t.Run(fmt.Sprintf("greeted=%v,cut=%d,more=%d", greeted, cut, more), func(t *testing.T) {
					if !greeted && more == 0 {
						t.Skip("nothing to push tells nobody")
					}
					diverged(t, greeted, cut, more)
				})
			}
		}
	}
}

// TestRewoundAndLevel: a journal that was restored from a copy, of which upstream
// had acknowledged all, has nothing to push. The greeting tells.
func TestRewoundAndLevel(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.shelf.mu.Lock()
		r.next = 0
		r.shelf.bodies = r.shelf.bodies[:5]
		r.shelf.acked = r.shelf.head(5)
		r.shelf.mu.Unlock()
		r.Heard(r.campus.head(journal.Epoch{1}), false)
		after(5 * time.Second)
		r.level(t)
		if !slices.Equal(r.shelf.opened, []string{"rewound"}) {
			t.Errorf("new epochs %q", r.shelf.opened)
		}
	})
}

func diverged(t *testing.T, greeted bool, cut, more int) {
	play(t, 10, func(t *testing.T, r rig) {
		after(time.Second)
		r.level(t)
		old := journal.Epoch{1}
		r.shelf.mu.Lock()
		r.next = 0 // the machine was off meanwhile
		r.shelf.bodies = r.shelf.bodies[:cut]
		r.shelf.acked = r.shelf.head(cut - 1)
		for range more {
			r.shelf.add("other")
		}
		r.shelf.mu.Unlock()
		if greeted {
			r.Heard(r.campus.head(old), false)
		} else {
			r.shelf.append("other")
		}
		after(5 * time.Second)
		r.level(t)
		want, standing := "rewound", journal.Rewound
		if !greeted {
			more++
		}
		if cut+more >= 10 {
			want, standing = "forked", journal.Forked
		}
		if !slices.Equal(r.shelf.opened, []string{want}) || r.Health().Diverged != standing {
			t.Errorf("new epochs %q, health %+v; want %q", r.shelf.opened, r.Health(), want)
		}
		if n := len(r.campus.bodies[old]); n != 10 {
			t.Errorf("upstream has %d of the old epoch", n)
		}

		// The same trouble again, at once: nothing is dropped, and no second epoch.
		r.campus.mu.Lock()
		r.campus.worse = func(int) trouble {
			return trouble{before: &journal.PushError{Reason: journal.ErrFork,
				Head: journal.Head{Epoch: r.shelf.epoch, Seq: 999}}}
		}
		r.campus.mu.Unlock()
		r.shelf.append("again")
		after(50 * time.Minute)
		if len(r.shelf.opened) != 1 || r.Health().Err == nil {
			t.Errorf("new epochs %q, health %+v", r.shelf.opened, r.Health())
		}
		after(20 * time.Minute)
		if len(r.shelf.opened) != 2 {
			t.Errorf("new epochs %q", r.shelf.opened)
		}
	})
}

// TestJournalFails: a journal that cannot be read is a reason like any other.
func TestJournalFails(t *testing.T) {
	play(t, 10, func(t *testing.T, r rig) {
		r.shelf.mu.Lock()
		r.shelf.fails = errors.New("disk failed")
		r.shelf.mu.Unlock()
		after(5 * time.Minute)
		if h := r.Health(); !errors.Is(h.Err, r.shelf.fails) {
			t.Errorf("health %+v", h)
		}
		if n := len(r.campus.calls); n > 1 {
			t.Errorf("%d calls", n)
		}
	})
}
