package tapetest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service/tape"
)

// unseen are the words of services that no recording shows, and why.
var unseen = map[dialog.Word]string{}

// TestEveryWord reads the source of the services for words that the catalogue knows, and
// looks for each in the recordings: what nobody has recorded, nobody has looked at.
func TestEveryWord(t *testing.T) {
	shown := map[dialog.Word]bool{}
	for _, shot := range tape.Shots() {
		collect(reflect.ValueOf(shot), shown)
	}
	said := words(t)
	if len(said) < 200 {
		t.Errorf("found %d words: is the test still right?", len(said))
	}
	for w, where := range said {
		if why := unseen[w]; !shown[w] && why == "" {
			t.Errorf("%s: no recording shows %q: have its TestTape do what leads there", where, w)
		} else if shown[w] && why != "" {
			t.Errorf("%q is recorded, and is not to be excused any more", w)
		}
	}
	for w := range unseen {
		if said[w] == "" {
			t.Errorf("%q is excused, and nobody says it", w)
		}
	}
}

// aDate is a day in somebody's own way of writing.
var aDate = regexp.MustCompile(`[0-9]{1,4}[-/.][0-9]{2}[-/.][0-9]{2}|\b[0-9]{2}-[0-9]{2} [0-9]{2}:|[0-9]月|[0-9] [A-Z][a-z]{2}\b`)

// TestTimesAreTimes looks for dates that a script has put into words itself: how they
// are written is the screen's to say, for a page, for what is spoken of it and for paper.
func TestTimesAreTimes(t *testing.T) {
	for _, shot := range tape.Shots() {
		q, r := shot.View.Question, shot.View.Report
		var texts []string
		for _, o := range q.Options {
			texts = append(texts, o.Text)
		}
		for _, f := range slices.Concat(q.Facts, r.Facts, slices.Concat(r.Table.Rows...)) {
			texts = append(texts, f.Text, f.TextEN)
		}
		for _, text := range texts {
			if aDate.MatchString(text) {
				t.Errorf("%s: %q has a date in it: make it a dialog.Moment, a Day or a Span", shot.Name, text)
			}
		}
	}
}

// words returns those that the services have, and where.
func words(t *testing.T) map[dialog.Word]string {
	t.Helper()
	known := map[string]string{}
	text, err := os.ReadFile("../../../../assets/lang/zh.json")
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		t.Fatal(err)
	}
	said := map[dialog.Word]string{}
	set := token.NewFileSet()
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				if w, err := strconv.Unquote(s.Value); err == nil && known["dialog."+w] != "" {
					said[dialog.Word(w)] = set.Position(s.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// collect notes every word in v.
func collect(v reflect.Value, all map[dialog.Word]bool) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[dialog.Word]() {
			all[dialog.Word(v.String())] = true
		}
	case reflect.Struct:
		for i := range v.NumField() {
			collect(v.Field(i), all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), all)
		}
	}
}
