package store

import (
	"context"
	"database/sql"
	"fmt"

	"quancun/money"
)

// Kind says what moved. Stored, and as on the wire: never renumbered.
type Kind int

// The kinds of entry and of purse movement.
const (
	KindTopUp    Kind = 1
	KindLoad     Kind = 2 // a purse movement only
	KindRefund   Kind = 3
	KindPurchase Kind = 4
	KindOpening  Kind = 5
)

// entry moves amount from debit to credit.
type entry struct {
	kind          Kind
	debit, credit Account
	amount        money.Fen
	orderNo       string // "" for none
	place         string
}

// post writes an entry with its two postings, and returns the credited
// account's balance after it. The schema refuses a second credit of an order.
func (b *Books) post(ctx context.Context, tx *sql.Tx, e entry) (balance money.Fen, err error) {
	r, err := tx.ExecContext(ctx,
		`INSERT INTO entries (kind, order_no, place, at_ms, lines) VALUES (?, nullif(?, ''), ?, ?, 2)`,
		e.kind, e.orderNo, e.place, b.ms())
	if err != nil {
		return 0, fmt.Errorf("write entry: %w", err)
	}
	id, err := r.LastInsertId()
	if err != nil {
		return 0, fmt.Errorf("write entry: %w", err)
	}
	if _, err := postLine(ctx, tx, id, e.debit, -e.amount); err != nil {
		return 0, fmt.Errorf("write posting: %w", err)
	}
	if balance, err = postLine(ctx, tx, id, e.credit, e.amount); err != nil {
		return 0, fmt.Errorf("write posting: %w", err)
	}
	return balance, nil
}

func postLine(ctx context.Context, tx *sql.Tx, id int64, a Account, amount money.Fen) (balance money.Fen, err error) {
	_, err = tx.ExecContext(ctx, `INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING`, a)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `
		INSERT INTO postings (entry_id, account, amount_fen, balance_fen)
		SELECT ?, account, ?2, balance_fen + ?2 FROM accounts WHERE account = ?3
		RETURNING balance_fen`, id, amount, a).Scan(&balance)
	return balance, err
}

// purseMove changes what a purse holds by the books.
type purseMove struct {
	card   string
	kind   Kind
	loadID string // "" for none
	amount money.Fen
	place  string
}

func (b *Books) movePurse(ctx context.Context, tx *sql.Tx, m purseMove) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, balance_fen, place, at_ms)
		SELECT c.card_no, ?, nullif(?, ''), ?, a.balance_fen, ?, ?
		FROM cards c JOIN accounts a ON a.account = c.account WHERE c.card_no = ?`,
		m.kind, m.loadID, m.amount, m.place, b.ms(), m.card)
	if err != nil {
		return fmt.Errorf("write purse move: %w", err)
	}
	return nil
}

// Balance returns an account's balance, or ErrNone if it has never moved.
func (b *Books) Balance(ctx context.Context, a Account) (f money.Fen, err error) {
	err = b.r.QueryRowContext(ctx, `SELECT balance_fen FROM accounts WHERE account = ?`, a).Scan(&f)
	return f, none(err)
}
