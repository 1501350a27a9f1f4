package works

import (
	"errors"
	"io"
	"strings"

	"quancun/lab/disk"
	"quancun/ledger"
)

// Drive is a disk as a journal sees it, with the second medium of the machine in
// it, if it has one.
type Drive struct {
	*disk.Disk
	Card *disk.Disk
}

// card is where the second medium is.
const card = "/card/"

// at returns the medium that a path is on.
func (d Drive) at(path string) *disk.Disk {
	if d.Card != nil && strings.HasPrefix(path+"/", card) {
		return d.Card
	}
	return d.Disk
}

// Rename implements [ledger.FS].
func (d Drive) Rename(from, to string) error { return d.at(from).Rename(from, to) }

// Remove implements [ledger.FS].
func (d Drive) Remove(path string) error { return d.at(path).Remove(path) }

// Size implements [ledger.FS].
func (d Drive) Size(path string) (int64, error) { return d.at(path).Size(path) }

// SyncDir implements [ledger.FS].
func (d Drive) SyncDir(dir string) error { return d.at(dir).SyncDir(dir) }

// DSN implements [ledger.FS]. Statements are kept, because a program on a
// simulated disk asks the same few questions thousands of times. Connections
// have no lock of SQLite's: database/sql lends each to one goroutine at a time.
func (d Drive) DSN(path string) string { return d.Disk.DSN(path) + "&_stmt_cache_size=100&_mutex=no" }

// Open implements [ledger.FS].
func (d Drive) Open(path string, flag int) (ledger.File, error) {
	f, err := d.at(path).Open(path, flag)
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
