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
)

// migrations are numbered from 1, run once each, and never edited after a
// release: testdata keeps a journal of every version, and a test opens it.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a SQLite file as a journal of this program: "QCLE".
const applicationID = 0x51434C45

// migrate brings the journal up to the newest migration, each in a transaction
// of its own together with its number, so that a crash leaves a whole version.
func migrate(ctx context.Context, db *sql.DB, path string, migrations fs.FS) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	version, err := versionOf(ctx, db)
	if err != nil {
		return err
	}
	if version > len(names) {
		return fmt.Errorf("%w: it is version %d, this program knows %d", ErrNewer, version, len(names))
	}
	if version > 0 && version < len(names) {
		if err := backup(ctx, db, fmt.Sprintf("%s.v%d.bak", path, version)); err != nil {
			return fmt.Errorf("back up version %d: %w", version, err)
		}
	}
	for n, name := range names[version:] {
		if err := apply(ctx, db, migrations, name, version+n+1); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
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

func apply(ctx context.Context, db *sql.DB, migrations fs.FS, name string, number int) error {
	prefix, _, _ := strings.Cut(filepath.Base(name), "_")
	if n, err := strconv.Atoi(prefix); err != nil || n != number {
		panic(fmt.Sprintf("ledger: internal error: migration %s is number %d", name, number))
	}
	script, err := fs.ReadFile(migrations, name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, string(script)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(number)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// backup writes a whole and durable copy of the journal to path. It takes the
// place of an older copy of the same version, which a crash in the middle of a
// migration leaves behind.
func backup(ctx context.Context, db *sql.DB, path string) error {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, part); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
