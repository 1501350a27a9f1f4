package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// create writes p down and returns it. The same number with the same terminal,
// merchant and amount is the same payment, and is returned as it stands; with
// other content it is [store.ErrConflict].
func (d *Desk) create(ctx context.Context, p Payment) (made Payment, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO payments (order_no, terminal, merchant, amount_fen, created_ms, expires_ms, state, next_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (order_no) DO NOTHING`,
			p.No, p.Terminal, p.Merchant, p.Amount, toMS(p.Created), toMS(p.Expires), p.State, toMS(p.Next))
		if err != nil {
			return err
		}
		made, err = read(ctx, tx, p.No)
		return err
	})
	switch {
	case err != nil:
		return Payment{}, fmt.Errorf("create payment: %w", err)
	case made.Terminal != p.Terminal || made.Merchant != p.Merchant || made.Amount != p.Amount:
		return Payment{}, fmt.Errorf("create payment: %w", store.ErrConflict)
	}
	return made, nil
}

// step is what has become of a payment.
type step struct {
	to       State
	cause    Cause     // kept if NoCause
	tradeNo  string    // kept if ""
	paidAt   time.Time // with Paid
	mismatch bool
	next     time.Time // when to ask again
	tries    int
}

// advance moves a payment and tells everybody who waits. What the channel has
// said is written down even if nobody waits any more. What the ratchet does not
// allow is [store.ErrBackward], and so is to begin to wait where somebody else has since
// p was read: one of two shows the code.
//
// That it is paid counts only if nobody has put the next question off since p was
// read: another upstream may have begun to cancel it after the channel was asked. It
// is returned as it stands then, and the channel is asked again.
func (d *Desk) advance(ctx context.Context, p Payment, s step) (moved Payment, err error) {
	ctx = context.WithoutCancel(ctx)
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		now, err := lock(ctx, tx, p.No)
		if err != nil {
			return err
		}
		if s.to == Paid && (now.State == Paid || now.State != p.State || now.Next.After(p.Next)) {
			moved = now
			return nil
		}
		if now.State != s.to && !now.State.CanBecome(s.to) || s.to == Waiting && now.State != p.State {
			return fmt.Errorf("payment %s from %d to %d: %w", p.No, now.State, s.to, store.ErrBackward)
		}
		_, err = tx.Exec(ctx, `
			UPDATE payments SET state = ?, cause = coalesce(nullif(CAST(? AS BIGINT), 0), cause),
				trade_no = coalesce(nullif(CAST(? AS TEXT), ''), trade_no), paid_ms = ?,
				mismatch = mismatch OR ?, next_ms = ?, tries = ?
			WHERE order_no = ?`,
			s.to, s.cause, s.tradeNo, toMS(s.paidAt), s.mismatch, toMS(s.next), s.tries, p.No)
		if err != nil {
			return err
		}
		moved, err = read(ctx, tx, p.No)
		return err
	})
	if err != nil {
		return Payment{}, fmt.Errorf("advance payment: %w", err)
	}
	if moved.State != p.State {
		d.log.Info("payment moved", "order", p.No, "from", p.State, "to", moved.State)
		d.hub.Move(p.No)
	}
	d.clerk.Hasten()
	return moved, nil
}

// lock holds a payment until the transaction ends, and returns it.
func lock(ctx context.Context, tx *sqldb.Tx, no string) (Payment, error) {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM payments WHERE order_no = ? FOR NO KEY UPDATE`, no).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return Payment{}, store.ErrNone
	}
	if err != nil {
		return Payment{}, err
	}
	return read(ctx, tx, no)
}

// Payment returns a payment, or [store.ErrNone].
func (d *Desk) Payment(ctx context.Context, no string) (Payment, error) {
	return read(ctx, d.books.Live(), no)
}

func read(ctx context.Context, q sqldb.Querier, no string) (Payment, error) {
	all, err := readAll(ctx, q, `WHERE p.order_no = ?`, no)
	if err != nil {
		return Payment{}, fmt.Errorf("read payment: %w", err)
	}
	if len(all) == 0 {
		return Payment{}, store.ErrNone
	}
	return all[0], nil
}

func readAll(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Payment, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var p Payment
		var created, expires, paid, next sql.NullInt64
		err := rows.Scan(&p.No, &p.Terminal, &p.Merchant, &p.Amount, &created, &expires, &p.State, &p.Cause,
			&p.TradeNo, &paid, &p.Mismatch, &p.Tries, &next, &p.Refunded)
		p.Created, p.Expires, p.PaidAt, p.Next = fromMS(created), fromMS(expires), fromMS(paid), fromMS(next)
		all = append(all, p)
		return err
	}, `
		SELECT p.order_no, p.terminal, p.merchant, p.amount_fen, p.created_ms, p.expires_ms, p.state, p.cause,
			p.trade_no, p.paid_ms, p.mismatch, p.tries, p.next_ms,
			CAST(coalesce((SELECT sum(r.amount_fen) FROM payment_refunds r
				WHERE r.order_no = p.order_no AND r.state = 2), 0) AS BIGINT)
		FROM payments p `+where, args...)
	return all, err
}

// dueMax is longer than any pause between two questions. A row that is due
// later than that was dated by a clock that has since been set back.
const dueMax = 6 * time.Hour

// item is what the channel is to be asked about.
type item struct {
	no, refund string // refund is "" for the payment itself
	next       int64
}

// key names what is due.
func (x item) key() string { return x.no + " " + x.refund }

// dues returns what is due at now, at most limit of each kind, and when the next
// is; zero is never.
func (d *Desk) dues(ctx context.Context, now time.Time, limit int) (all []item, next time.Time, err error) {
	take := func(rows *sql.Rows) error {
		var x item
		err := rows.Scan(&x.no, &x.refund, &x.next)
		all = append(all, x)
		return err
	}
	var later sql.NullInt64
	q, ms, most := d.books.Live(), now.UnixMilli(), now.Add(dueMax).UnixMilli()
	err = errors.Join(
		sqldb.Each(ctx, q, take, `
			SELECT order_no, '', next_ms FROM payments WHERE next_ms <= ?1 OR next_ms > ?2
			ORDER BY next_ms LIMIT ?3`, ms, most, limit),
		sqldb.Each(ctx, q, take, `
			SELECT order_no, refund_no, next_ms FROM payment_refunds WHERE next_ms <= ?1 OR next_ms > ?2
			ORDER BY next_ms LIMIT ?3`, ms, most, limit),
		q.QueryRow(ctx, `
			SELECT min(next_ms) FROM (
				SELECT next_ms FROM payments WHERE next_ms > ?1
				UNION ALL SELECT next_ms FROM payment_refunds WHERE next_ms > ?1) AS moments`, ms).Scan(&later))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read due payments: %w", err)
	}
	return all, fromMS(later), nil
}

// take keeps what is due from every other upstream on the same books until
// then, and reports whether nobody else was faster. Books in a file have one
// upstream only, which then always gets it.
func (d *Desk) take(ctx context.Context, x item, until time.Time) (taken bool, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if tx.Engine() == sqldb.SQLite {
			taken = true
			return nil
		}
		statement, args := `UPDATE payments SET next_ms = ? WHERE order_no = ? AND next_ms = ?`,
			[]any{toMS(until), x.no, x.next}
		if x.refund != "" {
			statement = `UPDATE payment_refunds SET next_ms = ? WHERE order_no = ? AND next_ms = ? AND refund_no = ?`
			args = append(args, x.refund)
		}
		r, err := tx.Exec(ctx, statement, args...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		taken = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take due payment: %w", err)
	}
	return taken, nil
}

// Hasten has the channel asked about a payment now, whatever its pause: the
// channel has sent word of it. Of a payment that has come to its end nothing is
// asked, and one that is not in the books is [store.ErrNone]. One that is checked
// is left alone if it is asked about soon: it may be being cancelled.
func (d *Desk) Hasten(ctx context.Context, no string) error {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		now := d.now()
		r, err := tx.Exec(ctx, `
			UPDATE payments SET next_ms = CASE WHEN state IN (4, 6)
				OR state = 3 AND next_ms BETWEEN ?1 AND ?2 THEN next_ms ELSE ?1 END WHERE order_no = ?3`,
			now.UnixMilli(), now.Add(d.cancelling()).UnixMilli(), no)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(store.ErrNone, err)
		}
		return nil
	})
	if err == nil {
		d.clerk.Hasten()
	}
	return err
}

func fromMS(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

func toMS(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
