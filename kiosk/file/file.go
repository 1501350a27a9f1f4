// Package file writes the small files that a terminal keeps beside its journal.
package file

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrDamaged means that a file is not as it was written.
var ErrDamaged = errors.New("file: it is damaged")

// Sealed adds to a line of text what [Unsealed] knows a flipped bit by: a digit that
// has become another is no amount of money. It guards against the disk, and not
// against people.
func Sealed(line []byte) []byte { return fmt.Appendf(nil, "%s\n%x\n", line, sha256.Sum256(line)) }

// Unsealed returns the line, or [ErrDamaged]. A file of one line is from before there
// were seals, and is what it is.
func Unsealed(content []byte) ([]byte, error) {
	line, seal, sealed := bytes.Cut(content, []byte("\n"))
	if sealed && !bytes.Equal(seal, fmt.Appendf(nil, "%x\n", sha256.Sum256(line))) {
		return nil, ErrDamaged
	}
	return line, nil
}

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
