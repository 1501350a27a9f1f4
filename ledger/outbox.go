package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// Unreported returns up to limit entries of which upstream has to be told,
// oldest first: every end, and the intent of every load that was left in doubt
// ([Book.LeaveInDoubt]) and is still open.
func (b *Book) Unreported(ctx context.Context, limit int) (entries []Entry, err error) {
	err = b.read(ctx, "read outbox", func(q querier) error {
		entries, err = readEntries(ctx, q, `WHERE seq IN (
			SELECT o.seq FROM outbox o LEFT JOIN item i ON i.intent_seq = o.seq
			WHERE o.reported = 0 AND i.end_seq IS NULL ORDER BY o.seq LIMIT ?) ORDER BY seq`, max(limit, 0))
		return err
	})
	return entries, err
}

// MarkReported notes that upstream has confirmed the entry seq. Noting it
// again is harmless, and nothing takes it back. It returns [ErrNotFound] for an
// entry of which upstream never had to be told.
func (b *Book) MarkReported(ctx context.Context, seq int64) error {
	return b.transact(ctx, "mark reported", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE outbox SET reported = 1 WHERE seq = ?`, seq)
		if err != nil {
			return fmt.Errorf("mark entry %d reported: %w", seq, err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fmt.Errorf("%w: no report of entry %d is due", ErrNotFound, seq)
		}
		return nil
	})
}

// LeaveInDoubt puts an open load up for report, because its card has gone
// before it said whether it was credited. The load stays open. Saying it again
// is harmless; [Open] says it of every load that it finds open.
//
// It returns [ErrNotFound] if there is no load under ref, and [ErrResolved] if
// the load has ended: then there is no doubt left to report.
func (b *Book) LeaveInDoubt(ctx context.Context, ref string) error {
	return b.transact(ctx, "leave in doubt", func(ctx context.Context, tx *sql.Tx) error {
		item, err := itemOf(ctx, tx, ref)
		switch {
		case err != nil:
			return err
		case item.Intent.Kind != LoadIntent:
			return fmt.Errorf("%w: %q is not a load", ErrNotFound, ref)
		case !item.Open():
			return fmt.Errorf("%w: %q is %s since entry %d", ErrResolved, ref, item.End.Outcome, item.End.Seq)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO outbox (seq) SELECT ?1
			WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE seq = ?1)`, item.Intent.Seq)
		return err
	})
}
