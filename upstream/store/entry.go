package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"quancun/money"
	"quancun/upstream/store/sqldb"
)

// Kind says what moved. Stored, and as on the wire: never renumbered. 6 is what
// terminals call a kind that they do not know.
type Kind int

// The kinds of entry and of purse movement.
const (
	KindTopUp    Kind = 1
	KindLoad     Kind = 2 // a purse movement only
	KindRefund   Kind = 3
	KindPurchase Kind = 4
	KindOpening  Kind = 5

	KindDoubt      Kind = 7 // into suspense: a card has gone in the middle of a purchase
	KindSettlement Kind = 8 // out of suspense
	KindCashTopUp  Kind = 9
	KindPayOut     Kind = 10
	KindCash       Kind = 11 // between a drawer and the safe
	KindCount      Kind = 12 // what a counted drawer differs by
	KindFee        Kind = 13
	KindCorrection Kind = 14 // of another entry, which it names, or of a difference with others' books
	KindPaidOut    Kind = 15 // to a merchant, for its days
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
// An entry gets its number with its accounts locked, so that in each account
// numbers grow as its balance moves.
func (b *Books) post(ctx context.Context, tx *sqldb.Tx, e entry) (balance money.Fen, err error) {
	held, err := lockAccounts(ctx, tx, e.debit, e.credit)
	if err != nil {
		return 0, err
	}
	var id int64
	err = tx.QueryRow(ctx, `
		INSERT INTO entries (kind, order_no, place, at_ms, lines) VALUES (?, ?, ?, ?, 2) RETURNING id`,
		e.kind, orNull(e.orderNo), e.place, b.ms()).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("write entry: %w", err)
	}
	accounts := []Account{e.debit, e.credit}
	amounts := []money.Fen{-e.amount, e.amount}
	balances := []money.Fen{held[e.debit] - e.amount, held[e.credit] + e.amount}
	err = tx.Insert(ctx, "postings (entry_id, account, amount_fen, balance_fen)", "",
		[]int64{id, id}, accounts, amounts, balances)
	if err != nil {
		return 0, fmt.Errorf("write postings: %w", err)
	}
	if err := setBalances(ctx, tx, accounts, balances); err != nil {
		return 0, err
	}
	return balances[1], nil
}

// lockAccounts holds accounts until the transaction ends, and returns their
// balances. Those that have never moved are made. A transaction locks all its
// accounts in one call and after everything else, and they are locked in their
// order: so no two transactions wait for each other.
func lockAccounts(ctx context.Context, tx *sqldb.Tx, accounts ...Account) (map[Account]money.Fen, error) {
	accounts = slices.Compact(slices.Sorted(slices.Values(accounts)))
	if tx.Engine() == sqldb.Postgres { // before any is locked, or two that make some would wait for each other
		if err := makeAccounts(ctx, tx, accounts); err != nil {
			return nil, err
		}
	}
	held := make(map[Account]money.Fen, len(accounts))
	err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var a Account
		var f money.Fen
		err := rows.Scan(&a, &f)
		held[a] = f
		return err
	}, `SELECT account, balance_fen FROM accounts WHERE account = ANY (?) ORDER BY account FOR NO KEY UPDATE`, accounts)
	if err != nil {
		return nil, fmt.Errorf("lock accounts: %w", err)
	}
	if len(held) == len(accounts) {
		return held, nil
	}
	if err := makeAccounts(ctx, tx, accounts); err != nil {
		return nil, err
	}
	for _, a := range accounts {
		held[a] += 0 // those that are new
	}
	return held, nil
}

func makeAccounts(ctx context.Context, tx *sqldb.Tx, accounts []Account) error {
	if err := tx.Insert(ctx, "accounts (account)", "ON CONFLICT DO NOTHING", accounts); err != nil {
		return fmt.Errorf("make accounts: %w", err)
	}
	return nil
}

// setBalances writes what accounts that are locked have come to by postings
// that have just been written. In SQLite a trigger has done it.
func setBalances(ctx context.Context, tx *sqldb.Tx, accounts []Account, balances []money.Fen) error {
	if tx.Engine() == sqldb.SQLite {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE accounts SET balance_fen = new.balance_fen
		FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[])) AS new (account, balance_fen)
		WHERE accounts.account = new.account`, accounts, balances)
	if err != nil {
		return fmt.Errorf("write balances: %w", err)
	}
	return nil
}

// purseMove changes what a purse holds by the books.
type purseMove struct {
	card   string
	kind   Kind
	loadID string // "" for none
	amount money.Fen
	place  string
}

// movePurse writes a movement of a purse whose card is locked.
func (b *Books) movePurse(ctx context.Context, tx *sqldb.Tx, m purseMove) error {
	err := changed(tx.Exec(ctx, `
		INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, place, at_ms, balance_fen)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, a.balance_fen
		FROM cards c JOIN accounts a ON a.account = c.account WHERE c.card_no = ?1`,
		m.card, m.kind, orNull(m.loadID), m.amount, m.place, b.ms()))
	if err == nil && tx.Engine() != sqldb.SQLite { // there a trigger has done it
		err = changed(tx.Exec(ctx, `UPDATE cards SET mirror_fen = mirror_fen + ? WHERE card_no = ?`, m.amount, m.card))
	}
	if err != nil {
		return fmt.Errorf("write purse move: %w", err)
	}
	return nil
}

// Balance returns an account's balance, or ErrNone if it has never moved.
func (b *Books) Balance(ctx context.Context, a Account) (f money.Fen, err error) {
	err = b.db.QueryRow(ctx, `SELECT balance_fen FROM accounts WHERE account = ?`, a).Scan(&f)
	return f, none(err)
}
