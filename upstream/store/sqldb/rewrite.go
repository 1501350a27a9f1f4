package sqldb

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text returns a statement as the engine reads it. Its parameters are of the same
// types whenever it is run.
func (db *DB) text(statement string, args []any) string {
	if text, ok := db.texts.Load(statement); ok {
		return text.(string)
	}
	text := db.rewrite(statement, args)
	db.texts.Store(statement, text)
	return text
}

// forPostgres numbers the parameters of a statement, and joins with those that are
// slices.
func forPostgres(statement string, args []any) string {
	return anyNumbered.ReplaceAllStringFunc(numbered(statement), func(s string) string {
		n, err := strconv.Atoi(anyNumbered.FindStringSubmatch(s)[1])
		if err != nil || n < 1 || n > len(args) {
			return s // the database says what is wrong with it
		}
		return fmt.Sprintf("IN (SELECT unnest($%d::%s))", n, listType(reflect.TypeOf(args[n-1]).Elem()))
	})
}

// numbered returns a statement with its parameters numbered as SQLite does: "?3"
// is the third, and "?" is the one after the highest so far. Nothing is a
// parameter in a text, a quoted name or a comment.
func numbered(statement string) string {
	var b strings.Builder
	highest := 0
	for i := 0; i < len(statement); {
		end := i + 1
		switch rest := statement[i:]; {
		case rest[0] == '\'' || rest[0] == '"':
			end = i + quoted(rest)
		case strings.HasPrefix(rest, "--"):
			end = i + len("--") + line(rest[len("--"):])
		case rest[0] == '?':
			digits := len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789"))
			n, err := strconv.Atoi(rest[1 : 1+digits])
			if err != nil { // no digits
				n = highest + 1
			}
			highest = max(highest, n)
			b.WriteString("$" + strconv.Itoa(n))
			i += 1 + digits
			continue
		}
		b.WriteString(statement[i:end])
		i = end
	}
	return b.String()
}

// quoted returns the length of the quoted text or name at the start of s. A
// quote that is doubled inside it is two of them in a row, which is the same.
func quoted(s string) int {
	if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
		return end + 2
	}
	return len(s)
}

func line(s string) int {
	if end := strings.IndexByte(s, '\n'); end >= 0 {
		return end
	}
	return len(s)
}

var (
	locking     = regexp.MustCompile(`\s+FOR (NO KEY )?UPDATE\b`)
	bytewise    = regexp.MustCompile(`\s+COLLATE "C"`)
	anyOf       = regexp.MustCompile(`= ANY \((\?\d*)\)`)
	anyNumbered = regexp.MustCompile(`= ANY \(\$(\d+)\)`)
)

// forSQLite takes away what it has no need of, and spells out what it lacks.
func forSQLite(statement string, _ []any) string {
	statement = locking.ReplaceAllString(statement, "")
	statement = bytewise.ReplaceAllString(statement, "")
	return anyOf.ReplaceAllString(statement, "IN (SELECT value FROM json_each($1))")
}

// args returns parameters as the engine takes them.
func (db *DB) args(args []any) []any {
	own := make([]any, len(args))
	for i, a := range args {
		own[i] = db.arg(a)
	}
	return own
}

func (db *DB) arg(a any) any {
	switch a := a.(type) {
	case nil, int64, int, bool, []byte, driver.Valuer:
		return a
	case string:
		return clean(a)
	}
	v := reflect.ValueOf(a)
	switch {
	case v.Kind() == reflect.String:
		return clean(v.String())
	case v.Kind() == reflect.Slice && !db.lists:
		list, err := json.Marshal(a)
		if err != nil {
			panic(fmt.Sprintf("sqldb: internal error: %T as a parameter: %v", a, err))
		}
		return string(list)
	}
	return a
}

// clean returns s as PostgreSQL can keep it.
func clean(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
