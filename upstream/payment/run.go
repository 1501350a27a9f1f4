package payment

import (
	"context"
	"sync"
	"time"
)

const (
	// askersMax is how many payments are asked about at once. One that hangs
	// holds up nobody else.
	askersMax = 16

	// askMax is how many calls to the channel one payment takes at most at a
	// time, so that another upstream on the same books leaves it alone.
	askMax = 3

	// napMax is the longest that Run sleeps without looking at the rows, in case
	// the clock was set.
	napMax = 30 * time.Second
)

// Run asks about what is due until ctx ends, waits for the questions that are
// under way, and returns ctx's error. Calls that wait for a payment then end too.
func (d *Desk) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	defer close(d.over)
	underWay := map[string]bool{} // owned by this goroutine
	done := make(chan string, askersMax)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key := <-done:
			delete(underWay, key)
		case <-d.wake:
		case <-timer.C:
		}
		now := d.now() // once: it may be set between two readings
		all, next, err := d.dues(ctx, now, 4*askersMax)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.log.Error("due payments not read", "err", err)
			next = now.Add(time.Second)
		}
		for _, x := range all {
			if underWay[x.key()] || len(underWay) == askersMax {
				continue
			}
			underWay[x.key()] = true
			asking.Go(func() { d.askOne(ctx, x, done) })
		}
		timer.Reset(nap(now, next))
	}
}

// Attend asks once about each payment that is due, one after the other. It is
// for who has no time to let Run take its own, such as a simulation.
func (d *Desk) Attend(ctx context.Context) error {
	all, _, err := d.dues(ctx, d.now(), 1<<30)
	for _, x := range all {
		if err == nil {
			err = d.askAbout(ctx, x)
		}
	}
	return err
}

func (d *Desk) askAbout(ctx context.Context, x due) error {
	if x.refund != "" {
		_, err := d.giveBack(ctx, x.no, x.refund)
		return err
	}
	return d.ask(ctx, x.no)
}

// askOne asks about one payment. A row that can not be written would be due
// again at once, so that costs a second.
func (d *Desk) askOne(ctx context.Context, x due, done chan<- string) {
	defer func() { done <- x.key() }() // never blocks: there are only so many askers
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("asking panicked", "order", x.no, "panic", v)
			sleep(ctx, time.Second)
		}
	}()
	taken, err := d.take(ctx, x, d.now().Add(askMax*d.pace.Call))
	if err == nil && taken {
		err = d.askAbout(ctx, x)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("payment not asked about", "order", x.no, "refund", x.refund, "err", err)
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

// hasten makes Run look at the rows now.
func (d *Desk) hasten() {
	select {
	case d.wake <- struct{}{}:
	default: // it will anyway
	}
}

func sleep(ctx context.Context, pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
