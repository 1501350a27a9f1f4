package disk

// #include "disk.h"
import "C"

// Call is a kind of call to the disk, or several kinds.
type Call int

// The kinds of calls that are counted and can fail.
const (
	CallOpen     Call = C.CALL_OPEN
	CallRead     Call = C.CALL_READ
	CallWrite    Call = C.CALL_WRITE
	CallTruncate Call = C.CALL_TRUNCATE
	CallSync     Call = C.CALL_SYNC
	CallSyncDir  Call = C.CALL_SYNCDIR
	CallDelete   Call = C.CALL_DELETE
	CallAccess   Call = C.CALL_ACCESS // does a file exist?
	CallSize     Call = C.CALL_SIZE
	CallLock     Call = C.CALL_LOCK
	CallMap      Call = C.CALL_MAP // of memory that connections share
	CallRename   Call = C.CALL_RENAME

	AnyCall Call = 1<<C.CALL_KINDS - 1
)

// Failure is how a call fails.
type Failure int

// The ways in which calls fail. A write that fails as IO or Full did nothing.
const (
	IO    Failure = C.FAIL_IO    // EIO
	Full  Failure = C.FAIL_FULL  // ENOSPC
	Short Failure = C.FAIL_SHORT // ENOSPC, after half of the bytes were written
)

// Fault is a failure to come.
type Fault struct {
	Calls   Call // that can fail; 0 is any
	Nth     int  // of these, from now; 0 and 1 are the next
	Failure Failure
	Forever bool // this call and all such calls after it, and not only this one
}

// Break has the disk fail as f says, instead of what it was told before. The
// zero Fault repairs it.
func (d *Disk) Break(f Fault) {
	if f.Calls == 0 {
		f.Calls = AnyCall
	}
	C.disk_break(d.c, C.fault{
		calls: C.int(f.Calls), failure: C.int(f.Failure), nth: C.int(max(1, f.Nth)), forever: flag(f.Forever),
	})
}

// Calls returns how many calls of the given kinds there have been.
func (d *Disk) Calls(kinds Call) int { return int(C.disk_calls(d.c, C.int(kinds))) }
