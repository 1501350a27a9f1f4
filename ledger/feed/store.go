package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

//go:embed schema.sql
var schema string

// Marks of the file: "QCFE", and the number of its form. In the first form a feed
// could not get older either, which it does when an upstream's clock is set back. A
// file of any other form is thrown away like a damaged one.
const (
	applicationID = 0x51434645
	firstForm     = 1
	form          = 2
)

// errDamaged means that the file is not what was written.
var errDamaged = errors.New("feed: file is damaged")

// store is the copy on the disk.
type store struct{ db *sql.DB }

// openStore opens the file at path and reads it. One that is damaged, or is not
// ours, gives way to an empty one; one that cannot be opened at all, because of
// the disk or its rights, is an error.
func openStore(ctx context.Context, path string) (*store, *state, error) {
	s, now, err := openFile(ctx, path)
	if err == nil || !damaged(err) || isURI(path) {
		return s, now, err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} { // the file itself last: it is what is damaged
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	return openFile(ctx, path)
}

// damaged reports whether err is about what is in the file, and not about the
// disk below it or the caller's patience.
func damaged(err error) bool {
	var ofSQLite sqlite3.Error
	if errors.As(err, &ofSQLite) {
		return !slices.Contains(notDamage, ofSQLite.Code) &&
			ofSQLite.SystemErrno != syscall.ENOSPC && ofSQLite.SystemErrno != syscall.EDQUOT
	}
	var ofSystem *fs.PathError
	return !errors.As(err, &ofSystem) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

var notDamage = []sqlite3.ErrNo{
	sqlite3.ErrFull, sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrPerm, sqlite3.ErrBusy, sqlite3.ErrLocked,
	sqlite3.ErrNomem, sqlite3.ErrInterrupt,
}

func openFile(ctx context.Context, path string) (_ *store, _ *state, err error) {
	if !isURI(path) {
		if err := touch(path); err != nil {
			return nil, nil, err
		}
	}
	db, err := connect(path, "_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		return nil, nil, err
	}
	s := &store{db}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return nil, nil, err
	}
	now, err := s.read(ctx)
	return s, now, err
}

// touch makes the file before SQLite does, which would let others read it.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// isURI reports whether path is a URI of SQLite's own with a "?" in it, such as
// that of a disk in memory, and no file that this package can make or remove.
func isURI(path string) bool { return strings.HasPrefix(path, "file:") }

func connect(path, params string) (*sql.DB, error) {
	dsn := path + "&" + params
	if !isURI(path) {
		dsn = "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params
	}
	db, err := sql.Open("sqlite3", dsn)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func (s *store) close() error { return s.db.Close() }

// prepare makes the tables in an empty file.
func (s *store) prepare(ctx context.Context) error {
	var id, version, tables int
	err := s.db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&id, &version, &tables)
	switch {
	case err != nil:
		return err
	case id == applicationID && version == firstForm:
		if err := s.fromFirst(ctx); err != nil {
			return err
		}
		return s.asMade(ctx)
	case id == applicationID && version == form:
		return s.asMade(ctx)
	case tables > 0 || id != 0 || version != 0:
		return fmt.Errorf("%w: it is of another program", errDamaged)
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d",
			schema, applicationID, form))
		return err
	})
}

// fromFirst gives a file of the first form the trigger of this one.
func (s *store) fromFirst(ctx context.Context) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		trigger := schema[strings.Index(schema, "CREATE TRIGGER feeds_only_go_forward"):]
		_, err := tx.ExecContext(ctx, fmt.Sprintf(
			"DROP TRIGGER IF EXISTS feeds_only_go_forward; %s; PRAGMA user_version = %d",
			trigger, form))
		return err
	})
}

// asMade returns errDamaged if a table or trigger is missing, or another is there:
// a feed could go backward, or the hotlist lose a card. SQLite keeps the text of
// each as it was written.
func (s *store) asMade(ctx context.Context) error {
	var objects, ours int
	err := s.db.QueryRowContext(ctx, `SELECT count(*), count(CASE WHEN instr(?, sql || ';') > 0 THEN 1 END)
		FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%'`, schema).Scan(&objects, &ours)
	if want := strings.Count(schema, "\nCREATE ") + 1; err == nil && (objects != want || ours != want) {
		err = fmt.Errorf("%w: %d of %d tables and triggers are as they were made", errDamaged, ours, objects)
	}
	return err
}

func (s *store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// row is a line of the table feed.
type row struct {
	Status
	body sum // of what the feed says
}

// digest covers the row, so that a flipped bit in it is found.
func (r row) digest() []byte {
	b := append(r.body.bytes(), r.Name...)
	for _, n := range []int64{int64(r.Version), r.Issued.UnixMilli(), r.Checked.UnixMilli()} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	digest := sha256.Sum256(b)
	return digest[:]
}

// sum is a digest of a set of cards to which one can be added and from which
// one can be taken: four sums, modulo 2⁶⁴. It finds damage, and is no defence
// against somebody who writes the file.
type sum [4]uint64

func (s *sum) add(h Hot, times uint64) {
	var b [len(h.Card) + 1]byte
	copy(b[:], h.Card[:])
	b[len(h.Card)] = byte(h.Reason)
	digest := sha256.Sum256(b[:])
	for i := range s {
		s[i] += times * binary.BigEndian.Uint64(digest[8*i:])
	}
}

const taken = ^uint64(0) // minus one time

func (s sum) bytes() (b []byte) {
	for _, n := range s {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func parseSum(b []byte) (s sum) {
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s
}

func sumOf(content []byte) sum {
	digest := sha256.Sum256(content)
	return parseSum(digest[:])
}

// read returns all that is in the file, and errDamaged if it is not what was
// written.
func (s *store) read(ctx context.Context) (*state, error) {
	var word string
	if err := s.db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&word); err != nil {
		return nil, err
	}
	if word != "ok" {
		return nil, fmt.Errorf("%w: %s", errDamaged, word)
	}
	rows, err := s.rows(ctx)
	if err != nil {
		return nil, err
	}
	hot, body, err := s.cards(ctx)
	if err != nil {
		return nil, err
	}
	if body != rows[Hotlist].body {
		return nil, fmt.Errorf("%w: %d cards are not the hotlist's", errDamaged, hot.len())
	}
	now := &state{status: make(map[string]Status), hot: hot}
	for name, r := range rows {
		now.status[name] = r.Status
	}
	return now, nil
}

// rows reads the table feed, and checks every row of it.
func (s *store) rows(ctx context.Context) (map[string]row, error) {
	found, err := s.db.QueryContext(ctx, `SELECT name, version, issued, checked, content, body, digest FROM feed`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	all := make(map[string]row)
	for found.Next() {
		var r row
		var issued, checked int64
		var content, body, digest []byte
		err := found.Scan(&r.Name, &r.Version, &issued, &checked, &content, &body, &digest)
		if err != nil {
			return nil, err
		}
		r.Issued, r.Checked, r.body = time.UnixMilli(issued).UTC(), time.UnixMilli(checked).UTC(), parseSum(body)
		if !bytes.Equal(digest, r.digest()) || r.Name != Hotlist && sumOf(content) != r.body {
			return nil, fmt.Errorf("%w: row of %s", errDamaged, r.Name)
		}
		all[r.Name] = r
	}
	return all, found.Err()
}

// cards reads the table hot.
func (s *store) cards(ctx context.Context) (*list, sum, error) {
	var body sum
	var count int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM hot`).Scan(&count); err != nil {
		return nil, body, err
	}
	found, err := s.db.QueryContext(ctx, `SELECT card, reason FROM hot`)
	if err != nil {
		return nil, body, err
	}
	defer found.Close()
	all := make([]Hot, 0, count)
	for found.Next() {
		var h Hot
		var card sql.RawBytes
		if err := found.Scan(&card, &h.Reason); err != nil {
			return nil, body, err
		}
		copy(h.Card[:], card)
		body.add(h, 1)
		all = append(all, h)
	}
	return nothing.apply(Update{Adds: all}), body, found.Err()
}
