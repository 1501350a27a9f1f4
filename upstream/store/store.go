// Package store keeps the upstream's books in one SQLite file: terminals,
// holders, cards, orders, loads, and the double-entry ledger.
//
// It keeps the promises that must hold whoever calls: entries that sum to
// zero and never change, an order that is credited once, a purse that is
// written up once for each load, states that only move forward. The schema
// (migrations) refuses what breaks them, even when the code is wrong, and
// [Books.Verify] checks them on live data. It knows no policy, no key and no
// network; the server declares which of its methods it needs, so that another
// database can take its place.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// Errors that callers act upon.
var (
	// ErrNone means that there is no such row.
	ErrNone = errors.New("store: no such row")
	// ErrConflict means that a number is in use with other content.
	ErrConflict = errors.New("store: the same number with other content")
	// ErrBackward means that a state would move backward.
	ErrBackward = errors.New("store: the state does not move there")
	// ErrPINLocked means that a PIN has been tried too often.
	ErrPINLocked = errors.New("store: PIN locked")
)

//go:embed migrations/*.sql
var migrations embed.FS

// Books is the open store. It is safe for concurrent use: there is one writer
// at a time, and readers never wait for it.
type Books struct {
	w, r *sql.DB
	now  func() time.Time
}

// Open opens the books at path, and makes or migrates them. now is the clock
// by which rows are dated; nil is time.Now.
func Open(ctx context.Context, path string, now func() time.Time) (*Books, error) {
	if now == nil {
		now = time.Now
	}
	b := &Books{now: now}
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	var err error
	if b.w, err = sql.Open("sqlite3", dsn(path, "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	b.w.SetMaxOpenConns(1)
	if err = checkPragmas(ctx, b.w); err == nil {
		err = migrate(ctx, b.w)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), b.w.Close())
	}
	if b.r, err = sql.Open("sqlite3", dsn(path, "_query_only=1")); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), b.w.Close())
	}
	b.r.SetMaxOpenConns(4)
	return b, nil
}

// Close closes the books.
func (b *Books) Close() error { return errors.Join(b.r.Close(), b.w.Close()) }

// touch makes the file before SQLite does, which would let everybody read the
// holders' names. The files that SQLite makes beside it get the same mode; those
// that a copy has brought back are closed to others.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, beside := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+beside, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=5000&" + more
}

// checkPragmas reads back what was asked for: a driver that did not
// understand a setting says nothing, and the first power cut would tell.
func checkPragmas(ctx context.Context, db *sql.DB) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("pragma %s: %w", pragma, err)
		}
		if got != want {
			return fmt.Errorf("pragma %s is %s, want %s", pragma, got, want)
		}
	}
	return nil
}

// migrate runs the migrations that this file has not seen, each in one
// transaction with its number.
func migrate(ctx context.Context, db *sql.DB) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	var done int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&done); err != nil {
		return fmt.Errorf("read version: %w", err)
	}
	if done > len(names) {
		return fmt.Errorf("the file is of version %d, newer than this program's %d", done, len(names))
	}
	for i := done; i < len(names); i++ {
		text, err := migrations.ReadFile(names[i])
		if err != nil {
			return err
		}
		err = inTx(ctx, db, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, string(text)+fmt.Sprintf("\nPRAGMA user_version = %d;", i+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("migrate %s: %w", strings.TrimPrefix(names[i], "migrations/"), err)
		}
	}
	return nil
}

func (b *Books) write(ctx context.Context, do func(*sql.Tx) error) error {
	return inTx(ctx, b.w, do)
}

func inTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// querier is what a read needs: a connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls do for every row of a query.
func each(ctx context.Context, q querier, do func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// changed returns ErrNone when a statement changed nothing.
func changed(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrNone, err)
	}
	return nil
}

func none(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNone
	}
	return err
}

func (b *Books) ms() int64 { return b.now().UnixMilli() }

func fromMS(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

func toMS(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
