//go:build unix

package store_test

import (
	"os"
	"syscall"
	"testing"

	"quancun/upstream/store"
)

// TestMode: the books and the files beside them are their owner's alone, with
// any umask, and again after a copy was put back that was not.
func TestMode(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		before := syscall.Umask(umask) // of the whole process: no other test runs now
		p := inFile(t)
		path := p.dsn
		newBooks(t, p)
		syscall.Umask(before)
		private(t, path, path+"-wal", path+"-shm")
		for _, p := range []string{path, path + "-wal", path + "-shm"} { // as after a crash and a copy
			if err := os.Chmod(p, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := store.Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AddHolder(t.Context(), store.Holder{Account: "holder/1002"}, store.PIN{}, 0); err != nil {
			t.Error(err)
		}
		private(t, path, path+"-wal", path+"-shm")
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func private(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", p, info, err)
		}
	}
}
