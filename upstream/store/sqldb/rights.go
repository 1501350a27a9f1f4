package sqldb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What a server answers that has no rights by column, or no such statement.
const (
	featureNotSupported = "0A000"
	syntaxError         = "42601"
)

// Grant gives another role the rights that a program's role has. Only the
// tables' owner can do it, and has to do it again after each migration.
func (db *DB) Grant(ctx context.Context, rights map[string]Rights, role string) error {
	if db.name != Postgres {
		return errors.New("only PostgreSQL has roles")
	}
	role = pgx.Identifier{role}.Sanitize()
	return db.Write(ctx, func(t *Tx) error {
		if err := t.Lock(ctx, migrateLock); err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(ctx, strings.ReplaceAll(`
			GRANT SELECT, INSERT, UPDATE ON locks TO ROLE;
			GRANT SELECT ON schema_migrations, schema_objects TO ROLE`, "ROLE", role)); err != nil {
			return err
		}
		return restrictAll(ctx, t, rights, role)
	})
}

// loosen gives the connected role, if it owns the tables, all rights to them.
func loosen(ctx context.Context, t *Tx) error {
	tables, err := Texts(ctx, t, `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
		AND tableowner = current_user ORDER BY tablename`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := t.Exec(ctx, "GRANT ALL ON "+pgx.Identifier{table}.Sanitize()+" TO CURRENT_USER"); err != nil {
			return fmt.Errorf("rights to %s: %w", table, err)
		}
	}
	return nil
}

// restrict takes from the connected role what it has no business doing. It may
// own the tables: an owner can give it back to itself, but not by accident. A
// database that knows no rights by column is left as it is.
func restrict(ctx context.Context, t *Tx, rights map[string]Rights) error {
	if _, err := t.Exec(ctx, `SAVEPOINT unrestricted`); err != nil {
		return err
	}
	err := restrictAll(ctx, t, rights, "CURRENT_USER")
	if code := state(err); code == featureNotSupported || code == syntaxError {
		_, err = t.Exec(ctx, `ROLLBACK TO SAVEPOINT unrestricted`)
		return err
	}
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `INSERT INTO schema_objects (object) VALUES (?) ON CONFLICT DO NOTHING`, restricted)
	return err
}

func restrictAll(ctx context.Context, t *Tx, rights map[string]Rights, role string) error {
	for _, table := range slices.Sorted(maps.Keys(rights)) {
		if _, err := t.tx.ExecContext(ctx, restriction(table, role, rights[table])); err != nil {
			return fmt.Errorf("rights to %s: %w", table, err)
		}
	}
	return nil
}

// restricted is noted among the objects of a schema where rights by column are
// kept.
const restricted = "rights by column"

func restriction(table, role string, r Rights) string {
	text := fmt.Sprintf("REVOKE ALL ON %[1]s FROM %[2]s; GRANT SELECT, INSERT, REFERENCES ON %[1]s TO %[2]s;",
		table, role)
	if len(r.Update) > 0 {
		text += fmt.Sprintf("GRANT UPDATE (%s) ON %s TO %s;", strings.Join(r.Update, ", "), table, role)
	}
	if r.Delete {
		text += fmt.Sprintf("GRANT DELETE ON %s TO %s;", table, role)
	}
	return text
}
