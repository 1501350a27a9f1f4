package text

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"quancun/assets"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
)

// TestOfficeWords reads the source of every task for its words, and finds each in
// the tables: what a task does, and what to do about each "no", too.
func TestOfficeWords(t *testing.T) {
	texts := newTexts(t)
	n := 0
	err := filepath.WalkDir("../../kiosk", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, word := range wordsOf(file) {
			n++
			if !texts.Has("dialog." + word) {
				t.Errorf("%s: office.%s has no text in every language", path, word)
			}
		}
		return nil
	})
	if err != nil || n < 50 {
		t.Errorf("found %d words, %v: is the test still right?", n, err)
	}
	for _, p := range staff.Privileges() {
		if key := "dialog." + string(office.Privilege(p)); !texts.Has(key) {
			t.Errorf("%s has no text in every language", key)
		}
	}
	for g := office.Drawer; g <= office.Machine; g++ {
		if key := fmt.Sprintf("dialog.group.%d", g); !texts.Has(key) {
			t.Errorf("%s has no text in every language", key)
		}
	}
}

// wordsOf returns the words of a file: its constants, the hint of each name of a
// task, and the advice to each refusal.
func wordsOf(file *ast.File) (all []string) {
	constants := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !isWord(spec.Type) {
			return true
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) {
				continue
			}
			if literal, ok := spec.Values[i].(*ast.BasicLit); ok {
				word, _ := strconv.Unquote(literal.Value)
				constants[name.Name] = word
				all = append(all, word)
			}
		}
		return true
	})
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if nameOf(n.Fun) == "Refuse" && len(n.Args) == 2 && constants[nameOf(n.Args[0])] != "" {
				all = append(all, constants[nameOf(n.Args[0])]+".advice")
			}
		case *ast.CompositeLit:
			if nameOf(n.Type) == "Task" {
				all = append(all, hintOf(n, constants)...)
			}
		}
		return true
	})
	return all
}

func hintOf(task *ast.CompositeLit, constants map[string]string) []string {
	for _, e := range task.Elts {
		field, ok := e.(*ast.KeyValueExpr)
		if ok && nameOf(field.Key) == "Name" && constants[nameOf(field.Value)] != "" {
			return []string{constants[nameOf(field.Value)] + ".hint"}
		}
	}
	return nil
}

func isWord(e ast.Expr) bool { return nameOf(e) == "Word" }

// nameOf returns the last name of an expression such as dialog.Word.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

var keyOf = regexp.MustCompile(`^\s*"([^"]+)":`)

// TestNoKeyTwice: of two texts for one key nobody would see the first.
func TestNoKeyTwice(t *testing.T) {
	for _, l := range Languages {
		seen := map[string]bool{}
		lines := bufio.NewScanner(bytes.NewReader(assets.Words(string(l))))
		for lines.Scan() {
			if m := keyOf.FindStringSubmatch(lines.Text()); m != nil {
				if seen[m[1]] {
					t.Errorf("%s: %s is there twice", l, m[1])
				}
				seen[m[1]] = true
			}
		}
	}
}
