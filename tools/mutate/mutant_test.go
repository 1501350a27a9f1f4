package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTargets: a file that has got another name must not end a run of hours, and
// what nobody can notice is left out only while it is there.
func TestTargets(t *testing.T) {
	t.Chdir("../..")
	there := map[string]bool{}
	for _, target := range targets {
		for _, f := range target.files {
			all, err := mutants(f)
			if err != nil {
				t.Error(err)
			}
			for _, m := range all {
				there[m.key()] = true
			}
		}
	}
	for _, all := range equivalents {
		for _, key := range all {
			if !there[key] {
				t.Errorf("there is no mutant %q", key)
			}
		}
	}
}

const sample = `package sample

func f(a, b int) error {
	if a > b {
		return errTooBig
	}
	c := a
	c = b
	sync()
	if err := write(c); err != nil {
		return err
	}
	err := read()
	if err != nil {
		return err
	}
	if err != nil {
		err = fmt.Errorf("f: %w", err)
		err = fmt.Errorf("%w: %w", errF, err)
	}
	_ = c
	if a == b {
		c++
	}
	return nil
}
`

// TestMutants finds the lines whose loss has to be noticed, and leaves all else
// where it is.
func TestMutants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.go")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := mutants(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"if a > b {", "c = b", "sync()", "if err := write(c); err != nil {", `err = fmt.Errorf("%w: %w", errF, err)`}
	if len(all) != len(want) {
		t.Fatalf("%d mutants, want %d: %v", len(all), len(want), all)
	}
	for i, m := range all {
		lines := strings.Split(string(m.code), "\n")
		if m.gone != want[i] || strings.TrimSpace(lines[m.line-1]) != "" || len(m.code) != len(sample) ||
			strings.Count(string(m.code), "\n") != strings.Count(sample, "\n") {
			t.Errorf("mutant %d is %s, want %q gone:\n%s", i, m, want[i], m.code)
		}
	}
}
