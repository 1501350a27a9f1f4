// Package store keeps the upstream's books: terminals, holders, cards, orders,
// loads, and the double-entry ledger, in SQLite or PostgreSQL.
//
// It keeps the promises that must hold whoever calls: entries that sum to
// zero and never change, an order that is credited once, a purse that is
// written up once for each load, states that only move forward. The schema
// (migrations) refuses what breaks them, even when the code is wrong, and
// [Books.Verify] checks them on live data. It knows no policy, no key and no
// network; the server declares which of its methods it needs.
//
// # Adding to it
//
// Package sqldb says how a statement is written so that both engines take it.
// A table is made by a migration of the same number in both folders, gets its
// line in rights, and its rows their place in [Books.StateHash] if they are
// about money.
//
// Several campusd may share one PostgreSQL. So what is read in order to be
// written is locked, and always in this order: terminal, order, card, holder,
// load, accounts (all at once, by lockAccounts), alarms.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"quancun/upstream/store/sqldb"
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
	// ErrUnknown means that nobody knows whether it was written: neither done
	// nor refused.
	ErrUnknown = sqldb.ErrUnknown
)

// Books is the open store. It is safe for concurrent use.
type Books struct {
	db  *sqldb.DB
	now func() time.Time
	met struct { // accounts that are known to be there: none ever goes away
		sync.Mutex
		accounts map[Account]bool
	}
}

// Open opens the books in the SQLite file at path, and makes or migrates them.
// The path may also be a URI of SQLite's ("file:/books.db?vfs=…"), as of a disk
// in memory, whose file is the caller's own business.
// There is one writer at a time, and readers never wait for it. now is the
// clock by which rows are dated; nil is time.Now.
func Open(ctx context.Context, path string, now func() time.Time) (*Books, error) {
	if IsShared(path) {
		return nil, errors.New("open store: this is no path of a file")
	}
	return OpenDSN(ctx, path, now)
}

// OpenDSN opens the books that a connection string names, and makes or
// migrates them: "postgres://…" is a PostgreSQL that several campusd may
// share, and all else the path of a SQLite file. Its errors do not repeat the
// string, which may hold a password.
func OpenDSN(ctx context.Context, dsn string, now func() time.Time) (*Books, error) {
	if now == nil {
		now = time.Now
	}
	db, err := sqldb.Open(ctx, dsn, schema())
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	b := &Books{db: db, now: now}
	b.met.accounts = map[Account]bool{}
	return b, nil
}

// IsShared reports whether a connection string names a PostgreSQL, and not a
// file.
func IsShared(dsn string) bool { return sqldb.IsPostgres(dsn) }

// Grant gives another role of PostgreSQL what campusd needs and nothing more,
// so that it can run without owning the tables. The connected role owns them.
func (b *Books) Grant(ctx context.Context, role string) error {
	if err := b.db.Grant(ctx, rights, role); err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	return nil
}

// Close closes the books.
func (b *Books) Close() error { return b.db.Close() }

// Retries returns how often PostgreSQL has made a transaction give way to
// another, and it was run again. It should be 0: see the order of locks.
func (b *Books) Retries() int64 { return b.db.Retries() }

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

// mustBe returns what gives an error when a statement did not change so many rows.
// No foreign key of PostgreSQL says that one of them is not there.
func mustBe(want int) func(int64) error {
	return func(n int64) error {
		if n != int64(want) {
			return fmt.Errorf("%d of %d rows were there: %w", n, want, ErrNone)
		}
		return nil
	}
}

// fresh returns ErrConflict when a statement added nothing, because it was
// there already.
func fresh(r sql.Result, err error) error {
	if err = changed(r, err); errors.Is(err, ErrNone) {
		return ErrConflict
	}
	return err
}

func none(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNone
	}
	return err
}

// Clock returns what time it is by the database's own clock: for a file, by the
// machine's.
func (b *Books) Clock(ctx context.Context) (time.Time, error) {
	if b.db.Engine() != sqldb.Postgres {
		return time.Now(), nil
	}
	var ms int64
	err := b.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT CAST(extract(epoch FROM CURRENT_TIMESTAMP) * 1000 AS BIGINT)`).Scan(&ms)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the database for the time: %w", err)
	}
	return time.UnixMilli(ms), nil
}

func (b *Books) ms() int64 { return b.now().UnixMilli() }

func fromMS(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// orNull returns what "" stands for in a column that may be without a text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func toMS(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// lockRow holds a row until the transaction ends, or says that there is none.
func lockRow(ctx context.Context, tx *sqldb.Tx, statement, key string) error {
	var one int
	return none(tx.QueryRow(ctx, statement, key).Scan(&one))
}
