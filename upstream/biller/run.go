package biller

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"quancun/upstream/store/sqldb"
)

const (
	// attendersMax is how many bills are seen to at once. One that hangs holds up
	// nobody else.
	attendersMax = 8

	// napMax is the longest that Run sleeps without looking at the rows, in case
	// the clock was set.
	napMax = 30 * time.Second

	// dueMax is longer than any pause. A row that is due later than that was dated
	// by a clock that has since been set back.
	dueMax = 6 * time.Hour
)

// due is a bill that is due, and since when.
type due struct {
	no   string
	next int64
}

// Run sees to bills that are due until ctx ends, waits for the calls that are
// under way, and returns ctx's error. Calls that wait for a bill then end too.
func (d *Desk) Run(ctx context.Context) error {
	var attending sync.WaitGroup
	defer attending.Wait()
	defer close(d.over)
	underWay := map[string]bool{} // owned by this goroutine
	done := make(chan string, attendersMax)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case no := <-done:
			delete(underWay, no)
		case <-d.wake:
		case <-timer.C:
		}
		now := d.now() // once: it may be set between two readings
		all, next, err := d.dues(ctx, now, 4*attendersMax)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.log.Error("due bills not read", "err", err)
			next = now.Add(time.Second)
		}
		for _, x := range all {
			if underWay[x.no] || len(underWay) == attendersMax {
				continue
			}
			underWay[x.no] = true
			attending.Go(func() { d.attendOne(ctx, x, done) })
		}
		timer.Reset(nap(now, next))
	}
}

// Attend sees once to each bill that is due, one after the other. It is for who
// has no time to let Run take its own, such as a simulation.
func (d *Desk) Attend(ctx context.Context) error {
	all, _, err := d.dues(ctx, d.now(), 1<<30)
	for _, x := range all {
		if err == nil {
			err = d.attend(ctx, x.no)
		}
	}
	return err
}

// attendOne sees to one bill. A row that can not be written would be due again at
// once, so that costs a second.
func (d *Desk) attendOne(ctx context.Context, x due, done chan<- string) {
	defer func() { done <- x.no }() // never blocks: there are only so many
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("attending panicked", "order", x.no, "panic", v)
			sleep(ctx, time.Second)
		}
	}()
	taken, err := d.take(ctx, x, d.now().Add(3*d.pace.Call))
	if err == nil && taken {
		err = d.attend(ctx, x.no)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("bill not attended", "order", x.no, "err", err)
		sleep(ctx, time.Second)
	}
}

// dues returns at most limit bills that are due at now, and when the next is; zero
// is never.
func (d *Desk) dues(ctx context.Context, now time.Time, limit int) (all []due, next time.Time, err error) {
	var later sql.NullInt64
	q, ms := d.books.Live(), now.UnixMilli()
	err = errors.Join(
		sqldb.Each(ctx, q, func(rows *sql.Rows) error {
			var x due
			err := rows.Scan(&x.no, &x.next)
			all = append(all, x)
			return err
		}, `SELECT order_no, next_ms FROM bills WHERE next_ms <= ?1 OR next_ms > ?2 ORDER BY next_ms LIMIT ?3`,
			ms, now.Add(dueMax).UnixMilli(), limit),
		q.QueryRow(ctx, `SELECT min(next_ms) FROM bills WHERE next_ms > ?`, ms).Scan(&later))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due bills: %w", err)
	}
	return all, fromMS(later), nil
}

// take keeps a bill that is due from every other upstream on the same books until
// then, and reports whether nobody else was faster. Books in a file have one
// upstream only, which then always gets it.
func (d *Desk) take(ctx context.Context, x due, until time.Time) (taken bool, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if tx.Engine() == sqldb.SQLite {
			taken = true
			return nil
		}
		r, err := tx.Exec(ctx, `UPDATE bills SET next_ms = ? WHERE order_no = ? AND next_ms = ?`,
			toMS(until), x.no, x.next)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		taken = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take due bill: %w", err)
	}
	return taken, nil
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
