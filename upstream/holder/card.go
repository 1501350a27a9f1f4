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
		told, err := toldOf(ctx, tx, cardNo)
		if err != nil {
			return err
		}
		for _, at := range told {
			all, err := store.EntriesAt(ctx, tx, at)
			if err != nil {
				return err
			}
			c.take(all, cardNo)
		}
		return nil
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	if err != nil {
		return Chip{}, fmt.Errorf("read chip: %w", err)
	}
	return c, nil
}

// toldOf returns where in journals the last purchases of a card are, those in doubt too.
func toldOf(ctx context.Context, tx *sqldb.Tx, cardNo string) (all []journal.Position, err error) {
	err = sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		var at journal.Position
		var epoch []byte
		err := rows.Scan(&at.Terminal, &epoch, &at.Seq)
		copy(at.Epoch[:], epoch)
		all = append(all, at)
		return err
	}, `
		SELECT j.terminal, j.epoch, told.seq FROM (
			SELECT coalesce(c.journal, e.journal) AS journal, coalesce(c.seq, e.seq) AS seq, m.id AS n
			FROM purse_moves m JOIN entries e ON e.id = m.entry_id LEFT JOIN claims c ON c.id = e.claim_id
			WHERE m.card_no = ?1 AND m.kind = 4 AND m.amount_fen < 0 ORDER BY m.id DESC LIMIT ?2) AS told
		JOIN journals j ON j.id = told.journal
		UNION ALL
		SELECT j.terminal, j.epoch, c.seq FROM claims c JOIN journals j ON j.id = c.journal
		WHERE c.card_no = ?1 AND c.kind = 40 AND c.state = 1`, cardNo, purchasesMax)
	return all, err
}

// take adds the purchases with the card that entries are about.
func (c *Chip) take(all []journal.Entry, cardNo string) {
	for _, e := range all {
		if e.Card == cardNo && e.Purse != nil {
			c.Purchases = append(c.Purchases, Purchase{e.Purse.TerminalNo, e.Purse.Stamp, e.Amount})
		}
	}
}
