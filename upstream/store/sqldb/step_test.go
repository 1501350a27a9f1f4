package sqldb_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

// do is a step that gives no rows.
func do(statement string, args ...any) sqldb.Step {
	return sqldb.Step{Statement: statement, Args: args}
}

// must is a step that has to be about so many rows.
func must(want int64, statement string, args ...any) sqldb.Step {
	return sqldb.Step{Statement: statement, Args: args, Count: func(n int64) error {
		if n != want {
			return fmt.Errorf("%d rows, not %d: %w", n, want, errCount)
		}
		return nil
	}}
}

var errCount = errors.New("another count")

// list is a step that appends what it finds to all.
func list(all *[]string, statement string, args ...any) sqldb.Step {
	return sqldb.Step{Statement: statement, Args: args, Row: func(row sqldb.Row) error {
		var n number
		var text name
		err := row.Scan(&n, &text)
		*all = append(*all, fmt.Sprint(n, text))
		return err
	}}
}

const (
	listRows = `SELECT n, coalesce(name, '-') FROM rows WHERE n >= ? ORDER BY n`
	addRow   = `INSERT INTO rows (n, name) VALUES (?, ?)`
)

// TestSteps writes and reads in steps: each sees what those before it have done,
// those that wait among them, and so does every other statement.
func TestSteps(t *testing.T) { onBoth(t, testSteps) }

func testSteps(t *testing.T, where string) {
	db, ctx := open(t, where, rows(1)), t.Context()
	var got, after, again []string
	write(t, db, func(tx *sqldb.Tx) error {
		err1 := tx.Later(ctx, must(1, addRow, number(1), name("a")), do(addRow, 2, nil))
		err2 := tx.Insert(ctx, "rows (n, name)", "", []int64{3}, []name{"c"})
		err3 := tx.Run(ctx,
			must(1, `UPDATE rows SET name = ? WHERE n = ?`, "b", 2),
			list(&got, listRows, 1),
			must(2, `DELETE FROM rows WHERE n = ANY (?)`, []number{1, 2}),
			list(&after, listRows, 0))
		err4 := tx.Later(ctx, do(addRow, 4, "d"))
		var n int
		err5 := tx.QueryRow(ctx, `SELECT count(*) FROM rows`).Scan(&n)
		if n != 2 {
			t.Errorf("a row sees %d rows, not 2", n)
		}
		err6 := tx.Later(ctx, must(1, addRow, 5, "e"))
		return errors.Join(err1, err2, err3, err4, err5, err6, tx.Run(ctx))
	})
	err := db.Read(ctx, func(tx *sqldb.Tx) error { return tx.Run(ctx, list(&again, listRows, 0)) })
	if err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		got  []string
		want string
	}{{got, "1a|2b|3c"}, {after, "3c"}, {again, "3c|4d|5e"}} {
		if text := strings.Join(tt.got, "|"); text != tt.want {
			t.Errorf("found %s; want %s", text, tt.want)
		}
	}
}

// TestStepFails: what is wrong with a step that waits undoes the transaction, even
// if nobody listens.
func TestStepFails(t *testing.T) { onBoth(t, testStepFails) }

func testStepFails(t *testing.T, where string) {
	db, ctx := open(t, where, rows(1)), t.Context()
	write(t, db, func(tx *sqldb.Tx) error { return tx.Later(ctx, do(addRow, 1, "a")) })
	twice, missing := do(addRow, 1, "b"), must(1, `UPDATE rows SET name = 'b' WHERE n = 7`)
	for name, bad := range map[string]sqldb.Step{"the same again": twice, "of no row": missing} {
		for what, then := range map[string]func(*sqldb.Tx){
			"COMMIT":      func(*sqldb.Tx) {},
			"a row":       func(tx *sqldb.Tx) { _ = tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)) },
			"a statement": func(tx *sqldb.Tx) { _, _ = tx.Exec(ctx, addRow, 3, "c") },
			"rows":        func(tx *sqldb.Tx) { _, _ = sqldb.Texts(ctx, tx, `SELECT name FROM rows`) },
			"steps":       func(tx *sqldb.Tx) { _ = tx.Run(ctx, do(addRow, 4, "d")) },
			"a lock":      func(tx *sqldb.Tx) { _ = tx.Lock(ctx, "a name") },
		} {
			err := db.Write(ctx, func(tx *sqldb.Tx) error {
				_ = tx.Later(ctx, do(addRow, 2, "b"), bad)
				then(tx)
				return nil
			})
			if err == nil || errors.Is(err, sqldb.ErrUnknown) || name == "of no row" && !errors.Is(err, errCount) {
				t.Errorf("%s, then %s: Write = %v, want an error that is sure, of that step", name, what, err)
			}
		}
	}
	got, err := sqldb.Texts(ctx, db, `SELECT name FROM rows`)
	if err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("rows %q, %v; want only the first", got, err)
	}
}

// TestStepsOutside is TestInsertOutside for steps that are run at once.
func TestStepsOutside(t *testing.T) {
	db, ctx := open(t, pgtest.New(t).DSN, rows(1)), t.Context()
	err := db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `ROLLBACK`); err != nil {
			return err
		}
		return tx.Run(ctx, do(addRow, 1, "a"))
	})
	got, err2 := sqldb.Texts(ctx, db, `SELECT name FROM rows`)
	if !errors.Is(err, sql.ErrTxDone) || err2 != nil || len(got) > 0 {
		t.Errorf("Run after the transaction's end = %v, rows %q, %v; want %v, and none", err, got, err2, sql.ErrTxDone)
	}
}

// TestStepsGiveWay is TestDeadlock for steps that wait: who has to give way hears
// it right before COMMIT, or by a row that only says that all is over.
func TestStepsGiveWay(t *testing.T) {
	for name, end := range map[string]func(*sqldb.Tx) error{
		"COMMIT": func(*sqldb.Tx) error { return nil },
		"row":    func(tx *sqldb.Tx) error { return tx.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)) },
	} {
		t.Run(name, func(t *testing.T) { testGiveWay(t, end) })
	}
}

func testGiveWay(t *testing.T, end func(*sqldb.Tx) error) {
	db, ctx := open(t, pgtest.New(t).DSN, rows(1)), t.Context()
	write(t, db, func(tx *sqldb.Tx) error {
		return tx.Insert(ctx, "rows (n, name)", "", []int64{1, 2}, []string{"", ""})
	})
	change := func(n int) sqldb.Step { return must(1, `UPDATE rows SET name = name || 'x' WHERE n = ?`, n) }
	var first [2]sync.Once
	both := make(chan struct{}, 2)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			err := db.Write(ctx, func(tx *sqldb.Tx) error {
				if err := tx.Run(ctx, change(1+i)); err != nil {
					return err
				}
				first[i].Do(func() {
					both <- struct{}{}
					for len(both) < 2 {
						time.Sleep(time.Millisecond)
					}
				})
				return errors.Join(tx.Later(ctx, change(2-i)), end(tx))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := sqldb.Texts(ctx, db, `SELECT name FROM rows`)
	if err != nil || strings.Join(got, " ") != "xx xx" || db.Retries() == 0 {
		t.Errorf("rows %q, %v, after %d retries; want each changed by both, after one or two", got, err, db.Retries())
	}
}
