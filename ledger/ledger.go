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
// their hash, and each entry holds the hash of the one before it. All else is
// written in the same transaction and follows from these bytes: in the entry's
// own row what it moves (double entry) and the Ref that it says something under;
// in other tables account (what the movements come to), open_item (what has not
// ended) and node (the tree over the hashes). [Book.Verify] rebuilds them. What
// does not follow is checkpoint (what was signed for) and acked (what upstream
// has): losing it costs no more than telling upstream again.
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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

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

	// Begun says that there was a journal: [Open] makes none in its place.
	Begun bool

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

	// MirrorByHand has the mirror written by [Book.Reflect] alone, for a
	// simulation in which nothing may happen by itself.
	MirrorByHand bool

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
		o.Uptime = Uptime
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

	// turn is held by whoever prepares what comes next in the journal, and disk by
	// whoever writes to its file, which is taken after turn, and may be held longer:
	// one at a time. Together they guard w.
	turn, disk chan struct{}
	w          *writer
	rush       bool          // the last group was more than one; guarded by turn
	among      int64         // what inside was then; guarded by turn
	inside     atomic.Int64  // how many are appending
	queued     chan struct{} // has a token if something was queued behind a leader

	// files is held while somebody reads, and by a change of epoch.
	files sync.RWMutex
	s     *store // guarded by files, and by disk

	waiting waitingSum

	mu     sync.Mutex // guards what follows, and is never held for long
	queue  []*request
	led    bool         // somebody leads those in the queue, the first of them
	head   journal.Head // of the last commit
	failed error        // the first failure, or os.ErrClosed
}

// Open opens the journal at path, makes it if there was never one, brings an older
// one up to date, verifies it, and appends a [journal.Started] entry. Loads and
// sales that are still open were left in doubt by whatever ended the last run,
// and are journalled as such.
//
// It verifies the newest 1024 entries, so that a terminal with years behind it
// starts as fast as a new one. The whole is for [Book.Audit], beside the work.
//
// It returns [ErrLocked] if another process or Book has the journal, [ErrAway]
// if it is not there, [ErrNewer], [ErrForeign], [ErrUnsafe], [ErrTampered] and
// [ErrLost] for a journal that must not be written to, and [ErrFull] if there is no room to write the
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
		o: o, path: path, lock: held, appended: make(chan struct{}, 1),
		turn: make(chan struct{}, 1), disk: make(chan struct{}, 1), queued: make(chan struct{}, 1),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := b.openFile(ctx); err != nil {
		return nil, err
	}
	if err := rewrite(ctx, b.s.conn); err != nil { // before anything is promised
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
	if err := checkWAL(b.o.FS, b.path); err != nil {
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

// start journals that the program has started, and puts in doubt the loads and
// sales that the last run has left open.
func (b *Book) start(ctx context.Context) error {
	open, err := openItems(ctx, b.s.conn)
	if err != nil {
		return b.fail("start", err)
	}
	details, err := json.Marshal(started{b.o.Version, bootID()})
	if err != nil {
		return fmt.Errorf("start journal: %w", err)
	}
	return b.transact("start", func(w *writer) error {
		if _, err := w.write(journal.Entry{Kind: journal.Started, Details: details}); err != nil {
			return err
		}
		for _, i := range open {
			if i.Doubt.Seq > 0 || i.First.Kind.Doubt() == 0 {
				continue // it is known to be in doubt, or an order, of which upstream knows
			}
			doubt := journal.Entry{Kind: i.First.Kind.Doubt(), Ref: i.First.Ref}
			if _, err := w.put(&request{entry: doubt}); err != nil {
				return fmt.Errorf("put %q in doubt: %w", i.First.Ref, err)
			}
		}
		return nil
	}, nil)
}

// started is the Details of a [journal.Started] entry.
type started struct {
	Version string `json:"version"`
	Boot    string `json:"boot"` // the kernel's boot ID, empty if it has none
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // it only helps people who read the journal
	}
	return strings.TrimSpace(string(id))
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
	if err := rewrite(ctx, conn); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('terminal', ?)`, []byte(terminal))
	return err
}

// Hold takes the lock of the journal at path, so that no terminal works on it
// until it is closed. It returns [ErrLocked] if one does. A change of epoch that a power
// cut has ended is finished or undone, so that the journal is where it belongs.
func Hold(path string) (io.Closer, error) {
	path, err := resolve(system{}, path)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	held, err := system{}.Lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	if err := settleEpoch(system{}, path); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), held.Close())
	}
	return held, nil
}

// Close signs for the journal as it is, closes it, and lets go of its lock.
// Every later call fails.
func (b *Book) Close() error {
	b.mirror.end()
	b.turn <- struct{}{}
	b.disk <- struct{}{}
	defer b.give()
	if errors.Is(b.err(), os.ErrClosed) {
		return nil
	}
	var err error
	if b.w != nil && b.err() == nil {
		if err = b.sign(context.Background()); err != nil {
			err = b.fail("close", err)
		}
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

// Refusals. They change nothing, and the Book goes on after them. Besides
// these there is [journal.ErrRule].
var (
	// ErrConflict means that the Ref is taken by something that says something
	// else, or that an end or a doubt does not agree with its intent.
	ErrConflict = errors.New("ledger: reference is taken by a different entry")
	// ErrNoIntent means that nothing of that kind was begun under the Ref.
	ErrNoIntent = errors.New("ledger: no such intent")
	// ErrResolved means that the intent has ended, and differently.
	ErrResolved = errors.New("ledger: intent has ended differently")
	// ErrShort means that the drawer does not hold as much as is to be taken out.
	ErrShort = errors.New("ledger: drawer does not hold as much")
	// ErrRefund means that more is given back than is left of what was paid, which
	// is nothing where the entry that is named is no sale.
	ErrRefund = errors.New("ledger: more is given back than was paid")
	// ErrBehind means that the journal has gone on since it was added up.
	ErrBehind = errors.New("ledger: journal has gone on since")
	// ErrNotFound means that the journal has nothing under that name or number.
	ErrNotFound = errors.New("ledger: not found")
	// ErrGone means that entries of an older journal cannot be pushed again as
	// they were: its file is missing or damaged, or it is not upstream's.
	ErrGone = errors.New("ledger: entries of an older journal are gone")
	// ErrNoKey means that the Book was opened without a key to sign with.
	ErrNoKey = errors.New("ledger: no key to sign with")
)

// Reasons not to open a journal, or not to go on with it.
var (
	// ErrLocked means that another process, named in the text, has the journal.
	ErrLocked = errors.New("ledger: journal is in use")
	// ErrNewer means that a newer version of this program wrote the journal.
	ErrNewer = errors.New("ledger: journal belongs to a newer program")
	// ErrUnsafe means that SQLite would not keep what it is told to keep: it is
	// too old, or a setting did not take.
	ErrUnsafe = errors.New("ledger: SQLite is not safe to use")
	// ErrTampered means that the journal is not what was written.
	ErrTampered = errors.New("ledger: journal is damaged")
	// ErrForeign means that the journal is another terminal's.
	ErrForeign = errors.New("ledger: journal belongs to another terminal")
	// ErrLost means that the mirror holds entries which the journal does not
	// have: see [Recover].
	ErrLost = errors.New("ledger: the mirror has entries that the journal has lost")
	// ErrAway means that a journal that was begun is not there; its disk may come back.
	ErrAway = errors.New("ledger: the journal is not there")
	// ErrFull means that the disk is full, or soon will be ([Book.Room]).
	ErrFull = errors.New("ledger: disk is full")
	// ErrFailed means that an earlier write or read failed, and that only a
	// restart of the program can tell what is on the disk. It wraps the first
	// error.
	ErrFailed = errors.New("ledger: journal has failed")
)

// refused reports whether err is an answer to the caller and not a failure of
// the journal.
func refused(err error) bool {
	for _, refusal := range []error{
		journal.ErrRule, ErrConflict, ErrNoIntent, ErrResolved, ErrShort, ErrRefund, ErrBehind, ErrNotFound, ErrNoKey,
		journal.ErrFork, journal.ErrUnsigned,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// fail ends the Book, with its first error. After a failed sync the kernel may
// have dropped the pages and called them clean, so nothing that this process
// could try or read again would prove anything.
func (b *Book) fail(op string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = fmt.Errorf("%w: %s: %w", ErrFailed, op, named(err))
	}
	return b.failed
}

// ready returns why nothing can be begun: the caller's impatience, or the Book's
// end.
func (b *Book) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.err()
}

// err returns why the Book has ended, if it has.
func (b *Book) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// named adds [ErrFull] or [ErrTampered] to the disk's words, or SQLite's, for the same.
func named(err error) error {
	var s sqlite3.Error
	if !errors.As(err, &s) {
		errors.As(err, &s.SystemErrno)
	}
	switch {
	case s.Code == sqlite3.ErrFull || s.SystemErrno == unix.ENOSPC || s.SystemErrno == unix.EDQUOT:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case s.Code == sqlite3.ErrCorrupt || s.Code == sqlite3.ErrNotADB:
		return fmt.Errorf("%w: %w", ErrTampered, err)
	}
	return err
}

// Room reports whether there is room for what is about to be journalled. It
// returns [ErrFull] if the disk has fewer than [Options.RoomMin] bytes left,
// and is to be asked before a customer is asked for money: an intent that fits
// is of no use if its end does not.
func (b *Book) Room(ctx context.Context) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	free, err := b.o.FS.Room(b.path)
	if err != nil {
		return fmt.Errorf("ask for room: %w", err)
	}
	if free < b.o.RoomMin {
		return fmt.Errorf("%w: %d bytes left, need %d", ErrFull, free, b.o.RoomMin)
	}
	return nil
}
