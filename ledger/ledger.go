// Package ledger is a terminal's journal on its disk: what the terminal was
// about to do, what came of it, what that moved, and how much of it upstream
// has. The form of entries is package journal's.
//
// A terminal writes before it acts. [Book.Append] returns when the entry is on
// the disk and not before, so an intent that was appended before a card is
// written to is still there after a power cut, and stays open until somebody
// appends how it ended. Nothing is ever changed or deleted.
//
// # What is on the disk
//
// One SQLite file. The table journal holds the exact bytes of each entry and
// their hash, and each entry holds the hash of the one before it. All other
// tables are written in the same transaction and follow from these bytes:
// account and posting (double entry), item (what is said under a Ref, and
// whether it is open), node (the tree over the hashes). [Book.Verify] rebuilds
// them. What does not follow is checkpoint (what was signed for) and acked
// (what upstream has): losing it costs no more than telling upstream again.
//
// Beside it lies a file ".lock"; after a migration the journal as it was
// before, ".v1.bak" and so on; and after a new epoch the journal of the old
// one, named after it.
//
// # What the losses mean
//
// Without the file, whatever upstream has not acknowledged is known to the
// mirror and the cards alone; a new journal has a new epoch, so that upstream
// sees the break. Without the "-wal" file beside it, the newest entries are
// gone, although they were acknowledged to the caller: the two are one. The
// lock file may be deleted when no program runs, a backup at any time.
//
// # What it refuses to know
//
// Cards, payments and networks. It moves money between accounts as entries say,
// and decides nothing about it.
package ledger

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"quancun/journal"
)

// Options are what a Book needs to know of its surroundings. Only Terminal has
// to be given.
type Options struct {
	// Terminal is the ID under which upstream knows this terminal. A journal
	// belongs to one terminal for good.
	Terminal string

	// Key is the terminal's Ed25519 key, which may be in hardware. Without one
	// the Book signs nothing.
	Key crypto.Signer

	// Campus is the key with which upstream cosigns; without one its signature
	// is stored and not checked.
	Campus ed25519.PublicKey

	// Version is this program's, for the [journal.Started] entry.
	Version string

	// Now is the wall clock and Uptime the time since boot. They are the
	// system's own by default. Both are called by whoever writes.
	Now    func() time.Time
	Uptime func() time.Duration

	// StepMax is how far the two may drift apart between two entries before a
	// [journal.ClockStep] is journalled; 2 seconds by default.
	StepMax time.Duration

	// RoomMin is the number of bytes that [Book.Room] wants to see free;
	// 64 MiB by default, about two years of a busy terminal.
	RoomMin uint64

	// Mirror is the path of a file on a second medium, on which every entry is
	// kept that upstream has not acknowledged; empty for none.
	Mirror string

	// FS is where the journal is; the machine's own file system by default.
	FS FS

	// WALPages is how many pages the "-wal" file may have before they are moved
	// into the journal's file; SQLite's default is 1000.
	WALPages int

	// Sentinel has every commit followed by a whole verification, which only
	// a test can wait for.
	Sentinel bool

	migrations fs.FS // a test's own
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
	if o.FS == nil {
		o.FS = system{}
	}
	if o.migrations == nil {
		o.migrations = migrations
	}
	return o
}

// Book is an open journal. Its methods may be called from any goroutine.
type Book struct {
	o        Options
	path     string
	lock     io.Closer
	mirror   *mirror // nil without one
	appended chan struct{}

	// turn is held by whoever writes: one at a time. It guards w.
	turn chan struct{}
	w    *writer

	// files is held while somebody reads, and by a change of epoch.
	files sync.RWMutex
	s     *store // guarded by files, and by turn

	mu     sync.Mutex // guards what follows, and is never held for long
	queue  []*request
	head   journal.Head // of the last commit
	failed error        // the first failure, or os.ErrClosed
}

// Open opens the journal at path, makes it if there is none, brings an older
// one up to date, verifies it, and appends a [journal.Started] entry. Loads and
// sales that are still open were left in doubt by whatever ended the last run,
// and are journalled as such.
//
// It verifies the newest 4096 entries, so that a terminal with years behind it
// starts as fast as a new one; the whole is [Book.Verify]'s.
//
// It returns [ErrLocked] if another process or Book has the journal,
// [ErrNewer], [ErrForeign], [ErrUnsafe], [ErrTampered] and [ErrLost] for a
// journal that must not be written to, and [ErrFull] if there is no room to write the
// Started entry. The caller closes the Book.
func Open(ctx context.Context, path string, o Options) (_ *Book, err error) {
	o = o.filled()
	if !journal.IsName(o.Terminal) {
		return nil, fmt.Errorf("open journal: %q is not a terminal's ID", o.Terminal)
	}
	if path, err = resolve(o.FS, path); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	held, err := o.FS.Lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	b := &Book{
		o: o, path: path, lock: held, appended: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := b.openFile(ctx); err != nil {
		return nil, err
	}
	if err := b.s.rewrite(ctx); err != nil { // before anything is promised
		return nil, fmt.Errorf("open journal: %w", named(err))
	}
	if err := b.checkMirror(ctx); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	b.startMirror()
	return b, nil
}

// openFile opens the journal's file and looks where it ends.
func (b *Book) openFile(ctx context.Context) (err error) {
	if err := settleEpoch(b.o.FS, b.path); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := b.checkLost(); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if b.s, err = openStore(ctx, b.path, b.o); err != nil {
		return fmt.Errorf("open journal: %w", named(err))
	}
	if err := claim(ctx, b.s.conn, b.o.Terminal); err != nil {
		return fmt.Errorf("open journal: %w", named(err))
	}
	if _, err := verify(ctx, b.s.conn, b.o.trust(), openSpan); err != nil {
		return err
	}
	if b.w, err = newWriter(ctx, b.s, b.o); err != nil {
		return fmt.Errorf("open journal: %w", named(err))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = journal.Head{Epoch: b.w.epoch, Seq: b.w.seq, Hash: b.w.hash}
	return nil
}

// claim notes once that a journal belongs to a terminal.
func claim(ctx context.Context, conn *sql.Conn, terminal string) error {
	_, owner, err := metaOf(ctx, conn)
	switch {
	case err != nil:
		return err
	case owner == terminal:
		return nil
	case owner != "":
		return fmt.Errorf("%w: it is that of %s, this is %s", ErrForeign, owner, terminal)
	}
	_, err = conn.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('terminal', ?)`, []byte(terminal))
	return err
}

// Close signs for the journal as it is, closes it, and lets go of its lock.
// Every later call fails.
func (b *Book) Close() error {
	b.mirror.end()
	b.turn <- struct{}{}
	defer b.give()
	if errors.Is(b.err(), os.ErrClosed) {
		return nil
	}
	var err error
	if b.w != nil && b.err() == nil {
		err = b.sign(context.Background())
	}
	b.files.Lock()
	defer b.files.Unlock()
	b.mu.Lock()
	b.failed = fmt.Errorf("%w: %w", ErrFailed, os.ErrClosed)
	b.mu.Unlock()
	if b.w != nil {
		err = errors.Join(err, b.w.close())
	}
	if b.s != nil {
		err = errors.Join(err, b.s.close())
	}
	if err = errors.Join(err, b.lock.Close()); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// Epoch returns the journal's epoch.
func (b *Book) Epoch() journal.Epoch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head.Epoch
}
