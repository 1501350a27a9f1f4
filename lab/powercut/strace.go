package powercut

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Call is one system call that has not failed, of those that change a disk or say
// something. Args are as strace -xx prints them: [Unhex] reads a text.
type Call struct {
	Name, Args string
	Result     int
}

var (
	callLine    = regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += (-?\d+)`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
)

const traced = "trace=openat,close,write,pwrite64,ftruncate,fsync,fdatasync," +
	"link,linkat,unlink,unlinkat,rename,renameat,renameat2"

// Needs skips the test where there is no strace.
func Needs(t *testing.T) {
	t.Helper()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("no system calls without strace: %v", err)
	}
}

// Trace runs cmd, which has to succeed, and returns its system calls.
func Trace(t *testing.T, cmd *exec.Cmd) (all []Call) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd.Args = append([]string{strace, "-f", "-qq", "-xx", "-s", "1000000", "-o", trace, "-e", traced, cmd.Path},
		cmd.Args[1:]...)
	cmd.Path = strace
	var failed *exec.ExitError
	if out, err := cmd.Output(); errors.As(err, &failed) {
		t.Fatalf("strace: %v: %s%s", err, out, failed.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	unfinished := map[string]string{} // by process
	for line := range strings.Lines(string(lines)) {
		if begun, ok := strings.CutSuffix(strings.TrimSpace(line), " <unfinished ...>"); ok {
			unfinished[strings.Fields(begun)[0]] = begun
			continue
		}
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			line = unfinished[m[1]] + line[len(m[0]):]
		}
		if m := callLine.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[3], "-") {
			all = append(all, Call{m[1], m[2], number(m[3])})
		}
	}
	return all
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // what is none is no file descriptor of ours
	return n
}

// Unhex reads an argument that is text, as strace -xx prints it.
func Unhex(s string) string {
	b, err := hex.DecodeString(strings.Trim(strings.ReplaceAll(s, `\x`, ""), `"`))
	if err != nil {
		panic(fmt.Sprintf("powercut: internal error: strace printed %.40q: %v", s, err))
	}
	return string(b)
}
