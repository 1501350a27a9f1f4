// Package sqldb lets one body of Go and SQL keep books in SQLite or in
// PostgreSQL, through database/sql.
//
// # Writing a statement
//
// Statements are PostgreSQL's, in what both engines understand, with "?" and
// "?1" for parameters. The package rewrites them once:
//
//   - for PostgreSQL, "?" becomes "$1" and so on, and "= ANY (?)" a join with the
//     slice: it takes every slice to be short, and holds each row of a small table
//     against each of a long one;
//   - for SQLite, "FOR UPDATE" and "FOR NO KEY UPDATE" go away (it has one
//     writer), COLLATE "C" goes away (it is the default), and "= ANY (?)" takes
//     its slice as JSON.
//
// A parameter that stands where PostgreSQL cannot tell its type is cast:
// CAST(? AS TEXT). A new row's number comes from RETURNING, a sum of numbers
// is CAST to BIGINT, and many rows are written by [Tx.Insert]. Statements of
// which none needs what another one reads go over the wire together, by [Tx.Run]
// and [Tx.Later]. A text that PostgreSQL would refuse (no UTF-8, or a zero byte in it) is mended on its
// way in, for both engines in the same way.
//
// # Writing a transaction
//
// On PostgreSQL a transaction is READ COMMITTED, and other processes write at
// the same time. Whoever reads in order to write locks the row first, by a
// statement of its own, and reads it by the next one: "SELECT … FOR NO KEY
// UPDATE", which lets other rows refer to it meanwhile. What has no row to lock
// has [Tx.Lock]. Locks are taken in one order everywhere, or they deadlock.
//
// A transaction may be run again from its start, so it has no effect outside
// but through variables that it sets anew each time.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnknown means that nobody knows whether a transaction was written: the
// connection was lost, or the disk failed, in the middle of COMMIT. Whoever
// gets it may neither call the matter done nor refused.
var ErrUnknown = errors.New("nobody knows whether it was written")

// Engine says what keeps the rows.
type Engine string

// The engines.
const (
	SQLite   Engine = "SQLite"
	Postgres Engine = "PostgreSQL"
)

// Schema is what the rows are kept in. Each migration is a file whose name
// starts with its number: 0001_books.sql, 0002_….sql, without a gap.
type Schema struct {
	SQLite   fs.FS
	Postgres fs.FS
	// Rights are what the program's role on PostgreSQL may do to each table
	// besides reading it and adding to it.
	Rights map[string]Rights
	// Tables are all of them, each after those that it refers to, for [Copy].
	Tables []Table
}

// Rights are what may be done to the rows of a table that are there. The zero
// value is for a table to which rows are only ever added.
type Rights struct {
	Update []string // the columns that may change
	Delete bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine
	w, r    *sql.DB
	texts   sync.Map // a statement as it was written → as the engine reads it
	retries atomic.Int64
}

// engine is what differs between the databases.
type engine struct {
	name    Engine
	rewrite func(statement string, args []any) string
	lists   bool             // takes a slice as a parameter
	again   func(error) bool // nothing was written, and the same may work when done again
	undone  func(error) bool // of COMMIT: surely nothing was written
	writes  sql.TxOptions
	reads   sql.TxOptions
}

// IsPostgres reports whether name is a connection string of PostgreSQL. All
// else is the path of a SQLite file, or a URI of SQLite's that has a "?" in it
// and whose file is the caller's own business.
func IsPostgres(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// Open opens the database of a name (see [IsPostgres]), and makes or migrates
// what is in it. Its errors do not contain the name, which may hold a password.
func Open(ctx context.Context, name string, s Schema) (*DB, error) {
	if IsPostgres(name) {
		return openPostgres(ctx, name, s)
	}
	if strings.Contains(name, "://") { // misspelt: it must not name a file, password and all
		return nil, errors.New("the connection string does not start with postgres://")
	}
	return openSQLite(ctx, name, s.SQLite)
}

// Close closes the database.
func (db *DB) Close() error { return errors.Join(db.r.Close(), db.w.Close()) }

// Engine returns what keeps the rows.
func (db *DB) Engine() Engine { return db.name }

// Retries returns how often a transaction was run again because the database
// had chosen it to give way to another. Of a program that takes its locks in
// order it is 0.
func (db *DB) Retries() int64 { return db.retries.Load() }

const (
	// txMax is how long a transaction may take, its COMMIT included. It is
	// not the caller's patience: a caller that has left must not make an
	// outcome unknown.
	txMax = time.Minute

	// triesMax is how often a transaction is run before its caller is told.
	triesMax = 10

	// retryPause is the longest first pause before a transaction is run again;
	// it doubles.
	retryPause = 4 * time.Millisecond
)

// Write runs do in a transaction, and again when the database asks for that.
// With any error but [ErrUnknown] nothing was written.
func (db *DB) Write(ctx context.Context, do func(*Tx) error) error {
	return db.writeWithin(ctx, txMax, do)
}

func (db *DB) writeWithin(ctx context.Context, limit time.Duration, do func(*Tx) error) error {
	for try := 0; ; try++ {
		err := db.writeOnce(ctx, limit, do)
		if err == nil || !db.again(err) || try+1 == triesMax {
			return err
		}
		db.retries.Add(1)
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(rand.N(retryPause << try)):
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, limit time.Duration, do func(*Tx) error) error {
	conn, err := db.w.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // gives it back to the pool
	long, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	tx, err := db.begin(long, conn, limit)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	t := &Tx{tx: tx, conn: conn, db: db}
	if err := do(t); err != nil {
		return t.because(err)
	}
	if err := ctx.Err(); err != nil {
		return err // nobody waits, and nothing is written yet
	}
	if err := t.flush(long); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		if !db.undone(err) {
			return fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin begins a transaction that writes.
func (db *DB) begin(ctx context.Context, conn *sql.Conn, limit time.Duration) (transaction, error) {
	if db.name == SQLite {
		return db.beginFile(conn, limit)
	}
	return conn.BeginTx(ctx, &db.writes)
}

// Read runs do on the rows of one moment. It writes nothing.
func (db *DB) Read(ctx context.Context, do func(*Tx) error) error {
	tx, err := db.r.BeginTx(ctx, &db.reads)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return do(&Tx{tx: tx, db: db})
}

// Querier reads rows: a [DB], each time those that are there now, or a [Tx].
type Querier interface {
	Query(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, statement string, args ...any) *sql.Row
}

// Query reads rows outside a transaction.
func (db *DB) Query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	return db.r.QueryContext(ctx, db.text(statement, args), db.args(args)...)
}

// QueryRow reads a row outside a transaction.
func (db *DB) QueryRow(ctx context.Context, statement string, args ...any) *sql.Row {
	if db.name == SQLite && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx) // it is there before two goroutines could watch for that, see file
	}
	return db.r.QueryRowContext(ctx, db.text(statement, args), db.args(args)...)
}

// Tx is a transaction under way.
type Tx struct {
	tx   transaction
	conn *sql.Conn // that it is on; nil for one that reads
	db   *DB

	waiting []Step // to be sent with what comes next
	failed  error  // of one of them
}

// Engine returns what keeps the rows.
func (t *Tx) Engine() Engine { return t.db.name }

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.tx.ExecContext(ctx, t.db.text(statement, args), t.db.args(args)...)
}

// Query runs a statement that returns rows.
func (t *Tx) Query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.tx.QueryContext(ctx, t.db.text(statement, args), t.db.args(args)...)
}

// QueryRow runs a statement that returns a row.
func (t *Tx) QueryRow(ctx context.Context, statement string, args ...any) *sql.Row {
	_ = t.flush(ctx) // a row cannot say that it failed, but there will be no COMMIT
	return t.tx.QueryRowContext(ctx, t.db.text(statement, args), t.db.args(args)...)
}

// Lock keeps others that ask for the same name out until the transaction
// ends. It is for the rare write that has no row to lock.
func (t *Tx) Lock(ctx context.Context, name string) error {
	if t.db.name == SQLite {
		return nil // there is one writer
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	return lock(ctx, t.tx, name)
}

// Each calls do for every row of a statement.
func Each(ctx context.Context, q Querier, do func(*sql.Rows) error, statement string, args ...any) error {
	rows, err := q.Query(ctx, statement, args...)
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

// Texts returns the rows of a statement of one column, as text.
func Texts(ctx context.Context, q Querier, statement string, args ...any) (all []string, err error) {
	err = Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		all = append(all, text)
		return err
	}, statement, args...)
	return all, err
}
