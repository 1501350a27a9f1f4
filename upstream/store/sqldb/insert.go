package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// Insert writes many rows: into is "table (column, …)", and there is a slice
// for each column, all of one length. An element that is a nil pointer is
// NULL. more may end the statement, such as with "ON CONFLICT DO NOTHING".
//
// PostgreSQL gets them in one statement, which waits as by [Tx.Later], SQLite in a
// few. Rows are written in their order.
func (t *Tx) Insert(ctx context.Context, into, more string, columns ...any) error {
	rows := reflect.ValueOf(columns[0]).Len()
	for _, c := range columns {
		if n := reflect.ValueOf(c).Len(); n != rows {
			panic(fmt.Sprintf("sqldb: internal error: insert into %s: columns of %d and %d rows", into, rows, n))
		}
	}
	if rows == 0 {
		return nil
	}
	if t.db.lists {
		return t.insertLists(ctx, into, more, columns)
	}
	if f, ok := t.tx.(*file); ok {
		if err := f.refuse(ctx); err != nil {
			return err
		}
	}
	return t.insertRows(into, more, columns)
}

func (t *Tx) insertLists(ctx context.Context, into, more string, columns []any) error {
	places, lists := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		places[i] = "unnest(?::" + listType(reflect.TypeOf(c).Elem()) + ")"
		lists[i] = cleanList(c)
	}
	// In step, as they are of one length. In a FROM each list would be laid out first.
	statement := "INSERT INTO " + into + " SELECT " + strings.Join(places, ", ") + " " + more
	return t.Later(ctx, Step{Statement: statement, Args: lists})
}

// listType returns PostgreSQL's type for a list of a Go type.
func listType(of reflect.Type) string {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of.Kind() == reflect.String:
		return "text[]"
	case of.Kind() == reflect.Bool:
		return "boolean[]"
	case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Uint8:
		return "bytea[]"
	case of.Kind() >= reflect.Int && of.Kind() <= reflect.Int64:
		return "bigint[]"
	}
	panic(fmt.Sprintf("sqldb: internal error: no list of %s", of))
}

// cleanList returns a column as PostgreSQL can keep it.
func cleanList(column any) any {
	v := reflect.ValueOf(column)
	of := v.Type().Elem()
	if of.Kind() != reflect.String && (of.Kind() != reflect.Pointer || of.Elem().Kind() != reflect.String) {
		return column
	}
	texts := make([]*string, v.Len())
	for i := range texts {
		if s := reflect.Indirect(v.Index(i)); s.IsValid() {
			text := clean(s.String())
			texts[i] = &text
		}
	}
	return texts
}

// groups are how many rows go into SQLite with one statement, the most first.
// To bind a row costs a fraction of what a statement does; with few different
// statements all of them stay prepared.
var groups = []int{64, 16, 4, 1}

// insertRows gives the rows to the driver itself, which binds and runs a
// statement in one call of C: through database/sql it would be one for each
// value, and a fifth of what a row costs.
func (t *Tx) insertRows(into, more string, columns []any) error {
	cells := make([]func(int) driver.Value, len(columns))
	for k, c := range columns {
		cells[k] = cellsOf(c)
	}
	row := "(" + strings.Repeat(", ?", len(columns))[len(", "):] + ")"
	rows := reflect.ValueOf(columns[0]).Len()
	return t.conn.Raw(func(c any) error {
		conn := c.(*sqlite3.SQLiteConn)
		if conn.AutoCommit() { // it has taken too long, and was rolled back
			return sql.ErrTxDone
		}
		for from := 0; from < rows; {
			n := groups[slices.IndexFunc(groups, func(n int) bool { return n <= rows-from })]
			statement := "INSERT INTO " + into + " VALUES " + row + strings.Repeat(", "+row, n-1) + " " + more
			if err := insert(conn, statement, arguments(cells, from, n)); err != nil {
				return err
			}
			from += n
		}
		return nil
	})
}

// arguments returns the values of n rows, one row after the other.
func arguments(cells []func(int) driver.Value, from, n int) []driver.NamedValue {
	args := make([]driver.NamedValue, 0, n*len(cells))
	for i := range n {
		for _, cell := range cells {
			args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: cell(from + i)})
		}
	}
	return args
}

// insert runs a statement that gives no rows: the driver takes a query's first step
// at once, and says so; TestInsert would see one that does not. Nobody interrupts it:
// to watch for that costs more than a row.
func insert(conn *sqlite3.SQLiteConn, statement string, args []driver.NamedValue) error {
	rows, err := conn.QueryContext(context.Background(), statement, args)
	if err != nil {
		return err
	}
	return rows.Close()
}

// cellsOf returns what gives the values of a column as the driver takes them.
func cellsOf(column any) func(int) driver.Value {
	v := reflect.ValueOf(column)
	of := v.Type().Elem()
	pointers := of.Kind() == reflect.Pointer
	if pointers {
		of = of.Elem()
	}
	var value func(reflect.Value) driver.Value
	switch listType(of) {
	case "text[]":
		value = func(v reflect.Value) driver.Value { return clean(v.String()) }
	case "boolean[]":
		value = func(v reflect.Value) driver.Value { return v.Bool() }
	case "bytea[]":
		value = func(v reflect.Value) driver.Value { return v.Bytes() }
	case "bigint[]":
		value = func(v reflect.Value) driver.Value { return v.Int() }
	}
	return func(i int) driver.Value {
		e := v.Index(i)
		if pointers {
			if e = e.Elem(); !e.IsValid() {
				return nil
			}
		}
		return value(e)
	}
}
