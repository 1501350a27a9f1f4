package store_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"quancun/upstream/store"
)

const (
	load1 = "00000000000000000000000000000001"
	load2 = "00000000000000000000000000000002"
)

// attacked returns books with an order that is paid (O1) and one that is not
// (O2), a load that is written and one that is open, and an alarm.
func attacked(t testing.TB, p place) *store.Books {
	t.Helper()
	b := newBooks(t, p)
	create(t, b, "O1")
	create(t, b, "O2")
	reach(t, b, "O1", store.OrderPaid)
	addLoad(t, b, load1, 7)
	addLoad(t, b, load2, 8)
	err := b.WithCard(t.Context(), cardNo, func(c store.CardTx) error {
		return errors.Join(
			c.Settle(load1, store.LoadWritten, "TAC"),
			c.Alarm(store.Alarm{Kind: store.AlarmCounter, Ref: cardNo}))
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, b)
	return b
}

// attack is SQL from behind, and what it is answered.
type attack struct{ sql, want string }

// TestAttack attacks the books from behind, with SQL. The schema refuses all
// of it, and the books stay whole.
func TestAttack(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testAttack(t, inFile(t), attacksSQLite) })
	t.Run("PostgreSQL", func(t *testing.T) { testAttack(t, inPostgres(t), attacksPostgres) })
}

func testAttack(t *testing.T, p place, attacks []attack) {
	b := attacked(t, p)
	raw := p.attack(t)
	for _, tt := range attacks {
		if err := inTx(t.Context(), raw, tt.sql); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.sql, err, tt.want)
		}
	}
	check(t, b)
}

// inTx runs an attack in one transaction, as an attacker's tool would.
func inTx(ctx context.Context, db *sql.DB, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// inserted returns SQL that writes an entry: its kind, order, debit, credit,
// amount, and where it brings which accounts (d and c) from.
func inserted(values string) string {
	return `INSERT INTO entries (kind, place, at_ms, order_no, debit, credit, amount_fen, debit_balance_fen,
		credit_balance_fen, debit_before, credit_before) SELECT v.* FROM (
			SELECT ` + strings.Replace(values, ",", ", '', 0,", 1) + `
			FROM accounts d, accounts c WHERE d.account = 'channel/alipay' AND c.account = 'holder/1001') AS v`
}

var attacksSQLite = []attack{
	{`UPDATE entries SET at_ms = 0`, "never changed"},
	{`DELETE FROM entries`, "never deleted"},
	{`UPDATE entries SET amount_fen = amount_fen * 2`, "never changed"},
	{`UPDATE postings SET amount_fen = amount_fen * 2`, "view"},
	{`DELETE FROM postings`, "view"},
	{`INSERT INTO postings VALUES (99, 'holder/1001', 5, 5, 0)`, "view"},
	{inserted(`1, 'O1', 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "UNIQUE"},
	{inserted(`1, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "CHECK"},
	{inserted(`1, 'O9', 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "FOREIGN KEY"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 0, d.balance_fen, c.balance_fen, d.last_entry, c.last_entry`),
		"CHECK"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', -5, d.balance_fen + 5, c.balance_fen - 5, d.last_entry,
		c.last_entry`), "CHECK"},
	{inserted(`5, NULL, 'holder/1001', 'holder/1001', 5, c.balance_fen - 5, c.balance_fen + 5, c.last_entry,
		c.last_entry`), "CHECK"},
	{inserted(`5, NULL, NULL, 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry, c.last_entry`),
		"NOT NULL"},
	{inserted(`5, NULL, 'holder/9', 'holder/1001', 5, -5, c.balance_fen + 5, 0, c.last_entry`), "follow the balance"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/9', 5, d.balance_fen - 5, 5, d.last_entry, 0`), "follow the balance"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "follow the balance"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 6, d.last_entry,
		c.last_entry`), "follow the balance"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, 0, c.last_entry`),
		"follow the balance"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry, 99`),
		"CHECK"},
	{`DELETE FROM accounts`, "FOREIGN KEY"},
	{`UPDATE orders SET amount_fen = 1`, "keeps its content"},
	{`UPDATE orders SET account = 'holder/1002'`, "keeps its content"},
	{`UPDATE orders SET state = 2, paid_ms = NULL WHERE order_no = 'O1'`, "forward"},
	{`UPDATE orders SET state = 4 WHERE order_no = 'O2'`, "CHECK"}, // paid without a time
	{`UPDATE orders SET amount_fen = 12.5`, "cannot store REAL"},
	{`DELETE FROM orders`, "never deleted"},
	{`UPDATE loads SET amount_fen = 1`, "keeps its content"},
	{`UPDATE loads SET state = 3 WHERE state = 2`, "forward"},
	{`DELETE FROM loads`, "never deleted"},
	{`UPDATE load_offers SET counter = 1`, "never changed"},
	{`DELETE FROM load_offers`, "never deleted"},
	{`INSERT INTO load_offers SELECT 99, load_id, card_no, 0, 9, 0, 0, random, mac1, terminal_no,
		x'00000000000000' FROM load_offers LIMIT 1`, "only grow"},
	{`UPDATE purse_moves SET amount_fen = 1`, "never changed"},
	{`DELETE FROM purse_moves`, "never deleted"},
	{`INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, balance_fen, place, at_ms)
		VALUES ('` + cardNo + `', 2, '` + load1 + `', 1, 0, '', 0)`, "UNIQUE"},
	{`INSERT INTO purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms)
		VALUES ('` + cardNo + `', 2, 1, 0, '', 0)`, "CHECK"},
	{`DELETE FROM alarms`, "never deleted"},
	{`UPDATE holders SET pin_wrong = 6`, "CHECK"},
	{`DELETE FROM cards`, "FOREIGN KEY"},
}

// attacksPostgres are made as campusd's own role, which owns the tables. What
// is not here and is there is found by Verify: see breaksPostgres.
var attacksPostgres = []attack{
	{`UPDATE entries SET at_ms = 0`, "permission denied"},
	{`UPDATE entries SET id = 7`, "can only be updated to DEFAULT"},
	{`UPDATE entries SET id = DEFAULT`, "permission denied"},
	{`DELETE FROM entries`, "permission denied"},
	{`TRUNCATE entries CASCADE`, "permission denied"},
	{`UPDATE entries SET amount_fen = amount_fen * 2`, "permission denied"},
	{`UPDATE postings SET amount_fen = amount_fen * 2`, "cannot update view"},
	{`DELETE FROM postings`, "cannot delete from view"},
	{`INSERT INTO postings VALUES (99, 'holder/1001', 5, 5, 0)`, "cannot insert into view"},
	{inserted(`1, 'O1', 'channel/alipay', 'holder/1001', 5, -5, 5, 0, 0`), "unique"},
	{inserted(`1, NULL, 'channel/alipay', 'holder/1001', 5, -5, 5, 0, 0`), "check"},
	{inserted(`1, 'O9', 'channel/alipay', 'holder/1001', 5, -5, 5, 0, 0`), "foreign key"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 0, 0, 0, 0, 0`), "check"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', -5, 0, 0, 0, 0`), "check"},
	{inserted(`5, NULL, 'holder/1001', 'holder/1001', 5, 0, 0, 0, 0`), "check"},
	{inserted(`5, NULL, NULL, 'holder/1001', 5, 0, 0, 0, 0`), "null value"},
	{inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, 0, 0, 0, 999999`), "check"},
	{`INSERT INTO entries (id) VALUES (99)`, "non-DEFAULT"},
	{`UPDATE orders SET amount_fen = 1`, "permission denied"},
	{`UPDATE orders SET account = 'holder/1002'`, "permission denied"},
	{`UPDATE orders SET order_no = 'O3' WHERE order_no = 'O2'`, "permission denied"},
	{`UPDATE orders SET state = 4 WHERE order_no = 'O2'`, "check"}, // paid without a time
	{`UPDATE orders SET state = 2 WHERE order_no = 'O1'`, "check"}, // a time without being paid
	{`UPDATE orders SET state = 7`, "check"},
	{`DELETE FROM orders`, "permission denied"},
	{`UPDATE accounts SET account = 'holder/1002' WHERE account = 'holder/1001'`, "permission denied"},
	{`DELETE FROM accounts`, "permission denied"},
	{`UPDATE cards SET account = 'holder/1002'`, "permission denied"},
	{`DELETE FROM cards`, "permission denied"},
	{`UPDATE holders SET pin_wrong = 6`, "check"},
	{`UPDATE holders SET number = name`, "permission denied"},
	{`DELETE FROM holders`, "permission denied"},
	{`UPDATE terminals SET terminal_no = fingerprint`, "permission denied"},
	{`DELETE FROM terminals`, "permission denied"},
	{`UPDATE loads SET amount_fen = 1`, "permission denied"},
	{`DELETE FROM loads`, "permission denied"},
	{`UPDATE load_offers SET counter = 1`, "permission denied"},
	{`DELETE FROM load_offers`, "permission denied"},
	{`INSERT INTO load_offers (load_id, card_no, balance, counter, key_version, algorithm, random, mac1,
		terminal_no, stamp) SELECT load_id, card_no, 0, 9, 0, 0, random, mac1, terminal_no, stamp
		FROM load_offers`, "unique"},
	{`UPDATE purse_moves SET amount_fen = 1`, "permission denied"},
	{`DELETE FROM purse_moves`, "permission denied"},
	{`INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, balance_fen, place, at_ms)
		VALUES ('` + cardNo + `', 2, '` + load1 + `', 1, 0, '', 0)`, "unique"},
	{`INSERT INTO purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms)
		VALUES ('` + cardNo + `', 2, 1, 0, '', 0)`, "check"},
	{`DELETE FROM alarms`, "permission denied"},
	{`UPDATE alarms SET kind = ''`, "permission denied"},
	{`CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER theirs BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION f()`, "permission denied"},
}

// broken is SQL that breaks a promise, where the schema lets it or has lost a
// guard, and what Verify must say.
type broken struct{ name, sql, want string }

// TestVerify breaks promises, and takes guards away: Verify must tell of it.
func TestVerify(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testVerify(t, inFile, breaksSQLite) })
	t.Run("PostgreSQL", func(t *testing.T) { testVerify(t, inPostgres, breaksPostgres) })
}

func testVerify(t *testing.T, in func(testing.TB) place, breaks []broken) {
	for _, tt := range breaks {
		t.Run(tt.name, func(t *testing.T) {
			p := in(t)
			b := attacked(t, p)
			if err := inTx(t.Context(), p.attack(t), tt.sql); err != nil {
				t.Fatal(err)
			}
			lines, err := b.Verify(t.Context())
			if err != nil || !strings.Contains(strings.Join(lines, "\n"), tt.want) {
				t.Errorf("Verify = %q, %v; want it to tell of %q", lines, err, tt.want)
			}
		})
	}
}

var breaksSQLite = []broken{
	{"Balance", `UPDATE accounts SET balance_fen = balance_fen + 1 WHERE account = 'holder/1001'`, "M2: balance"},
	{"Mirror", `UPDATE cards SET mirror_fen = mirror_fen - 1`, "M2: mirror"},
	{"Last", `UPDATE accounts SET last_entry = 0 WHERE account = 'holder/1001'`, "M2: balance"},
	{"Amount", `DROP TRIGGER entries_are_never_changed;
		UPDATE entries SET amount_fen = amount_fen + 1 WHERE credit = 'holder/1001'`, "M2: posting"},
	{"Before", `DROP TRIGGER entries_are_never_changed;
		UPDATE entries SET credit_before = 0 WHERE order_no = 'O1'`, "M2: posting"},
	{"Guard", `DROP TRIGGER entries_are_never_changed`, "schema: missing or changed: trigger entries_are"},
	{"PaidUncredited", `UPDATE orders SET state = 4, paid_ms = 1`, "M5: paid order"},
	{"Returned", `DROP TRIGGER orders_move_forward;
		UPDATE orders SET state = 6, paid_ms = NULL WHERE order_no = 'O1'`, "M5: paid order"},
	{"Written", `UPDATE loads SET state = 2, settled_ms = 1`, "M2: load"},
	{"Ours", `CREATE TABLE theirs (x INTEGER)`, "schema: not ours: table theirs"},
	{"Kind", inserted(`18, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "M1: entry is of no kind"},
	{"Opening", inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, d.last_entry,
		c.last_entry`), "M1: opening is no holder's first"},
}

// breaksPostgres has all that SQLite's triggers refuse and nothing here does.
var breaksPostgres = []broken{
	{"Balance", `UPDATE accounts SET balance_fen = balance_fen + 1 WHERE account = 'holder/1001'`, "M2: balance"},
	{"Mirror", `UPDATE cards SET mirror_fen = mirror_fen - 1`, "M2: mirror"},
	{"Last", `UPDATE accounts SET last_entry = 0 WHERE account = 'holder/1001'`, "M2: balance"},
	{"NoDebit", inserted(`5, NULL, 'holder/9', 'holder/1001', 5, -5, c.balance_fen + 5, 0, c.last_entry`),
		"M1: entry is of an account"},
	{"NoCredit", inserted(`5, NULL, 'channel/alipay', 'holder/9', 5, d.balance_fen - 5, 5, d.last_entry, 0`),
		"M1: entry is of an account"},
	{"NoJournal", `INSERT INTO journal_entries (journal, seq, hash, body, received_ms)
		VALUES (9, 1, '\x0000000000000000000000000000000000000000000000000000000000000000', '\x00', 0)`,
		"M3: entry is of a journal"},
	{"NotFollowing", inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, -5, 5, d.last_entry, c.last_entry`),
		"M2: posting"},
	{"NotChained", inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5, 0, 0`),
		"M2: posting"},
	{"NotStanding", inserted(`5, NULL, 'channel/alipay', 'holder/1001', 5, d.balance_fen - 5, c.balance_fen + 5,
		d.last_entry, c.last_entry`), "M2: balance"},
	{"PaidUncredited", `UPDATE orders SET state = 4, paid_ms = 1`, "M5: paid order"},
	{"Unpaid", `UPDATE orders SET state = 2, paid_ms = NULL WHERE order_no = 'O1'`, "M5: paid order"},
	{"Returned", `UPDATE orders SET state = 6, paid_ms = NULL WHERE order_no = 'O1'`, "M5: paid order"},
	{"Written", `UPDATE loads SET state = 2, settled_ms = 1`, "M2: load"},
	{"Unwritten", `UPDATE loads SET state = 3 WHERE state = 2`, "M2: load"},
	{"Moved", `INSERT INTO purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms)
		VALUES ('` + cardNo + `', 5, 1, 0, '', 0)`, "M2: mirror"},
	{"Stamp", `INSERT INTO load_offers (load_id, card_no, balance, counter, key_version, algorithm, random, mac1,
		terminal_no, stamp) SELECT load_id, card_no, 0, 9, 0, 0, random, mac1, terminal_no, '\x00000000000000'
		FROM load_offers LIMIT 1`, "M2: stamps"},
	{"Right", `GRANT UPDATE ON entries TO CURRENT_USER;
		UPDATE entries SET amount_fen = amount_fen + 1 WHERE credit = 'holder/1001'`, "M2: posting"},
	{"RightToChange", `GRANT UPDATE ON entries TO CURRENT_USER`, "rights: this role may change entries.amount_fen"},
	{"RightToDelete", `GRANT DELETE ON orders TO CURRENT_USER`, "rights: this role may delete from orders"},
	{"RightToEmpty", `GRANT TRUNCATE ON entries TO CURRENT_USER`, "rights: this role may empty entries"},
	{"Guard", `ALTER TABLE entries DROP CONSTRAINT entries_amount_fen_check`,
		"schema: missing or changed: constraint entries.entries_amount_fen_check"},
	{"Index", `DROP INDEX an_order_is_credited_once`, "schema: missing or changed: index entries.an_order"},
	{"Column", `ALTER TABLE orders ALTER COLUMN amount_fen TYPE NUMERIC`, "schema: missing or changed: column orders.amount"},
	{"Ours", `CREATE TABLE theirs (x INTEGER)`, "schema: not ours: table theirs"},
}
