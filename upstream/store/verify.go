package store

import (
	"context"
	"fmt"

	"quancun/upstream/store/sqldb"
)

// checks are the promises as queries for what breaks them: each returns one
// text for each break. M1, M2 and M5 are those of the design, section 5.
var checks = []struct{ name, query string }{
	{"M1: ledger does not sum to zero", `
		SELECT sum(balance_fen) FROM accounts HAVING sum(balance_fen) <> 0`},
	{"M1: entry is of an account that is not there", `
		SELECT p.account || ' in ' || p.entry_id FROM postings p LEFT JOIN accounts a ON a.account = p.account
		WHERE a.account IS NULL`},
	{"M1: entry is of no kind", `SELECT id FROM entries WHERE kind IN (2, 6) OR kind > 17`},
	{"M1: opening is no holder's first entry", `
		SELECT id FROM entries WHERE kind = 5
		AND (debit <> 'opening/balances' OR credit NOT LIKE 'holder/%' OR credit_before <> 0)`},
	{"M3: entry is of a journal that is not there", `
		SELECT e.journal FROM (SELECT journal FROM entries UNION SELECT journal FROM journal_entries) AS e
		LEFT JOIN journals j ON j.id = e.journal WHERE e.journal IS NOT NULL AND j.id IS NULL`},
	{"M2: balance is not the sum of postings", `
		SELECT a.account FROM accounts a LEFT JOIN (
			SELECT account, sum(amount_fen) AS amount_fen, max(entry_id) AS entry_id FROM postings GROUP BY account
		) AS p ON p.account = a.account
		WHERE a.balance_fen <> coalesce(p.amount_fen, 0) OR a.last_entry <> coalesce(p.entry_id, 0)`},
	{"M2: posting does not follow the one before", `
		SELECT account || ' in ' || entry_id FROM (
			SELECT account, entry_id, balance_fen, before_id,
				sum(amount_fen) OVER (PARTITION BY account ORDER BY entry_id) AS want,
				lag(entry_id) OVER (PARTITION BY account ORDER BY entry_id) AS before
			FROM postings) AS lines WHERE balance_fen <> want OR before_id <> coalesce(before, 0)`},
	{"M2: mirror is not the sum of purse moves", `
		SELECT c.card_no FROM cards c LEFT JOIN purse_moves m ON m.card_no = c.card_no
		GROUP BY c.card_no HAVING c.mirror_fen <> coalesce(sum(m.amount_fen), 0)`},
	{"card has proved another counter", `
		SELECT c.card_no FROM cards c LEFT JOIN purse_moves m ON m.card_no = c.card_no AND m.proven AND m.amount_fen < 0
		GROUP BY c.card_no HAVING c.proven_counter <> coalesce(max(m.counter), -1)`},
	{"M2: load is not one purse move", `
		SELECT l.load_id FROM loads l LEFT JOIN purse_moves m ON m.load_id = l.load_id
		WHERE (l.state = 2) <> (m.id IS NOT NULL) OR m.amount_fen <> l.amount_fen OR m.card_no <> l.card_no`},
	{"M5: paid order is not one credit", `
		SELECT o.order_no FROM orders o
		LEFT JOIN entries e ON e.order_no = o.order_no AND e.kind = 1
		GROUP BY o.order_no, o.state, o.account, o.amount_fen
		HAVING count(e.id) <> CASE WHEN o.state = 4 THEN 1 ELSE 0 END
			OR min(e.amount_fen) <> o.amount_fen OR min(e.credit) <> o.account`},
	{"M5: channel is not the sum of credits", `
		SELECT balance_fen FROM accounts WHERE account = 'channel/alipay'
		AND (SELECT coalesce(sum(amount_fen), 0) FROM entries WHERE debit = 'channel/alipay' AND kind = 1)
		<> (SELECT coalesce(sum(amount_fen), 0) FROM orders WHERE state = 4)`},
	{"a change of a card's status is not on the hotlist", `
		SELECT c.card_no FROM cards c LEFT JOIN hot_changes h ON h.version = (
			SELECT max(version) FROM hot_changes WHERE card_no = c.card_no)
		WHERE c.status <> coalesce(h.status, 1)`},
	{"a feed is behind its content", `
		SELECT f.name FROM feeds f
		WHERE f.version < (SELECT coalesce(max(version), 0) FROM hot_changes WHERE f.name = 'hotlist')
			OR f.version < (SELECT coalesce(max(version), 0) FROM feed_contents c WHERE c.name = f.name)`},
	{"M2: stamps of a card do not grow", `
		SELECT card_no || ' in ' || id FROM (
			SELECT card_no, id, stamp, lag(stamp) OVER (PARTITION BY card_no ORDER BY id) AS before
			FROM load_offers) AS offers WHERE stamp <= before`},
}

// Verify checks what must always hold of the books (M1, M2 and M5 of the
// design), that the file is whole, and that nobody has taken the guards out of
// its schema. It returns one line for each break, and none when all is well.
func (b *Books) Verify(ctx context.Context) (broken []string, err error) {
	err = b.db.Read(ctx, func(tx *sqldb.Tx) error { // all of one moment
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		guards, err := tx.Audit(ctx, schema())
		broken = append(broken, guards...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return broken, nil
}
