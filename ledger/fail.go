package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"quancun/journal"
)

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
	// ErrNotFound means that the journal has nothing under that name or number.
	ErrNotFound = errors.New("ledger: not found")
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
		journal.ErrRule, ErrConflict, ErrNoIntent, ErrResolved, ErrShort, ErrNotFound, ErrNoKey,
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

// named adds [ErrFull] or [ErrTampered] to SQLite's words for the same.
func named(err error) error {
	var s sqlite3.Error
	if !errors.As(err, &s) {
		return err
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
