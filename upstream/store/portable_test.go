package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// onlyPostgres is what CockroachDB, YugabyteDB or Citus do not take, or take and
// do something else.
var onlyPostgres = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`CREATE (CONSTRAINT )?TRIGGER`, `FUNCTION`, `PROCEDURE`, `LANGUAGE`, `DO \$`, `LISTEN`, `NOTIFY`, `pg_advisory\w*`, `LOCK TABLE`,
	`EXTENSION`, `INHERITS`, `EXCLUDE USING`, `DEFERRABLE`, `UNLOGGED`, `MERGE INTO`, `TABLESAMPLE`, `ctid`, `xmin`,
	`DECLARE \w+ CURSOR`, `MATERIALIZED`, `CREATE RULE`, `CREATE DOMAIN`, `CREATE TYPE`, `SKIP LOCKED`,
	`REPEATABLE READ`, `SAVEPOINT`,
}, "|") + `)\b`)

// TestPortable reads all SQL of the upstream: what it asks of PostgreSQL is what
// others that speak its protocol have too.
func TestPortable(t *testing.T) {
	statements := 0
	look := func(where, text string) {
		statements++
		if found := onlyPostgres.FindString(text); found != "" {
			t.Errorf("%s: %q is PostgreSQL's alone", where, found)
		}
	}
	err := filepath.WalkDir("migrations/postgres", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(line, "--")
			look(path+":"+strconv.Itoa(i+1), code)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") &&
			!strings.HasSuffix(path, ".pb.go") && filepath.Base(filepath.Dir(path)) != "pgtest" {
			err = eachSQL(path, look)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if statements < 300 {
		t.Errorf("only %d lines of SQL were found", statements)
	}
}

// sqlVerb begins the texts in code that are SQL.
var sqlVerb = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WHERE|CREATE|ALTER|DROP|GRANT|REVOKE|WITH|SET|LOCK|TRUNCATE)\b`)

func eachSQL(path string, look func(where, text string)) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil && sqlVerb.MatchString(text) {
				look(fset.Position(l.Pos()).String(), text)
			}
		}
		return true
	})
	return nil
}
