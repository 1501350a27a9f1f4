package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// sqliteMin is the first SQLite without the WAL-reset bug, which could lose a
// commit when a checkpoint met a writer (3.7.0 to 3.51.2).
const sqliteMin = 3_051_003

// settings are what every writing connection must read back: a driver that did
// not understand one says nothing, and the first power cut would tell. The
// driver's own default, synchronous = NORMAL, loses acknowledged transactions.
var settings = []struct {
	pragma string
	ok     []string
}{
	{"journal_mode", []string{"wal"}},
	{"synchronous", []string{"2", "3"}}, // FULL or EXTRA
	{"foreign_keys", []string{"1"}},
	{"mmap_size", []string{"0", ""}}, // an I/O error under mmap is a SIGBUS
}

const pragmas = "_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=5000&_stmt_cache_size=200&"

// Accounts are many and what is booked on them is spread over all pages of the
// postings' index. So the writer keeps its upper pages in memory (64 MiB), and
// a page that many transactions have changed is copied from the WAL into the
// file once (every 32 MiB) and not for each of them.
const (
	writerCache     = "_cache_size=-65536"
	checkpointPages = 8192
)

// readersMax is how many read at once. They never wait for the writer.
const readersMax = 4

// openSQLite opens the file at path, or of a URI. It has one writer at a time in
// this process, and waits for those of others.
func openSQLite(ctx context.Context, path string, migrations fs.FS) (_ *DB, err error) {
	own := !isURI(path)
	if own {
		if err := create(path); err != nil {
			return nil, err
		}
	}
	db := &DB{engine: engine{
		name: SQLite, rewrite: forSQLite,
		again: func(error) bool { return false }, // one writer never gives way
		undone: func(err error) bool {
			var e sqlite3.Error
			return errors.Is(err, sql.ErrTxDone) ||
				errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrConstraint)
		},
	}}
	db.w = sqlitePool(path, pragmas+"_txlock=immediate&"+writerCache, 1)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.w.Close())
		}
	}()
	if err := migrateSQLite(ctx, db.w, path, migrations); err != nil {
		return nil, err
	}
	// Switching a new file to WAL unlinks a rollback journal, which would undo
	// what comes next if it came back.
	if own {
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	db.r = sqlitePool(path, pragmas+"_query_only=1", readersMax)
	return db, nil
}

// connector opens connections to one file, and checks each of them:
// database/sql may replace a connection whenever it likes.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// isURI reports whether name is a URI of SQLite's own, such as that of a disk
// in memory, and no path of a file that this package has to make.
func isURI(name string) bool { return strings.HasPrefix(name, "file:") }

func sqlitePool(path, params string, connections int) *sql.DB {
	dsn := path + "&" + params
	if !isURI(path) {
		dsn = (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String() + "?" + params
	}
	db := sql.OpenDB(connector{
		dsn:    dsn,
		driver: &sqlite3.SQLiteDriver{ConnectHook: connected},
	})
	db.SetMaxOpenConns(connections)
	return db
}

// connected checks a connection, and sets what its string cannot.
func connected(c *sqlite3.SQLiteConn) error {
	if err := checkVersion(sqlite3.Version()); err != nil {
		return err
	}
	for _, s := range settings {
		got, err := pragma(c, s.pragma)
		if err != nil {
			return fmt.Errorf("pragma %s: %w", s.pragma, err)
		}
		if !slices.Contains(s.ok, got) {
			return fmt.Errorf("pragma %s is %q, want %q", s.pragma, got, s.ok[0])
		}
	}
	_, err := c.Exec(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", checkpointPages), nil)
	return err
}

func checkVersion(version string, number int, _ string) error {
	if number < sqliteMin {
		return fmt.Errorf("SQLite %s can lose a commit; it takes 3.51.3", version)
	}
	return nil
}

// pragma returns the value of a setting as text, empty if it has none.
func pragma(c *sqlite3.SQLiteConn, name string) (_ string, err error) {
	rows, err := c.Query("PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	value := make([]driver.Value, 1)
	if err := rows.Next(value); errors.Is(err, io.EOF) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return fmt.Sprint(value[0]), nil
}

// create makes the file before SQLite does, which would let everybody read the
// holders' names, and makes its name durable. The files that SQLite makes
// beside it get the same mode; those that a copy has brought back are closed
// to others.
func create(path string) error {
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
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// backup writes a whole and durable copy of a file, over a connection of its
// own. It takes the place of an older copy, which a crash in the middle of a
// migration leaves.
func backup(ctx context.Context, file, path string) (err error) {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	db := sqlitePool(file, pragmas, 1)
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, part)
	if err := errors.Join(err, db.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
