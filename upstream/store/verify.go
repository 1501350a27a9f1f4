package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// checks are the promises as queries for what breaks them: each returns one
// text for each break. M1, M2 and M5 are those of the design, section 5.
var checks = []struct{ name, query string }{
	{"M1: entry does not sum to zero", `
		SELECT e.id FROM entries e LEFT JOIN postings p ON p.entry_id = e.id
		GROUP BY e.id HAVING count(p.entry_id) <> e.lines OR sum(p.amount_fen) <> 0`},
	{"M1: ledger does not sum to zero", `
		SELECT sum(amount_fen) FROM postings HAVING sum(amount_fen) <> 0`},
	{"M2: balance is not the sum of postings", `
		SELECT a.account FROM accounts a LEFT JOIN postings p ON p.account = a.account
		GROUP BY a.account HAVING a.balance_fen <> coalesce(sum(p.amount_fen), 0)`},
	{"M2: posting does not follow the one before", `
		SELECT account || ' in ' || entry_id FROM (
			SELECT account, entry_id, balance_fen, sum(amount_fen) OVER (PARTITION BY account ORDER BY entry_id) AS want
			FROM postings) WHERE balance_fen <> want`},
	{"M2: mirror is not the sum of purse moves", `
		SELECT c.card_no FROM cards c LEFT JOIN purse_moves m ON m.card_no = c.card_no
		GROUP BY c.card_no HAVING c.mirror_fen <> coalesce(sum(m.amount_fen), 0)`},
	{"M2: load is not one purse move", `
		SELECT l.load_id FROM loads l LEFT JOIN purse_moves m ON m.load_id = l.load_id
		WHERE (l.state = 2) <> (m.id IS NOT NULL) OR m.amount_fen <> l.amount_fen OR m.card_no <> l.card_no`},
	{"M5: paid order is not one credit", `
		SELECT o.order_no FROM orders o
		LEFT JOIN entries e ON e.order_no = o.order_no AND e.kind = 1
		LEFT JOIN postings p ON p.entry_id = e.id AND p.account = o.account AND p.amount_fen = o.amount_fen
		GROUP BY o.order_no HAVING (o.state = 4) <> (count(p.entry_id) = 1) OR count(e.id) > 1
			OR o.state <> 4 AND count(e.id) > 0`},
	{"M5: channel is not the sum of credits", `
		SELECT balance_fen FROM accounts WHERE account = 'channel/alipay'
		AND -balance_fen <> (SELECT coalesce(sum(amount_fen), 0) FROM orders WHERE state = 4)`},
	{"foreign key", `SELECT "table" || ' ' || coalesce(rowid, '') FROM pragma_foreign_key_check`},
	{"file", `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`},
}

// Verify checks what must always hold of the books (M1, M2 and M5 of the
// design), that the file is whole, and that nobody has taken the guards out of
// its schema. It returns one line for each break, and none when all is well.
func (b *Books) Verify(ctx context.Context) (broken []string, err error) {
	tx, err := b.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // all of one moment
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	for _, c := range checks {
		err := each(ctx, tx, func(rows *sql.Rows) error {
			var which string
			err := rows.Scan(&which)
			broken = append(broken, c.name+": "+which)
			return err
		}, c.query)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", c.name, err)
		}
	}
	schema, err := b.verifySchema(ctx, tx)
	return append(broken, schema...), err
}

// verifySchema compares the schema with what the migrations make.
func (b *Books) verifySchema(ctx context.Context, q querier) (broken []string, err error) {
	fresh, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("verify schema: %w", err)
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1) // each connection would be a memory of its own
	if err := migrate(ctx, fresh); err != nil {
		return nil, fmt.Errorf("verify schema: %w", err)
	}
	want, err := readSchema(ctx, fresh)
	if err != nil {
		return nil, err
	}
	got, err := readSchema(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, s := range want {
		if !slices.Contains(got, s) {
			broken = append(broken, "schema: missing or changed: "+s.name)
		}
	}
	for _, s := range got {
		if !slices.Contains(want, s) {
			broken = append(broken, "schema: not ours: "+s.name)
		}
	}
	return broken, nil
}

type object struct{ name, text string }

func readSchema(ctx context.Context, q querier) (all []object, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		var o object
		err := rows.Scan(&o.name, &o.text)
		all = append(all, o)
		return err
	}, `SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'`)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return all, nil
}
