package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// rows is a schema of its own: this package knows nothing of books.
func rows(versions int) sqldb.Schema {
	sqlite, postgres := fstest.MapFS{}, fstest.MapFS{}
	for i, text := range []string{
		`CREATE TABLE rows (n INTEGER PRIMARY KEY, name TEXT, flag BOOLEAN, raw BYTES)`,
		`ALTER TABLE rows ADD COLUMN more TEXT;
		UPDATE rows SET n = n + 1`, // which the program itself may not
	}[:versions] {
		file := fmt.Sprintf("%04d_rows.sql", i+1)
		sqlite[file] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, "BYTES", "BLOB"))}
		text = strings.NewReplacer("BYTES", "BYTEA", "INTEGER", "BIGINT").Replace(text)
		postgres[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return sqldb.Schema{SQLite: sqlite, Postgres: postgres, Rights: map[string]sqldb.Rights{
		"rows": {Update: []string{"name", "flag"}, Delete: true},
	}}
}

func onBoth(t *testing.T, do func(t *testing.T, name string)) {
	t.Run("SQLite", func(t *testing.T) { do(t, filepath.Join(t.TempDir(), "rows.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { do(t, pgtest.New(t).DSN) })
}

func open(t *testing.T, name string, s sqldb.Schema) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), name, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func write(t *testing.T, db *sqldb.DB, do func(*sqldb.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

type (
	name   string
	number int
)

// TestInsert writes rows of all types, named ones and NULL among them, and
// reads them back by the parameters that statements are written with.
func TestInsert(t *testing.T) { onBoth(t, testInsert) }

func testInsert(t *testing.T, where string) {
	db := open(t, where, rows(1))
	write(t, db, func(tx *sqldb.Tx) error {
		return tx.Insert(t.Context(), "rows (n, name, flag, raw)", "",
			[]number{1, 2, 3}, []*name{new(name("a?")), nil, new(name("\xff\x00"))}, []bool{true, false, true},
			[][]byte{{0}, nil, {1, 2}})
	})
	write(t, db, func(tx *sqldb.Tx) error { // again, and one that is new
		return tx.Insert(t.Context(), "rows (n, name)", "ON CONFLICT DO NOTHING", []int64{1, 4}, []name{"x", "it's"})
	})
	write(t, db, func(tx *sqldb.Tx) error { return tx.Insert(t.Context(), "rows (n)", "", []int64{}) })
	for _, tt := range []struct {
		statement string
		args      []any
		want      string
	}{
		{`SELECT coalesce(name, 'NULL') FROM rows ORDER BY n`, nil, "a?|NULL|\uFFFD\uFFFD|it's"},
		{`SELECT n FROM rows WHERE n = ANY (?) ORDER BY n`, []any{[]number{1, 3, 9}}, "1|3"},
		{`SELECT n FROM rows WHERE name = ANY (?2) AND n < ?1`, []any{4, []name{"a?", "it's"}}, "1"},
		{`SELECT n FROM rows WHERE name = '?' OR name = ? -- why?`, []any{name("it's")}, "4"},
		{`SELECT n FROM rows WHERE raw = ?`, []any{[]byte{1, 2}}, "3"},
		{`SELECT n FROM rows WHERE flag = ?2 AND n > ?1 OR n = ?`, []any{number(1), true, uint16(4)}, "3|4"},
		{`SELECT n FROM rows AS "?" WHERE name IS NULL AND raw IS NULL AND NOT flag`, nil, "2"},
		{`SELECT name FROM rows WHERE n = ? FOR NO KEY UPDATE`, []any{1}, "a?"},
		{`SELECT name FROM rows WHERE name > '' ORDER BY name COLLATE "C" LIMIT 1`, nil, "a?"},
	} {
		var got []string
		err := db.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
			got, err = sqldb.Texts(t.Context(), tx, tt.statement, tt.args...)
			return err
		})
		if err != nil || strings.Join(got, "|") != tt.want {
			t.Errorf("%s: %q, %v; want %s", tt.statement, got, err, tt.want)
		}
	}
}

// TestTooLong has a transaction take too long: it ends under the hands of whoever
// writes, nothing of it is written, and nobody else has to wait for it.
func TestTooLong(t *testing.T) { onBoth(t, testTooLong) }

func testTooLong(t *testing.T, where string) {
	ctx, db := t.Context(), open(t, where, rows(1))
	err := sqldb.WriteWithin(db, ctx, 20*time.Millisecond, func(tx *sqldb.Tx) error {
		for n, start := 1, time.Now(); time.Since(start) < 10*time.Second; n++ {
			if _, err := tx.Exec(ctx, `INSERT INTO rows (n) VALUES (?)`, n); err != nil {
				return err
			}
		}
		return nil // nobody has ended it
	})
	if err == nil || errors.Is(err, sqldb.ErrUnknown) {
		t.Errorf("Write = %v, want that nothing was written", err)
	}
	err = db.Write(ctx, func(tx *sqldb.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM rows`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows, %v; want none", n, err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO rows (n) VALUES (1)`)
		return err
	})
	if err != nil {
		t.Errorf("Write after it = %v", err)
	}
}

// TestLeft has a caller leave between two statements: neither he nor anybody else
// has written, and a statement after he has gone does not run.
func TestLeft(t *testing.T) { onBoth(t, testLeft) }

func testLeft(t *testing.T, where string) {
	db := open(t, where, rows(1))
	ctx, leave := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO rows (n) VALUES (1)`); err != nil {
			return err
		}
		leave()
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM rows`).Scan(&n); !errors.Is(err, context.Canceled) {
			t.Errorf("a row for nobody: %d, %v", n, err)
		}
		if err := tx.Insert(ctx, "rows (n)", "", []int64{3}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO rows (n) VALUES (2)`)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want %v", err, context.Canceled)
	}
	var n int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM rows`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v; want none", n, err)
	}
}

// TestInsertOutside has a transaction end under the hands of whoever writes, as
// one does that takes too long. What is inserted then would be in no
// transaction, and is refused.
func TestInsertOutside(t *testing.T) { onBoth(t, testInsertOutside) }

func testInsertOutside(t *testing.T, where string) {
	db := open(t, where, rows(1))
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), `ROLLBACK`); err != nil {
			return err
		}
		return tx.Insert(t.Context(), "rows (n)", "", []int64{1})
	})
	if !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("Insert after the transaction's end = %v, want %v", err, sql.ErrTxDone)
	}
	var n int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM rows`).Scan(&n); err != nil || n != 0 {
		t.Errorf("there are %d rows, %v; want none", n, err)
	}
}

// TestRead sees the rows of one moment, whatever is written meanwhile.
func TestRead(t *testing.T) { onBoth(t, testRead) }

func testRead(t *testing.T, where string) {
	db := open(t, where, rows(1))
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		for range 2 {
			var n int
			if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM rows`).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
			write(t, db, func(tx *sqldb.Tx) error {
				return tx.Insert(t.Context(), "rows (n)", "ON CONFLICT DO NOTHING", []int64{1})
			})
		}
		if _, err := tx.Exec(t.Context(), `DELETE FROM rows`); err == nil {
			t.Error("a reader can write")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDeadlock takes two locks in two orders: one of them has to give way, is
// done again, and nothing is lost or done twice.
func TestDeadlock(t *testing.T) {
	db := open(t, pgtest.New(t).DSN, rows(1))
	write(t, db, func(tx *sqldb.Tx) error {
		return tx.Insert(t.Context(), "rows (n, name)", "", []int64{1, 2}, []string{"", ""})
	})
	var first [2]sync.Once
	both := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				for _, n := range []int{1 + i, 2 - i} {
					if _, err := tx.Exec(t.Context(), `UPDATE rows SET name = name || 'x' WHERE n = ?`, n); err != nil {
						return err
					}
					first[i].Do(func() {
						both <- struct{}{}
						for len(both) < 2 {
							time.Sleep(time.Millisecond)
						}
					})
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := sqldb.Texts(t.Context(), db, `SELECT name FROM rows`)
	if err != nil || strings.Join(got, " ") != "xx xx" || db.Retries() == 0 { // both may find the deadlock
		t.Errorf("rows %q, %v, after %d retries; want each changed by both, after one or two", got, err, db.Retries())
	}
}

// TestForgottenError: when the error of a statement is forgotten, PostgreSQL
// turns COMMIT into its contrary, which is known.
func TestForgottenError(t *testing.T) {
	db := open(t, pgtest.New(t).DSN, rows(1))
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		tx.Exec(t.Context(), `SELECT nonsense`) //nolint:errcheck // this is the test
		return nil
	})
	if err == nil || errors.Is(err, sqldb.ErrUnknown) {
		t.Errorf("Write = %v, want an error that is sure", err)
	}
}

// TestLock: two that ask for one name come one after the other.
func TestLock(t *testing.T) {
	db := open(t, pgtest.New(t).DSN, rows(1))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				if err := tx.Lock(t.Context(), "a name"); err != nil {
					return err
				}
				var n int64
				if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM rows`).Scan(&n); err != nil {
					return err
				}
				return tx.Insert(t.Context(), "rows (n)", "", []int64{n})
			})
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// TestMigrateFile copies a file before it is changed, and the copy can be used.
func TestMigrateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	old := open(t, path, rows(1))
	write(t, old, func(tx *sqldb.Tx) error { return tx.Insert(t.Context(), "rows (n)", "", []int64{7}) })
	if found, _ := filepath.Glob(path + "*.bak*"); found != nil {
		t.Errorf("a new file has copies: %q", found)
	}
	open(t, path, rows(2))
	if info, err := os.Stat(path + ".v1.bak"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v, %v; want mode 0600", info, err)
	}
	kept, err := sqldb.Texts(t.Context(), open(t, path+".v1.bak", rows(1)), `SELECT n FROM rows`)
	if err != nil || strings.Join(kept, " ") != "7" {
		t.Errorf("copy holds %q, %v", kept, err)
	}
}

// TestMigrate brings rows to a newer version, once, by whoever comes first, and
// an older program refuses them.
func TestMigrate(t *testing.T) { onBoth(t, testMigrate) }

func testMigrate(t *testing.T, where string) {
	old := open(t, where, rows(1))
	write(t, old, func(tx *sqldb.Tx) error { return tx.Insert(t.Context(), "rows (n)", "", []int64{7}) })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { audit(t, open(t, where, rows(2)), rows(2)) })
	}
	wg.Wait()
	got, err := sqldb.Texts(t.Context(), old, `SELECT n FROM rows`)
	if err != nil || strings.Join(got, " ") != "8" {
		t.Errorf("rows %q, %v; want 7 moved on once", got, err)
	}
	if _, err := sqldb.Open(t.Context(), where, rows(1)); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("an older program: %v, want it refused", err)
	}
}

func audit(t *testing.T, db *sqldb.DB, s sqldb.Schema) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		broken, err := tx.Audit(t.Context(), s)
		if broken != nil {
			t.Errorf("Audit = %q", broken)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBadMigration leaves nothing of itself behind.
func TestBadMigration(t *testing.T) { onBoth(t, testBadMigration) }

func testBadMigration(t *testing.T, where string) {
	bad := rows(2)
	for _, folder := range []fs.FS{bad.SQLite, bad.Postgres} {
		file := folder.(fstest.MapFS)["0002_rows.sql"]
		file.Data = append(file.Data, "; CREATE TABLE nonsense nonsense"...)
	}
	if _, err := sqldb.Open(t.Context(), where, bad); err == nil || !strings.Contains(err.Error(), "0002_rows.sql") {
		t.Errorf("Open = %v, want it to name the migration", err)
	}
	audit(t, open(t, where, rows(2)), rows(2))
}

// TestReferences makes a table anew to which another refers. A migration after
// which a row refers to nothing is undone, and when all are done the connection
// minds that again.
func TestReferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.db")
	schema := func(scripts ...string) sqldb.Schema {
		files := fstest.MapFS{}
		for i, text := range scripts {
			files[fmt.Sprintf("%04d_rows.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
		}
		return sqldb.Schema{SQLite: files}
	}
	const (
		first = `CREATE TABLE parents (n INTEGER PRIMARY KEY);
			CREATE TABLE children (n INTEGER REFERENCES parents (n));
			INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1)`
		anew = `CREATE TABLE parents_2 (n INTEGER PRIMARY KEY, more TEXT);
			INSERT INTO parents_2 (n) SELECT n FROM parents%s;
			DROP TABLE parents;
			ALTER TABLE parents_2 RENAME TO parents`
	)
	_, err := sqldb.Open(t.Context(), path, schema(first, fmt.Sprintf(anew, " WHERE false")))
	if err == nil || !strings.Contains(err.Error(), "children refers to nothing in parents") {
		t.Errorf("a migration that forgets a row: %v", err)
	}
	db := open(t, path, schema(first, fmt.Sprintf(anew, "")))
	err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO children VALUES (2)`)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
		t.Errorf("a row that refers to nothing: %v", err)
	}
}

// TestGrant lets another role do what it must and nothing else.
func TestGrant(t *testing.T) {
	d := pgtest.New(t)
	owner := open(t, d.DSN, rows(1))
	admin, err := sql.Open("pgx", d.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	role := "clerk_" + d.Name
	if _, err := admin.Exec("CREATE ROLE " + role + " LOGIN"); err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(d.DSN, "//"+pgtest.Role+"@", "//"+role+"@", 1)
	if _, err := sqldb.Open(t.Context(), dsn, rows(1)); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a role without rights: %v", err)
	}
	if err := owner.Grant(t.Context(), rows(1).Rights, role); err != nil {
		t.Fatal(err)
	}
	db := open(t, dsn, rows(1))
	audit(t, db, rows(1))
	write(t, db, func(tx *sqldb.Tx) error {
		return errors.Join(tx.Lock(t.Context(), "x"), tx.Insert(t.Context(), "rows (n)", "", []int64{1}))
	})
	for _, tt := range []struct{ statement, want string }{
		{`UPDATE rows SET name = ''`, ""},
		{`DELETE FROM rows`, ""},
		{`UPDATE rows SET raw = NULL`, "permission denied"},
		{`TRUNCATE rows`, "permission denied"},
		{`GRANT ALL ON rows TO CURRENT_USER`, ""}, // PostgreSQL warns and grants nothing
		{`ALTER TABLE rows ADD COLUMN theirs INTEGER`, "must be owner"},
		{`CREATE TABLE theirs (n INTEGER)`, "permission denied"},
		{`DELETE FROM schema_migrations`, "permission denied"},
		{`DELETE FROM schema_objects`, "permission denied"},
	} {
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), tt.statement)
			return err
		})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.statement, err, tt.want)
		}
	}
	audit(t, db, rows(1))
	if _, err := sqldb.Open(t.Context(), dsn, rows(2)); err == nil { // a migration is the owner's business
		t.Error("a role that does not own the tables has migrated them")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := admin.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role); err != nil {
		t.Error(err)
	}
}

// TestNotDurable refuses a PostgreSQL that loses what it has acknowledged.
func TestNotDurable(t *testing.T) {
	d := pgtest.New(t)
	for _, off := range []string{"off", "local"} {
		dsn := d.DSN + "&synchronous_commit=" + off
		db, err := sqldb.Open(t.Context(), dsn, rows(1))
		if err == nil {
			err = db.Close()
		}
		if (err == nil) != (off == "local") || err != nil && !strings.Contains(err.Error(), "loses") {
			t.Errorf("synchronous_commit = %s: %v", off, err)
		}
	}
}

// TestSecret: no error of a connection shows a password.
func TestSecret(t *testing.T) {
	for _, dsn := range []string{
		"postgres://campusd:hunter2@127.0.0.1:1/quancun?connect_timeout=1",
		"postgres://campusd:hunter2@nowhere.invalid/quancun?connect_timeout=1",
		"postgres://campusd:hunter2%zz@127.0.0.1/quancun",
		"postgres://campusd:hun@ter2:hunter2@127.0.0.1:x/quancun",
		"postgres://127.0.0.1:1/quancun?password=hunter2&connect_timeout=1",
		"postgres://127.0.0.1:1/quancun?sslmode=nonsense&password=hunter2",
		"postgresql://campusd:hunter2@127.0.0.1:99999/quancun",
		"postgress://campusd:hunter2@127.0.0.1/quancun",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := sqldb.Open(ctx, dsn, rows(1))
		cancel()
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), "ter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	if found, _ := filepath.Glob("postgres*:*"); found != nil {
		t.Errorf("files of that name: %q", found)
	}
}

// TestLists is about PostgreSQL's plan: it must not hold each row of a table
// against each of a list, which it does where it takes the list to be short.
func TestLists(t *testing.T) {
	db := open(t, pgtest.New(t).DSN, rows(1))
	for column, list := range map[string]any{"name": []name{"a"}, "n": []number{1, 2}, "raw": [][]byte{{1}}} {
		plan, err := sqldb.Texts(t.Context(), db, `EXPLAIN SELECT n FROM rows WHERE `+column+` = ANY (?)`, list)
		if all := strings.Join(plan, "\n"); err != nil || strings.Contains(all, "ANY") {
			t.Errorf("%T: %v\n%s", list, err, all)
		}
	}
}
