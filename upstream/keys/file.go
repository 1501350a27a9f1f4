package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// ReadSecret reads a file that nobody but its owner may read.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o, want 0600", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}
