package sqldb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Insert writes many rows: into is "table (column, …)", and there is a slice
// for each column, all of one length. An element that is a nil pointer is
// NULL. more may end the statement, such as with "ON CONFLICT DO NOTHING".
//
// PostgreSQL gets them in one statement; to SQLite, which is in this process,
// a statement costs next to nothing. Rows are written in their order.
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

func (t *Tx) insertRows(ctx context.Context, into, more string, columns []any) (err error) {
	places := strings.Repeat(", ?", len(columns))[len(", "):]
	s, err := t.tx.PrepareContext(ctx, "INSERT INTO "+into+" VALUES ("+places+") "+more)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	args := make([]any, len(columns))
	for i := range reflect.ValueOf(columns[0]).Len() {
		for k, c := range columns {
			args[k] = element(reflect.ValueOf(c).Index(i))
		}
		if _, err := s.ExecContext(ctx, t.db.args(args)...); err != nil {
			return err
		}
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
