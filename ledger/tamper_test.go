package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"quancun/journal"
)

// behind opens the journal as somebody with a database tool would: no lock, no
// checks, no foreign keys.
func behind(t testing.TB, path string) *sql.DB {
	t.Helper()
	db := openDB(dsn(system{}, path, "mode=rw&_foreign_keys=off"), nil)
	t.Cleanup(func() { db.Close() })
	return db
}

var trust = Trust{Key: public(key), Campus: public(campus.Key.(ed25519.PrivateKey))}

// written fills a journal and closes it, and returns its path. Its entries: 1
// started, 2 and 3 top-up T1, 4 and 5 load L1, 6 and 7 top-up T2, 8 and 9 load
// L2 and its doubt, 10 to 12 sale S1 with a doubt. Upstream has the first five.
func written(t testing.TB) string {
	t.Helper()
	l, ctx := newLab(t), t.Context()
	l.append(t, topUp("T1"))
	l.append(t, end(journal.TopUpEnd, "T1", journal.Paid))
	l.append(t, load("L1"))
	l.append(t, end(journal.LoadEnd, "L1", journal.Written))
	if err := l.Acknowledge(ctx, takes(t, new(journal.Frontier), batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	l.append(t, topUp("T2"))
	l.append(t, end(journal.TopUpEnd, "T2", journal.Closed))
	l.append(t, load("L2"))
	l.append(t, end(journal.LoadDoubt, "L2", 0))
	l.append(t, sale("S1"))
	l.append(t, end(journal.SaleDoubt, "S1", 0))
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.path
}

// TestSchemaHolds attacks a journal from behind, with its triggers in place.
func TestSchemaHolds(t *testing.T) {
	path := written(t)
	db, ctx := behind(t, path), t.Context()
	body := func(seq byte, prev string) string {
		return fmt.Sprintf(`CAST(x'02' || %s || x'00000000000000%02x' || zeroblob(60) AS BLOB)`, prev, seq)
	}
	last := `(SELECT hash FROM journal WHERE seq = 12)`
	next := func(columns string) string {
		return `INSERT INTO journal VALUES (13, ` + body(13, last) + `, zeroblob(32), ` + columns + `)`
	}
	for _, attack := range []string{
		`UPDATE journal SET body = body WHERE seq = 1`,
		`UPDATE OR REPLACE journal SET seq = 2 WHERE seq = 8`,
		`UPDATE OR IGNORE journal SET hash = zeroblob(32)`,
		`DELETE FROM journal WHERE seq = 12`,
		`DELETE FROM journal`,
		`INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = 12`,
		`INSERT INTO journal SELECT * FROM journal WHERE seq = 12 ON CONFLICT DO UPDATE SET body = x'7b7d'`,
		`INSERT INTO journal (seq, body, hash) VALUES (13, x'7b7d', zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (13, '{"v":1,"seq":13}', zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (14, ` + body(14, last) + `, zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (13, ` + body(14, last) + `, zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (13, ` + body(13, `zeroblob(32)`) + `, zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (13, ` + body(13, last) + `, zeroblob(31))`,
		`INSERT INTO journal (body, hash) SELECT body, hash FROM journal WHERE seq = 12`,

		`UPDATE journal SET amount = amount * 2`,
		`UPDATE journal SET debit = NULL, credit = NULL, amount = NULL WHERE seq = 12`,
		`UPDATE journal SET ref = NULL, role = NULL WHERE seq = 12`,
		next(`2, 1, 0, NULL, NULL`),
		next(`2, 1, -100, NULL, NULL`),
		next(`2, 1, NULL, NULL, NULL`),
		next(`2, 2, 100, NULL, NULL`),
		next(`2, NULL, 100, NULL, NULL`),
		next(`NULL, NULL, NULL, 'T9', NULL`),
		next(`NULL, NULL, NULL, '', 1`),
		next(`NULL, NULL, NULL, 'T9', 3`),
		next(`NULL, NULL, NULL, 'T9', 2`), // which was never begun
		next(`NULL, NULL, NULL, 'T9', 4`),
		next(`NULL, NULL, NULL, 'L2', 1`), // which is open
		next(`NULL, NULL, NULL, 'L2', 8`),
		next(`NULL, NULL, NULL, 'L2', 2`), // and in doubt
		next(`NULL, NULL, NULL, 'T1', 1`), // which has ended
		next(`NULL, NULL, NULL, 'T1', 2`),
		next(`NULL, NULL, NULL, 'T1', 4`),
		next(`NULL, NULL, NULL, 'T1', 8`),
		`INSERT OR REPLACE ` + strings.TrimPrefix(next(`NULL, NULL, NULL, 'T1', 4`), "INSERT"),
		`UPDATE account SET credits = credits - 1`,
		`UPDATE account SET debits = 0`,
		`UPDATE account SET name = name || 'x', debits = debits + 1`,
		`UPDATE account SET flags = 1 - flags, debits = debits + 1`,
		`DELETE FROM account`,
		`INSERT OR REPLACE INTO account SELECT * FROM account WHERE id = 1`,
		`INSERT INTO account (name, flags, credits) VALUES ('till/x', 1, 5)`,

		`DELETE FROM open_item`,
		`UPDATE open_item SET seq = 2`,
		`UPDATE OR REPLACE open_item SET seq = 12`,
		`INSERT INTO open_item VALUES (2)`,
		`INSERT INTO open_item VALUES (12)`,
		`INSERT INTO open_item VALUES (13)`,
		`INSERT OR REPLACE INTO open_item VALUES (8)`,

		`INSERT OR REPLACE INTO checkpoint SELECT size, x'00', NULL FROM checkpoint`,
		`UPDATE checkpoint SET note = x'00'`,
		`UPDATE checkpoint SET cosigned = NULL`,
		`DELETE FROM checkpoint`,
		`UPDATE acked SET seq = 4`,
		`UPDATE acked SET seq = 6`,
		`UPDATE acked SET seq = 99, hash = (SELECT hash FROM journal WHERE seq = 12)`,
		`DELETE FROM acked`,
		`INSERT OR REPLACE INTO acked SELECT * FROM acked`,
		`UPDATE meta SET value = randomblob(8)`,
		`DELETE FROM meta`,
		`INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', randomblob(8))`,
	} {
		if _, err := db.ExecContext(ctx, attack); err == nil {
			t.Errorf("%s: went through", attack)
		}
	}
	if r, err := VerifyFile(ctx, path, trust); err != nil || r.Entries != 12 || r.Open != 1 || r.Acked != 5 {
		t.Errorf("VerifyFile = %+v, %v, want 12 entries, 1 open, 5 acknowledged", r, err)
	}
}

// TestVerifyFinds removes the triggers too. Whatever is done then, Verify says
// where, and Open refuses the journal.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	whole := must2(os.ReadFile(written(t)))
	const flip = `UPDATE journal SET body = CAST(substr(body, 1, 70) || x'ff' || substr(body, 72) AS BLOB)`
	for _, tt := range []struct {
		name, attack string
		seq          int64
		what         string
	}{
		{"FlippedByte", flip + ` WHERE seq = 4`, 4, "body and hash do not match"},
		{"FlippedHash", `UPDATE journal SET hash = zeroblob(32) WHERE seq = 4`, 4, "body and hash do not match"},
		{"DroppedRow", `DELETE FROM journal WHERE seq = 5`, 6, "1 entries are missing before it"},
		{"DroppedFirstRows", `DELETE FROM journal WHERE seq < 4`, 4, "3 entries are missing before it"},
		{"DroppedLastRow", `DELETE FROM journal WHERE seq = 12`, 11, "a checkpoint over 12 entries was signed"},
		{"SwappedRows", `UPDATE journal SET seq = -seq WHERE seq IN (4, 6);
			UPDATE journal SET seq = CASE seq WHEN -4 THEN 6 ELSE 4 END WHERE seq < 0`, 4, "its body is that of entry 6"},
		{"RepeatedRow", `INSERT INTO journal (seq, body, hash) SELECT 13, body, hash FROM journal WHERE seq = 12`, 13, "its body is that of entry 12"},
		{"Renumbered", `UPDATE journal SET seq = seq + 1 WHERE seq = 12`, 13, "1 entries are missing before it"},

		{"RefChanged", `UPDATE journal SET ref = 'L9' WHERE seq = 4`, 4, `its row says "L9" with role 1`},
		{"RefDropped", `UPDATE journal SET ref = NULL, role = NULL WHERE seq = 5`, 5, `its row says "" with role 0`},
		{"IntentThatStandsAlone", `UPDATE journal SET role = 8 WHERE seq = 4`, 4, `its row says "L1" with role 8`},
		{"EndThatIsADoubt", `UPDATE journal SET role = 2 WHERE seq = 5`, 5, `its row says "L1" with role 2`},
		{"OpenAgain", `INSERT INTO open_item VALUES (4)`, 4, "table open_item has it, and it is not open"},
		{"OpenInvented", `INSERT INTO open_item VALUES (1)`, 1, "table open_item has it, and it is not open"},
		{"OpenDropped", `DELETE FROM open_item`, 8, `table open_item lacks "L2"`},

		{"PostingChanged", `UPDATE journal SET amount = 9000 WHERE seq = 12`, 12, "its row moves"},
		{"PostingDropped", `UPDATE journal SET amount = NULL, debit = NULL, credit = NULL WHERE seq = 11`, 11, "its row moves { "},
		{"PostingMoved", `UPDATE journal SET credit = debit WHERE seq = 12`, 12, "its row moves"},
		{"PostingInvented", `UPDATE journal SET debit = 2, credit = 1, amount = 100 WHERE seq = 3`, 3, "its row moves"},
		{"BalanceChanged", `UPDATE account SET credits = credits + 1 WHERE name = 'merchant/M1'`, 0, "table account has merchant/M1"},
		{"BothBalancesChanged", `UPDATE account SET credits = credits + 1, debits = debits + 1`, 0, "table account has merchant/M1"},
		{"AccountInvented", `INSERT INTO account (name, flags, credits) VALUES ('merchant/M9', 0, 7)`, 0, "table account has merchant/M9"},
		{"AccountDropped", `DELETE FROM account WHERE name = 'holder'`, 0, "table account lacks holder"},

		{"NodeInvented", `INSERT INTO node VALUES (1, 0, zeroblob(32))`, 0, "table node has 1 rows, the tree 0"},
		{"CheckpointOfNobody", `UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), char(10) || '12' || char(10), char(10) || '11' || char(10)) AS BLOB) WHERE size = 12`, 12, "checkpoint: "},
		{"CosignatureOfNobody", `UPDATE checkpoint SET cosigned = (SELECT note FROM checkpoint WHERE size = 12) WHERE size = 12`, 12, "not signed by a key we know"},
		{"AckedInvented", `UPDATE acked SET seq = 6`, 6, "upstream has acknowledged another entry"},
		{"AckedFuture", `UPDATE acked SET seq = 99`, 99, "upstream has acknowledged another entry"},
		{"OtherEpoch", `UPDATE meta SET value = x'0102030405060708' WHERE key = 'epoch'`, 1, "this journal is K01/0102030405060708"},
		{"OtherTerminal", `UPDATE meta SET value = CAST('K02' AS BLOB) WHERE key = 'terminal'`, 1, "this journal is K02/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, ctx := filepath.Join(t.TempDir(), "journal.db"), t.Context()
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			unguarded(t, behind(t, path), "PRAGMA ignore_check_constraints = 1; "+tt.attack)
			r, err := VerifyFile(ctx, path, trust)
			if !errors.Is(err, ErrTampered) || !found(r, tt.seq, tt.what) {
				t.Errorf("VerifyFile = %v, %v; want entry %d: %s", r.Problems, err, tt.seq, tt.what)
			}
			o := labAt(path).o
			if b, err := Open(ctx, path, o); err == nil {
				t.Errorf("Open = %v, want an error", b)
			}
		})
	}
}

// unguarded runs statements without the triggers, which are there again afterwards.
func unguarded(t testing.TB, db *sql.DB, statements string) {
	t.Helper()
	var drop, restore string
	err := each(t.Context(), db, `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`, func(rows *sql.Rows) error {
		var name, text string
		err := rows.Scan(&name, &text)
		drop, restore = drop+"DROP TRIGGER "+name+";", restore+text+";"
		return err
	})
	if err == nil && drop != "" {
		_, err = db.ExecContext(t.Context(), drop+statements+";"+restore)
	}
	if err != nil || drop == "" {
		t.Fatalf("%s: %v", statements, err)
	}
}

// TestVerifyFindsSchema takes each table's guards away, one at a time, and has
// others there: verify names each, and a journal that is so is not opened.
func TestVerifyFindsSchema(t *testing.T) {
	t.Parallel()
	whole := must2(os.ReadFile(written(t)))
	const never = `journal_is_never_changed BEFORE UPDATE ON journal`
	attacks := map[string]string{
		`CREATE TRIGGER always AFTER INSERT ON acked BEGIN SELECT 1; END`: "trigger always is not ours",
		`CREATE INDEX quick ON journal (amount)`:                          "index quick is not ours",
		`CREATE TABLE more (x)`:                                           "table more is not ours",
		`CREATE VIEW seen AS SELECT 1`:                                    "view seen is not ours",
		`ALTER TABLE meta ADD COLUMN more TEXT`:                           "table meta is not as it was made",
		`DROP TRIGGER journal_is_never_changed;
			CREATE TRIGGER ` + never + ` WHEN false BEGIN SELECT RAISE(ABORT, 'never'); END`: "trigger journal_is_never_changed is not as it was made",
	}
	newest := must2(newestVersion())
	for name := range must2(madeBy(t.Context(), newest)) {
		if kind, _, _ := strings.Cut(name, " "); kind == "trigger" || name == "index journal_said" {
			attacks["DROP "+name] = name + " is missing"
		}
	}
	if len(attacks) < 20 {
		t.Errorf("%d attacks: where are the triggers?", len(attacks))
	}
	for attack, want := range attacks {
		path, ctx := filepath.Join(t.TempDir(), "journal.db"), t.Context()
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		must2(behind(t, path).ExecContext(ctx, attack))
		if r, err := VerifyFile(ctx, path, trust); !errors.Is(err, ErrTampered) || len(r.Problems) != 1 || !found(r, 0, "schema: "+want) {
			t.Errorf("%s: VerifyFile = %v, %v; want %s", attack, r.Problems, err, want)
		}
		if b, err := Open(ctx, path, labAt(path).o); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: Open = %v, %v; want ErrTampered", attack, b, err)
		}
	}
}

// TestAuditFindsSchema: a terminal at work is out of order when somebody has taken
// a guard away beside it. Statistics are nobody's concern.
func TestAuditFindsSchema(t *testing.T) {
	l := newLab(t)
	l.append(t, topUp("T1"))
	db := behind(t, l.path)
	must2(db.ExecContext(t.Context(), `ANALYZE`))
	if err := l.Audit(t.Context()); err != nil {
		t.Errorf("Audit = %v, want no problem", err)
	}
	must2(db.ExecContext(t.Context(), `DROP TRIGGER account_only_grows`))
	if err := l.Audit(t.Context()); !errors.Is(err, ErrTampered) || !strings.Contains(err.Error(), "trigger account_only_grows is missing") {
		t.Errorf("Audit = %v, want the trigger named", err)
	}
	if _, err := l.Append(t.Context(), topUp("T2")); !errors.Is(err, ErrFailed) {
		t.Errorf("Append = %v, want ErrFailed", err)
	}
	l.Close()
}

func found(r Report, seq int64, what string) bool {
	for _, p := range r.Problems {
		if p.Seq == seq && strings.Contains(p.What, what) {
			return true
		}
	}
	return false
}

// longFile is a journal of 520 entries: two nodes, a checkpoint that upstream has
// cosigned over the first 400, and one over all. It is made once.
var longFile struct {
	sync.Mutex
	data []byte
}

func makeLong(t testing.TB) []byte {
	t.Helper()
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false
	sell := func(from, to int) {
		for i := from; i < to; i++ {
			l.append(t, sale(fmt.Sprintf("S%04d", i)))
			l.append(t, end(journal.SaleEnd, fmt.Sprintf("S%04d", i), journal.Written))
		}
	}
	sell(0, 200)
	if err := l.Acknowledge(ctx, takes(t, new(journal.Frontier), batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	sell(200, 260)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return must2(os.ReadFile(l.path))
}

// long is that journal in memory, as somebody who can write to the file sees it.
func long(t testing.TB) *sql.DB {
	t.Helper()
	longFile.Lock()
	defer longFile.Unlock()
	if longFile.data == nil {
		longFile.data = makeLong(t)
	}
	path, ctx := filepath.Join(t.TempDir(), "long.db"), t.Context()
	if err := os.WriteFile(path, longFile.data, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(":memory:", nil)
	t.Cleanup(func() { db.Close() })
	for _, script := range []string{
		`PRAGMA application_id = 0`,
		fmt.Sprintf(`ATTACH %q AS disk`, path),
	} {
		if _, err := db.ExecContext(ctx, script); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"meta", "account", "journal", "open_item", "node", "checkpoint", "acked"} {
		var schema string
		err := db.QueryRowContext(ctx, `SELECT sql FROM disk.sqlite_schema WHERE name = ?`, table).Scan(&schema)
		if err == nil {
			_, err = db.ExecContext(ctx, schema+`; INSERT INTO `+table+` SELECT * FROM disk.`+table)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var index string
	err := db.QueryRowContext(ctx, `SELECT sql FROM disk.sqlite_schema WHERE name = 'journal_said'`).Scan(&index)
	if err == nil {
		_, err = db.ExecContext(ctx, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r, err := verifyUnguarded(ctx, db, trust); err != nil || r.Entries != 521 {
		t.Fatalf("verify = %+v, %v, want 521 entries and no problem", r, err)
	}
	return db
}

// verifyUnguarded is verify for a journal whose triggers have been taken away.
func verifyUnguarded(ctx context.Context, q querier, t Trust) (Report, error) {
	r, err := verify(ctx, q, t, wholeSpan)
	if errors.Is(err, ErrTampered) {
		r.Problems = slices.DeleteFunc(r.Problems, func(p Problem) bool {
			return strings.HasPrefix(p.What, "schema: trigger ") && strings.HasSuffix(p.What, " is missing")
		})
		err = r.verdict()
	}
	return r, err
}

// TestVerifyFindsEveryByte flips every byte of the last 200 entries, and of
// their hashes: the same byte of 28 entries at a time, each of which must be
// named.
func TestVerifyFindsEveryByte(t *testing.T) {
	if testing.Short() {
		t.Skip("verifies a journal two thousand times")
	}
	t.Parallel()
	db, ctx := long(t), t.Context()
	const last, phases = 521, 7
	stored := map[string]map[int64][]byte{"body": {}, "hash": {}}
	for _, r := range must2(readRows(ctx, db, `WHERE seq > 321`)) {
		stored["body"][r.Seq], stored["hash"][r.Seq] = r.body, r.hash[:]
	}
	flipped := 0
	for phase := range int64(phases) {
		for _, column := range []string{"body", "hash"} {
			for at := 1; ; at++ {
				var seqs []int64
				var values []any
				flips := ""
				for seq := last - phase; seq > last-200; seq -= phases {
					b := bytes.Clone(stored[column][seq])
					if at > len(b) {
						continue
					}
					b[at-1] ^= 1 << (at % 8)
					flips += " WHEN ? THEN ?"
					seqs, values = append(seqs, seq), append(values, seq, b)
				}
				if len(seqs) == 0 {
					break
				}
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.ExecContext(ctx, `UPDATE journal SET `+column+` = CASE seq`+flips+` ELSE `+column+
					` END WHERE seq > 321`, values...); err != nil {
					t.Fatal(err)
				}
				r, err := verify(ctx, tx, trust, 256)
				for _, seq := range seqs {
					flipped++
					if !errors.Is(err, ErrTampered) || !found(r, seq, "body and hash do not match") {
						t.Fatalf("byte %d of the %s of entry %d: %v; not found in %v", at, column, seq, err, r.Problems)
					}
				}
				if err := tx.Rollback(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d bytes flipped, all found", flipped)
	if flipped < 200*150 {
		t.Errorf("%d bytes flipped, want those of 200 entries", flipped)
	}
}

// forge rewrites history from an entry on, with everything that follows from
// it made right again and signed by k.
func forge(t testing.TB, db *sql.DB, from int64, change func(*journal.Entry), k ed25519.PrivateKey) {
	t.Helper()
	ctx := t.Context()
	rows := must2(readRows(ctx, db, `ORDER BY seq`))
	var tree tiles
	var c journal.Checkpoint
	prev := journal.Hash{}
	for _, r := range rows {
		if r.Seq == from {
			change(&r.Entry)
		}
		body := r.Encode(prev)
		prev = journal.HashOf(body)
		c = journal.Checkpoint{Terminal: r.Terminal, Epoch: r.Epoch, Size: r.Seq}
		for _, n := range tree.add(prev) {
			must2(db.ExecContext(ctx, `UPDATE node SET hash = ? WHERE level = ? AND n = ?`, n.hash[:], n.level, n.n))
		}
		must2(db.ExecContext(ctx, `UPDATE journal SET body = ?, hash = ? WHERE seq = ?`, body, prev[:], r.Seq))
		must2(db.ExecContext(ctx, `UPDATE acked SET hash = ? WHERE seq = ?`, prev[:], r.Seq))
		c.Root = tree.root()
		if r.Seq == 521 || r.Seq == 401 {
			must2(db.ExecContext(ctx, `UPDATE checkpoint SET note = ? WHERE size = ?`, must2(c.Sign(k)), r.Seq))
		}
	}
}

// TestVerifyFindsForgery rewrites history as somebody would who knows all about
// the format and has a key of his own.
func TestVerifyFindsForgery(t *testing.T) {
	t.Parallel()
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{66}, ed25519.SeedSize))
	rename := func(e *journal.Entry) { e.Card = "1002" }
	foreign := func(e *journal.Entry) { e.Terminal = "K02" }
	for _, tt := range []struct {
		name   string
		from   int64
		change func(*journal.Entry)
		key    ed25519.PrivateKey
		trust  Trust
		seq    int64
		what   string
	}{
		{"ResignedTail", 500, rename, other, trust, 521, "checkpoint: "},
		{"ResignedHistory", 300, rename, other, trust, 401, "checkpoint: "},
		{"OwnKeyAgainstTheCampus", 300, rename, key, trust, 401, "a checkpoint with root"},
		{"OfAnotherTerminal", 500, foreign, key, trust, 500, "it is an entry of K02/"},
		{"OfAnotherEpoch", 500, func(e *journal.Entry) { e.Epoch[0]++ }, key, trust, 500, "it is an entry of K01/"},
		{"BackInTime", 500, func(e *journal.Entry) { e.At = noon }, key, trust, 500, "not later than the entry before"},
		{"BrokenRule", 500, func(e *journal.Entry) { e.Amount = -1 }, key, trust, 500, "breaks a rule"},
		{"Unbalanced", 501, func(e *journal.Entry) { e.Postings = e.Postings[:1] }, key, trust, 501, "postings sum to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := long(t)
			forge(t, db, tt.from, tt.change, tt.key)
			r, err := verifyUnguarded(t.Context(), db, tt.trust)
			if !errors.Is(err, ErrTampered) || !found(r, tt.seq, tt.what) {
				t.Errorf("verify = %v, %v; want entry %d: %s", r.Problems, err, tt.seq, tt.what)
			}
		})
	}
	t.Run("OneEntry", func(t *testing.T) { // which the next one does not know of
		db, ctx := long(t), t.Context()
		rows := must2(readRows(ctx, db, `WHERE seq IN (299, 300) ORDER BY seq`))
		e := rows[1].Entry
		rename(&e)
		body := e.Encode(rows[0].hash)
		hash := journal.HashOf(body)
		must2(db.ExecContext(ctx, `UPDATE journal SET body = ?, hash = ? WHERE seq = 300`, body, hash[:]))
		r, err := verifyUnguarded(ctx, db, trust)
		if !errors.Is(err, ErrTampered) || !found(r, 301, "does not follow entry 300") || found(r, 300, "not match") {
			t.Errorf("verify = %v, %v; want entry 300 told by the next", r.Problems, err)
		}
	})
	t.Run("Node", func(t *testing.T) {
		db := long(t)
		must2(db.ExecContext(t.Context(), `UPDATE node SET hash = zeroblob(32) WHERE n = 1`))
		if r, err := verifyUnguarded(t.Context(), db, trust); !errors.Is(err, ErrTampered) ||
			!found(r, 512, "another hash for node 1 of level 1") {
			t.Errorf("verify = %v, %v; want node 1 wrong", r.Problems, err)
		}
	})
}

// TestVerifyFindsOldImage: what others remember gives away an image that is
// older than that, or another.
func TestVerifyFindsOldImage(t *testing.T) {
	db, ctx := long(t), t.Context()
	head := must2(tailOf(ctx, db))
	epoch, _, err := metaOf(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	note := must2(journal.Checkpoint{Terminal: "K01", Epoch: epoch, Size: 521, Root: must2(nodes{ctx, db}.root(521))}.Sign(key))
	note = must2(campus.Cosign(note, public(key), noon))
	known := journal.Head{Epoch: epoch, Seq: 521, Hash: head.hash}
	older := journal.Head{Seq: 999, Hash: known.Hash} // of another journal
	for _, same := range []Trust{{Key: trust.Key, Notes: [][]byte{note}}, {Known: []journal.Head{known, older}}} {
		if r, err := verifyUnguarded(ctx, db, same); err != nil {
			t.Errorf("verify = %v, %v, want no problem", r.Problems, err)
		}
	}
	// The image of before: no entry after the 401st, and nothing that says so.
	for _, script := range []string{
		`DELETE FROM journal WHERE seq > 401`, `DELETE FROM node WHERE n = 1`, `DELETE FROM checkpoint WHERE size > 401`,
		`UPDATE account SET debits = 100000 WHERE name = 'holder'`, `UPDATE account SET credits = 100000 WHERE name <> 'holder'`,
	} {
		must2(db.ExecContext(ctx, script))
	}
	if r, err := verifyUnguarded(ctx, db, trust); err != nil || r.Entries != 401 {
		t.Fatalf("verify of the older image = %+v, %v, want 401 entries and no problem", r, err)
	}
	for _, newer := range []Trust{{Key: trust.Key, Campus: trust.Campus, Notes: [][]byte{note}}, {Known: []journal.Head{known}}} {
		if r, err := verifyUnguarded(ctx, db, newer); !errors.Is(err, ErrTampered) || !found(r, 401, "the journal ends here") {
			t.Errorf("verify = %v, %v; want that it ends too early", r.Problems, err)
		}
	}
	known.Seq = 300
	if r, err := verifyUnguarded(ctx, db, Trust{Known: []journal.Head{known}}); !errors.Is(err, ErrTampered) ||
		!found(r, 300, "is known elsewhere") {
		t.Errorf("verify = %v, %v; want another entry 300", r.Problems, err)
	}
}

// TestVerifyAnyByte flips bytes all over the file, one at a time. Either it is
// found, or it was in a place that means nothing and the journal is the same.
func TestVerifyAnyByte(t *testing.T) {
	t.Parallel()
	path, ctx := written(t), t.Context()
	whole := must2(os.ReadFile(path))
	want, err := VerifyFile(ctx, path, trust)
	if err != nil {
		t.Fatal(err)
	}
	copied, caught := filepath.Join(t.TempDir(), "copy.db"), 0
	for i := 0; i < len(whole); i += 61 {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		if err := os.WriteFile(copied, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := VerifyFile(ctx, copied, trust)
		if err != nil {
			caught++
		} else if got.Head != want.Head || got.Entries != want.Entries || got.Open != want.Open {
			t.Errorf("byte %d: VerifyFile = %+v without an error, want %+v", i, got, want)
		}
	}
	if caught == 0 {
		t.Errorf("nothing was found in %d files", len(whole)/61)
	}
}

// TestVerifyFileChangesNothing verifies a copy that cannot be written to, and
// then the journal of a Book that is open.
func TestVerifyFileChangesNothing(t *testing.T) {
	path, ctx := written(t), t.Context()
	whole := must2(os.ReadFile(path))
	dir := filepath.Join(t.TempDir(), "read only? 100%")
	copied := filepath.Join(dir, "journal#1.db")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(copied, whole, 0o400), os.Chmod(dir, 0o500)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if r, err := VerifyFile(ctx, copied, trust); err != nil || r.Entries != 12 {
		t.Errorf("VerifyFile(copy) = %+v, %v, want 12 entries", r, err)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(copied), "*")); err != nil || len(names) != 1 {
		t.Errorf("VerifyFile left %v, %v beside the copy", names, err)
	}

	l := labAt(path)
	l.open(t)
	defer l.Close()
	l.append(t, load("L3"))
	if r, err := VerifyFile(ctx, path, trust); err != nil || r.Entries != 14 {
		t.Errorf("VerifyFile(live) = %+v, %v, want 14 entries", r, err)
	}
	l.append(t, load("L4"))

	if _, err := VerifyFile(ctx, path+".none", trust); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("VerifyFile(nothing) = %v, want os.ErrNotExist", err)
	}
}

// TestAudit: what was changed long ago is not seen at the start, and ends the
// Book when the whole is looked at.
func TestAudit(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false // not for a thousand entries
	var all sync.WaitGroup
	for i := range 3 * openSpan / 2 {
		all.Go(func() { l.append(t, load(fmt.Sprintf("L%d", i))) })
	}
	all.Wait()
	if err := l.Audit(ctx); err != nil {
		t.Fatalf("Audit: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db := behind(t, l.path)
	unguarded(t, db, `UPDATE journal SET amount = 1, debit = 1, credit = 2 WHERE seq = 7`)
	db.Close()
	l.o.Sentinel = false
	l.open(t)
	if err := l.Audit(ctx); !errors.Is(err, ErrTampered) || !errors.Is(err, ErrFailed) {
		t.Errorf("Audit = %v, want ErrFailed for ErrTampered", err)
	}
	if _, err := l.Append(ctx, load("L")); !errors.Is(err, ErrFailed) {
		t.Errorf("Append = %v, want ErrFailed", err)
	}
}
