package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// Exception is a line of the inbox: something about money that did not go as
// it should, with whose it is and what to do next. It stays until it is closed
// by an entry that moves the money, or by what somebody has found out.
type Exception struct {
	ID   int64
	Kind string // short, and what lines of one sort have in common
	Ref  string // what it is about: of one kind and ref one line is open

	// Terminal, Epoch and Seq are the entry that it is about, if there is one.
	Terminal string
	Epoch    []byte
	Seq      int64

	// Account is where Amount stands because of it; "" when nothing was moved.
	Account Account
	Amount  money.Fen

	Detail   string
	Owner    string
	NextStep string

	Opened       time.Time
	Closed       time.Time // zero while it is open
	ClosingEntry int64     // 0 for none
	Evidence     string    // why it was closed
}

// DrawerDiffers is the kind of a line about cash in a drawer of which the terminal does
// not know, or the books do not. Its amount stands in the till's account.
const DrawerDiffers = "drawer differs"

// RequestMissing is the kind of a line about a holder's request that was done, as its
// terminal says, and that is not in the books. It names the entry that says so.
const RequestMissing = "request missing"

// Except puts lines into the inbox, with the transaction that made them
// necessary. A line that is open already is not opened twice.
func (b *Books) Except(ctx context.Context, tx *sqldb.Tx, lines []Exception) error {
	var kind, ref, terminal, account, detail, owner, next []string
	var epoch [][]byte
	var seq, amount, opened []*int64
	now := b.ms()
	for _, e := range lines {
		kind, ref, terminal = append(kind, e.Kind), append(ref, e.Ref), append(terminal, e.Terminal)
		account, detail = append(account, string(e.Account)), append(detail, e.Detail)
		owner, next = append(owner, e.Owner), append(next, e.NextStep)
		fen := int64(e.Amount)
		epoch, seq = append(epoch, e.Epoch), append(seq, unlessZero(e.Seq))
		amount, opened = append(amount, &fen), append(opened, &now)
	}
	if len(lines) == 0 {
		return nil
	}
	err := tx.Insert(ctx, `exceptions (kind, ref, terminal, epoch, seq, account, amount_fen,
		detail, owner, next_step, opened_ms)`, "ON CONFLICT DO NOTHING",
		kind, ref, terminal, epoch, seq, account, amount, detail, owner, next, opened)
	if err != nil {
		return fmt.Errorf("write exceptions: %w", err)
	}
	return nil
}

// CloseException closes a line of the inbox, by the entry that has moved the
// money, or 0, and by what was found out. One that is not open is ErrNone.
func (b *Books) CloseException(ctx context.Context, tx *sqldb.Tx, id, entry int64, evidence string) error {
	return changed(tx.Exec(ctx, `
		UPDATE exceptions SET closed_ms = ?, closing_entry = ?, evidence = ? WHERE id = ? AND closed_ms IS NULL`,
		b.ms(), unlessZero(entry), evidence, id))
}

// Exceptions returns the open lines of the inbox, oldest first.
func (b *Books) Exceptions(ctx context.Context) ([]Exception, error) {
	return ReadExceptions(ctx, b.db, `WHERE closed_ms IS NULL ORDER BY id`)
}

// ReadExceptions returns the lines of the inbox that a statement's end finds.
func ReadExceptions(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Exception, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var e Exception
		var seq, entry, opened, closed sql.NullInt64
		err := rows.Scan(&e.ID, &e.Kind, &e.Ref, &e.Terminal, &e.Epoch, &seq, &e.Account, &e.Amount,
			&e.Detail, &e.Owner, &e.NextStep, &opened, &closed, &entry, &e.Evidence)
		e.Seq, e.ClosingEntry, e.Opened, e.Closed = seq.Int64, entry.Int64, fromMS(opened), fromMS(closed)
		all = append(all, e)
		return err
	}, `SELECT id, kind, ref, terminal, epoch, seq, account, amount_fen, detail, owner, next_step,
		opened_ms, closed_ms, closing_entry, evidence FROM exceptions `+where, args...)
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("read exceptions: %w", err)
	}
	return all, err
}
