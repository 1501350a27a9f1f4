package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// versions are how many there were before this one.
const versions = 12

// TestMigrateFilled opens books of every version before this in which there is
// some of everything: holders, cards (one of them lost), orders and loads in
// every state, and an alarm. Nothing of it changes, both engines end in the
// same state, and the books go on from there.
func TestMigrateFilled(t *testing.T) {
	ends := map[[sha256.Size]byte]bool{}
	for v := 1; v <= versions; v++ {
		t.Run(fmt.Sprintf("SQLite/%d", v), func(t *testing.T) { ends[testMigrateFilled(t, inFile(t), v)] = true })
		t.Run(fmt.Sprintf("PostgreSQL/%d", v), func(t *testing.T) { ends[testMigrateFilled(t, inPostgres(t), v)] = true })
	}
	if len(ends) != 1 && !t.Failed() {
		t.Errorf("the engines end in %d different states", len(ends))
	}
}

// fillOld makes books that the first version has filled, and brings them to
// where they were after so many migrations.
func fillOld(t *testing.T, p place, version int) {
	t.Helper()
	first, err := sqldb.Open(t.Context(), p.dsn, oldSchema(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Write(t.Context(), fillFirst(t.Context())), first.Close()); err != nil {
		t.Fatal(err)
	}
	old, err := sqldb.Open(t.Context(), p.dsn, oldSchema(t, version))
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
}

func testMigrateFilled(t *testing.T, p place, version int) [sha256.Size]byte {
	ctx := t.Context()
	fillOld(t, p, version)
	later := time.UnixMilli(1_800_000_000_000)
	b := open(t, p, func() time.Time { return later })
	check(t, b)
	end, err := b.StateHash(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantFirst(t, b)

	// A lost card is on the hotlist that there was none of before.
	feed, err := sqldb.Texts(ctx, b.Live(), `SELECT card_no || ' ' || status FROM hot_changes ORDER BY version`)
	if want := firstCard(2) + " 2"; err != nil || len(feed) != 1 || feed[0] != want {
		t.Errorf("hotlist = %q, %v; want %q", feed, err, want)
	}
	if _, err := b.Advance(ctx, "O2", store.OrderStep{To: store.OrderPaid, PaidAt: later}); err != nil {
		t.Errorf("pay an order of the old books: %v", err)
	}
	err = b.WithCard(ctx, firstCard(1), func(c store.CardTx) error { return c.Settle(load1, store.LoadWritten, "TAC") })
	if err != nil {
		t.Errorf("settle a load of the old books: %v", err)
	}
	if got, err := b.Balance(ctx, "holder/1001"); err != nil || got != 140*yuan {
		t.Errorf("balance = %s, %v; want 140 yuan", got, err)
	}
	check(t, b)
	return end
}

// TestMigrateThree opens books with an entry of three postings, which no
// version has written and this one has no form for: they stay as they are.
func TestMigrateThree(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testMigrateThree(t, inFile(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { testMigrateThree(t, inPostgres(t)) })
}

func testMigrateThree(t *testing.T, p place) {
	const version = 4 // the last one with postings
	fillOld(t, p, version)
	old, err := sqldb.Open(t.Context(), p.dsn, oldSchema(t, version))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(old.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err1 := tx.Exec(t.Context(), `INSERT INTO entries (kind, place, at_ms, lines) VALUES (5, 'three', 0, 3)`)
		_, err2 := tx.Exec(t.Context(), `
			INSERT INTO postings SELECT e.id, v.account, v.amount_fen, a.balance_fen + v.amount_fen
			FROM entries e, accounts a, (SELECT 'holder/1001' AS account, 1 AS amount_fen
				UNION ALL SELECT 'holder/1002', 1 UNION ALL SELECT 'holder/1003', -2) AS v
			WHERE e.place = 'three' AND a.account = v.account`)
		return errors.Join(err1, err2)
	}), old.Close())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := store.OpenDSN(t.Context(), p.dsn, nil); err == nil || !strings.Contains(err.Error(), "all_have_two") {
		t.Errorf("Open = %v, %v; want that it is refused", b, err)
	}
	again, err := sqldb.Open(t.Context(), p.dsn, oldSchema(t, version))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = again.QueryRow(t.Context(), `SELECT count(*) FROM postings p JOIN entries e ON e.id = p.entry_id
		WHERE e.place = 'three' AND e.lines = 3`).Scan(&n)
	if err := errors.Join(err, again.Close()); err != nil || n != 3 {
		t.Errorf("%d of three postings are there, %v", n, err)
	}
}

// oldSchema is what books were kept in after so many migrations.
func oldSchema(t *testing.T, version int) sqldb.Schema {
	t.Helper()
	first := func(engine string) fstest.MapFS {
		scripts := fstest.MapFS{}
		for v := 1; v <= version; v++ {
			names, err := filepath.Glob(fmt.Sprintf("migrations/%s/%04d_*.sql", engine, v))
			if err != nil || len(names) != 1 {
				t.Fatalf("migration %d is %q, %v", v, names, err)
			}
			script, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			scripts[filepath.Base(names[0])] = &fstest.MapFile{Data: script}
		}
		return scripts
	}
	return sqldb.Schema{SQLite: first("sqlite"), Postgres: first("postgres")}
}

func firstCard(i int) string { return fmt.Sprintf("000020260001000%05d", i) }

// fillFirst writes as the first version did, as far as anything but the books
// can.
func fillFirst(ctx context.Context) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) (err error) {
		do := func(statement string, args ...any) {
			if err == nil {
				_, err = tx.Exec(ctx, statement, args...)
			}
		}
		do(`INSERT INTO terminals (id, terminal_no, fingerprint, added_ms, epoch, journal_head)
			VALUES ('K01', ?, ?, 1, 'e', 7)`, make([]byte, 6), make([]byte, 32))
		do(`INSERT INTO accounts (account) VALUES ('opening/balances'), ('channel/alipay')`)
		for i := 1; i <= 3; i++ {
			a := store.HolderAccount(fmt.Sprint(1000 + i))
			do(`INSERT INTO accounts (account) VALUES (?)`, a)
			do(`INSERT INTO holders (account, name, number, pin_salt, pin_hash, pin_wrong) VALUES (?, '张三', ?, ?, ?, ?)`,
				a, a.No(), make([]byte, 16), make([]byte, 32), i)
			do(`INSERT INTO cards (card_no, account, factor, uid, status) VALUES (?, ?, ?, '', ?)`,
				firstCard(i), a, make([]byte, 8), []int{0, 1, 2, 1}[i])
			err = errors.Join(err,
				postFirst(ctx, tx, 5, "", "opening/balances", a, 100*yuan),
				moveFirst(ctx, tx, firstCard(i), 5, nil, 30*yuan))
		}
		for state := 1; state <= 6; state++ {
			no := fmt.Sprintf("O%d", state)
			var paid any
			if state == 4 {
				paid = 4000
			}
			do(`INSERT INTO orders (order_no, terminal, card_no, account, amount_fen, created_ms, expires_ms, state, qr,
				trade_no, paid_ms, late) VALUES (?, 'K01', ?, 'holder/1001', ?, 1000, 2000, ?, 'q', ?, ?, ?)`,
				no, firstCard(1), 20*yuan, state, "t"+no, paid, state == 4)
		}
		err = errors.Join(err, postFirst(ctx, tx, 1, "O4", "channel/alipay", "holder/1001", 20*yuan))
		for state, id := range map[int]string{1: load1, 2: load2, 3: strings.Repeat("3", 32)} {
			var settled any
			if state > 1 {
				settled = 5000
			}
			do(`INSERT INTO loads (load_id, card_no, terminal, amount_fen, order_no, created_ms, state, settled_ms)
				VALUES (?, ?, 'K01', ?, '', 3000, ?, ?)`, id, firstCard(1), 10*yuan, state, settled)
		}
		for i, id := range []string{load1, load2} {
			do(`INSERT INTO load_offers (load_id, card_no, balance, counter, key_version, algorithm, random, mac1,
				terminal_no, stamp) VALUES (?, ?, 3000, ?, 1, 0, ?, ?, ?, ?)`, id, firstCard(1), i+1,
				make([]byte, 4), make([]byte, 4), make([]byte, 6), []byte{32, 38, 1, 1, 0, 0, byte(i)})
		}
		err = errors.Join(err, moveFirst(ctx, tx, firstCard(1), 2, load2, 10*yuan))
		do(`INSERT INTO alarms (kind, ref, detail, first_ms, last_ms, times) VALUES ('counter', 'r', 'd', 1, 2, 3)`)
		return err
	}
}

// postFirst writes an entry, and what SQLite's triggers do where there are none.
func postFirst(ctx context.Context, tx *sqldb.Tx, kind int, order string, from, to store.Account, f money.Fen) error {
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO entries (kind, order_no, place, at_ms, lines)
		VALUES (?, nullif(CAST(? AS TEXT), ''), 'p', 4000, 2) RETURNING id`, kind, order).Scan(&id)
	for a, amount := range map[store.Account]money.Fen{from: -f, to: f} {
		var was money.Fen
		err1 := tx.QueryRow(ctx, `SELECT balance_fen FROM accounts WHERE account = ?`, a).Scan(&was)
		_, err2 := tx.Exec(ctx, `INSERT INTO postings (entry_id, account, amount_fen, balance_fen) VALUES (?, ?, ?, ?)`,
			id, a, amount, was+amount)
		_, err3 := tx.Exec(ctx, `UPDATE accounts SET balance_fen = ? WHERE account = ?`, was+amount, a)
		err = errors.Join(err, err1, err2, err3)
	}
	return err
}

func moveFirst(ctx context.Context, tx *sqldb.Tx, card string, kind int, load any, f money.Fen) error {
	_, err := tx.Exec(ctx, `INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, balance_fen, place, at_ms)
		VALUES (?, ?, ?, ?, 0, 'p', 5000)`, card, kind, load, f)
	if err == nil && tx.Engine() == sqldb.Postgres {
		_, err = tx.Exec(ctx, `UPDATE cards SET mirror_fen = mirror_fen + ? WHERE card_no = ?`, f, card)
	}
	return err
}

// wantFirst checks that all that fillFirst has written is as it was.
func wantFirst(t *testing.T, b *store.Books) {
	t.Helper()
	for query, want := range map[string]string{
		`SELECT account || ' ' || balance_fen FROM accounts ORDER BY account COLLATE "C"`: `channel/alipay -2000,` +
			`holder/1001 12000,holder/1002 10000,holder/1003 10000,opening/balances -30000`,
		`SELECT order_no || ' ' || state FROM orders ORDER BY order_no`: "O1 1,O2 2,O3 3,O4 4,O5 5,O6 6",
		`SELECT order_no || ' ' || paid_ms FROM orders WHERE late`:      "O4 4000",
		`SELECT account || ' ' || pin_wrong FROM holders ORDER BY account`: "holder/1001 1,holder/1002 2," +
			"holder/1003 3",
		`SELECT mirror_fen FROM cards ORDER BY card_no`: "4000,3000,3000",
		`SELECT e.kind || ' ' || coalesce(e.order_no, '') || ' ' || p.amount_fen || ' ' || p.balance_fen
			FROM entries e JOIN postings p ON p.entry_id = e.id WHERE p.account = 'holder/1001' ORDER BY e.id`: "5  10000 10000," +
			"1 O4 2000 12000",
		`SELECT state FROM loads ORDER BY state`:                          "1,2,3",
		`SELECT counter FROM load_offers ORDER BY stamp`:                  "1,2",
		`SELECT kind || ' ' || times FROM alarms`:                         "counter 3",
		`SELECT id || ' ' || epoch || ' ' || journal_head FROM terminals`: "K01 e 7",
	} {
		rows, err := sqldb.Texts(t.Context(), b.Live(), query)
		if got := strings.Join(rows, ","); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", query, got, err, want)
		}
	}
}
