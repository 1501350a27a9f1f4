package file

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSealed flips every bit of a file: nothing that was not written is read.
func TestSealed(t *testing.T) {
	line := []byte(`{"sums":[12300,45600]}`)
	whole := Sealed(line)
	if got, err := Unsealed(whole); err != nil || !bytes.Equal(got, line) {
		t.Fatalf("Unsealed = %q, %v", got, err)
	}
	if got, err := Unsealed(line); err != nil || !bytes.Equal(got, line) {
		t.Errorf("of before there were seals: %q, %v", got, err)
	}
	for at := range whole {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << bit
			// One line that is too long is no JSON; whoever reads it finds that.
			if got, err := Unsealed(damaged); err == nil && !bytes.Equal(got, line) && len(got) <= len(line) {
				t.Errorf("byte %d, bit %d: %q", at, bit, got)
			}
		}
		if got, err := Unsealed(whole[:at]); err == nil && !bytes.HasPrefix(line, got) {
			t.Errorf("cut at %d: %q", at, got)
		}
	}
}

// TestFullDisk: what cannot be written replaces nothing.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path+".new"); err != nil { // each write to it fails
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Replace = %v, want ENOSPC", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file is %q, %v, want the old one", got, err)
	}
}
