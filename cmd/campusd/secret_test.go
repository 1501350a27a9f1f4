//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSecretFiles: whatever campusd writes is its owner's alone.
func TestSecretFiles(t *testing.T) {
	s := newSite(t)
	before := syscall.Umask(0) // of the whole process: no other test runs now
	s.must("demo", "--cards", s.path("cards.json"))
	s.must("terminal", "add", "K01")
	s.serve()
	syscall.Umask(before)
	names, err := filepath.Glob(s.path("data/*"))
	if err != nil || len(names) < 8 { // books.db and its two, keys.json, campus.pem, ca.pem, server.pem, serve.lock
		t.Errorf("the data folder holds %q, %v", names, err)
	}
	for _, name := range append(names, s.path("cards.json")) {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	if info, err := os.Stat(s.path("data")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data: %v, %v; want mode 0700", info, err)
	}
}
