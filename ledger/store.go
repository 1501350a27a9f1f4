package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/mattn/go-sqlite3"
)

// sqliteMin is the first SQLite without the WAL-reset bug, which could lose a
// commit when a checkpoint met a writer (3.7.0 to 3.51.2).
const sqliteMin = 3_051_003

// settings are what every writing connection must read back. The driver's own
// default, synchronous = NORMAL, loses acknowledged entries in a power cut.
var settings = []struct {
	pragma string
	ok     []string
}{
	{"journal_mode", []string{"wal"}},
	{"synchronous", []string{"2", "3"}}, // FULL or EXTRA
	{"foreign_keys", []string{"1"}},
	{"mmap_size", []string{"0", ""}}, // an I/O error under mmap is a SIGBUS
	{"query_only", []string{"0"}},
}

const writing = "_journal_mode=WAL&_synchronous=EXTRA&_foreign_keys=on&_txlock=immediate&_busy_timeout=5000"

// connector opens connections of one database file, and checks each of them:
// database/sql may replace a connection whenever it likes.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// openDB returns a pool of one connection to the file at path. params are the
// driver's, and check sees each new connection.
func openDB(path, params string, check func(*sqlite3.SQLiteConn) error) *sql.DB {
	db := sql.OpenDB(connector{
		dsn:    "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params,
		driver: &sqlite3.SQLiteDriver{ConnectHook: check},
	})
	db.SetMaxOpenConns(1)
	return db
}

// openStore opens the file at path for writing, makes it if need be, and
// migrates it.
func openStore(ctx context.Context, path string, migrations fs.FS) (_ *sql.DB, err error) {
	if err := create(path); err != nil {
		return nil, err
	}
	db := openDB(path, writing, checkWriter)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := migrate(ctx, db, path, migrations); err != nil {
		return nil, err
	}
	// Switching a new file to WAL unlinks a rollback journal, which would undo
	// what comes next if it came back. SQLite syncs the directory when it first
	// syncs a new "-wal"; where that file was there already, nobody would.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return db, nil
}

// create makes an empty file that its owner alone can read, as SQLite's own
// "-wal" and "-shm" then are too, and makes its name durable.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
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

func checkVersion(*sqlite3.SQLiteConn) error {
	version, number, _ := sqlite3.Version()
	return versionOK(version, number)
}

func versionOK(version string, number int) error {
	if number < sqliteMin {
		return fmt.Errorf("%w: version %s, need 3.51.3", ErrUnsafe, version)
	}
	return nil
}

func checkWriter(c *sqlite3.SQLiteConn) error {
	if err := checkVersion(c); err != nil {
		return err
	}
	for _, s := range settings {
		got, err := pragma(c, s.pragma)
		if err != nil {
			return fmt.Errorf("read back %s: %w", s.pragma, err)
		}
		if !slices.Contains(s.ok, got) {
			return fmt.Errorf("%w: %s is %q", ErrUnsafe, s.pragma, got)
		}
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

// Epoch tells two journals of one terminal apart. It is drawn at random when a
// journal is made, so one that was lost and made anew, or swapped for another,
// does not pass for its predecessor. A journal restored from a copy keeps its
// epoch, and gives itself away by a head that upstream has already passed.
type Epoch [8]byte

// String returns the epoch as 16 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// Epoch returns the journal's epoch.
func (b *Book) Epoch() Epoch { return b.epoch }

func epochOf(ctx context.Context, q querier) (e Epoch, err error) {
	var value []byte
	if err := q.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = 'epoch'`).Scan(&value); err != nil {
		return e, fmt.Errorf("read epoch: %w", err)
	}
	if copy(e[:], value) != len(e) || len(value) != len(e) {
		return e, fmt.Errorf("%w: epoch of %d bytes", ErrTampered, len(value))
	}
	return e, nil
}

// querier is what a query needs of a database or of a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
