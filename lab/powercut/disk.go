package powercut

import (
	"bytes"
	"iter"
	"maps"
	"path/filepath"
	"strings"
)

// done is what the child says when it is.
const done = "powercut: done"

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
	if path := Unhex(arg); filepath.Dir(path) == d.dir {
		return filepath.Base(path)
	}
	return ""
}

// do applies c, and reports whether it means anything to the disk.
func (d *disk) do(c Call) bool {
	args := strings.Split(c.Args, ", ")
	f := d.open[number(args[0])]
	switch {
	case c.Name == "openat":
		return d.opened(args, c.Result)
	case c.Name == "close":
		delete(d.open, number(args[0]))
		return false
	case c.Name == "write" && args[0] == "1":
		d.done = d.done || strings.TrimSpace(Unhex(args[1])) == done
		return d.done
	case strings.HasPrefix(c.Name, "rename"), strings.HasPrefix(c.Name, "link"):
		from, to := 0, 1
		if strings.Contains(c.Name, "at") { // before each its directory's descriptor
			from, to = 1, 3
		}
		return d.rename(d.name(args[from]), d.name(args[to]), strings.HasPrefix(c.Name, "link"))
	case strings.HasPrefix(c.Name, "unlink"):
		return d.rename(d.name(args[strings.Count(c.Name, "at")]), "", false)
	case f == nil:
		return false
	case strings.HasSuffix(c.Name, "sync") && f.inode == nil:
		d.durable, d.pending = maps.Clone(d.names), nil
	case strings.HasSuffix(c.Name, "sync"):
		f.synced, f.writes = f.content, nil
	case c.Name == "ftruncate":
		f.change(func(b []byte) []byte { return resized(b, number(args[1])) })
	default:
		f.written([]byte(Unhex(args[1])), args[3:])
	}
	return true
}

// opened is a file that was opened, which may have made or emptied it.
func (d *disk) opened(args []string, fd int) bool {
	if Unhex(args[1]) == d.dir {
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
