package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock takes the journal's OS lock, on a side file so that no SQLite lock is
// ever touched, and writes this process's ID into it. The kernel gives the lock
// back when the process ends, however it ends; the file itself stays, because
// removing it would let two processes lock two files of one name.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		holder := holderOf(f)
		return nil, errors.Join(fmt.Errorf("%w: held by %s (%s)", ErrLocked, holder, path), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), f.Close())
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), f.Close())
	}
	return f, nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holderOf reads who wrote the lock file last. The holder may be between
// locking and writing, so the answer is only for people to read.
func holderOf(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 20))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || convErr != nil {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d", pid)
}
