package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// suite is tests that are run together. Those that take long come last: most
// mutants have been noticed by then.
type suite struct {
	packages []string
	skip     string   // a pattern of tests
	flags    []string // of the tests

	slow      string        // a pattern of tests
	fastLimit time.Duration // for all others of a package
	slowLimit time.Duration
}

// What the tests of a mutant may take: they have the machine to themselves less
// than those of the healthy code had, but one that hangs has been noticed.
const (
	limitMin = 30 * time.Second
	limitMax = 10 * time.Minute
	slower   = 4
)

// slowMin is what a test takes that comes last.
const slowMin = 300 * time.Millisecond

// try makes sure that the tests pass when nothing is gone, and so that it is a
// mutant which they notice. It measures what they take.
func (s *suite) try(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	if err := s.build(ctx, dir); err != nil {
		return err
	}
	var slow []string
	for _, p := range s.packages {
		out, err := s.run(ctx, dir, p, "-test.v", "-test.skip="+s.skip)
		if err != nil {
			return fmt.Errorf("the tests of %s fail as they are: %w\n%s", p, err, out)
		}
		slow = append(slow, slowTests(string(out))...)
	}
	s.slow = strings.Join(slow, "|")
	s.fastLimit = min(limitMin+time.Since(begun), limitMax)
	s.slowLimit = min(limitMin+slower*time.Since(begun), limitMax)
	return nil
}

var passed = regexp.MustCompile(`(?m)^--- PASS: (\w+) \(([0-9.]+s)\)$`)

// slowTests returns patterns of those in the output of tests that take long.
func slowTests(out string) (slow []string) {
	for _, m := range passed.FindAllStringSubmatch(out, -1) {
		if d, err := time.ParseDuration(m[2]); err == nil && d >= slowMin {
			slow = append(slow, "^"+m[1]+"$")
		}
	}
	return slow
}

// build makes the tests' programs in dir.
func (s *suite) build(ctx context.Context, dir string, flags ...string) error {
	args := append([]string{"test", "-c", "-vet=off", "-o", dir + "/"}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, s.packages...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", s.packages, err, out)
	}
	return nil
}

// notice returns how the tests in dir notice a mutant, or "".
func (s *suite) notice(ctx context.Context, dir string) (how string) {
	how = s.fails(ctx, dir, "-test.skip="+strings.Trim(s.skip+"|"+s.slow, "|"), "-test.timeout="+s.fastLimit.String())
	if how == "" && s.slow != "" {
		how = s.fails(ctx, dir, "-test.skip="+s.skip, "-test.run="+s.slow, "-test.timeout="+s.slowLimit.String())
	}
	return how
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\w+) |^panic: (.+)$`)

// fails returns the first test that fails, the first panic, or how the tests
// ended.
func (s *suite) fails(ctx context.Context, dir string, flags ...string) string {
	for _, p := range s.packages {
		out, err := s.run(ctx, dir, p, append(flags, "-test.failfast")...)
		if err == nil {
			continue
		}
		if how := failed.FindSubmatch(out); how != nil {
			return string(how[1]) + string(how[2])
		}
		return err.Error()
	}
	return ""
}

// run runs the tests of a package as go test does: where it is.
func (s *suite) run(ctx context.Context, dir, pkg string, flags ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, filepath.Join(dir, filepath.Base(pkg)+".test"), append(flags, s.flags...)...)
	c.Dir = pkg
	return c.CombinedOutput()
}
