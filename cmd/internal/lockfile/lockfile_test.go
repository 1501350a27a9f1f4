//go:build unix

package lockfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"quancun/cmd/internal/lockfile"
)

func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := lockfile.Take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockfile.Take(path); err == nil {
		t.Error("the file was taken twice")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = lockfile.Take(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	defer release()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", path, info, err)
	}
	if _, err := lockfile.Take(filepath.Join(path, "none")); err == nil {
		t.Error("a file was taken that can not be made")
	}
}
