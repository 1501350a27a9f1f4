// Package booktest opens books for tests that are not about migrations. To run them
// all takes a tenth of a second of a processor, and thousands of tests want new books.
package booktest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"quancun/upstream/store"
)

// Open is [store.OpenDSN]. A file that is not there is made as a copy of one that the
// migrations were run in, by this process.
func Open(ctx context.Context, dsn string, now func() time.Time) (*store.Books, error) {
	if !store.IsShared(dsn) && !strings.HasPrefix(dsn, "file:") {
		if err := lay(dsn); err != nil {
			return nil, err
		}
	}
	return store.OpenDSN(ctx, dsn, now)
}

// lay writes empty books to path, unless something is there.
func lay(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	image, err := empty()
	if err == nil {
		_, err = f.Write(image)
	}
	return errors.Join(err, f.Close())
}

// empty is a file of books without an entry.
var empty = sync.OnceValues(func() (image []byte, err error) {
	dir, err := os.MkdirTemp("", "books")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "books.db")
	b, err := store.OpenDSN(context.Background(), path, nil)
	if err != nil {
		return nil, err
	}
	if err := b.Close(); err != nil { // all is in the file then, and nothing beside it
		return nil, err
	}
	return os.ReadFile(path)
})
