// Package disk is a disk for SQLite that lives in memory, knows what a power
// cut may take from it, and fails where it is told to.
//
// A test that only kills a process proves nothing about a power cut: the
// kernel still writes what the process has written. So here each write,
// truncation, new name and removal stays volatile until SQLite has synced it,
// and [Disk.Cut] keeps of the rest what chance decides, in sectors of 512
// bytes. [Disk.Record] writes down every operation, and [Recording.States]
// enumerates the disks that a cut at any of them may leave.
//
//	d := disk.New(disk.Options{})
//	defer d.Close()
//	db, err := sql.Open("sqlite3", d.DSN("/journal.db")+"&_journal_mode=WAL&_synchronous=FULL")
//
// # Durability
//
// Content of a file is durable after a sync of that file, in any order before.
// A sync that fails loses what it should have written, for good, although
// programs still read it, and the next sync succeeds: Linux does the same.
//
// Names are kept as ext4 does it, in the order in which they were made, and a
// sync of any file commits all of them. With [Options.Strict] they are kept as
// POSIX promises, each for itself, and only by a sync of their directory.
// SQLite syncs the directory itself when it first syncs a journal, and when it
// removes one under synchronous = EXTRA; [Options.NoDirSync] is a file system
// on which that does nothing.
//
// # SQLite
//
// Each disk is a VFS of the SQLite that github.com/mattn/go-sqlite3 compiles;
// this package must not bring another. WAL and rollback journals work, between connections of one process
// too. There is no memory mapping. Sleep and time are the machine's, and so is
// randomness unless [Seed] says otherwise: the salts of a "-wal" then differ
// between two runs, and so does the hash of a disk, but not which states a seed
// enumerates.
//
// A disk may be used by several goroutines at once. It costs a few
// microseconds and has to be closed.
package disk

// #include <stdlib.h>
// #include "disk.h"
// #include "sqlite.h"
import "C"

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	_ "github.com/mattn/go-sqlite3" // has the functions that sqlite.h declares
)

// Options say what kind of disk it is. The zero Options promise least, except
// about names: see the package comment. A clone, and what a power cut leaves, are
// of the same kind.
type Options struct {
	Sector             int   // bytes, that SQLite is told; 0 is 512
	PowersafeOverwrite bool  // SQLite is told that a write harms no bytes beside it, as it assumes on Unix
	Strict             bool  // names are only durable after a sync of their directory
	NoDirSync          bool  // SQLite's own syncs of a directory do nothing
	Capacity           int64 // bytes of all files together; 0 is no limit

	// Ignore are PRAGMAs by name, in which the disk deceives the program: what
	// they are set to they do not get, and when they are asked for they answer
	// as given here. So a program that checks what SQLite promises can be run on
	// one that promises less.
	Ignore map[string]string
}

// Disk is a file system without directories: "/a/b" is only a name, and "/a"
// the directory in which it is.
type Disk struct {
	c    *C.disk
	name string

	mu    sync.Mutex
	locks map[string]bool // by path
}

// ErrLocked says that somebody holds the lock: see [Disk.Lock].
var ErrLocked = errors.New("disk: locked")

// number makes the name of each VFS another.
var number atomic.Int64

// To make a disk and to forget it is to allocate and to free, mostly in SQLite.
func init() { C.vfs_uncounted() }

// Seed has all that SQLite draws of chance in this process, on whatever disk,
// follow from a number from now on: randomblob(), random(), and the salts of a
// "-wal". With 0 it is true chance again.
func Seed(seed uint32) { C.vfs_seed(C.int(int32(seed))) }

// New returns an empty disk, registered with SQLite. The caller closes it.
func New(o Options) *Disk {
	c := C.disk_new()
	if o.Sector != 0 {
		c.sector = C.int(o.Sector)
	}
	if o.PowersafeOverwrite {
		c.characteristics = C.SQLITE_IOCAP_POWERSAFE_OVERWRITE
	}
	c.strict, c.nodirsync = flag(o.Strict), flag(o.NoDirSync)
	c.capacity = C.int64_t(o.Capacity)
	if o.Ignore != nil {
		ignore(c, o.Ignore)
	}
	return register(c)
}

// ignore gives c the list of PRAGMAs in C's form.
func ignore(c *C.disk, pragmas map[string]string) {
	var list []byte
	for name, answer := range pragmas {
		list = fmt.Appendf(list, "%s\x00%s\x00", name, answer)
	}
	list = append(list, 0)
	C.disk_ignore(c, (*C.char)(unsafe.Pointer(&list[0])), C.size_t(len(list)))
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// register makes c a VFS.
func register(c *C.disk) *Disk {
	d := &Disk{c: c, name: fmt.Sprintf("disk%d", number.Add(1)), locks: map[string]bool{}}
	name := C.CString(d.name)
	defer C.free(unsafe.Pointer(name))
	if rc := C.vfs_register(c, name); rc != 0 {
		panic(fmt.Sprintf("disk: internal error: SQLite says %d to a VFS", rc))
	}
	return d
}

// Close takes the disk from SQLite and frees its memory, once the last
// connection to it has been closed. Nobody may use d itself any more.
func (d *Disk) Close() { C.disk_free(d.c) }

// Name returns the name of the disk's VFS.
func (d *Disk) Name() string { return d.name }

// DSN returns the driver's name for the database at path, to which parameters
// can be added after "&".
func (d *Disk) DSN(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?vfs=" + d.name
}

// Clone returns a copy of the disk as it is, registered under another name, as
// of a disk that is put away and comes back later. What a power cut may take
// from the one it may take from the other. Connections, locks and faults stay
// with d.
func (d *Disk) Clone() *Disk { return register(C.disk_clone(d.c)) }

// Lock takes the lock that is named by path until it is closed, or returns
// [ErrLocked]. No power cut leaves it behind.
func (d *Disk) Lock(path string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[path] {
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	}
	d.locks[path] = true
	return &held{d, path}, nil
}

// held is a lock until it is closed.
type held struct {
	d    *Disk
	path string
}

func (h *held) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	delete(h.d.locks, h.path)
	return nil
}

// SyncDir makes the names in the directory at path durable.
func (d *Disk) SyncDir(path string) error {
	return d.named("sync", path, func(p *C.char) C.int { return C.dir_sync(d.c, p) })
}

// Room returns how many bytes are free. Without a capacity that is very many.
func (d *Disk) Room(string) (uint64, error) {
	capacity := int64(d.c.capacity)
	if capacity == 0 {
		return 1 << 40, nil
	}
	return uint64(max(0, capacity-d.Used())), nil
}

// Used returns how many bytes all files together have.
func (d *Disk) Used() int64 { return int64(C.disk_used(d.c)) }

// Resize changes the capacity in bytes, 0 for no limit. A disk that holds more
// than that keeps it, and is full.
func (d *Disk) Resize(capacity int64) { C.disk_resize(d.c, C.int64_t(capacity)) }

// Flip inverts the bits of mask in the byte at off of the file at path, as a
// medium that decays.
func (d *Disk) Flip(path string, off int64, mask byte) error {
	return d.named("flip", path, func(p *C.char) C.int {
		return C.disk_flip(d.c, p, C.int64_t(off), C.uchar(mask))
	})
}

// Remove deletes the file at path. It stays readable where it is open.
func (d *Disk) Remove(path string) error {
	return d.named("remove", path, func(p *C.char) C.int { return C.file_delete(d.c, p) })
}

// Rename gives the file at path the name to, whose file is deleted.
func (d *Disk) Rename(path, to string) error {
	c := C.CString(to)
	defer C.free(unsafe.Pointer(c))
	return d.named("rename", path, func(p *C.char) C.int { return C.file_rename(d.c, p, c) })
}

// Files returns the paths of all files, in no order.
func (d *Disk) Files() (paths []string) {
	list := C.dir_list(d.c)
	defer C.release(unsafe.Pointer(list))
	for p := list; *p != 0; {
		s := C.GoString(p)
		paths = append(paths, s)
		p = (*C.char)(unsafe.Add(unsafe.Pointer(p), len(s)+1))
	}
	return paths
}

// Allocated returns how many blocks of memory all disks hold together, so that
// a test sees whether one was not closed.
func Allocated() int64 { return int64(C.allocated()) }

// named calls f with path for C, and returns what it says as an error.
func (d *Disk) named(op, name string, f func(*C.char) C.int) error {
	c := C.CString(path.Clean(name))
	defer C.free(unsafe.Pointer(c))
	return failed(op, name, f(c))
}

// failed returns a code of SQLite's as the operating system would say it.
func failed(op, path string, code C.int) error {
	err := error(syscall.EIO)
	switch code {
	case 0:
		return nil
	case C.SQLITE_FULL:
		err = syscall.ENOSPC
	case C.SQLITE_BUSY:
		err = fs.ErrExist
	case C.SQLITE_IOERR_DELETE_NOENT:
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
