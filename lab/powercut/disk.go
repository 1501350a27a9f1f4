package powercut

import (
	"bytes"
	"encoding/hex"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// done is what the child says when it is.
const done = "powercut: done"

// call is one system call that changes a disk, or what the child says.
type call struct {
	name, args string
	result     int
}

var (
	callLine    = regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += (-?\d+)`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
)

const traced = "trace=openat,close,write,pwrite64,ftruncate,fsync,fdatasync," +
	"link,linkat,unlink,unlinkat,rename,renameat,renameat2"

// calls runs the child and returns its system calls.
func calls(t *testing.T, dir string) (all []call) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-xx", "-s", "1000000", "-o", trace, "-e", traced,
		self, testOf(t))
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v: %s", err, out)
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
			all = append(all, call{m[1], m[2], number(m[3])})
		}
	}
	return all
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // what is none is no file descriptor of ours
	return n
}

// unhex reads a string as strace -xx prints it.
func unhex(s string) string {
	b, _ := hex.DecodeString(strings.Trim(strings.ReplaceAll(s, `\x`, ""), `"`))
	return string(b)
}

// disk is a directory, of which some is durable.
type disk struct {
	dir     string
	names   map[string]*inode // as programs see them
	durable map[string]*inode
	pending []func(map[string]*inode) // what has become of names since
	open    map[int]*handle
	done    bool
}

type inode struct {
	content, synced []byte
	writes          []func([]byte) []byte // since it was synchronised
}

// handle is an open file, or with no inode the directory.
type handle struct {
	*inode
	at int
}

func newDisk(dir string, files map[string][]byte) *disk {
	d := &disk{dir: dir, names: map[string]*inode{}, open: map[int]*handle{}}
	for name, content := range files {
		d.names[name] = &inode{content: content, synced: content}
	}
	d.durable = maps.Clone(d.names)
	return d
}

// name returns the name of a file in the directory, or "" for any other.
func (d *disk) name(arg string) string {
	if path := unhex(arg); filepath.Dir(path) == d.dir {
		return filepath.Base(path)
	}
	return ""
}

// do applies c, and reports whether it means anything to the disk.
func (d *disk) do(c call) bool {
	args := strings.Split(c.args, ", ")
	f := d.open[number(args[0])]
	switch {
	case c.name == "openat":
		return d.opened(args, c.result)
	case c.name == "close":
		delete(d.open, number(args[0]))
		return false
	case c.name == "write" && args[0] == "1":
		d.done = d.done || strings.TrimSpace(unhex(args[1])) == done
		return d.done
	case strings.HasPrefix(c.name, "rename"), strings.HasPrefix(c.name, "link"):
		from, to := 0, 1
		if strings.Contains(c.name, "at") { // before each its directory's descriptor
			from, to = 1, 3
		}
		return d.rename(d.name(args[from]), d.name(args[to]), strings.HasPrefix(c.name, "link"))
	case strings.HasPrefix(c.name, "unlink"):
		return d.rename(d.name(args[strings.Count(c.name, "at")]), "", false)
	case f == nil:
		return false
	case strings.HasSuffix(c.name, "sync") && f.inode == nil:
		d.durable, d.pending = maps.Clone(d.names), nil
	case strings.HasSuffix(c.name, "sync"):
		f.synced, f.writes = f.content, nil
	case c.name == "ftruncate":
		f.change(func(b []byte) []byte { return resized(b, number(args[1])) })
	default:
		f.written([]byte(unhex(args[1])), args[3:])
	}
	return true
}

// opened is a file that was opened, which may have made or emptied it.
func (d *disk) opened(args []string, fd int) bool {
	if unhex(args[1]) == d.dir {
		d.open[fd] = &handle{}
		return false
	}
	name := d.name(args[1])
	if name == "" {
		return false
	}
	there := d.names[name]
	if there == nil {
		there = &inode{}
		d.change(func(names map[string]*inode) { names[name] = there })
	} else if strings.Contains(args[2], "O_TRUNC") {
		there.change(func([]byte) []byte { return nil })
	}
	d.open[fd] = &handle{inode: there}
	return true
}

// rename gives a file another name, or none, or one more.
func (d *disk) rename(from, to string, more bool) bool {
	f := d.names[from]
	if f == nil {
		return false
	}
	d.change(func(names map[string]*inode) {
		if !more {
			delete(names, from)
		}
		if to != "" {
			names[to] = f
		}
	})
	return true
}

func (d *disk) change(f func(map[string]*inode)) {
	f(d.names)
	d.pending = append(d.pending, f)
}

func (i *inode) change(f func([]byte) []byte) {
	i.content = f(i.content)
	i.writes = append(i.writes, f)
}

// written is a write at a place of its own, or behind the last.
func (h *handle) written(b []byte, at []string) {
	off := h.at
	if len(at) > 0 {
		off = number(at[0])
	} else {
		h.at += len(b)
	}
	for _, part := range [][]byte{b[:len(b)/2], b} { // it may be torn
		h.change(func(all []byte) []byte {
			all = resized(all, max(len(all), off+len(part)))
			copy(all[off:], part)
			return all
		})
	}
}

func resized(b []byte, size int) []byte {
	return append(bytes.Clone(b), make([]byte, max(0, size-len(b)))...)[:size]
}

// images returns what a power cut may leave now.
func (d *disk) images() iter.Seq[map[string][]byte] {
	return func(yield func(map[string][]byte) bool) {
		names := maps.Clone(d.durable)
		for kept := 0; ; kept++ {
			most := 0
			for _, f := range names {
				most = max(most, len(f.writes))
			}
			for n := range most + 1 {
				files := map[string][]byte{}
				for name, f := range names {
					files[name] = f.after(n)
				}
				if !yield(files) {
					return
				}
			}
			if kept == len(d.pending) {
				return
			}
			d.pending[kept](names)
		}
	}
}

// after is the content with the first n of what was not synchronised.
func (i *inode) after(n int) []byte {
	content := i.synced
	for _, f := range i.writes[:min(n, len(i.writes))] {
		content = f(content)
	}
	return content
}
