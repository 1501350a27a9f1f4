package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// rawBlock is a page: what the smallest durable change of a database costs a
// disk.
const rawBlock = 4096

// rawDisk is the bare limit of this machine's disk: one page, overwritten in
// place and synchronised, again and again. Nothing that is durable after each
// step can be faster.
type rawDisk struct {
	f    *os.File
	page []byte
	n    int64
}

func newRawDisk(dir string) (*rawDisk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	r := &rawDisk{f: f, page: make([]byte, rawBlock)}
	const pages = 256 // written once, so that no later write makes the file longer
	if _, err := f.Write(make([]byte, pages*rawBlock)); err != nil {
		return nil, err
	}
	return r, f.Sync()
}

// write overwrites the next page and waits for the disk.
func (r *rawDisk) write() error {
	r.n++
	r.page[0] = byte(r.n)
	if _, err := r.f.WriteAt(r.page, r.n%256*rawBlock); err != nil {
		return err
	}
	return unix.Fdatasync(int(r.f.Fd()))
}

func (r *rawDisk) close() error { return r.f.Close() }

// pair is one turn of two things measured after each other.
type pair struct{ ours, bare rate }

// rate is how often something was done, and how long each time took.
type rate struct {
	n    int
	took time.Duration
	cpu  time.Duration // of this process, where it is of interest
	each []time.Duration
}

func (r rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

// repeat does something for about d, and counts each time as worth count.
func repeat(d time.Duration, count int, do func() error) (r rate, err error) {
	for start := time.Now(); r.took < d; r.took = time.Since(start) {
		began := time.Now()
		if err := do(); err != nil {
			return rate{}, err
		}
		r.each = append(r.each, time.Since(began))
		r.n += count
	}
	return r, nil
}

// turns is how many pairs a figure is the median of, after one that only warms
// up.
const turns = 7

// interleave measures ours and bare in turn, because the machine's speed drifts
// by the minute, and returns the pairs.
func interleave(ours, bare func() (rate, error)) (all []pair, err error) {
	for i := range turns + 1 {
		var p pair
		if p.ours, err = ours(); err != nil {
			return nil, err
		}
		if p.bare, err = bare(); err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

// ratio is the median, over the pairs, of how much faster ours is than bare.
func ratio(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, p.ours.perSecond()/p.bare.perSecond())
	}
	return middle(r)
}

// speeds says the median rates behind a ratio.
func speeds(all []pair) string {
	var ours, bare []float64
	for _, p := range all {
		ours, bare = append(ours, p.ours.perSecond()), append(bare, p.bare.perSecond())
	}
	return fmt.Sprintf("%.0f/s against %.0f/s, medians of %d pairs", middle(ours), middle(bare), len(all))
}

// slower is the median, over the pairs, of ours' median time in bare's.
func slower(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, median(p.ours.each).Seconds()/median(p.bare.each).Seconds())
	}
	return middle(r)
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
