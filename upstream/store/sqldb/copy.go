package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Table is one of those that [Copy] copies.
type Table struct {
	Name string
	// Seeded says that migrations have put rows into it, which the copy replaces.
	Seeded bool
	// Whole says that its rows refer to each other, backward and forward, so that
	// they have to come in one statement.
	Whole bool
	// View says that its rows follow from the others.
	View bool
}

// ErrNotEmpty means that there are rows already where rows were to be copied.
var ErrNotEmpty = errors.New("sqldb: there are rows already")

// A copy takes as long as it has to; nobody else waits for it. Rows go over in
// groups, of which some are in memory at a time.
const (
	copyMax  = 24 * time.Hour
	copyRows = 2000
)

// Copy copies all rows of the schema's tables from a SQLite into a PostgreSQL that has none,
// in one transaction, and returns how many there were. Tables come in the order
// in which they refer to each other. check may look at both before the copy is
// committed: after an error nothing is there. The connected role owns the
// target's tables.
func Copy(ctx context.Context, from, to *DB, s Schema, check func(from, to *Tx) error) (n int64, err error) {
	if from.name != SQLite || to.name != Postgres {
		return 0, errors.New("copy goes from SQLite to PostgreSQL")
	}
	if len(s.Tables) != len(s.Rights) {
		panic("sqldb: internal error: not all tables would be copied")
	}
	err = from.Read(ctx, func(source *Tx) error {
		return to.writeWithin(ctx, copyMax, func(target *Tx) error {
			n = 0
			if err := loosen(ctx, target); err != nil {
				return err
			}
			for _, table := range s.Tables {
				if table.View {
					continue
				}
				rows, err := copyTable(ctx, source, target, table)
				if err != nil {
					return fmt.Errorf("copy %s: %w", table.Name, err)
				}
				n += rows
			}
			if err := restrict(ctx, target, s.Rights); err != nil {
				return err
			}
			return check(source, target)
		})
	})
	return n, err
}

func copyTable(ctx context.Context, source, target *Tx, table Table) (n int64, err error) {
	name := pgx.Identifier{table.Name}.Sanitize()
	if table.Seeded {
		if _, err := target.Exec(ctx, `DELETE FROM `+name); err != nil {
			return 0, err
		}
	}
	var used bool
	if err := target.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM `+name+`)`).Scan(&used); err != nil {
		return 0, err
	}
	if used {
		return 0, ErrNotEmpty
	}
	rows, err := source.Query(ctx, `SELECT * FROM `+name+` ORDER BY 1`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	g, err := newGroup(ctx, target, table, rows)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		if err := g.add(rows); err != nil {
			return 0, err
		}
		if g.rows >= copyRows && !table.Whole {
			if err := g.flush(ctx, target); err != nil {
				return 0, err
			}
		}
	}
	if err := errors.Join(rows.Err(), g.flush(ctx, target)); err != nil {
		return 0, err
	}
	return g.written, g.counted(ctx, target)
}

// group is rows on their way, by column.
type group struct {
	name, into string
	numbered   string // the column that the database numbers by itself; "" for none
	types      []string
	columns    []any // []*int64 and the like
	rows       int
	written    int64
}

// newGroup finds out what the target's columns are. The source has the same,
// in any order, or nothing is copied.
func newGroup(ctx context.Context, target *Tx, table Table, rows *sql.Rows) (*group, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	g := &group{name: pgx.Identifier{table.Name}.Sanitize(), types: make([]string, len(names))}
	types := map[string]string{}
	err = Each(ctx, target, func(rows *sql.Rows) error {
		var name, kind, numbered string
		err := rows.Scan(&name, &kind, &numbered)
		if types[name] = kind; numbered == "YES" {
			g.numbered = name
		}
		return err
	}, `SELECT column_name, data_type, is_identity FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = ?`, table.Name)
	if err != nil {
		return nil, err
	}
	list := ""
	for i, name := range names {
		if g.types[i] = types[name]; g.types[i] == "" || len(names) != len(types) {
			return nil, fmt.Errorf("columns %q are not those of the target", names)
		}
		list += ", " + pgx.Identifier{name}.Sanitize()
	}
	g.into = g.name + " (" + list[2:] + ") OVERRIDING SYSTEM VALUE"
	g.clear()
	return g, nil
}

// clear begins an empty group.
func (g *group) clear() {
	g.rows, g.columns = 0, make([]any, len(g.types))
	for i, kind := range g.types {
		switch kind {
		case "bytea":
			g.columns[i] = [][]byte{}
		case "boolean":
			g.columns[i] = []*bool{}
		case "text":
			g.columns[i] = []*string{}
		default:
			g.columns[i] = []*int64{}
		}
	}
}

// add adds the row that rows stand at.
func (g *group) add(rows *sql.Rows) error {
	places := make([]any, len(g.columns))
	for i, c := range g.columns {
		switch c.(type) {
		case [][]byte:
			places[i] = new([]byte)
		case []*bool:
			places[i] = new(*bool)
		case []*string:
			places[i] = new(*string)
		case []*int64:
			places[i] = new(*int64)
		}
	}
	if err := rows.Scan(places...); err != nil {
		return err
	}
	for i, c := range g.columns {
		switch c := c.(type) {
		case [][]byte:
			g.columns[i] = append(c, *places[i].(*[]byte))
		case []*bool:
			g.columns[i] = append(c, *places[i].(**bool))
		case []*string:
			g.columns[i] = append(c, *places[i].(**string))
		case []*int64:
			g.columns[i] = append(c, *places[i].(**int64))
		}
	}
	g.rows++
	return nil
}

// flush writes the group.
func (g *group) flush(ctx context.Context, target *Tx) error {
	err := target.Insert(ctx, g.into, "", g.columns...)
	g.written += int64(g.rows)
	g.clear()
	return err
}

// counted checks that all rows are there, and has the database go on numbering
// after them.
func (g *group) counted(ctx context.Context, target *Tx) error {
	var n int64
	if err := target.QueryRow(ctx, `SELECT count(*) FROM `+g.name).Scan(&n); err != nil {
		return err
	}
	if n != g.written {
		return fmt.Errorf("%d rows have become %d", g.written, n)
	}
	if g.numbered == "" || n == 0 {
		return nil
	}
	_, err := target.Exec(ctx, `SELECT setval(pg_get_serial_sequence(?, ?), (SELECT max(`+
		pgx.Identifier{g.numbered}.Sanitize()+`) FROM `+g.name+`))`, g.name, g.numbered)
	return err
}
