// Package due sees to rows that are due: each names a moment at which somebody
// outside has to be asked what became of it. The rows are the only memory of that,
// so that nothing is forgotten in a restart, and several upstreams may be at work
// on the same books.
//
// It knows nothing of the rows but their names, and asks nobody itself.
package due

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// askersMax is how many rows are seen to at once. One that hangs holds up
	// nobody else.
	askersMax = 16

	// napMax is the longest that Run sleeps without looking at the rows, in case
	// the clock was set.
	napMax = 30 * time.Second

	// failed is what a row costs that can not be written: it would be due again at
	// once.
	failed = time.Second
)

// Work is what is due, as its owner keeps it. The functions are called by
// several goroutines.
type Work[T any] struct {
	What string // that is due, for the log
	// List returns what is due at now, about n of it, and when the next is; zero is
	// never.
	List func(ctx context.Context, now time.Time, n int) (all []T, next time.Time, err error)
	Name func(T) string // which nothing else has that is due
	// Take keeps what is due from every other upstream on the same books for a
	// while, and reports whether nobody else was faster.
	Take func(ctx context.Context, x T) (taken bool, err error)
	// Ask asks about it, and writes down what is heard and when it is due again. It
	// is called for one of a name at a time, but by others than the Clerk too.
	Ask func(ctx context.Context, x T) error

	Now func() time.Time
	Log *slog.Logger
}

// Clerk sees to work. Make one with [NewClerk].
type Clerk[T any] struct {
	work Work[T]
	wake chan struct{} // holds a token when something may have become due
	over chan struct{} // closed when Run ends
}

// NewClerk returns a clerk who does nothing before Run.
func NewClerk[T any](w Work[T]) *Clerk[T] {
	return &Clerk[T]{work: w, wake: make(chan struct{}, 1), over: make(chan struct{})}
}

// Run asks about what is due until ctx ends, waits for the questions that are
// under way, and returns ctx's error. It is called once.
func (c *Clerk[T]) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	defer close(c.over)
	underWay := map[string]bool{}            // owned by this goroutine
	failures, failing := 0, map[string]int{} // the same; by name, which failure was its last
	done := make(chan outcome, askersMax)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case x := <-done:
			delete(underWay, x.name)
			if delete(failing, x.name); x.failed {
				failures++
				failing[x.name] = failures
			}
		case <-c.wake:
		case <-timer.C:
		}
		now := c.work.Now() // once: it may be set between two readings
		all, next, err := c.work.List(ctx, now, 4*askersMax+len(failing))
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.work.Log.Error("what is due was not read", "what", c.work.What, "err", err)
			next = now.Add(failed)
		}
		c.putBack(all, failing)
		for _, x := range all {
			name := c.work.Name(x)
			if underWay[name] || len(underWay) == askersMax {
				continue
			}
			underWay[name] = true
			asking.Go(func() { c.askOne(ctx, x, done) })
		}
		timer.Reset(nap(now, next))
	}
}

// putBack puts what has failed behind all else, the last failure last: it may be where it
// was. What is not listed any more has moved, and is forgotten.
func (c *Clerk[T]) putBack(all []T, failing map[string]int) {
	slices.SortStableFunc(all, func(a, b T) int { return failing[c.work.Name(a)] - failing[c.work.Name(b)] })
	listed := map[string]bool{}
	for _, x := range all {
		listed[c.work.Name(x)] = true
	}
	maps.DeleteFunc(failing, func(name string, _ int) bool { return !listed[name] })
}

// Over is closed when Run ends, for who waits for a row to move.
func (c *Clerk[T]) Over() <-chan struct{} { return c.over }

// Hasten has Run look at the rows now.
func (c *Clerk[T]) Hasten() {
	select {
	case c.wake <- struct{}{}:
	default: // it will anyway
	}
}

// Attend asks once about everything that is due, one after the other. It is for
// who has no time to let Run take its own, such as a simulation.
func (c *Clerk[T]) Attend(ctx context.Context) error {
	const everything = 1 << 30
	all, _, err := c.work.List(ctx, c.work.Now(), everything)
	for _, x := range all {
		err = errors.Join(err, c.work.Ask(ctx, x))
	}
	return err
}

// outcome is that a row was asked about.
type outcome struct {
	name   string
	failed bool // and may be due as before
}

// askOne asks about one row.
func (c *Clerk[T]) askOne(ctx context.Context, x T, done chan<- outcome) {
	log, o := c.work.Log.With("what", c.work.What, "name", c.work.Name(x)), outcome{c.work.Name(x), true}
	defer func() { done <- o }() // never blocks: there are only so many askers
	defer func() {
		if v := recover(); v != nil {
			log.Error("asking panicked", "panic", v)
			sleep(ctx, failed)
		}
	}()
	taken, err := c.work.Take(ctx, x)
	if err == nil && taken {
		err = c.work.Ask(ctx, x)
	}
	if o.failed = err != nil; o.failed && ctx.Err() == nil {
		log.Error("not asked about what is due", "err", err)
		sleep(ctx, failed)
	}
}

// nap returns how long to sleep until next.
func nap(now, next time.Time) time.Duration {
	if next.IsZero() {
		return napMax
	}
	return min(max(next.Sub(now), time.Millisecond), napMax)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
