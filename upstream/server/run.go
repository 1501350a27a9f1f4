package server

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"quancun/upstream/store"
)

const (
	// askersMax is how many orders are asked about at once. One that hangs
	// holds up nobody else.
	askersMax = 16

	// askMax is how many calls to the channel one order takes at most at a
	// time, so that another upstream on the same books leaves it alone.
	askMax = 3

	// napMax is the longest that the engine sleeps without looking at the
	// rows, in case the clock was set.
	napMax = 30 * time.Second
)

// run asks about due orders until ctx ends, and then waits for the questions
// that are under way.
func (e *engine) run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	defer close(e.over)
	underWay := map[string]bool{} // owned by this goroutine
	done := make(chan string, askersMax)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case no := <-done:
			delete(underWay, no)
		case <-e.wake:
		case <-timer.C:
		}
		now := e.now() // once: it may be set between two readings
		due, next, err := e.books.DueOrders(ctx, now, 4*askersMax)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e.log.Error("due orders not read", "err", err)
			next = now.Add(time.Second)
		}
		for _, o := range due {
			if underWay[o.No] || len(underWay) == askersMax {
				continue
			}
			underWay[o.No] = true
			asking.Go(func() { e.askOne(ctx, o, done) })
		}
		timer.Reset(nap(now, next))
	}
}

// attendDue asks once about each order that is due, one after the other.
func (e *engine) attendDue(ctx context.Context) error {
	due, _, err := e.books.DueOrders(ctx, e.now(), math.MaxInt32)
	for _, o := range due {
		err = errors.Join(err, e.ask(ctx, o.No))
	}
	return err
}

// askOne asks about one order. A row that can not be written would be due
// again at once, so that costs a second.
func (e *engine) askOne(ctx context.Context, o store.Order, done chan<- string) {
	defer func() { done <- o.No }() // never blocks: there are only so many askers
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("asking panicked", "order", o.No, "panic", v)
			sleep(ctx, time.Second)
		}
	}()
	taken, err := e.books.TakeDue(ctx, o, e.now().Add(askMax*e.pace.Call))
	if err == nil && taken {
		err = e.ask(ctx, o.No)
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("order not moved", "order", o.No, "err", err)
		sleep(ctx, time.Second)
	}
}

// nap returns how long to sleep until next.
func nap(now, next time.Time) time.Duration {
	if next.IsZero() {
		return napMax
	}
	return min(max(next.Sub(now), time.Millisecond), napMax)
}

// hasten makes run look at the rows now.
func (e *engine) hasten() {
	select {
	case e.wake <- struct{}{}:
	default: // it will anyway
	}
}
