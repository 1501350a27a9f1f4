package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteSecret makes a file of mode 0600 at path, whole or not at all, and does
// not return before it is on the disk. It refuses to replace a file: what it
// writes can not be made again.
func WriteSecret(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	// Unlike a rename, a link never replaces what another process has just
	// written there.
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}
