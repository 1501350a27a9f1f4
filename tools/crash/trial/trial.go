// Package trial puts a terminal's journal through what ends terminals: power
// cuts at every write, and calls to the disk that fail.
//
// A script of everything that a journal is used for runs once on a disk in
// memory (package disk) that writes down each operation. [Cuts] then opens the
// journal, as a program that starts again does, on every disk that a power cut
// may have left, cutting the power again while some of them recover. [Faults]
// runs the script anew for each call and each way in which it may fail.
// [Control] does what Cuts does on an SQLite that promises less, and has to
// find losses: what finds none there would find none anywhere.
//
// What has to hold each time: what was acknowledged is there; what is there was
// written, byte for byte and in order; the whole verifies; what was being said
// can be said again; and the journal goes on from there.
package trial

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/ledger"
)

// GCPercent is what a program sets for its collector of garbage before it starts a trial:
// collecting it would be up to half of the work, and it comes to 200 MB.
const GCPercent = 4000

const (
	path     = "/journal.db"
	terminal = "K01"
)

// The keys of this terminal, and of its upstream.
var (
	terminalKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	campusKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	campus      = journal.Campus{Name: "quancun/campus", Key: campusKey}
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// Options are how much a trial looks at. The zero Options make a small one.
type Options struct {
	Seed uint64

	// Acts is the length of a script, apart from opening the journal; 30 by
	// default.
	Acts int

	// States is how many states Cuts looks at, at least; 1000 by default. If
	// For is not 0, it may be as many as there is time for.
	States int
	For    time.Duration

	// Every is every how many-th run Faults makes: an odd number, 1 by default.
	Every int

	// Old are journal files of older versions, from which some scripts start.
	Old [][]byte
}

func (o Options) filled() Options {
	o.Acts = cmp.Or(o.Acts, 30)
	o.States = cmp.Or(o.States, 1000)
	o.Every = cmp.Or(o.Every, 1)
	return o
}

// Result is what came of a trial.
type Result struct {
	States int      // disks or runs that were looked at
	Bad    int      // of these
	Again  int      // of these, cut a second time while they recovered
	First  []string // the first bad ones, in words
	Took   time.Duration
	Spent  time.Duration // by all processors
}

// problemsMax is how many bad states a Result tells.
const problemsMax = 5

// Rate returns the states looked at in a second.
func (r Result) Rate() float64 { return float64(r.States) / r.Took.Seconds() }

// Share returns how much of all processors' time the trial got.
func (r Result) Share() float64 {
	return r.Spent.Seconds() / r.Took.Seconds() / float64(runtime.GOMAXPROCS(0))
}

// BadShare returns how many percent of the states were bad.
func (r Result) BadShare() float64 { return 100 * float64(r.Bad) / float64(max(r.States, 1)) }

// String returns the figures as a line of a report.
func (r Result) String() string {
	if r.States == 0 {
		return "nothing looked at"
	}
	return fmt.Sprintf("%7d looked at, %6d bad (%.1f %%), %.0f/s with %.0f %% of the machine",
		r.States, r.Bad, r.BadShare(), r.Rate(), 100*r.Share())
}

// pool looks at states on all processors.
type pool struct {
	jobs  chan func() (name string, problems []error)
	group sync.WaitGroup
	begun time.Time
	spent time.Duration // by then

	mu     sync.Mutex
	result Result // guarded by mu
}

func newPool() *pool {
	p := &pool{jobs: make(chan func() (string, []error)), begun: time.Now(), spent: spent()}
	for range runtime.GOMAXPROCS(0) {
		p.group.Go(func() {
			for job := range p.jobs {
				p.count(job())
			}
		})
	}
	return p
}

// do has some processor run job, which returns one result for each state that
// it looked at.
func (p *pool) do(job func() (name string, results []error)) { p.jobs <- job }

func (p *pool) count(name string, results []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.States += len(results)
	p.result.Again += max(0, len(results)-1)
	for _, err := range results {
		if errors.Is(err, context.Canceled) {
			p.result.States-- // whoever ended it knows
			continue
		}
		if err == nil {
			continue
		}
		p.result.Bad++
		if len(p.result.First) < problemsMax {
			p.result.First = append(p.result.First, fmt.Sprintf("%s: %v", name, err))
		}
	}
}

func (p *pool) states() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result.States
}

// wait returns the result once all jobs are done.
func (p *pool) wait() Result {
	close(p.jobs)
	p.group.Wait()
	p.result.Took, p.result.Spent = time.Since(p.begun), spent()-p.spent
	return p.result
}

// spent returns the processor time that this process has used.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("trial: internal error: getrusage: " + err.Error()) // it has no reason to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// files is a disk as the ledger wants to see it.
type files struct{ *disk.Disk }

func (f files) Open(path string, flag int) (ledger.File, error) { return f.Disk.Open(path, flag) }

func (f files) Lock(path string) (io.Closer, error) {
	l, err := f.Disk.Lock(path)
	if errors.Is(err, disk.ErrLocked) {
		err = fmt.Errorf("%w: %w", ledger.ErrLocked, err)
	}
	return l, err
}

// format makes an empty database with pages of the given size on d.
func format(d *disk.Disk, page int) (err error) {
	db, err := sql.Open("sqlite3", d.DSN(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.Exec(fmt.Sprintf(`PRAGMA page_size = %d; VACUUM`, page))
	return err
}
