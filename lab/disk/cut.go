package disk

// #include "disk.h"
import "C"

import (
	"fmt"
	"math/rand/v2"
	"unsafe"
)

// Kind is what an operation does to a disk.
type Kind int

// The kinds of operations.
const (
	Write    Kind = C.OP_WRITE
	Truncate Kind = C.OP_TRUNCATE
	Create   Kind = C.OP_CREATE
	Delete   Kind = C.OP_DELETE
	Rename   Kind = C.OP_RENAME
	Sync     Kind = C.OP_SYNC
	SyncDir  Kind = C.OP_SYNCDIR
	FailSync Kind = C.OP_FAILSYNC // a sync that failed
	Mark     Kind = C.OP_MARK     // see [Disk.Mark]
)

var kinds = map[Kind]string{
	Write: "write", Truncate: "truncate", Create: "create", Delete: "delete", Rename: "rename",
	Sync: "sync", SyncDir: "sync directory", FailSync: "fail to sync", Mark: "mark",
}

// Op is an operation. The program names files by path, and the disk by number,
// which a file has from its creation on and keeps when it is renamed.
type Op struct {
	Kind Kind
	File int    // of Write, Truncate, Create, Sync and FailSync
	Off  int64  // of Write; the new size of Truncate; the number of Mark
	Len  int64  // of Write
	Path string // of Create, Delete, Rename and SyncDir
	To   string // of Rename
}

// String returns the operation for a message.
func (o Op) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write %d bytes at %d of file %d", o.Len, o.Off, o.File)
	case Truncate:
		return fmt.Sprintf("truncate file %d to %d bytes", o.File, o.Off)
	case Sync, FailSync:
		return fmt.Sprintf("%s file %d", kinds[o.Kind], o.File)
	case Create:
		return fmt.Sprintf("create %s, file %d", o.Path, o.File)
	case Rename:
		return fmt.Sprintf("rename %s to %s", o.Path, o.To)
	case Mark:
		return fmt.Sprintf("mark %d", o.Off)
	}
	return kinds[o.Kind] + " " + o.Path
}

// Fate says what becomes of an operation in a power cut: [Lost], [Kept], or,
// of a write, only the sectors of the file whose bit is set, where sector i has
// bit i modulo 64.
type Fate uint64

// Fates of a whole operation.
const (
	Lost Fate = 0
	Kept Fate = 1<<64 - 1
)

// Pending returns the operations that a power cut may take now, oldest first.
func (d *Disk) Pending() []Op { return pending(d.c) }

func pending(c *C.disk) []Op {
	l := C.disk_pending(c)
	defer C.log_free(l)
	return opsOf(l)
}

func opsOf(l *C.oplog) []Op {
	list := make([]Op, l.n)
	for i, o := range unsafe.Slice(l.list, l.n) {
		list[i] = Op{
			Kind: Kind(o.kind), File: int(o.node), Off: int64(o.off), Len: int64(o.len),
			Path: C.GoString(o.path), To: C.GoString(o.path2),
		}
	}
	return list
}

// After returns the disk that a power cut leaves if fates become of
// [Disk.Pending]. Those that are missing are Lost, and so is each name after
// one that was lost, unless the disk is strict. d goes on as if nothing had
// happened.
func (d *Disk) After(fates []Fate) *Disk { return register(after(d.c, fates)) }

func after(c *C.disk, fates []Fate) *C.disk {
	return C.disk_after(c, (*C.uint64_t)(unsafe.SliceData(fates)), C.int(len(fates)))
}

// PowerOff has every call to the disk fail from now on.
func (d *Disk) PowerOff() { C.disk_off(d.c) }

// Cut cuts the power, and returns the disk as it is when the power comes back,
// under another name. Programs that still use d get errors. The caller closes
// both.
func (d *Disk) Cut(r *rand.Rand) *Disk {
	d.PowerOff()
	return d.After(toss(r, d.Pending()))
}

// toss decides what becomes of ops: mostly a bit of everything, but as often
// as not one of the extremes.
func toss(r *rand.Rand, ops []Op) []Fate {
	fates := make([]Fate, len(ops))
	switch r.IntN(4) {
	case 0: // all lost
	case 1:
		keep(fates, len(fates))
	case 2:
		keep(fates, r.IntN(len(fates)+1))
	default:
		scatter(r, fates, ops)
	}
	return fates
}

// keep has the first n survive.
func keep(fates []Fate, n int) {
	for i := range fates[:n] {
		fates[i] = Kept
	}
}

// scatter decides for each operation alone, and tears one write in four.
func scatter(r *rand.Rand, fates []Fate, ops []Op) {
	for i := range fates {
		switch {
		case ops[i].Kind == Write && r.IntN(4) == 0:
			fates[i] = Fate(r.Uint64())
		case r.IntN(2) == 0:
			fates[i] = Kept
		default:
			fates[i] = Lost
		}
	}
}
