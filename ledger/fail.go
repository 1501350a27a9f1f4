package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// Refusals. They change nothing, and the Book goes on after them.
var (
	// ErrInvalid means that the entry breaks a rule of [Entry].
	ErrInvalid = errors.New("ledger: invalid entry")
	// ErrConflict means that the Ref is taken by an intent that says something
	// else, or that an end names another card or amount than its intent.
	ErrConflict = errors.New("ledger: reference is taken by a different intent")
	// ErrNoIntent means that nothing of that kind was begun under the Ref.
	ErrNoIntent = errors.New("ledger: no such intent")
	// ErrResolved means that the intent has ended, and differently.
	ErrResolved = errors.New("ledger: intent has ended differently")
	// ErrNotFound means that the journal has nothing under that name or number.
	ErrNotFound = errors.New("ledger: not found")
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
	for _, refusal := range []error{ErrInvalid, ErrConflict, ErrNoIntent, ErrResolved, ErrNotFound} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// judge decides what err means for the Book: refusals and the caller's own
// impatience leave it as it is, and everything else ends it. After a failed
// sync the kernel may have dropped the pages and called them clean, so nothing
// that this process could try or read again would prove anything.
//
// The caller holds b.mu.
func (b *Book) judge(ctx context.Context, op string, err error) error {
	switch {
	case err == nil, refused(err):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	b.failed = fmt.Errorf("%w: %s: %w", ErrFailed, op, named(err))
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
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return b.failed
	}
	var s unix.Statfs_t
	if err := unix.Statfs(b.path, &s); err != nil {
		return fmt.Errorf("ask for room: %w", os.NewSyscallError("statfs", err))
	}
	if free := uint64(s.Bavail) * uint64(s.Bsize); free < b.roomMin { // their types differ between machines
		return fmt.Errorf("%w: %d bytes left, need %d", ErrFull, free, b.roomMin)
	}
	return nil
}
