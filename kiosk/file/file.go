// Package file writes the small files that a terminal keeps beside its journal.
package file

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a file in place of the one at path, for its owner's eyes only.
// After a power cut it is the new one or the old one, and whole.
func Replace(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
