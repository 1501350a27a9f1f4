package works

import (
	"errors"
	"io"

	"quancun/lab/disk"
	"quancun/ledger"
)

// Drive is a disk as a journal sees it.
type Drive struct{ *disk.Disk }

// DSN implements [ledger.FS]. Statements are kept, because a program on a
// simulated disk asks the same few questions thousands of times.
func (d Drive) DSN(path string) string { return d.Disk.DSN(path) + "&_stmt_cache_size=100" }

// Open implements [ledger.FS].
func (d Drive) Open(path string, flag int) (ledger.File, error) {
	f, err := d.Disk.Open(path, flag)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Lock implements [ledger.FS].
func (d Drive) Lock(path string) (io.Closer, error) {
	held, err := d.Disk.Lock(path)
	if errors.Is(err, disk.ErrLocked) {
		err = errors.Join(ledger.ErrLocked, err)
	}
	return held, err
}
