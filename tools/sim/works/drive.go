package works

import (
	"errors"
	"io"

	"quancun/lab/disk"
	"quancun/ledger"
)

// Drive is a disk as a journal sees it.
type Drive struct{ *disk.Disk }

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
