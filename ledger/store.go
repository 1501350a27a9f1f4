package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"quancun/journal"
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

const (
	safeParams  = "_synchronous=EXTRA&_foreign_keys=on&_txlock=immediate&_busy_timeout=5000"
	writeParams = "_journal_mode=WAL&" + safeParams
	readParams  = "mode=ro&_query_only=on&_busy_timeout=5000"
)

// readersMax is how many queries may run beside each other and the writer.
const readersMax = 3

// connector opens connections of one database file, and checks each of them:
// database/sql may replace a connection whenever it likes.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

// openDB returns a pool of one connection to the file that is named. check
// sees each new connection.
func openDB(dsn string, check func(*sqlite3.SQLiteConn) error) *sql.DB {
	db := sql.OpenDB(connector{dsn: dsn, driver: &sqlite3.SQLiteDriver{ConnectHook: check}})
	db.SetMaxOpenConns(1)
	return db
}

// store is a journal's file: one connection that writes, and some that read
// beside it, which the writer does not wait for.
type store struct {
	db      *sql.DB
	conn    *sql.Conn // of db, its only one
	readers *sql.DB
}

// openStore opens the file at path for writing, makes it if need be, and
// migrates it.
func openStore(ctx context.Context, path string, o Options) (_ *store, err error) {
	if err := create(o.FS, path); err != nil {
		return nil, err
	}
	s := &store{db: openDB(dsn(o.FS, path, writeParams), checkWriter)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return nil, err
	}
	if o.WALPages > 0 {
		if _, err := s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", o.WALPages)); err != nil {
			return nil, err
		}
	}
	if err := migrate(ctx, s.conn, path, o); err != nil {
		return nil, err
	}
	// Switching a new file to WAL unlinks a rollback journal, which would undo
	// what comes next if it came back. SQLite syncs the directory when it first
	// syncs a new "-wal"; where that file was there already, nobody would.
	if err := o.FS.SyncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	s.readers = openDB(dsn(o.FS, path, readParams), checkVersion)
	s.readers.SetMaxOpenConns(readersMax)
	s.readers.SetMaxIdleConns(readersMax)
	return s, nil
}

// rewrite moves what an earlier run has left in the "-wal" into the journal's
// file. That run may have ended because a sync had failed: the kernel then
// still shows what it will never write, and whatever is committed behind that
// would be lost with it in the next power cut. It returns an error if another
// process goes on reading the journal.
//
// What a torn transaction has left in the "-wal" goes with it, before anything is
// written there. [wal.Damaged] could take that for a transaction of its own.
func rewrite(ctx context.Context, conn *sql.Conn) error {
	var busy, pages, moved int
	err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	if err == nil && busy != 0 {
		err = errors.New("another process is reading the journal")
	}
	return err
}

// close closes the readers first, so that the writer is the last to go, which
// moves what is in the "-wal" into the file.
func (s *store) close() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
		s.conn = nil // closing it again would be an error
	}
	return errors.Join(append(errs, s.db.Close())...)
}

// detach closes the journal and leaves all of it in one file, which nothing
// beside it can change any more. It returns an error, and leaves the journal as
// it is, if another process is reading.
func (s *store) detach(ctx context.Context) error {
	if err := s.readers.Close(); err != nil {
		return errors.Join(err, s.close())
	}
	var mode string
	err := s.conn.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
	if err == nil && mode != "delete" {
		err = fmt.Errorf("journal mode is %q", mode)
	}
	return errors.Join(err, s.close())
}

// statements are those of a connection.
type statements struct {
	begin, commit, rollback statement
	last, item              statement
	body, refunds           statement
	putNode                 statement
	putAccount, moveAccount statement
	putRows                 [len(rowsAtOnce)]statement

	all []*statement
}

// statement is compiled when it is first run: a terminal that starts would wait
// for all of them longer than for its journal, and may never need most.
type statement struct {
	conn     *sqlite3.SQLiteConn
	text     string
	compiled *sqlite3.SQLiteStmt // nil until then
}

// rowsAtOnce is how many rows of the journal one statement writes: to start one
// costs as much as the row.
var rowsAtOnce = [...]int{64, 8, 1}

// rowColumns are the columns of the table journal.
const rowColumns = 8

// insertRows is the statement that writes n rows.
func insertRows(n int) string {
	return `INSERT INTO journal VALUES (?,?,?,?,?,?,?,?)` + strings.Repeat(`,(?,?,?,?,?,?,?,?)`, n-1)
}

// on says which connection the statements are for.
func (s *statements) on(conn *sqlite3.SQLiteConn) {
	texts := map[*statement]string{
		&s.begin:       `BEGIN IMMEDIATE`,
		&s.commit:      `COMMIT`,
		&s.rollback:    `ROLLBACK`,
		&s.last:        `SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1`,
		&s.item:        `SELECT seq, body, hash, role FROM journal WHERE ref = ?`,
		&s.body:        selectBody,
		&s.refunds:     selectRefunds,
		&s.putNode:     insertNode,
		&s.putAccount:  `INSERT INTO account (name, flags) VALUES (?, ?)`,
		&s.moveAccount: `UPDATE account SET debits = ?4, credits = ?5 WHERE id = ?1 AND debits = ?2 AND credits = ?3`,
	}
	for i, n := range rowsAtOnce {
		texts[&s.putRows[i]] = insertRows(n)
	}
	for stmt, text := range texts {
		stmt.conn, stmt.text = conn, text
		s.all = append(s.all, stmt)
	}
}

// close closes the statements. A connection with one that is open stays, even
// after it was closed, and keeps its locks.
func (s *statements) close() error {
	var errs []error
	for _, stmt := range s.all {
		if stmt.compiled != nil {
			errs = append(errs, stmt.compiled.Close())
			stmt.compiled = nil
		}
	}
	s.all = nil
	return errors.Join(errs...)
}

func (s *statement) compile() error {
	if s.compiled != nil {
		return nil
	}
	compiled, err := s.conn.Prepare(s.text)
	if err != nil {
		return fmt.Errorf("compile %.40q: %w", s.text, err)
	}
	s.compiled = compiled.(*sqlite3.SQLiteStmt)
	return nil
}

// query returns the rows that a statement gives. The caller closes them.
func (s *statement) query(args []driver.Value) (driver.Rows, error) {
	if err := s.compile(); err != nil {
		return nil, err
	}
	return s.compiled.Query(args)
}

// exec runs a statement that gives no rows.
func (s *statement) exec(args []driver.Value) (driver.Result, error) {
	if err := s.compile(); err != nil {
		return nil, err
	}
	return s.compiled.Exec(args)
}

// insert runs a statement that adds a row or fails. Asking for rows that there
// are none of has the driver bind and step in one call of C, which Exec does
// not.
func insert(s *statement, args ...driver.Value) error {
	rows, err := s.query(args)
	if err != nil {
		return err
	}
	return rows.Close()
}

// insertAll is insert for many rows, whose values the driver takes as they lie.
func insertAll(s *statement, values []driver.NamedValue) error {
	if err := s.compile(); err != nil {
		return err
	}
	for i := range values {
		values[i].Ordinal = i + 1
	}
	rows, err := s.compiled.QueryContext(context.Background(), values)
	if err != nil {
		return err
	}
	return rows.Close()
}

// alter runs a statement that must change exactly one row, and returns the ID
// of one that it has added. RETURNING would say so too, at the price of a
// temporary table.
func alter(s *statement, args ...driver.Value) (id int64, err error) {
	result, err := s.exec(args)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: %d rows changed, want 1", ErrTampered, n)
	}
	id, _ = result.LastInsertId() // which never fails here
	return id, err
}

// fetch calls f for each row that a query gives. The row's values are f's only
// until it returns.
func fetch(s *statement, row []driver.Value, f func() error, args ...driver.Value) (err error) {
	rows, err := s.query(args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
}

// create makes an empty file that its owner alone can read, as SQLite's own
// "-wal" and "-shm" then are too, and makes its name durable.
func create(files FS, path string) error {
	f, err := files.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
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

// metaOf reads what a journal says of itself: its epoch, and the terminal that
// it belongs to, which a journal of version 0.1 does not say.
func metaOf(ctx context.Context, q querier) (epoch journal.Epoch, terminal string, err error) {
	var value, name []byte
	err = q.QueryRowContext(ctx, `SELECT
		(SELECT value FROM meta WHERE key = 'epoch'), (SELECT value FROM meta WHERE key = 'terminal')`).
		Scan(&value, &name)
	if err != nil {
		return epoch, "", fmt.Errorf("read epoch: %w", err)
	}
	if copy(epoch[:], value) != len(epoch) || len(value) != len(epoch) {
		return epoch, "", fmt.Errorf("%w: epoch of %d bytes", ErrTampered, len(value))
	}
	return epoch, string(name), nil
}

// querier is what a query needs of a database or of a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// transact runs f in one transaction, or leaves no trace of it.
func transact(ctx context.Context, conn *sql.Conn, f func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if rollback := tx.Rollback(); rollback != nil {
			return errors.Join(err, fmt.Errorf("roll back: %w", rollback))
		}
		return err
	}
	return tx.Commit()
}

// isMissing reports whether err says that there is no such file.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// readPast runs f on a journal that is over. It returns [ErrGone] if that is
// not there, or not what was written.
func (b *Book) readPast(ctx context.Context, p past, f func(querier) error) error {
	if _, err := b.o.FS.Size(p.path); isMissing(err) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	db := openDB(dsn(b.o.FS, p.path, "mode=rw&_busy_timeout=5000"), checkVersion) // a damaged one may have a "-wal"
	err := named(transactRead(ctx, db, func(q querier) error {
		epoch, terminal, err := metaOf(ctx, q)
		if err == nil && (epoch != p.agreed.Epoch || terminal != "" && terminal != b.o.Terminal) {
			err = fmt.Errorf("%w: epoch %s of terminal %q", ErrTampered, epoch, terminal)
		}
		if err == nil {
			err = f(q)
		}
		return err
	}))
	if errors.Is(err, ErrTampered) {
		err = fmt.Errorf("%w: %s: %w", ErrGone, p.path, err)
	}
	return errors.Join(err, db.Close())
}

// Before returns what was written in journals that this one carries on, oldest first,
// from since on or a little earlier: none, if this one reaches back so far. This one may
// have carried over a part of that. If something cannot be read it returns the rest, and
// an error, which is [ErrGone] where an old file is missing, damaged or another's.
func (b *Book) Before(ctx context.Context, since time.Time) (all []journal.Entry, err error) {
	b.files.RLock()
	defer b.files.RUnlock()
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	var journals []past
	err = transactRead(ctx, b.s.readers, func(q querier) error {
		first, err := readRows(ctx, q, `WHERE seq = 1`)
		if len(first) == 1 && first[0].Clock != journal.ClockUnsure && first[0].At.Before(since) {
			return nil
		}
		if err == nil {
			journals, err = b.pasts(ctx, q)
		}
		return err
	})
	for i, enough := 0, false; i < len(journals) && !enough; i++ {
		err = errors.Join(err, b.readPast(ctx, journals[i], func(q querier) (err error) {
			all, enough, err = addBack(ctx, q, all, since)
			return err
		}))
	}
	if err != nil {
		err = fmt.Errorf("read old epochs: %w", err)
	}
	slices.Reverse(all)
	return all, err
}

// addBack adds a journal's entries to all, the last one first, until one is of before
// since.
func addBack(ctx context.Context, q querier, all []journal.Entry, since time.Time) ([]journal.Entry, bool, error) {
	for last := int64(math.MaxInt64); ; {
		rows, err := readRows(ctx, q, `WHERE seq < ? ORDER BY seq DESC LIMIT ?`, last, chunkSpan)
		if err != nil || len(rows) == 0 {
			return all, false, err
		}
		for _, r := range rows {
			all, last = append(all, r.Entry), r.Seq
		}
		if all[len(all)-1].At.Before(since) {
			return all, true, nil
		}
	}
}
