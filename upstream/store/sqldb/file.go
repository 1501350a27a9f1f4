package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/mattn/go-sqlite3"
)

// transaction is what statements run in: a [sql.Tx], or a [file].
type transaction interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row
	Commit() error
	Rollback() error
}

// file is a transaction that writes a file, on a connection that is its own. In a
// [sql.Tx], or with a context that can be cancelled, goroutines are started for
// each statement, to watch whether its caller leaves: they cost as much as the
// statement. Here a statement runs to its end, and the next one is refused when the
// caller has left or the time is over.
type file struct {
	conn *sql.Conn
	pool *sql.DB // that conn is from
	ends time.Time
}

// beginFile begins one, as soon as no other process writes the file.
func (db *DB) beginFile(conn *sql.Conn, limit time.Duration) (*file, error) {
	_, err := conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`)
	return &file{conn, db.w, time.Now().Add(limit)}, err
}

// refuse says why no more statement is run.
func (f *file) refuse(ctx context.Context) error {
	if time.Now().After(f.ends) {
		return sql.ErrTxDone
	}
	return ctx.Err()
}

func (f *file) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	if err := f.refuse(ctx); err != nil {
		return nil, err
	}
	return f.conn.ExecContext(context.WithoutCancel(ctx), statement, args...)
}

func (f *file) QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	if err := f.refuse(ctx); err != nil {
		return nil, err
	}
	return f.conn.QueryContext(context.WithoutCancel(ctx), statement, args...)
}

func (f *file) QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row {
	if f.refuse(ctx) != nil {
		gone, cancel := context.WithDeadline(ctx, f.ends)
		defer cancel()
		return f.pool.QueryRowContext(gone, statement) // gives no connection to it, but an error
	}
	return f.conn.QueryRowContext(context.WithoutCancel(ctx), statement, args...)
}

// Commit makes it durable, if it is not too late.
func (f *file) Commit() error {
	if err := f.refuse(context.Background()); err != nil {
		return err
	}
	return f.end(`COMMIT`)
}

// Rollback undoes it. After a commit there is nothing to undo.
func (f *file) Rollback() error { return f.end(`ROLLBACK`) }

// end ends it. A connection on which that does not work is not used again.
func (f *file) end(how string) error {
	var failed error
	err := f.conn.Raw(func(c any) error {
		conn := c.(*sqlite3.SQLiteConn)
		if conn.AutoCommit() {
			failed = sql.ErrTxDone
			return nil
		}
		if _, failed = conn.Exec(how, nil); failed != nil && how == `ROLLBACK` {
			return driver.ErrBadConn
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	return err
}
