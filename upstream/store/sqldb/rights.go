package sqldb

import (
	"context"
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

// restrict takes from a role what it has no business doing, be it the tables'
// owner or not. An owner can give it back to itself, but not by accident. A
// database that knows no rights by column is left as it is.
func restrict(ctx context.Context, t *Tx, rights map[string]Rights, role string) error {
	if role != currentUser {
		role = pgx.Identifier{role}.Sanitize()
	}
	if _, err := t.Exec(ctx, `SAVEPOINT unrestricted`); err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(rights)) {
		_, err := t.tx.ExecContext(ctx, restriction(table, role, rights[table]))
		if code := state(err); code == featureNotSupported || code == syntaxError {
			_, err = t.Exec(ctx, `ROLLBACK TO SAVEPOINT unrestricted`)
			return err
		}
		if err != nil {
			return fmt.Errorf("rights to %s: %w", table, err)
		}
	}
	_, err := t.Exec(ctx, `INSERT INTO schema_objects (object) VALUES (?) ON CONFLICT DO NOTHING`, restricted)
	return err
}

// restricted is noted among the objects of a schema where rights by column are
// kept.
const restricted = "rights by column"

// currentUser is the role that is connected.
const currentUser = "CURRENT_USER"

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
