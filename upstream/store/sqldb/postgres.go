package sqldb

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// How many connections a process opens. PostgreSQL takes 100 unless it is
// told otherwise, and several processes share it.
const (
	writeConnections = 12
	readConnections  = 6
)

// session is what each connection asks for, unless its string says otherwise.
// A process that has died with a lock in its hand must not hold up the others
// for longer than a call's patience.
var session = map[string]string{
	"application_name":                    "campusd",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "30s",
}

const (
	connectMax    = 10 * time.Second // for a connection to be made
	connectionMax = 30 * time.Minute // for one to live
)

// PostgreSQL's SQLSTATEs that are acted upon.
const (
	undefinedTable       = "42P01"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	completionUnknown    = "40003"
)

func openPostgres(ctx context.Context, name string, s Schema) (_ *DB, err error) {
	config, err := parse(name)
	if err != nil {
		return nil, err
	}
	connector := stdlib.GetConnector(*config,
		stdlib.OptionAfterConnect(checkDurable), stdlib.OptionResetSession(checkAlive))
	db := &DB{
		engine: engine{
			name: Postgres, rewrite: forPostgres, lists: true, again: again, undone: undone,
			writes: sql.TxOptions{Isolation: sql.LevelReadCommitted},
			reads:  sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		},
		w: sql.OpenDB(connector), r: sql.OpenDB(connector),
	}
	pool(db.w, writeConnections)
	pool(db.r, readConnections)
	if err := migratePostgres(ctx, db, s); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// pool keeps connections open, and lets each end some day: those to a cluster's
// nodes spread again after one of them was away.
func pool(db *sql.DB, connections int) {
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(connectionMax)
}

// parse reads a connection string. Its error does not repeat it, because it
// may hold a password, or a part of one that was taken for something else.
func parse(name string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(name)
	if err != nil {
		return nil, errors.New("the connection string of the database is not understood")
	}
	for key, value := range session {
		if _, ok := config.RuntimeParams[key]; !ok {
			config.RuntimeParams[key] = value
		}
	}
	if !strings.Contains(name, "connect_timeout") {
		config.ConnectTimeout = connectMax
	}
	return config, nil
}

// checkDurable refuses a connection over which a COMMIT that was answered
// could be lost in a power cut. Servers that do not know a setting do not have
// it switched off.
func checkDurable(ctx context.Context, conn *pgx.Conn) error {
	for _, setting := range []string{"synchronous_commit", "fsync", "full_page_writes"} {
		var value *string
		if err := conn.QueryRow(ctx, `SELECT current_setting($1, true)`, setting).Scan(&value); err != nil {
			return fmt.Errorf("read setting %s: %w", setting, err)
		}
		if value != nil && *value == "off" {
			return fmt.Errorf("the database has %s = off, which loses what it has acknowledged", setting)
		}
	}
	return nil
}

// checkAlive gives up a connection that has died since it was used last, before
// anything is asked of it. It looks at the socket and asks nobody: a server
// that is there has nothing to say by itself.
func checkAlive(_ context.Context, conn *pgx.Conn) error {
	c := conn.PgConn().Conn()
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return driver.ErrBadConn
	}
	alive := false
	err = raw.Control(func(fd uintptr) { // raw.Read would wait for a reader that pgx may have left there
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
	})
	if err != nil || !alive {
		return driver.ErrBadConn
	}
	return nil
}

// again reports whether the database had chosen a transaction to give way.
func again(err error) bool {
	code := state(err)
	return code == serializationFailure || code == deadlockDetected
}

// undone reports whether a COMMIT that failed has surely written nothing: the
// database itself said that it broke a rule or gave way. A connection that
// ends, whoever ends it, says nothing about what came before.
func undone(err error) bool {
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return true // a statement had failed before
	}
	code := state(err)
	return code != completionUnknown && (strings.HasPrefix(code, "40") || strings.HasPrefix(code, "23"))
}

// state returns the SQLSTATE of an error, empty if it is not the database's.
func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lock takes the lock of a name until the transaction ends. It is a row, since
// not everything that speaks PostgreSQL's protocol has advisory locks.
func lock(ctx context.Context, tx transaction, name string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO locks (name) VALUES ($1) ON CONFLICT DO NOTHING`, name)
	if err == nil {
		var got string
		err = tx.QueryRowContext(ctx, `SELECT name FROM locks WHERE name = $1 FOR UPDATE`, name).Scan(&got)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	return nil
}
