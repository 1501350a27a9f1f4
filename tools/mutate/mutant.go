package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// mutant is a file without one of its statements.
type mutant struct {
	path  string
	line  int
	in    string // a function
	gone  string // the statement's first line
	code  []byte
	suite *suite
}

// String says where the line is and what it was.
func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.path, m.line, m.gone) }

// key names a mutant whatever is above it in its file.
func (m mutant) key() string { return fmt.Sprintf("%s %s: %s", m.path, m.in, m.gone) }

// fate is what became of a mutant.
type fate string

const (
	dead     fate = "noticed"
	alive    fate = "NOT NOTICED"
	notBuilt fate = "not built" // something else needs the line, so that it is none
)

// mutants returns one for each statement of a file that may be dropped: a check
// that returns, a call for its effect alone, an assignment to what is there.
func mutants(path string) (all []mutant, err error) {
	code, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, code, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	in := ""
	ast.Inspect(f, func(n ast.Node) bool {
		if decl, ok := n.(*ast.FuncDecl); ok {
			in = decl.Name.Name
		}
		block, ok := n.(*ast.BlockStmt)
		if !ok {
			return true
		}
		for _, s := range block.List {
			if !droppable(s) {
				continue
			}
			from, to := fset.Position(s.Pos()), fset.Position(s.End())
			first, _, _ := strings.Cut(string(code[from.Offset:to.Offset]), "\n")
			without := bytes.Clone(code)
			for i := from.Offset; i < to.Offset; i++ { // lines keep their numbers
				if without[i] != '\n' {
					without[i] = ' '
				}
			}
			all = append(all, mutant{path: path, line: from.Line, in: in, gone: first, code: without})
		}
		return true
	})
	return all, nil
}

// droppable reports whether a statement is one whose loss should be noticed.
// Errors that are only handed on are not: it takes a disk that fails at that
// very call.
func droppable(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.IfStmt:
		return s.Else == nil && (s.Init != nil && isCall(s.Init) || !isErrNil(s.Cond) && returns(s.Body))
	case *ast.ExprStmt:
		return true
	case *ast.AssignStmt:
		return s.Tok == token.ASSIGN && !isBlank(s.Lhs) && !isWording(s)
	}
	return false
}

// isCall reports whether an if begins with a call for its effect: if err := f();
// err != nil.
func isCall(s ast.Stmt) bool {
	a, ok := s.(*ast.AssignStmt)
	if !ok || len(a.Lhs) != 1 || len(a.Rhs) != 1 {
		return false
	}
	_, ok = a.Rhs[0].(*ast.CallExpr)
	return ok
}

func isErrNil(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ {
		return false
	}
	x, ok := b.X.(*ast.Ident)
	return ok && strings.HasPrefix(x.Name, "err")
}

func returns(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch s := b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && name.Name == "panic"
	}
	return false
}

// isWording reports whether an assignment says of an error where it happened, and
// nothing else: err = fmt.Errorf("…: %w", err).
func isWording(s *ast.AssignStmt) bool {
	call, ok := s.Rhs[0].(*ast.CallExpr)
	if !ok || len(s.Lhs) != 1 || len(call.Args) < 2 {
		return false
	}
	name, isName := s.Lhs[0].(*ast.Ident)
	last, isLast := call.Args[len(call.Args)-1].(*ast.Ident)
	format, isText := call.Args[0].(*ast.BasicLit)
	return isName && isLast && isText && name.Name == last.Name && strings.Count(format.Value, "%w") == 1
}

func isBlank(all []ast.Expr) bool {
	x, ok := all[0].(*ast.Ident)
	return ok && x.Name == "_"
}

// try runs the tests on a mutant, and returns how they notice it if they do.
func (m mutant) try(ctx context.Context) (f fate, how string, err error) {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	there, err := filepath.Abs(m.path)
	if err != nil {
		return "", "", err
	}
	instead := filepath.Join(dir, "mutant.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {there: instead}})
	if err != nil {
		return "", "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(instead, m.code, 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return "", "", err
	}
	if m.suite.build(ctx, dir, "-overlay", list) != nil {
		return notBuilt, "", ctx.Err()
	}
	if how = m.suite.notice(ctx, dir); how == "" {
		return alive, "", ctx.Err()
	}
	return dead, how, ctx.Err()
}
