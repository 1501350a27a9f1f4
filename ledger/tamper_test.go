package ledger

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// behind opens the journal as somebody with a database tool would: no lock, no
// checks, no foreign keys.
func behind(t testing.TB, path string) *sql.DB {
	t.Helper()
	db := openDB(path, "mode=rw&_foreign_keys=off", nil)
	t.Cleanup(func() { db.Close() })
	return db
}

// written fills a journal with two customers, one of whom was left in doubt,
// closes it, and returns its path. Its entries: 1 started, 2 and 3 top-up T1,
// 4 and 5 load L1, 6 and 7 top-up T2, 8 load L2.
func written(t testing.TB) string {
	t.Helper()
	l := newLab(t)
	l.append(t, topUp("T1"))
	l.append(t, end(TopUpEnd, "T1", Paid))
	l.append(t, load("L1"))
	l.append(t, end(LoadEnd, "L1", Written))
	l.append(t, topUp("T2"))
	l.append(t, end(TopUpEnd, "T2", Closed))
	l.append(t, load("L2"))
	if err := l.LeaveInDoubt(t.Context(), "L2"); err != nil {
		t.Fatal(err)
	}
	if err := l.MarkReported(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.path
}

// TestSchemaHolds attacks a journal from behind, with its triggers in place.
func TestSchemaHolds(t *testing.T) {
	path := written(t)
	db, ctx := behind(t, path), t.Context()
	for _, attack := range []string{
		`UPDATE journal SET body = body WHERE seq = 1`,
		`UPDATE OR REPLACE journal SET seq = 2 WHERE seq = 8`,
		`UPDATE OR IGNORE journal SET hash = zeroblob(32)`,
		`DELETE FROM journal WHERE seq = 8`,
		`DELETE FROM journal`,
		`INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = 8`,
		`INSERT INTO journal SELECT * FROM journal WHERE seq = 8 ON CONFLICT DO UPDATE SET body = x'7b7d'`,
		`INSERT INTO journal (seq, body, hash) VALUES (9, x'7b7d', zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (10, '{"seq":10}', zeroblob(32))`,
		`INSERT INTO journal (seq, body, hash) VALUES (9, CAST('{"seq":9,"prev":"00"}' AS BLOB), zeroblob(32))`,
		`INSERT INTO journal (body, hash) SELECT body, hash FROM journal WHERE seq = 8`,
		`UPDATE item SET end_seq = NULL WHERE ref = 'T1'`,
		`UPDATE item SET end_seq = 7 WHERE ref = 'T1'`,
		`UPDATE item SET card = '1002' WHERE ref = 'L2'`,
		`UPDATE item SET ref = 'L3', end_seq = 9 WHERE ref = 'L2'`,
		`UPDATE item SET end_seq = 3 WHERE ref = 'L2'`,
		`DELETE FROM item`,
		`INSERT OR REPLACE INTO item SELECT intent_seq, NULL, ref, kind, card FROM item WHERE ref = 'T1'`,
		`INSERT INTO item (intent_seq, end_seq, ref, kind, card) VALUES (1, 3, 'T9', 10, '1001')`,
		`INSERT INTO item (intent_seq, ref, kind, card) VALUES (1, 'T9', 11, '1001')`,
		`UPDATE outbox SET reported = 0 WHERE seq = 3`,
		`UPDATE outbox SET reported = 2 WHERE seq = 5`,
		`UPDATE outbox SET seq = 1 WHERE seq = 3`,
		`DELETE FROM outbox`,
		`INSERT OR REPLACE INTO outbox (seq, reported) VALUES (3, 0)`,
		`UPDATE meta SET value = randomblob(8)`,
		`DELETE FROM meta`,
		`INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', randomblob(8))`,
	} {
		if _, err := db.ExecContext(ctx, attack); err == nil {
			t.Errorf("%s: went through", attack)
		}
	}
	if r, err := VerifyFile(ctx, path); err != nil || r.Entries != 8 || r.Open != 1 {
		t.Errorf("VerifyFile = %+v, %v, want 8 entries, 1 open", r, err)
	}
}

// TestVerifyFinds removes the triggers too. Whatever is done then, Verify says
// where, and Open refuses the journal.
func TestVerifyFinds(t *testing.T) {
	const flip = `UPDATE journal SET body = CAST(replace(CAST(body AS TEXT), '"amount":2000', '"amount":9000') AS BLOB)`
	for _, tt := range []struct {
		name, attack string
		seq          int64
		what         string
	}{
		{"FlippedByte", flip + ` WHERE seq = 4`, 4, "body and hash do not match"},
		{"FlippedHash", `UPDATE journal SET hash = zeroblob(32) WHERE seq = 4`, 4, "body and hash do not match"},
		{"DroppedRow", `DELETE FROM journal WHERE seq = 5`, 6, "1 entries are missing before it"},
		{"DroppedFirstRows", `DELETE FROM journal WHERE seq < 4`, 4, "3 entries are missing before it"},
		{"DroppedLastRow", `DELETE FROM journal WHERE seq = 8`, 8, `table item lacks|table item has "L2"`},
		{"SwappedRows", `UPDATE journal SET seq = -seq WHERE seq IN (4, 6);
			UPDATE journal SET seq = CASE seq WHEN -4 THEN 6 ELSE 4 END WHERE seq < 0`, 4, "its body is that of entry 6"},
		{"RepeatedRow", `INSERT INTO journal SELECT 9, body, hash FROM journal WHERE seq = 8`, 9, "its body is that of entry 8"},
		{"Renumbered", `UPDATE journal SET seq = seq + 1 WHERE seq = 8`, 9, "1 entries are missing before it"},
		{"ItemReopened", `UPDATE item SET end_seq = NULL WHERE ref = 'L1'`, 4, `table item has "L1"`},
		{"ItemEnded", `UPDATE item SET end_seq = 8 WHERE ref = 'L2'`, 8, `table item has "L2"`},
		{"ItemMoved", `UPDATE item SET card = '1002' WHERE ref = 'L2'`, 8, `table item has "L2"`},
		{"ItemDropped", `DELETE FROM item WHERE ref = 'L2'`, 8, `table item lacks "L2"`},
		{"ItemInvented", `INSERT INTO item (intent_seq, ref, kind, card) VALUES (1, 'L9', 20, '1')`, 1, `table item has "L9"`},
		{"ReportDropped", `DELETE FROM outbox WHERE seq = 5`, 5, "table outbox lacks this end"},
		{"ReportInvented", `INSERT INTO outbox (seq) VALUES (1)`, 1, "neither an end nor a load"},
		{"OtherEpoch", `UPDATE meta SET value = x'0102030405060708'`, 1, "epoch 0102030405060708 does not begin here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, ctx := written(t), t.Context()
			db := behind(t, path)
			dropTriggers(t, db)
			if _, err := db.ExecContext(ctx, "PRAGMA ignore_check_constraints = 1; "+tt.attack); err != nil {
				t.Fatal(err)
			}
			r, err := VerifyFile(ctx, path)
			if !errors.Is(err, ErrTampered) || !found(r, tt.seq, tt.what) {
				t.Errorf("VerifyFile = %v, %v; want entry %d: %s", r.Problems, err, tt.seq, tt.what)
			}
			if b, err := Open(ctx, path, Options{}); !errors.Is(err, ErrTampered) {
				t.Errorf("Open = %v, %v, want ErrTampered", b, err)
			}
		})
	}
}

func dropTriggers(t testing.TB, db *sql.DB) {
	t.Helper()
	var names []string
	if err := each(t.Context(), db, `SELECT name FROM sqlite_schema WHERE type = 'trigger'`, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	}); err != nil || len(names) == 0 {
		t.Fatalf("triggers: %v, %v", names, err)
	}
	for _, name := range names {
		if _, err := db.ExecContext(t.Context(), "DROP TRIGGER "+name); err != nil {
			t.Fatal(err)
		}
	}
}

func found(r Report, seq int64, what string) bool {
	for _, p := range r.Problems {
		for one := range strings.SplitSeq(what, "|") {
			if p.Seq == seq && strings.Contains(p.What, one) {
				return true
			}
		}
	}
	return false
}

// TestVerifyFindsRewrittenHistory replaces an entry by a forged one with a
// right hash of its own. The chain gives it away at the next entry.
func TestVerifyFindsRewrittenHistory(t *testing.T) {
	path, ctx := written(t), t.Context()
	db := behind(t, path)
	dropTriggers(t, db)
	var data []byte
	if err := db.QueryRowContext(ctx, `SELECT body FROM journal WHERE seq = 4`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(data, []byte(`"amount":2000`), []byte(`"amount":9000`), 1)
	hash := hashOf(forged)
	if _, err := db.ExecContext(ctx, `UPDATE journal SET body = ?, hash = ? WHERE seq = 4`, forged, hash[:]); err != nil {
		t.Fatal(err)
	}
	r, err := VerifyFile(ctx, path)
	if !errors.Is(err, ErrTampered) || !found(r, 5, "it does not follow entry 4") {
		t.Errorf("VerifyFile = %v, %v; want entry 5 not to follow entry 4", r.Problems, err)
	}
}

// TestVerifyFindsEveryByte flips each byte of a body in the file itself.
func TestVerifyFindsEveryByte(t *testing.T) {
	path, ctx := written(t), t.Context()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(whole, []byte(`{"v":1,"seq":4,`))
	length := bytes.IndexByte(whole[start:], '}') + 2 // its details end in a brace too
	if start < 0 || length < 100 {
		t.Fatalf("entry 4 is not in the file: %d bytes at %d", length, start)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	for i := start; i < start+length; i++ {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		if err := os.WriteFile(copied, flipped, 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(copied, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := VerifyFile(ctx, copied)
		if !errors.Is(err, ErrTampered) || !found(r, 4, "body and hash do not match") {
			t.Fatalf("byte %d: VerifyFile = %v, %v; want entry 4 not to match its hash", i-start, r.Problems, err)
		}
	}
}

// TestVerifyAnyByte flips bytes all over the file, one at a time. Either it is
// found, or it was in a place that means nothing and the journal is the same.
func TestVerifyAnyByte(t *testing.T) {
	path, ctx := written(t), t.Context()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := VerifyFile(ctx, path)
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
		got, err := VerifyFile(ctx, copied)
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
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "read only? 100%")
	copied := filepath.Join(dir, "journal#1.db")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(copied, whole, 0o400), os.Chmod(dir, 0o500)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if r, err := VerifyFile(ctx, copied); err != nil || r.Entries != 8 {
		t.Errorf("VerifyFile(copy) = %+v, %v, want 8 entries", r, err)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(copied), "*")); err != nil || len(names) != 1 {
		t.Errorf("VerifyFile left %v, %v beside the copy", names, err)
	}

	l := &lab{path: path, wall: noon, up: 1}
	l.open(t)
	defer l.Close()
	l.append(t, load("L3"))
	if r, err := VerifyFile(ctx, path); err != nil || r.Entries != 10 {
		t.Errorf("VerifyFile(live) = %+v, %v, want 10 entries", r, err)
	}
	l.append(t, load("L4"))

	if _, err := VerifyFile(ctx, path+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("VerifyFile(nothing) = %v, want os.ErrNotExist", err)
	}
}
