package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"quancun/lab/powercut"
)

// TestPowerCut records every write and sync of a process at work, and then cuts
// the power after each of them. What was not synced is then lost, or kept, or
// kept in part and torn at a sector; names that were made or removed are lost
// with it unless their directory was synced. From each such disk the journal
// must recover with everything that had been acknowledged.
//
// The same test must find losses when SQLite is told to sync less.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	powercut.Needs(t)
	for _, tt := range []struct {
		name, role string
		from       string // the journal to begin with
		lose       bool
	}{
		{name: "New", role: "work"},
		{name: "Migrated", role: "work", from: v1File},
		{name: "SyncedLess", role: "hurry", lose: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			states, lost := cutEverywhere(t, tt.from, record(t, tt.role, tt.from), tt.lose)
			t.Logf("%d of %d states lost something", lost, states)
			if tt.lose && lost == 0 || !tt.lose && states < 300 {
				t.Errorf("%d of %d states lost something, want any: %v, and 300 states at least", lost, states, tt.lose)
			}
		})
	}
}

// record runs a child at work on a copy of a journal, or on a new one, and
// returns its system calls.
func record(t *testing.T, role, from string) []powercut.Call {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if from != "" {
		copyFile(t, from, path)
	}
	return powercut.Trace(t, child(t, role, path, 1<<30))
}

func val[T any](v T, _ error) T { return v }

// disk is a file system that remembers what it has not yet been told to keep.
type disk struct {
	names, durable map[string]*inode
	open           map[int]*inode
	said           []string
}

type inode struct {
	dir     bool
	synced  []byte
	pending []change
}

// change is a write, or with nil data a truncation to off.
type change struct {
	off  int
	data []byte
}

func (c change) apply(b []byte) []byte {
	size := max(len(b), c.off+len(c.data))
	if c.data == nil {
		size = c.off
	}
	b = append(bytes.Clone(b), make([]byte, max(0, size-len(b)))...)[:size]
	copy(b[min(c.off, size):], c.data)
	return b
}

// do applies c, and reports whether it means anything to the disk.
func (d *disk) do(c powercut.Call) bool {
	args := strings.Split(c.Args, ", ")
	fd, _ := strconv.Atoi(args[0])
	switch f := d.open[fd]; {
	case c.Name == "openat":
		name := filepath.Base(powercut.Unhex(args[1]))
		d.open[c.Result] = d.lookup(name, strings.Contains(args[2], "O_CREAT"))
	case c.Name == "close":
		delete(d.open, fd)
	case c.Name == "write" && fd == 1:
		d.said = append(d.said, strings.TrimSpace(powercut.Unhex(args[1])))
		return true
	case c.Name == "pwrite64" && f != nil:
		f.pending = append(f.pending, change{val(strconv.Atoi(args[3])), []byte(powercut.Unhex(args[1]))})
		return true
	case c.Name == "ftruncate" && f != nil:
		f.pending = append(f.pending, change{off: val(strconv.Atoi(args[1]))})
		return true
	case strings.HasSuffix(c.Name, "sync") && f != nil && f.dir:
		d.durable = maps.Clone(d.names)
		return true
	case strings.HasSuffix(c.Name, "sync") && f != nil:
		for _, p := range f.pending {
			f.synced = p.apply(f.synced)
		}
		f.pending = nil
		return true
	case c.Name == "unlink": // SQLite's
		delete(d.names, filepath.Base(powercut.Unhex(args[0])))
		return true
	case c.Name == "unlinkat": // Go's
		delete(d.names, filepath.Base(powercut.Unhex(args[1])))
		return true
	case strings.HasPrefix(c.Name, "renameat"):
		from, to := filepath.Base(powercut.Unhex(args[1])), filepath.Base(powercut.Unhex(args[3]))
		if d.names[from] == nil {
			return false // not a file of the journal's, such as a coverage profile
		}
		d.names[to] = d.names[from]
		delete(d.names, from)
		return true
	}
	return false
}

// lookup finds the file that is opened. Whatever is neither the journal nor
// beside it counts as the directory, which is the only other thing synced.
func (d *disk) lookup(name string, create bool) *inode {
	if !strings.HasPrefix(name, "journal.db") {
		return &inode{dir: true}
	}
	if d.names[name] == nil && create {
		d.names[name] = &inode{}
	}
	return d.names[name]
}

// image returns the files after a power cut. survives says of each thing that
// was not synced whether it is there all the same, and tear how much of a write.
func (d *disk) image(survives func() bool, tear func(change) change) map[string][]byte {
	names := d.durable
	if survives() {
		names = d.names
	}
	files := map[string][]byte{}
	for name, f := range names {
		data := f.synced
		for _, p := range f.pending {
			if survives() {
				data = tear(p).apply(data)
			}
		}
		if !strings.HasSuffix(name, "-shm") && !strings.HasSuffix(name, ".lock") { // memory, both of them
			files[name] = data
		}
	}
	return files
}

// cutEverywhere cuts after each call, in four ways each. If there is something
// to lose, it is content with the first loss.
func cutEverywhere(t *testing.T, from string, calls []powercut.Call, lose bool) (states, lost int) {
	t.Helper()
	d := &disk{names: map[string]*inode{}, durable: map[string]*inode{}, open: map[int]*inode{}}
	if from != "" {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		d.names["journal.db"] = &inode{synced: data}
		d.durable = maps.Clone(d.names)
	}
	r := rand.New(rand.NewSource(1))
	whole := func(c change) change { return c }
	coin := func() bool { return r.Intn(2) == 0 }
	torn := func(c change) change {
		if coin() && len(c.data) > 512 {
			c.data = c.data[:512*(1+r.Intn(len(c.data)/512))]
		}
		return c
	}
	recovered := map[string]bool{} // states that were seen before: nothing was pending, or had survived
	for i, c := range calls {
		if !d.do(c) {
			continue
		}
		if lose && lost > 0 {
			break
		}
		for way, files := range []map[string][]byte{
			d.image(func() bool { return false }, whole),
			d.image(func() bool { return true }, whole),
			d.image(coin, torn), d.image(coin, torn),
		} {
			states++
			state := fmt.Sprintf("%x of %d", digest(files), len(d.said))
			if recovered[state] {
				continue
			}
			if err := boot(t, from, files, d.said); err == nil {
				recovered[state] = true
			} else {
				lost++
				if !lose {
					t.Errorf("cut after call %d (%s), way %d, having said %q: %v", i, c.Name, way, d.said, err)
				}
			}
		}
	}
	return states, lost
}

// digest returns a hash over names and contents.
func digest(files map[string][]byte) []byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d ", name, len(files[name]))
		h.Write(files[name])
	}
	return h.Sum(nil)
}

// boot recovers from files. They are in memory where there is such a place: no
// power is cut any more, and a thousand recoveries on a disk take half a minute.
//
// A journal of version 1 must have its backup in the end, whole.
func boot(t *testing.T, from string, files map[string][]byte, said []string) error {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ledger")
	if err != nil {
		dir, err = os.MkdirTemp(t.TempDir(), "")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "journal.db")
	if err := recovers(path, said); err != nil || from == "" {
		return err
	}
	backup := openDB(dsn(system{}, path+".v1.bak", "mode=ro"), checkVersion)
	defer backup.Close()
	last, err := tailOf(bg, backup)
	version, versionErr := versionOf(bg, backup)
	if err != nil || versionErr != nil || version != 1 || last.seq != v1Entries {
		return fmt.Errorf("backup of version %d has %d entries: %w", version, last.seq, errors.Join(err, versionErr))
	}
	return nil
}
