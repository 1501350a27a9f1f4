package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Step is a statement that goes to the database together with others.
type Step struct {
	Statement string
	Args      []any
	Row       func(Row) error   // is called for each row; nil if it gives none
	Count     func(int64) error // gets how many rows it gave or changed; nil if that does not matter
}

// Row is a row of a statement.
type Row interface{ Scan(into ...any) error }

// Run runs steps in their order. PostgreSQL gets all of them in one go, so that
// none can be made of what another has read; but each sees what there is when
// those before it, and their waiting for locks, are over.
func (t *Tx) Run(ctx context.Context, steps ...Step) error {
	if t.waits() && len(steps) > 0 {
		t.waiting = append(t.waiting, steps...)
		return t.flush(ctx)
	}
	for _, s := range steps {
		if err := t.run(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Later runs steps that nothing is read from. PostgreSQL gets them with whatever
// comes next, and at the latest right before COMMIT. What is wrong with one of
// them may be said only then, and undoes the transaction whoever gets to hear it.
func (t *Tx) Later(ctx context.Context, steps ...Step) error {
	if !t.waits() {
		err := t.Run(ctx, steps...)
		t.failed = cmp.Or(t.failed, err)
		return err
	}
	t.waiting = append(t.waiting, steps...)
	return nil
}

// waits reports whether steps are kept until there is a reason to send them: there
// is no way to a file that could be saved.
func (t *Tx) waits() bool { return t.db.name == Postgres && t.conn != nil }

// run runs a step by itself.
func (t *Tx) run(ctx context.Context, s Step) (err error) {
	var n int64
	if s.Row == nil {
		var r sql.Result
		if r, err = t.Exec(ctx, s.Statement, s.Args...); err == nil && s.Count != nil {
			n, err = r.RowsAffected()
		}
	} else {
		err = Each(ctx, t, func(rows *sql.Rows) error { n++; return s.Row(rows) }, s.Statement, s.Args...)
	}
	if err == nil && s.Count != nil {
		err = s.Count(n)
	}
	return err
}

// flush sends the steps that wait. After one that has failed nothing is
// committed.
func (t *Tx) flush(ctx context.Context) error {
	steps := t.waiting
	if t.waiting = nil; len(steps) > 0 && t.failed == nil {
		t.failed = t.conn.Raw(func(c any) error { return t.send(ctx, c.(*stdlib.Conn).Conn(), steps) })
	}
	return t.failed
}

// because returns err with the step that failed before it, and says whether the
// transaction may be run again.
func (t *Tx) because(err error) error {
	if t.failed == nil || errors.Is(err, t.failed) {
		return err
	}
	return fmt.Errorf("%w, and so: %w", t.failed, err)
}

func (t *Tx) send(ctx context.Context, conn *pgx.Conn, steps []Step) error {
	if conn.PgConn().TxStatus() == 'I' { // it has taken too long, and was rolled back
		return sql.ErrTxDone
	}
	var b pgx.Batch
	for _, s := range steps {
		b.Queue(t.db.text(s.Statement, s.Args), t.db.args(s.Args)...)
	}
	results := conn.SendBatch(ctx, &b)
	defer results.Close() //nolint:errcheck // it has been asked below, or a step has said why
	for _, s := range steps {
		if err := s.take(results); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(strings.Fields(s.Statement)[:3], " "), err)
		}
	}
	return results.Close()
}

// take takes what the database has answered to a step.
func (s Step) take(from pgx.BatchResults) error {
	rows, err := from.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for s.Row != nil && rows.Next() {
		if err := s.Row(rows); err != nil {
			return err
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil || s.Count == nil {
		return err
	}
	return s.Count(rows.CommandTag().RowsAffected())
}
