package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTargets: a file that has got another name must not end a run of hours.
func TestTargets(t *testing.T) {
	for _, target := range targets {
		for _, f := range target.files {
			if _, err := mutants(filepath.Join("..", "..", f), target.tests); err != nil {
				t.Error(err)
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
	all, err := mutants(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"if a > b {", "c = b", "sync()", "if err := write(c); err != nil {"}
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
