package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Audit compares the schema with what the migrations have made of it, and on
// PostgreSQL what the program's role may do with what it should. It returns a
// line for each difference.
func (t *Tx) Audit(ctx context.Context, s Schema) (broken []string, err error) {
	if t.db.name == SQLite {
		broken, err = auditSQLite(ctx, t, s)
	} else {
		broken, err = auditPostgres(ctx, t, s)
	}
	if err != nil {
		return nil, fmt.Errorf("audit schema: %w", err)
	}
	return broken, nil
}

// compare returns a line for each object that one list has and the other has
// not. What an object is named ends at the first ": ".
func compare(want, got []string) (broken []string) {
	slices.Sort(want)
	slices.Sort(got)
	for _, o := range want {
		if _, ok := slices.BinarySearch(got, o); !ok {
			name, _, _ := strings.Cut(o, ": ")
			broken = append(broken, "schema: missing or changed: "+name)
		}
	}
	for _, o := range got {
		if _, ok := slices.BinarySearch(want, o); !ok {
			name, _, _ := strings.Cut(o, ": ")
			broken = append(broken, "schema: not ours: "+name)
		}
	}
	return broken
}

const objectsSQLite = `
	SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'`

func auditSQLite(ctx context.Context, t *Tx, s Schema) (broken []string, err error) {
	for _, check := range []struct{ name, statement string }{
		{"foreign key", `SELECT "table" || ' ' || coalesce(rowid, '') FROM pragma_foreign_key_check`},
		{"file", `SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`},
	} {
		lines, err := Texts(ctx, t, check.statement)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			broken = append(broken, check.name+": "+l)
		}
	}
	want, err := madeBy(ctx, s.SQLite)
	if err != nil {
		return nil, err
	}
	got, err := Texts(ctx, t, objectsSQLite)
	return append(broken, compare(want, got)...), err
}

// made keeps what migrations make of an empty file, by the sum of their texts.
// To run them takes longer than all the rest of an audit, and they never change
// while a program runs.
var made sync.Map // [sha256.Size]byte to []string

// madeBy returns the objects that migrations make. The list is the caller's.
func madeBy(ctx context.Context, migrations fs.FS) (objects []string, err error) {
	key, err := sumOf(migrations)
	if err != nil {
		return nil, err
	}
	if known, ok := made.Load(key); ok {
		return slices.Clone(known.([]string)), nil
	}
	fresh, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1) // each connection would be a memory of its own
	if err := migrateSQLite(ctx, fresh, "", migrations); err != nil {
		return nil, err
	}
	objects, err = Texts(ctx, &DB{engine: engine{rewrite: forSQLite}, r: fresh}, objectsSQLite)
	if err == nil {
		made.Store(key, slices.Clone(objects))
	}
	return objects, err
}

// sumOf returns a sum of the texts of migrations, each with its name.
func sumOf(migrations fs.FS) (sum [sha256.Size]byte, err error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return sum, err
	}
	all := sha256.New()
	for _, name := range names {
		script, err := fs.ReadFile(migrations, name)
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(all, "%s %d\n%s", name, len(script), script)
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

// objectsPostgres names what is in the schema. It does not say how a check is
// spelled: that changes from one version of PostgreSQL to the next.
const objectsPostgres = `
	SELECT 'table ' || table_name FROM information_schema.tables WHERE table_schema = current_schema()
	UNION ALL
	SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
	FROM information_schema.columns WHERE table_schema = current_schema()
	UNION ALL
	SELECT 'constraint ' || t.relname || '.' || c.conname || ' ' || CAST(c.contype AS TEXT)
	FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = c.connamespace
	WHERE n.nspname = current_schema() AND c.contype IN ('c', 'f', 'p', 'u') AND c.convalidated
	UNION ALL
	SELECT 'index ' || tablename || '.' || indexname FROM pg_indexes WHERE schemaname = current_schema()
	UNION ALL
	SELECT CASE WHEN g.tgisinternal THEN 'disabled ' ELSE '' END || 'trigger ' || t.relname || '.' || g.tgname
	FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
	WHERE n.nspname = current_schema() AND (NOT g.tgisinternal OR g.tgenabled <> 'O')`

// noteObjects writes down what the migrations have made, for Audit to compare.
func noteObjects(ctx context.Context, t *Tx) error {
	if _, err := t.Exec(ctx, `DELETE FROM schema_objects`); err != nil {
		return err
	}
	_, err := t.Exec(ctx, `INSERT INTO schema_objects (object) `+objectsPostgres)
	return err
}

func auditPostgres(ctx context.Context, t *Tx, s Schema) (broken []string, err error) {
	want, err := Texts(ctx, t, `SELECT object FROM schema_objects WHERE object <> ?`, restricted)
	if err != nil {
		return nil, err
	}
	got, err := Texts(ctx, t, objectsPostgres)
	if err != nil {
		return nil, err
	}
	broken = compare(want, got)
	var known bool
	err = t.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM schema_objects WHERE object = ?)`, restricted).Scan(&known)
	if err != nil || !known {
		return broken, err
	}
	for _, table := range slices.Sorted(maps.Keys(s.Rights)) {
		more, err := auditRights(ctx, t, table, s.Rights[table])
		if err != nil {
			return nil, err
		}
		broken = append(broken, more...)
	}
	return broken, nil
}

// auditRights returns what the connected role may do to a table's rows, and
// must not.
func auditRights(ctx context.Context, t *Tx, table string, r Rights) (broken []string, err error) {
	var deletes, truncates bool
	err = t.QueryRow(ctx, `SELECT has_table_privilege(CAST(?1 AS TEXT), 'DELETE'),
		has_table_privilege(CAST(?1 AS TEXT), 'TRUNCATE')`, table).Scan(&deletes, &truncates)
	if err != nil {
		return nil, err
	}
	if deletes && !r.Delete {
		broken = append(broken, "rights: this role may delete from "+table)
	}
	if truncates {
		broken = append(broken, "rights: this role may empty "+table)
	}
	columns, err := Texts(ctx, t, `
		SELECT column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = ?1
		AND has_column_privilege(CAST(?1 AS TEXT), column_name, 'UPDATE') ORDER BY 1`, table)
	for _, c := range columns {
		if !slices.Contains(r.Update, c) {
			broken = append(broken, "rights: this role may change "+table+"."+c)
		}
	}
	return broken, err
}
