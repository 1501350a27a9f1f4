package clearing

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
	"quancun/upstream/store/sqldb"
)

// Statement is what a source has said of a day, and how far we are with it.
type Statement struct {
	Source   reconcile.Source
	Day      channel.Day
	Absent   bool // it had none, and neither have we
	Lines    int
	Paid     money.Fen
	Returned money.Fen
	Fees     money.Fen
	Read     time.Time
	Compared time.Time // zero if it has not been
}

// SaveStatement keeps what a source says of a day. Another opinion of the same
// day supersedes the one before; changed reports whether it was one.
func (h *House) SaveStatement(ctx context.Context, source reconcile.Source, s channel.Statement,
) (changed bool, err error) {
	changed, err = h.saveStatement(ctx, source, s, false)
	if err != nil {
		return false, fmt.Errorf("save statement: %w", err)
	}
	return changed, nil
}

// NoStatement keeps that a source has none for a day, and that nothing is
// missed by it. A statement that comes after all supersedes that.
func (h *House) NoStatement(ctx context.Context, source reconcile.Source, day channel.Day) error {
	if _, err := h.saveStatement(ctx, source, channel.Statement{Day: day}, true); err != nil {
		return fmt.Errorf("save statement: %w", err)
	}
	return nil
}

func (h *House) saveStatement(ctx context.Context, source reconcile.Source, s channel.Statement, absent bool,
) (changed bool, err error) {
	digest := digestOf(s, absent)
	paid, returned := s.Totals()
	var fees money.Fen
	for _, l := range s.Lines {
		fees += l.Fee
	}
	err = h.books.Write(ctx, func(tx *sqldb.Tx) error {
		changed = false
		if err := tx.Lock(ctx, "statements of "+string(source)); err != nil {
			return err
		}
		var old []byte
		err := tx.QueryRow(ctx, `SELECT digest FROM statements WHERE source = ? AND day = ? AND superseded_ms IS NULL`,
			source, s.Day).Scan(&old)
		if err == nil && string(old) == string(digest) || err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		changed = true
		_, err = tx.Exec(ctx, `
			UPDATE statements SET superseded_ms = ? WHERE source = ? AND day = ? AND superseded_ms IS NULL`,
			h.ms(), source, s.Day)
		if err != nil {
			return err
		}
		var id int64
		err = tx.QueryRow(ctx, `
			INSERT INTO statements (source, day, absent, digest, lines, paid_fen, returned_fen, fee_fen, read_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			source, s.Day, absent, digest, len(s.Lines), paid, returned, fees, h.ms()).Scan(&id)
		if err != nil {
			return err
		}
		return saveLines(ctx, tx, id, s.Lines)
	})
	return changed, err
}

func saveLines(ctx context.Context, tx *sqldb.Tx, statement int64, lines []channel.Line) error {
	var ids, nos, kinds, at []int64
	var about, order, refund, trade []string
	var amount, fee []money.Fen
	for i, l := range lines {
		ids, nos, kinds = append(ids, statement), append(nos, int64(i+1)), append(kinds, int64(l.Kind))
		about, order = append(about, reconcile.About(l)), append(order, l.OrderNo)
		refund, trade = append(refund, l.RefundNo), append(trade, l.TradeNo)
		amount, fee, at = append(amount, l.Amount), append(fee, l.Fee), append(at, l.At.UnixMilli())
	}
	return tx.Insert(ctx, `statement_lines
		(statement, line, about, kind, order_no, refund_no, trade_no, amount_fen, fee_fen, at_ms)`, "",
		ids, nos, about, kinds, order, refund, trade, amount, fee, at)
}

// digestOf tells one statement from another.
func digestOf(s channel.Statement, absent bool) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %t\n", s.Day, absent)
	for _, l := range s.Lines {
		fmt.Fprintf(h, "%q %q %q %d %d %d %d\n",
			l.OrderNo, l.RefundNo, l.TradeNo, l.Kind, l.Amount, l.Fee, l.At.UnixMilli())
	}
	return h.Sum(nil)
}

// Statements returns what a source has said, a day after the other, without
// what was superseded.
func (h *House) Statements(ctx context.Context, source reconcile.Source) (all []Statement, err error) {
	err = h.books.Read(ctx, func(tx *sqldb.Tx) error {
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			s := Statement{Source: source}
			var read, compared sql.NullInt64
			err := rows.Scan(&s.Day, &s.Absent, &s.Lines, &s.Paid, &s.Returned, &s.Fees, &read, &compared)
			s.Read, s.Compared = fromMS(read), fromMS(compared)
			all = append(all, s)
			return err
		}, `
			SELECT day, absent, lines, paid_fen, returned_fen, fee_fen, read_ms, compared_ms
			FROM statements WHERE source = ? AND superseded_ms IS NULL ORDER BY day`, source)
	})
	if err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	return all, nil
}
