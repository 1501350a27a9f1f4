package holder

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Purchase is what a card writes down of a purchase itself: its number apart, on
// which cards disagree, this tells it from every other.
type Purchase struct {
	TerminalNo pboc.TerminalNo
	Stamp      pboc.Stamp
	Amount     money.Fen
}

// Chip is what the books say of a card. A purse that holds less has paid at a terminal
// that has not told yet.
type Chip struct {
	Purse     money.Fen
	Purchases []Purchase // booked, or in doubt: the last ones
}

// purchasesMax is how many purchases of a card are told of: more than it keeps itself.
const purchasesMax = 20

// Chip returns what the books say of a card of an account, and [store.ErrNone] for any
// other.
func (d *Desk) Chip(ctx context.Context, a store.Account, cardNo string) (c Chip, err error) {
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) error {
		c = Chip{}
		err := tx.QueryRow(ctx, `SELECT mirror_fen FROM cards WHERE card_no = ? AND account = ?`, cardNo, a).
			Scan(&c.Purse)
		if err != nil {
			return err
		}
		return sqldb.Each(ctx, tx, c.take, `
			SELECT x.body FROM (
				SELECT coalesce(c.journal, e.journal) AS journal, coalesce(c.seq, e.seq) AS seq, m.id AS n
				FROM purse_moves m JOIN entries e ON e.id = m.entry_id LEFT JOIN claims c ON c.id = e.claim_id
				WHERE m.card_no = ?1 AND m.kind = 4 AND m.amount_fen < 0 ORDER BY m.id DESC LIMIT ?2) AS told
			JOIN journal_entries x ON x.journal = told.journal AND x.seq = told.seq
			UNION ALL
			SELECT x.body FROM claims c JOIN journal_entries x ON x.journal = c.journal AND x.seq = c.seq
			WHERE c.card_no = ?1 AND c.kind = 40 AND c.state = 1`, cardNo, purchasesMax)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	if err != nil {
		return Chip{}, fmt.Errorf("read chip: %w", err)
	}
	return c, nil
}

// take adds the purchase that an entry of a journal is about.
func (c *Chip) take(rows *sql.Rows) error {
	var body []byte
	if err := rows.Scan(&body); err != nil {
		return err
	}
	e, _, err := journal.Decode(body)
	if err == nil && e.Purse != nil {
		c.Purchases = append(c.Purchases, Purchase{e.Purse.TerminalNo, e.Purse.Stamp, e.Amount})
	}
	return err
}
