package sqldb

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Insert writes many rows: into is "table (column, …)", and there is a slice
// for each column, all of one length. An element that is a nil pointer is
// NULL. more may end the statement, such as with "ON CONFLICT DO NOTHING".
//
// PostgreSQL gets them in one statement, SQLite in a few. Rows are written in
// their order.
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
	return t.insertRows(ctx, into, more, columns)
}

func (t *Tx) insertLists(ctx context.Context, into, more string, columns []any) error {
	places, lists := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		places[i] = "?::" + listType(reflect.TypeOf(c).Elem())
		lists[i] = cleanList(c)
	}
	_, err := t.Exec(ctx, "INSERT INTO "+into+" SELECT * FROM unnest("+strings.Join(places, ", ")+") "+more, lists...)
	return err
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
	case of.Kind() >= reflect.Int && of.Kind() <= reflect.Uint32:
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

func (t *Tx) insertRows(ctx context.Context, into, more string, columns []any) error {
	// Nobody interrupts one of these, and watching for it costs more than a row.
	ctx = context.WithoutCancel(ctx)
	lists := make([]reflect.Value, len(columns))
	for k, c := range columns {
		lists[k] = reflect.ValueOf(c)
	}
	row := "(" + strings.Repeat(", ?", len(columns))[len(", "):] + ")"
	var args []any
	for from, rows := 0, lists[0].Len(); from < rows; {
		n := groups[slices.IndexFunc(groups, func(n int) bool { return n <= rows-from })]
		args = args[:0]
		for i := from; i < from+n; i++ {
			for _, list := range lists {
				args = append(args, t.db.arg(element(list.Index(i))))
			}
		}
		statement := "INSERT INTO " + into + " VALUES " + row + strings.Repeat(", "+row, n-1) + " " + more
		if _, err := t.tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// element returns a value, what it points to, or nil.
func element(v reflect.Value) any {
	if v.Kind() != reflect.Pointer {
		return v.Interface()
	}
	if v = v.Elem(); !v.IsValid() {
		return nil
	}
	return v.Interface()
}
