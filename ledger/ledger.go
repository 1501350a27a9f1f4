// Package ledger is a terminal's journal: what it was about to do, what came
// of it, and what upstream has still to be told.
//
// A terminal writes before it acts. [Book.Append] returns when the entry is on
// the disk and not before, so an intent that was appended before a card is
// credited is still there after a power cut, and stays open until somebody
// appends how it ended. Nothing is ever changed or deleted.
//
// # What is on the disk
//
// One SQLite file. The table journal holds the exact bytes of each entry and
// their hash, and each entry holds the hash of the one before it, so that a
// row that is changed, dropped or swapped is found by [Book.Verify]. The
// tables item (what is open) and outbox (what upstream has to be told) are
// written in the same transaction and follow from the journal; only whether
// upstream has been told does not. Beside it lies a file ".lock", and after a
// migration the journal as it was before, ".v1.bak" and so on.
//
// # What the losses mean
//
// Without the file, open intents are known to upstream and the cards alone,
// and a new journal has a new [Book.Epoch] so that upstream sees the break.
// Without the "-wal" file beside it, the newest entries are gone, although
// they were acknowledged: the two are one. The lock file may be deleted when
// no program runs, a backup at any time.
//
// # What it refuses to know
//
// Cards, payments and networks. It stores money.Fen and moves none.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options are what a Book needs to know of its surroundings. The zero value
// works.
type Options struct {
	// Version is this program's, for the [Started] entry.
	Version string

	// Now is the wall clock and Uptime the time since boot. They are the
	// system's own by default. Both are called under the Book's lock.
	Now    func() time.Time
	Uptime func() time.Duration

	// StepMax is how far the two may drift apart between two entries before a
	// [ClockStep] is journalled; 2 seconds by default.
	StepMax time.Duration

	// RoomMin is the number of bytes that [Book.Room] wants to see free;
	// 64 MiB by default, about two years of a busy terminal.
	RoomMin uint64
}

func (o Options) filled() Options {
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Uptime == nil {
		o.Uptime = uptime
	}
	if o.StepMax == 0 {
		o.StepMax = 2 * time.Second
	}
	if o.RoomMin == 0 {
		o.RoomMin = 64 << 20
	}
	return o
}

// Book is an open journal. Its methods may be called from any goroutine.
type Book struct {
	path    string
	roomMin uint64
	epoch   Epoch
	db      *sql.DB
	lock    *os.File

	mu sync.Mutex // one transaction or query at a time; guards what follows
	clock
	failed error // the first failure, or os.ErrClosed
}

// Open opens the journal at path, makes it if there is none, brings an older
// one up to date, verifies it whole, and appends a [Started] entry. Loads that
// are still open were left in doubt by whatever ended the last run, so they
// are put up for [Book.Unreported].
//
// It returns [ErrLocked] if another process or Book has the journal,
// [ErrNewer], [ErrUnsafe] and [ErrTampered] for a journal that must not be
// written to, and [ErrFull] if there is no room to write the Started entry.
// The caller closes the Book.
func Open(ctx context.Context, path string, o Options) (*Book, error) {
	return open(ctx, path, o, migrations)
}

func open(ctx context.Context, path string, o Options, migrations fs.FS) (_ *Book, err error) {
	o = o.filled()
	path, err = resolve(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	held, err := lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	b := &Book{
		path: path, roomMin: o.RoomMin, lock: held,
		clock: clock{now: o.Now, uptime: o.Uptime, stepMax: o.StepMax},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.db, err = openStore(ctx, path, migrations); err != nil {
		return nil, fmt.Errorf("open journal: %w", named(err))
	}
	if _, err := verify(ctx, b.db); err != nil {
		return nil, err
	}
	if b.epoch, err = epochOf(ctx, b.db); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := b.start(ctx, o.Version); err != nil {
		return nil, err
	}
	return b, nil
}

// Close closes the journal and lets go of its lock. Every later call fails.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.failed, os.ErrClosed) {
		return nil
	}
	b.failed = fmt.Errorf("%w: %w", ErrFailed, os.ErrClosed)
	var err error
	if b.db != nil {
		err = b.db.Close()
	}
	if err = errors.Join(err, b.lock.Close()); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// resolve returns the one path under which everybody locks the journal,
// whichever links lead to it.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}
