package disk

// #include "disk.h"
import "C"

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"unsafe"
)

// Recording is what was done to a disk, operation by operation, and the disk
// as it was before.
type Recording struct {
	disk *Disk
	base *C.disk
	log  *C.oplog
}

// Record begins a recording, which ends another one of d. The caller stops it,
// and closes it after use, before or after d.
func (d *Disk) Record() *Recording {
	return &Recording{disk: d, base: C.disk_clone(d.c), log: C.disk_record(d.c)}
}

// Mark notes in the recording that n transactions have been acknowledged by
// now.
func (d *Disk) Mark(n int) { C.disk_mark(d.c, C.int64_t(n)) }

// Stop ends the recording. d must not have been closed.
func (r *Recording) Stop() { C.disk_stop(r.disk.c, r.log) }

// Close frees a stopped recording.
func (r *Recording) Close() {
	C.log_free(r.log)
	C.disk_free(r.base)
}

// Ops returns the operations that were recorded.
func (r *Recording) Ops() []Op { return opsOf(r.log) }

// State is a disk as a power cut may have left it.
type State struct {
	Disk  *Disk  // the receiver closes it
	At    int    // the cut was after so many operations of the recording
	Acked int    // the last number marked before the cut
	Fates []Fate // of what was pending then
}

// String says for a message which state it is. It repeats: the same recording
// and seed lead to it again.
func (s State) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cut after operation %d, %d acknowledged, pending", s.At, s.Acked)
	for _, f := range s.Fates {
		switch f {
		case Lost:
			b.WriteString(" lost")
		case Kept:
			b.WriteString(" kept")
		default:
			fmt.Fprintf(&b, " %x", uint64(f))
		}
	}
	return b.String()
}

// Choice says which of the states there are to enumerate.
type Choice struct {
	Seed uint64
	Each int // of each family of states at each operation, at most; 0 is 8

	// Every takes only every so many-th of all these; 0 is 1. What is left out
	// costs next to nothing.
	Every int

	// AllLost is for counting how often a cut does harm: at each operation the
	// one state that keeps nothing pending, even if it came before.
	AllLost bool
}

// States enumerates the disks that a power cut may leave: before the first
// operation and after each, with everything pending lost, everything kept, the
// last write torn, one operation lost, all after one lost, and a random rest
// kept and torn. No state comes twice with as many acknowledged, but see
// [Choice].
//
// The receiver may use and close the states in any goroutine, and at any time.
func (r *Recording) States(c Choice) iter.Seq[State] {
	c.Each, c.Every = cmp.Or(c.Each, 8), cmp.Or(c.Every, 1)
	return func(yield func(State) bool) {
		w := walk{
			choice: c, rand: rand.New(rand.NewPCG(c.Seed, 0)),
			model: C.disk_clone(r.base), seen: map[key]bool{},
		}
		defer C.disk_free(w.model)
		if !w.cut(yield) {
			return
		}
		for _, o := range unsafe.Slice(r.log.list, r.log.n) {
			w.at++
			if o.kind == C.OP_MARK {
				w.acked = int(o.off)
			}
			C.disk_do(w.model, o)
			if !w.cut(yield) {
				return
			}
		}
	}
}

// key is what tells states apart.
type key struct {
	hash  uint64
	acked int
}

// walk is an enumeration on its way through a recording.
type walk struct {
	choice    Choice
	rand      *rand.Rand
	model     *C.disk // as the recorded disk was after at operations
	at, acked int
	n         int // of all states so far
	seen      map[key]bool
}

// cut yields the new states of this moment, and reports whether to go on.
func (w *walk) cut(yield func(State) bool) bool {
	ops := pending(w.model)
	for fates := range w.choice.fates(w.rand, ops) {
		if w.n++; w.n%w.choice.Every != 0 {
			continue
		}
		c := after(w.model, fates)
		k := key{uint64(C.disk_hash(c)), w.acked}
		if w.seen[k] && !w.choice.AllLost {
			C.disk_free(c)
			continue
		}
		w.seen[k] = true
		if !yield(State{Disk: register(c), At: w.at, Acked: w.acked, Fates: fates}) {
			return false
		}
	}
	return true
}

// fates enumerates what may become of ops.
func (c Choice) fates(r *rand.Rand, ops []Op) iter.Seq[[]Fate] {
	n := len(ops)
	return func(yield func([]Fate) bool) {
		if !yield(make([]Fate, n)) || c.AllLost || n == 0 {
			return
		}
		all := make([]Fate, n)
		keep(all, n)
		if !yield(all) {
			return
		}
		for _, torn := range tears(r, ops[n-1]) {
			if !yield(with(all, n-1, torn)) {
				return
			}
		}
		for _, i := range some(r, n, c.Each) {
			if !yield(with(all, i, Lost)) {
				return
			}
		}
		for _, i := range some(r, n, c.Each) {
			fates := make([]Fate, n)
			keep(fates, i)
			if !yield(fates) {
				return
			}
		}
		for range c.Each {
			fates := make([]Fate, n)
			scatter(r, fates, ops)
			if !yield(fates) {
				return
			}
		}
	}
}

// with returns a copy of fates in which i has another.
func with(fates []Fate, i int, f Fate) []Fate {
	list := append([]Fate(nil), fates...)
	list[i] = f
	return list
}

// some returns up to most numbers below n, all different.
func some(r *rand.Rand, n, most int) []int { return r.Perm(n)[:min(n, most)] }

// tears returns ways to tear o: its first sector only, all but that, its last
// only, all but that, and at random.
func tears(r *rand.Rand, o Op) []Fate {
	if o.Kind != Write {
		return nil
	}
	first, last := o.Off/C.TEAR, (o.Off+o.Len-1)/C.TEAR
	if first == last {
		return nil
	}
	bit := func(i int64) Fate { return 1 << (i % 64) }
	return []Fate{bit(first), ^bit(first), bit(last), ^bit(last), Fate(r.Uint64())}
}
