// Package powercut cuts the power under code that writes files with the machine's
// own system calls, such as a configuration or a key that it replaces. What writes
// through SQLite or a file system of its own is for lab/disk.
//
// The code runs in another process under strace(1). From its calls follows what
// is on the disk for certain after each, and what may be: content that was not
// synchronised is lost, kept or torn, and names that were made, changed or
// removed are kept up to any of them, in order, as journaling file systems do.
package powercut

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// childEnv has the directory in which the child works.
const childEnv = "POWERCUT_DIR"

// Work is what is done under a power that is cut.
type Work struct {
	Before map[string][]byte                 // the files that are there, durable, by name
	Do     func(dir string) error            // runs in another process, in a directory with these files
	Check  func(dir string, done bool) error // what is wrong with the files after a cut; done: Do had returned
}

// Run cuts the power after every system call of w, in every way each. It has to
// be the first that its test does, since the test runs again as the child. It
// returns how many states were checked, and skips the test where there is no strace.
func Run(t *testing.T, w Work) (states int) {
	t.Helper()
	if dir := os.Getenv(childEnv); dir != "" {
		if err := w.Do(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(done)
		os.Exit(0)
	}
	Needs(t)
	dir := t.TempDir()
	fill(t, dir, w.Before)
	d := newDisk(dir, w.Before)
	seen := map[string]bool{}
	for _, c := range Trace(t, again(t, dir)) {
		if !d.do(c) {
			continue
		}
		for files := range d.images() {
			key := fmt.Sprintf("%v %q", d.done, files)
			if seen[key] {
				continue
			}
			seen[key] = true
			after := t.TempDir()
			fill(t, after, files)
			if err := w.Check(after, d.done); err != nil {
				t.Errorf("cut after %s(%.60s), done: %v, left %v: %v", c.Name, c.Args, d.done, sizes(files), err)
			}
		}
	}
	if !d.done {
		t.Error("what was done is not among the calls")
	}
	return len(seen)
}

func fill(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func sizes(files map[string][]byte) map[string]int {
	all := map[string]int{}
	for name, content := range files {
		all[name] = len(content)
	}
	return all
}

// Whole is a Check for a file that is replaced: it is the old one or the new one,
// whole, and the new one once that was done.
func Whole(name string, before, after []byte) func(dir string, done bool) error {
	return func(dir string, done bool) error {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case err != nil && (done || before != nil):
			return err
		case err == nil && bytes.Equal(got, after), !done && (err != nil || before != nil && bytes.Equal(got, before)):
			return nil
		}
		return fmt.Errorf("%s has %d bytes that nobody wrote, or the old ones when the new were there", name, len(got))
	}
}

// again is the test once more, as the child.
func again(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, testOf(t))
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	return cmd
}

// testOf is the pattern that runs one test alone.
func testOf(t *testing.T) string {
	return "-test.run=^" + strings.Join(slices.Collect(strings.SplitSeq(t.Name(), "/")), "$/^") + "$"
}
