package clearing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ClosedAccount is the kind of a line about money that has come onto an account after
// it was closed: a top-up that was paid late, or something that was given back. Its
// holder has no card any more to see it by. Stored: never renamed.
const ClosedAccount = "closed account"

// late reports whether x is money that came onto a closed account.
func (x Exception) late() bool { return x.Kind == ClosedAccount }

// listLate lists what stands on closed accounts, and closes the lines of those on which
// nothing stands any more.
func (h *House) listLate(ctx context.Context) error {
	var lines []store.Exception
	var gone []int64
	err := h.books.Read(ctx, func(tx *sqldb.Tx) error {
		lines, gone = nil, nil
		err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var a store.Account
			var f money.Fen
			err := rows.Scan(&a, &f)
			lines = append(lines, lateLine(a, f))
			return err
		}, `SELECT a.account, a.balance_fen FROM holders h JOIN accounts a ON a.account = h.account
			WHERE h.closed_ms IS NOT NULL AND a.balance_fen > 0 AND NOT EXISTS (SELECT 1 FROM exceptions x
				WHERE x.kind = ? AND x.ref = a.account AND x.closed_ms IS NULL) ORDER BY a.account`, ClosedAccount)
		if err != nil {
			return err
		}
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			gone = append(gone, id)
			return err
		}, `SELECT x.id FROM exceptions x JOIN accounts a ON a.account = x.account
			WHERE x.kind = ? AND x.closed_ms IS NULL AND a.balance_fen <= 0 ORDER BY x.id`, ClosedAccount)
	})
	if err == nil && len(lines)+len(gone) > 0 {
		err = h.books.Write(ctx, func(tx *sqldb.Tx) error { return h.writeLate(ctx, tx, lines, gone) })
	}
	if err != nil {
		return fmt.Errorf("what stands on closed accounts: %w", err)
	}
	return nil
}

func lateLine(a store.Account, f money.Fen) store.Exception {
	return store.Exception{
		Kind: ClosedAccount, Ref: string(a), Account: a, Amount: f, Owner: "card centre",
		Detail: fmt.Sprintf("%s stand on an account that was closed: they came after that", f),
		NextStep: "find the holder: assign it to an account of theirs, or pay it by the bank " +
			"and have it written off",
	}
}

func (h *House) writeLate(ctx context.Context, tx *sqldb.Tx, lines []store.Exception, gone []int64) error {
	for _, id := range gone {
		_, err := lockException(ctx, tx, id)
		if errors.Is(err, ErrClosed) {
			continue // by people, just now
		}
		if err != nil {
			return err
		}
		if err := h.books.CloseException(ctx, tx, id, 0, "nothing stands on the account any more"); err != nil {
			return err
		}
	}
	return h.books.Except(ctx, tx, lines)
}
