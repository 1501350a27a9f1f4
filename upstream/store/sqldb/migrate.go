package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// scripts returns the names of the migrations, the n-th of which has number n.
func scripts(migrations fs.FS) ([]string, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		prefix, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(prefix); err != nil || n != i+1 {
			panic(fmt.Sprintf("sqldb: internal error: migration %s is number %d", name, i+1))
		}
	}
	return names, nil
}

func newer(have, know int) error {
	return fmt.Errorf("the database is of version %d, newer than this program's %d", have, know)
}

// migrateSQLite runs the migrations that a file has not seen.
func migrateSQLite(ctx context.Context, db *sql.DB, file string, migrations fs.FS) error {
	names, err := scripts(migrations)
	if err != nil {
		return err
	}
	var done int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&done); err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	if done > len(names) {
		return newer(done, len(names))
	}
	for i := done; i < len(names); i++ {
		script, err := fs.ReadFile(migrations, names[i])
		if err == nil {
			err = migrateFile(ctx, db, file, migration{i + 1, string(script), i == done})
		}
		if err != nil {
			return fmt.Errorf("migrate %s: %w", names[i], err)
		}
	}
	return nil
}

type migration struct {
	number int
	script string
	first  bool // of those that a file has not seen
}

// migrateFile runs a migration in one transaction with its number, unless
// another process was faster. A file that holds something is copied before the
// first one, with the write lock held, so that the copy is what it is called.
//
// A table may be made anew under its name while others refer to it: what refers
// to nothing is looked for at the end, and meanwhile not minded.
func migrateFile(ctx context.Context, db *sql.DB, file string, m migration) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return err
	}
	defer func() {
		_, minded := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = ON")
		err = errors.Join(err, minded)
	}()
	tx, err := conn.BeginTx(ctx, nil) // takes the write lock
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	var done int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&done); err != nil || done >= m.number {
		return err
	}
	if done > 0 && m.first && !isURI(file) {
		if err := backup(ctx, file, fmt.Sprintf("%s.v%d.bak", file, done)); err != nil {
			return fmt.Errorf("back up version %d: %w", done, err)
		}
	}
	if _, err := tx.ExecContext(ctx, m.script); err != nil {
		return err
	}
	if err := referring(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(m.number)); err != nil {
		return err
	}
	return tx.Commit()
}

// referring returns an error if a row refers to nothing.
func referring(ctx context.Context, tx *sql.Tx) error {
	var table, parent string
	err := tx.QueryRowContext(ctx, `SELECT "table", parent FROM pragma_foreign_key_check`).Scan(&table, &parent)
	switch {
	case err == nil:
		return fmt.Errorf("a row of %s refers to nothing in %s", table, parent)
	case errors.Is(err, sql.ErrNoRows):
		return nil
	}
	return err
}

// The tables of this package itself.
const ownTables = `
	CREATE TABLE IF NOT EXISTS locks (name TEXT PRIMARY KEY);
	CREATE TABLE IF NOT EXISTS schema_migrations (
		number BIGINT PRIMARY KEY,
		name   TEXT   NOT NULL,
		at_ms  BIGINT NOT NULL
	);
	CREATE TABLE IF NOT EXISTS schema_objects (object TEXT PRIMARY KEY)`

// migrateLock is the lock that one process at a time migrates under.
const migrateLock = "migrate"

// migrateMax is how long migrations may take: what keeps books of years may
// have to be rewritten.
const migrateMax = 6 * time.Hour

// migratePostgres runs the migrations that a database has not seen, all in one
// transaction with their numbers. Of several processes that start at once, one
// does it and the others wait. A role that may not make tables can open a
// database that is up to date.
func migratePostgres(ctx context.Context, db *DB, s Schema) error {
	names, err := scripts(s.Postgres)
	if err != nil {
		return err
	}
	done, err := versionPostgres(ctx, db)
	if state(err) == undefinedTable {
		done, err = 0, makeOwnTables(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	if done > len(names) {
		return newer(done, len(names))
	}
	if done == len(names) {
		return nil
	}
	return db.writeWithin(ctx, migrateMax, func(t *Tx) error { return runScripts(ctx, t, s, names) })
}

func versionPostgres(ctx context.Context, q Querier) (done int, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM schema_migrations`).Scan(&done)
	return done, err
}

// makeOwnTables makes them. IF NOT EXISTS looks first and makes then, so two
// processes at once may still get into each other's way: the later one looks
// again.
func makeOwnTables(ctx context.Context, db *DB) error {
	_, err := db.w.ExecContext(ctx, ownTables)
	if err == nil {
		return nil
	}
	if _, again := versionPostgres(ctx, db); again == nil {
		return nil
	}
	return err
}

// runScripts runs what another process has not run meanwhile. The role that
// owns the tables has for so long all rights to them, and in the end those that
// the program is to have.
func runScripts(ctx context.Context, t *Tx, s Schema, names []string) error {
	if _, err := t.Exec(ctx, `SET LOCAL lock_timeout = 0`); err != nil { // others may take as long as we
		return err
	}
	if err := t.Lock(ctx, migrateLock); err != nil {
		return err
	}
	done, err := versionPostgres(ctx, t)
	if err != nil || done >= len(names) {
		return err
	}
	if err := loosen(ctx, t); err != nil {
		return err
	}
	for i, name := range names[done:] {
		script, err := fs.ReadFile(s.Postgres, name)
		if err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(ctx, string(script)); err != nil { // as it is: it has no parameters
			return fmt.Errorf("migrate %s: %w", name, err)
		}
		_, err = t.Exec(ctx, `INSERT INTO schema_migrations (number, name, at_ms) VALUES (?, ?, ?)`,
			done+i+1, name, time.Now().UnixMilli())
		if err != nil {
			return err
		}
	}
	if err := noteObjects(ctx, t); err != nil {
		return err
	}
	return restrict(ctx, t, s.Rights)
}
