package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"quancun/journal"
)

// migrations are numbered from 1, run once each, and never edited after a
// release: testdata keeps a journal of every version, and a test opens it.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a SQLite file as a journal of this program: "QCLE".
const applicationID = 0x51434C45

// migrate brings the journal at path up to the newest migration, and leaves a
// copy of what it was beside it.
func migrate(ctx context.Context, conn *sql.Conn, path string, o Options) error {
	version, names, err := migrationsOf(ctx, conn, o)
	if err != nil {
		return err
	}
	if version < len(names) {
		if err := rewrite(ctx, conn); err != nil {
			return err
		}
	}
	if version > 0 && version < len(names) {
		if err := backup(ctx, conn, o.FS, fmt.Sprintf("%s.v%d.bak", path, version)); err != nil {
			return fmt.Errorf("back up version %d: %w", version, err)
		}
	}
	return upgrade(ctx, conn, o)
}

// execer is what a statement needs of a database.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// backup writes a whole and durable copy of a journal to path, in place of an
// older copy that may be there. Entries may be appended meanwhile. A copy that failed
// leaves nothing: the journal needs the room.
func backup(ctx context.Context, db execer, files FS, path string) error {
	part := path + ".part"
	if err := discard(files, part); err != nil {
		return err
	}
	// SQLite fills an empty file, and ours is for its owner's eyes only.
	f, err := files.Open(part, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if _, err = db.ExecContext(ctx, `VACUUM INTO ?`, part); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, discard(files, part))
	}
	if err := files.Rename(part, path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

// notOnto returns an error if a copy of the journal at from would take its place.
func notOnto(files FS, from, to string) error {
	from, err1 := resolve(files, from)
	to, err2 := resolve(files, to)
	if err := errors.Join(err1, err2); err != nil || from != to {
		return err
	}
	return fmt.Errorf("%s would be copied onto itself: %w", to, fs.ErrExist)
}

// migrationsOf returns a journal's version, and all migrations in their order. It
// returns [ErrNewer] if the journal is of a later program.
func migrationsOf(ctx context.Context, conn *sql.Conn, o Options) (version int, names []string, err error) {
	names, err1 := fs.Glob(o.migrations, "migrations/*.sql")
	version, err2 := versionOf(ctx, conn)
	if err = errors.Join(err1, err2); err == nil && version > len(names) {
		err = fmt.Errorf("%w: it is version %d, this program knows %d", ErrNewer, version, len(names))
	}
	return version, names, err
}

// upgrade runs the migrations that a journal lacks, each in a transaction of its
// own together with its number, so that a crash leaves a whole version.
func upgrade(ctx context.Context, conn *sql.Conn, o Options) error {
	version, names, err := migrationsOf(ctx, conn, o)
	if err != nil {
		return err
	}
	for n, name := range names[version:] {
		number := version + n + 1
		script, err := fs.ReadFile(o.migrations, name)
		if err != nil {
			return err
		}
		prefix, _, _ := strings.Cut(filepath.Base(name), "_")
		if n, err := strconv.Atoi(prefix); err != nil || n != number {
			panic(fmt.Sprintf("ledger: internal error: migration %s is number %d", name, number))
		}
		err = transact(ctx, conn, func(tx *sql.Tx) error { return apply(ctx, tx, string(script), number) })
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// renew copies the journal at from, of whatever version, to path, brings the copy
// up to date, and gives it to f. All of it is in that one file then.
func renew(ctx context.Context, from, path string, o Options, f func(*sql.Conn) error) (err error) {
	if err := discardDB(o.FS, path); err != nil { // of an attempt before a power cut
		return err
	}
	err = readOnly(ctx, o.FS, from, func(db *sql.DB) error {
		version, err := versionOf(ctx, db)
		if err == nil && version == 0 {
			err = fmt.Errorf("%w: %s is empty", ErrNotFound, from)
		}
		if err != nil {
			return err
		}
		return backup(ctx, db, o.FS, path)
	})
	if err != nil {
		return err
	}
	db := openDB(dsn(o.FS, path, "mode=rw&_journal_mode=DELETE&"+safeParams), checkVersion)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := upgrade(ctx, conn, o); err != nil {
		return err
	}
	return f(conn)
}

func apply(ctx context.Context, tx *sql.Tx, script string, number int) error {
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if after := afterMigration[number]; after != nil {
		if err := after(ctx, tx); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(number))
	return err
}

// afterMigration does what SQL cannot, in the migration's transaction.
var afterMigration = map[int]func(context.Context, *sql.Tx) error{3: plantTree}

// plantTree computes the nodes over the entries of an older journal.
func plantTree(ctx context.Context, tx *sql.Tx) error {
	var hashes []journal.Hash
	err := each(ctx, tx, `SELECT hash FROM journal ORDER BY seq`, func(rows *sql.Rows) error {
		var h []byte
		if err := rows.Scan(&h); err != nil {
			return err
		}
		hashes = append(hashes, journal.Hash(h)) // the schema has 32 bytes
		return nil
	})
	if err != nil {
		return err
	}
	var t tiles
	for _, h := range hashes {
		for _, n := range t.add(h) {
			if _, err := tx.ExecContext(ctx, insertNode, n.level, n.n, n.hash[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// versionOf returns the number of the last migration of a journal, 0 for an
// empty file, and an error for a database of somebody else.
func versionOf(ctx context.Context, q querier) (int, error) {
	var id, version, tables int
	err := q.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&id, &version, &tables)
	if err != nil {
		return 0, fmt.Errorf("read version: %w", err)
	}
	if tables == 0 && version == 0 && id == 0 {
		return 0, nil
	}
	if id != applicationID || version <= 0 {
		return 0, errors.New("not a journal of this program")
	}
	return version, nil
}

// newestVersion is that of a journal which has all migrations.
func newestVersion() (int, error) {
	all, err := migrations.ReadDir("migrations")
	return len(all), err
}

// made keeps what madeBy has found out: it never changes while a program runs.
var made sync.Map // int to map[string]string

// madeBy returns what the migrations up to a version make of an empty file, as
// objectsOf does. The map is everybody's.
func madeBy(ctx context.Context, version int) (objects map[string]string, err error) {
	if known, ok := made.Load(version); ok {
		return known.(map[string]string), nil
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	db := openDB(":memory:", checkVersion)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, name := range names[:version] {
		script, err := fs.ReadFile(migrations, name)
		if err == nil {
			_, err = db.ExecContext(ctx, string(script))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	if objects, err = objectsOf(ctx, db); err == nil {
		made.Store(version, objects)
	}
	return objects, err
}

// objectsOf returns the text of each table, index and trigger of a file, by kind
// and name. Statistics are not among them: they change nothing but the pace.
func objectsOf(ctx context.Context, q querier) (map[string]string, error) {
	all := map[string]string{}
	err := each(ctx, q, `
		SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'`,
		func(rows *sql.Rows) error {
			var name, text string
			err := rows.Scan(&name, &text)
			all[name] = text
			return err
		})
	return all, err
}
