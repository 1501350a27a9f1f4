package clearing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store/sqldb"
)

// The states of a return. Stored: never renumbered.
const (
	returnAsked   = 1 // nobody knows, until it is asked again
	returnDone    = 2
	returnRefused = 3
)

// Refunder is a channel as far as it gives money back, once for each number.
type Refunder interface {
	Refund(ctx context.Context, orderNo, refundNo string, amount money.Fen) error
}

// Return has a channel give back what it has been paid and what we have booked
// for nobody. Whoever wants it is written down before the channel is asked, so
// that the amount is not given to a holder as well, whatever happens meanwhile.
// The line stays open until a statement shows the money on its way back. If one that has
// nothing of the money closes it before the channel has answered, it may still be asked again.
//
// Its error is channel.ErrRefused if nothing was given back and never will be
// in this way. Every other one means that nobody knows: the same call again
// gives back nothing twice.
func (h *House) Return(ctx context.Context, id int64, by Refunder, s Signature) (err error) {
	if s, err = s.check(false); err != nil {
		return err
	}
	var x Exception
	var done bool
	err = h.books.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if x, err = lockException(ctx, tx, id); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
		if !x.surplus() || strings.Contains(x.About, " ") { // a trade without an order
			return ErrNotThat
		}
		done, err = h.noteReturn(ctx, tx, x, s)
		return err
	})
	if err != nil || done {
		return wrapReturn(err)
	}
	ctx = context.WithoutCancel(ctx) // the channel may have done it now
	asked := by.Refund(ctx, x.About, refundNo(id), x.Gap)
	if asked != nil && !errors.Is(asked, channel.ErrRefused) {
		return wrapReturn(asked)
	}
	return wrapReturn(errors.Join(asked, h.endReturn(ctx, id, asked)))
}

func wrapReturn(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("return: %w", err)
}

// refundNo names the return of a line for the channel.
func refundNo(exception int64) string { return "X" + strconv.FormatInt(exception, 10) }

// noteReturn writes down that the channel will be asked, and reports whether
// it has done it already.
func (h *House) noteReturn(ctx context.Context, tx *sqldb.Tx, x Exception, s Signature) (done bool, err error) {
	state, err := returnState(ctx, tx, x.ID)
	switch {
	case err == nil && state != returnAsked && !x.Closed.IsZero():
		return false, ErrClosed
	case err != nil || state == returnDone:
		return state == returnDone, err
	case state == returnRefused:
		return false, fmt.Errorf("asked before: %w", channel.ErrRefused)
	case state == returnAsked:
		return false, nil
	}
	if err := otherReturn(ctx, tx, x); err != nil {
		return false, err
	}
	if err := h.endOrder(ctx, tx, x); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO returns (exception_id, refund_no, amount_fen, reason, by_one, by_two, asked_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, x.ID, refundNo(x.ID), x.Gap, s.Reason, s.One, s.Two, h.ms())
	return false, err
}

// endReturn writes down what the channel has said.
func (h *House) endReturn(ctx context.Context, id int64, refused error) error {
	return h.books.Write(ctx, func(tx *sqldb.Tx) error {
		state := returnDone
		if refused != nil {
			state = returnRefused
		}
		_, err := tx.Exec(ctx, `UPDATE returns SET state = ?, ended_ms = ? WHERE exception_id = ? AND state = 1`,
			state, h.ms(), id)
		if err != nil || refused != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE exceptions SET next_step = ? WHERE id = ? AND closed_ms IS NULL`,
			reconcile.AwaitReturn, id)
		return err
	})
}

// returnState returns how far a return has come, or 0 if there is none.
func returnState(ctx context.Context, tx *sqldb.Tx, exception int64) (state int, err error) {
	err = tx.QueryRow(ctx, `SELECT state FROM returns WHERE exception_id = ?`, exception).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return state, err
}

// lockUnreturned holds an open line whose money is not given back.
func lockUnreturned(ctx context.Context, tx *sqldb.Tx, id int64) (Exception, error) {
	x, err := lockException(ctx, tx, id)
	if err != nil {
		return Exception{}, err
	}
	state, err := returnState(ctx, tx, id)
	if err == nil && (state == returnAsked || state == returnDone) {
		err = ErrReturned
	}
	return x, errors.Join(err, otherReturn(ctx, tx, x))
}

// otherReturn returns ErrReturned while another line of the same order has its money on its
// way back: that one was closed by a statement that had nothing of it, and another has it
// again. Once a statement has the refund it is compared with the rest.
func otherReturn(ctx context.Context, tx *sqldb.Tx, x Exception) error {
	var other int64
	err := tx.QueryRow(ctx, `
		SELECT coalesce(max(r.exception_id), 0) FROM returns r JOIN differences d ON d.exception_id = r.exception_id
		WHERE d.source = ?1 AND d.about = ?2 AND d.exception_id <> ?3 AND r.state <> ?4 AND NOT EXISTS (
			SELECT 1 FROM statement_lines l JOIN statements s ON s.id = l.statement
			WHERE s.source = d.source AND s.superseded_ms IS NULL AND l.about = d.about
				AND l.refund_no = r.refund_no)`,
		x.Source, x.About, x.ID, returnRefused).Scan(&other)
	if err == nil && other != 0 {
		err = fmt.Errorf("%w, by line #%d", ErrReturned, other)
	}
	return err
}
