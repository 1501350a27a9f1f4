package biller

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/server/due"
	"quancun/upstream/store/sqldb"
)

// dueMax is longer than any pause. A row that is due later than that was dated by
// a clock that has since been set back.
const dueMax = 6 * time.Hour

// item is a bill that is due, and since when.
type item struct {
	no   string
	next int64
}

// work is what the desk has to see to: bills that are due.
func (d *Desk) work() due.Work[item] {
	return due.Work[item]{
		What: "bills", List: d.dues, Name: func(x item) string { return x.no },
		Take: func(ctx context.Context, x item) (bool, error) { return d.take(ctx, x, d.now().Add(3*d.pace.Call)) },
		Ask:  func(ctx context.Context, x item) error { return d.attend(ctx, x.no) },
		Now:  d.now, Log: d.log,
	}
}

// Run sees to bills that are due until ctx ends, waits for the calls that are
// under way, and returns ctx's error. Calls that wait for a bill then end too.
func (d *Desk) Run(ctx context.Context) error { return d.clerk.Run(ctx) }

// Attend sees once to each bill that is due, one after the other. It is for who
// has no time to let Run take its own, such as a simulation.
func (d *Desk) Attend(ctx context.Context) error { return d.clerk.Attend(ctx) }

// dues returns at most limit bills that are due at now, and when the next is; zero
// is never.
func (d *Desk) dues(ctx context.Context, now time.Time, limit int) (all []item, next time.Time, err error) {
	var later sql.NullInt64
	q, ms := d.books.Live(), now.UnixMilli()
	err = errors.Join(
		sqldb.Each(ctx, q, func(rows *sql.Rows) error {
			var x item
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
func (d *Desk) take(ctx context.Context, x item, until time.Time) (taken bool, err error) {
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
