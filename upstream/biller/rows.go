package biller

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// create writes b down and returns it; if it is held, the account has the money.
// The same number with the same content is the same bill, and is returned as it
// stands; with other content it is [store.ErrConflict].
func (d *Desk) create(ctx context.Context, b Bill) (made Bill, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := tx.Exec(ctx, `
			INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms, deadline_ms,
				state, cause, next_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (order_no) DO NOTHING`,
			b.No, b.Terminal, b.Account, b.Biller, b.Target, b.Title, b.Amount, toMS(b.Created), toMS(b.Deadline),
			b.State, causeOf(b), toMS(b.Next))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err == nil && n > 0 && b.State == Held {
			err = d.canPay(ctx, tx, b) // or nothing of this is written
		}
		if err != nil {
			return err
		}
		made, err = read(ctx, tx, b.No)
		return err
	})
	switch {
	case err != nil:
		return Bill{}, fmt.Errorf("create bill: %w", err)
	case made.Terminal != b.Terminal || made.Account != b.Account || made.Biller != b.Biller ||
		made.Target != b.Target || made.Amount != b.Amount:
		return Bill{}, fmt.Errorf("create bill: %w", store.ErrConflict)
	}
	return made, nil
}

// causeOf is that of a bill that begins at its end.
func causeOf(b Bill) Cause {
	if b.State == Released {
		return CauseEnded
	}
	return NoCause
}

// canPay locks b's account, and refuses what it cannot pay. b itself is held
// already.
func (d *Desk) canPay(ctx context.Context, tx *sqldb.Tx, b Bill) error {
	if _, err := d.books.LockHolder(ctx, tx, b.Account); err != nil {
		return err
	}
	at, err := d.books.LockAccounts(ctx, tx, []store.Account{b.Account})
	if err != nil {
		return err
	}
	var ended bool
	err = tx.QueryRow(ctx, `
		SELECT closed_ms IS NOT NULL OR coalesce(until_ms <= ?, false) FROM holders WHERE account = ?`,
		d.now().UnixMilli(), b.Account).Scan(&ended)
	if err != nil {
		return err
	}
	if ended {
		return ErrEnded
	}
	held, err := store.Held(ctx, tx, b.Account)
	if err != nil {
		return err
	}
	before := at[b.Account].Balance - held + b.Amount
	kept := store.Kept(before, d.reserve)
	switch {
	case before < b.Amount:
		return &NotEnoughError{Available: max(before-kept, 0)}
	case before-kept < b.Amount:
		return &NotEnoughError{before - kept, kept}
	}
	return nil
}

// step is what has become of a bill.
type step struct {
	to     State
	cause  Cause
	unsent bool // it has certainly not left
	next   time.Time
	tries  int
}

// advance moves a bill from the state in which b is, and tells everybody who
// waits. won is false if it is not there any more: somebody else has moved it. A bill
// that people were to find out about takes its line out of the inbox when it ends.
// What the ratchet does not allow is [store.ErrBackward].
func (d *Desk) advance(ctx context.Context, b Bill, s step) (moved Bill, won bool, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		moved, won, err = d.advanceIn(ctx, tx, b, s)
		if err != nil || !won || b.State != Referred || s.to == Referred {
			return err
		}
		return d.closeLines(ctx, tx, moved, "the biller has answered since: not booked")
	})
	if err != nil {
		return Bill{}, false, fmt.Errorf("advance bill: %w", err)
	}
	d.tell(b, moved)
	return moved, won, nil
}

func (d *Desk) advanceIn(ctx context.Context, tx *sqldb.Tx, b Bill, s step) (moved Bill, won bool, err error) {
	now, err := lock(ctx, tx, b.No)
	if err != nil || now.State != b.State {
		return now, false, err
	}
	if now.State != s.to && !now.State.CanBecome(s.to) {
		return now, false, fmt.Errorf("bill %s from %d to %d: %w", b.No, now.State, s.to, store.ErrBackward)
	}
	sent := now.SentAt
	switch {
	case s.to == Sent:
		sent = d.now()
	case s.unsent:
		sent = time.Time{}
	}
	_, err = tx.Exec(ctx, `
		UPDATE bills SET state = ?, cause = coalesce(nullif(CAST(? AS BIGINT), 0), cause), sent_ms = ?, next_ms = ?,
			tries = ? WHERE order_no = ?`, s.to, s.cause, toMS(sent), toMS(s.next), s.tries, b.No)
	if err != nil {
		return now, false, err
	}
	moved, err = read(ctx, tx, b.No)
	return moved, true, err
}

func (d *Desk) tell(was, is Bill) {
	if is.State != was.State {
		d.log.Info("bill moved", "order", is.No, "biller", is.Biller, "from", was.State, "to", is.State)
		d.hub.Move(is.No)
	}
	d.clerk.Hasten()
}

// capture has the account pay a bill in the same moment in which it becomes paid, and
// closes its lines in the inbox: its biller, or another upstream, was faster than people.
// One that is paid already is returned as it stands. One that was released pays
// only if the account has the money: otherwise it is a [*NotEnoughError].
func (d *Desk) capture(ctx context.Context, b Bill, r vendor.Receipt) (paid Bill, err error) {
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if paid, err = d.captureIn(ctx, tx, b.No, r); err != nil {
			return err
		}
		return d.closeLines(ctx, tx, paid, "the biller has answered since: booked, record "+paid.RecordNo)
	})
	if err != nil {
		return b, fmt.Errorf("pay bill: %w", err)
	}
	d.tell(b, paid)
	return paid, nil
}

func (d *Desk) captureIn(ctx context.Context, tx *sqldb.Tx, no string, r vendor.Receipt) (Bill, error) {
	now, err := lock(ctx, tx, no)
	if err != nil || now.State == Paid {
		return now, err
	}
	if !now.State.CanBecome(Paid) {
		return now, fmt.Errorf("bill %s from %d to paid: %w", no, now.State, store.ErrBackward)
	}
	to := AccountOf(now.Biller)
	at, err := d.books.LockAccounts(ctx, tx, []store.Account{now.Account, to})
	if err != nil {
		return now, err
	}
	if now.State == Released {
		if err := canPayLate(ctx, tx, now, at[now.Account].Balance); err != nil {
			return now, err
		}
	}
	posted, err := d.books.PostAll(ctx, tx, at, []store.Entry{{
		Kind: store.KindBill, Place: now.Terminal, Made: d.bookedAt(r),
		Debit: now.Account, Credit: to, Amount: now.Amount,
	}})
	if err != nil {
		return now, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE bills SET state = ?, cause = 0, record_no = ?, entry_id = ?, late = ?, next_ms = NULL, tries = 0
		WHERE order_no = ?`, Paid, r.RecordNo, posted[0].ID, now.State == Released, no)
	if err != nil {
		return now, err
	}
	return read(ctx, tx, no)
}

// canPayLate refuses what an account cannot pay any more that has balance. The biller
// has heard of the bill, also where the books have forgotten when.
func canPayLate(ctx context.Context, tx *sqldb.Tx, b Bill, balance money.Fen) error {
	held, err := store.Held(ctx, tx, b.Account)
	if err != nil {
		return err
	}
	if left := balance - held; left < b.Amount {
		return &NotEnoughError{Available: max(left, 0)}
	}
	_, err = tx.Exec(ctx, `UPDATE bills SET sent_ms = created_ms WHERE order_no = ? AND sent_ms IS NULL`, b.No)
	return err
}

// skewMax is how far a biller's clock may be off and still date an entry.
const skewMax = 48 * time.Hour

// bookedAt returns when the biller has booked, by its clock, or zero if it does
// not say or its clock is of another time.
func (d *Desk) bookedAt(r vendor.Receipt) time.Time {
	if r.At.IsZero() || d.now().Sub(r.At).Abs() > skewMax {
		return time.Time{}
	}
	return r.At
}

// lock holds a bill until the transaction ends, and returns it.
func lock(ctx context.Context, tx *sqldb.Tx, no string) (Bill, error) {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM bills WHERE order_no = ? FOR NO KEY UPDATE`, no).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return Bill{}, store.ErrNone
	}
	if err != nil {
		return Bill{}, err
	}
	return read(ctx, tx, no)
}

// Bill returns a bill, or [store.ErrNone].
func (d *Desk) Bill(ctx context.Context, no string) (Bill, error) {
	return read(ctx, d.books.Live(), no)
}

// BillsOf returns the bills of an account, the newest first.
func (d *Desk) BillsOf(ctx context.Context, a store.Account) ([]Bill, error) {
	return readAll(ctx, d.books.Live(), `WHERE b.account = ? ORDER BY b.created_ms DESC, b.order_no DESC`, a)
}

// Unpaid returns all bills whose amount is held, the oldest first.
func (d *Desk) Unpaid(ctx context.Context) ([]Bill, error) {
	return readAll(ctx, d.books.Live(), `WHERE b.state IN (1, 2, 3, 6) ORDER BY b.created_ms, b.order_no`)
}

func read(ctx context.Context, q sqldb.Querier, no string) (Bill, error) {
	all, err := readAll(ctx, q, `WHERE b.order_no = ?`, no)
	if err != nil {
		return Bill{}, fmt.Errorf("read bill: %w", err)
	}
	if len(all) == 0 {
		return Bill{}, store.ErrNone
	}
	return all[0], nil
}

func readAll(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Bill, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var b Bill
		var created, deadline, sent, entry, next sql.NullInt64
		err := rows.Scan(&b.No, &b.Terminal, &b.Account, &b.Biller, &b.Target, &b.Title, &b.Amount, &created,
			&deadline, &b.State, &b.Cause, &sent, &b.RecordNo, &entry, &b.Late, &b.Tries, &next, &b.Refunded)
		b.Created, b.Deadline, b.SentAt, b.Next = fromMS(created), fromMS(deadline), fromMS(sent), fromMS(next)
		b.Entry = entry.Int64
		all = append(all, b)
		return err
	}, `
		SELECT b.order_no, b.terminal, b.account, b.biller, b.target, b.title, b.amount_fen, b.created_ms,
			b.deadline_ms, b.state, b.cause, b.sent_ms, b.record_no, b.entry_id, b.late, b.tries, b.next_ms,
			CAST(coalesce((SELECT sum(r.amount_fen) FROM bill_refunds r WHERE r.order_no = b.order_no), 0) AS BIGINT)
		FROM bills b `+where, args...)
	return all, err
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
