package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// RefundState says how far a refund has come. Stored: never renumbered.
type RefundState int

// The states of a refund.
const (
	RefundAsked   RefundState = 1 // nobody knows, until the channel is asked again
	RefundDone    RefundState = 2
	RefundRefused RefundState = 3
)

// Refund gives back some or all of a payment that was paid.
type Refund struct {
	OrderNo string
	No      string // its name, within the payment
	Amount  money.Fen

	State RefundState
	Tries int
}

// TooMuchError means that a refund is above what is left of its payment.
type TooMuchError struct {
	Left money.Fen
}

// Error says how much is left.
func (e *TooMuchError) Error() string {
	return "payment: only " + e.Left.String() + " is left to give back"
}

// Refund writes r down and has the channel give the amount back, once for each
// number: the same again is the same refund. It returns r with what it has come
// to; one that is RefundAsked is asked about until the channel has said.
//
// Errors before anything has moved: [store.ErrNone] for a payment that is none
// or was not paid, [store.ErrConflict] for the number of another amount, and
// [*TooMuchError].
func (d *Desk) Refund(ctx context.Context, r Refund) (Refund, error) {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error { return d.noteRefund(ctx, tx, r) })
	if err != nil {
		return Refund{}, fmt.Errorf("refund payment: %w", err)
	}
	return d.giveBack(ctx, r.OrderNo, r.No)
}

func (d *Desk) noteRefund(ctx context.Context, tx *sqldb.Tx, r Refund) error {
	p, err := lock(ctx, tx, r.OrderNo)
	if err != nil {
		return err
	}
	old, err := readRefund(ctx, tx, r.OrderNo, r.No)
	switch {
	case err == nil && old.Amount != r.Amount:
		return store.ErrConflict
	case err == nil:
		return nil
	case !errors.Is(err, store.ErrNone):
		return err
	case p.State != Paid:
		return store.ErrNone
	}
	var before money.Fen
	err = tx.QueryRow(ctx, `
		SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM payment_refunds WHERE order_no = ? AND state <> 3`,
		r.OrderNo).Scan(&before)
	if err != nil {
		return err
	}
	if r.Amount > p.Amount-before {
		return &TooMuchError{Left: p.Amount - before}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO payment_refunds (order_no, refund_no, amount_fen, asked_ms, next_ms) VALUES (?, ?, ?, ?, ?)`,
		r.OrderNo, r.No, r.Amount, d.now().UnixMilli(), toMS(d.now().Add(2*d.pace.Call)))
	return err
}

// giveBack has the channel make a refund that is written down, and writes down
// what it says.
func (d *Desk) giveBack(ctx context.Context, orderNo, no string) (Refund, error) {
	give := d.locks.Take(orderNo, ctx.Done())
	if give == nil {
		return Refund{}, ctx.Err()
	}
	defer give()
	r, err := readRefund(ctx, d.books.Live(), orderNo, no)
	if err != nil || r.State != RefundAsked {
		return r, err
	}
	ctx = context.WithoutCancel(ctx) // the channel may do it now
	call, stop := context.WithTimeout(ctx, 2*d.pace.Call)
	defer stop()
	err = d.ch.Refund(call, orderNo, no, r.Amount)
	switch {
	case err == nil:
		return d.endRefund(ctx, r, RefundDone)
	case errors.Is(err, channel.ErrRefused):
		d.log.Warn("refund refused", "order", orderNo, "refund", no, "err", err)
		return d.endRefund(ctx, r, RefundRefused)
	}
	d.log.Warn("refund not decided", "order", orderNo, "refund", no, "err", err)
	if r.Tries+1 == stuckTries {
		detail := fmt.Sprintf("refund %s of %s: %d tries without an answer", no, r.Amount, stuckTries)
		if _, err := d.books.Alarm(ctx, store.Alarm{Kind: AlarmStuck, Ref: orderNo, Detail: detail}); err != nil {
			return r, err
		}
	}
	err = d.setRefund(ctx, r, RefundAsked, d.later(d.pace.Retry, retryMax, r.Tries))
	d.clerk.Hasten()
	return r, err
}

func (d *Desk) endRefund(ctx context.Context, r Refund, s RefundState) (Refund, error) {
	err := d.setRefund(ctx, r, s, time.Time{})
	r.State = s
	d.hub.Move(r.OrderNo)
	return r, err
}

func (d *Desk) setRefund(ctx context.Context, r Refund, s RefundState, next time.Time) error {
	var ended any
	if s != RefundAsked {
		ended = d.now().UnixMilli()
	}
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE payment_refunds SET state = ?, ended_ms = ?, tries = tries + 1, next_ms = ?
			WHERE order_no = ? AND refund_no = ? AND state = 1`, s, ended, toMS(next), r.OrderNo, r.No)
		return err
	})
	if err != nil {
		return fmt.Errorf("write refund: %w", err)
	}
	return nil
}

// Refunds returns the refunds of a payment, in the order in which they were asked
// for.
func (d *Desk) Refunds(ctx context.Context, orderNo string) (all []Refund, err error) {
	err = sqldb.Each(ctx, d.books.Live(), func(rows *sql.Rows) error {
		r := Refund{OrderNo: orderNo}
		err := rows.Scan(&r.No, &r.Amount, &r.State, &r.Tries)
		all = append(all, r)
		return err
	}, `
		SELECT refund_no, amount_fen, state, tries FROM payment_refunds WHERE order_no = ?
		ORDER BY asked_ms, refund_no`, orderNo)
	if err != nil {
		return nil, fmt.Errorf("read refunds: %w", err)
	}
	return all, nil
}

func readRefund(ctx context.Context, q sqldb.Querier, orderNo, no string) (Refund, error) {
	r := Refund{OrderNo: orderNo, No: no}
	err := q.QueryRow(ctx, `
		SELECT amount_fen, state, tries FROM payment_refunds WHERE order_no = ? AND refund_no = ?`, orderNo, no).
		Scan(&r.Amount, &r.State, &r.Tries)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.ErrNone
	}
	if err != nil {
		return r, fmt.Errorf("read refund: %w", err)
	}
	return r, nil
}
