package stack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// terminal is who a terminal is and where it keeps its papers and its journal.
type terminal struct {
	name string
	dir  string
	face string
	slot int // of the stack's pcscd, in which its cards lie
}

func (t terminal) file(name string) string { return filepath.Join(t.dir, name) }

// own is the stack's own terminal.
func (s *Stack) own() terminal { return terminal{Terminal, s.Dir, s.Face, 0} }

// Another enrols one more terminal with a face, such as the stack's, with papers and a
// journal of its own in a directory of that name, which is the process's Dir.
// Its cards lie in the second slot of the stack's pcscd, so that there can be
// one of them. The services have to be there. The caller starts it; Stop ends
// it. Env is its environment; nil is our own.
func (s *Stack) Another(ctx context.Context, name, face string, env []string) (*Process, error) {
	if s.Service == nil || len(s.others) > 0 {
		return nil, errors.New("stack: no reader for another terminal")
	}
	t := terminal{name, s.File(name), face, 1}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(t.file("terminal.toml"), s.terminalConfig(t), 0o600); err != nil {
		return nil, err
	}
	if err := errors.Join(s.enrol(ctx, t), s.makeSAM(ctx, t)); err != nil {
		return nil, err
	}
	p := s.process("quancun-"+name, s.TerminalPath, "run", "--config", t.file("terminal.toml"))
	p.Dir = t.dir
	if env != nil {
		p.Env = append(slices.Clone(env), s.Service.Env()...)
	}
	s.others = append(s.others, p)
	return p, nil
}
