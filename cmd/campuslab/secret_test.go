//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"quancun/reader/vpcd"
)

// TestSecretFiles: whatever the lab writes is its owner's alone, but for the
// public halves of keys.
func TestSecretFiles(t *testing.T) {
	device, err := vpcd.Listen("127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	file := filepath.Join(t.TempDir(), "demo.json")
	if err := os.WriteFile(file, []byte(cardFile), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "lab")
	before := syscall.Umask(0) // of the whole process: no other test runs now
	start(t, dir, "--cards", file, "--vpcd", device.Addr())
	do(t, "lay 2024001")
	do(t, "fault precreate drop")
	syscall.Umask(before)
	files := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case e.IsDir():
			want = fs.ModeDir | 0o700
		case strings.HasSuffix(path, "_public.pem"):
			return nil
		default:
			files++
		}
		if info.Mode() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil || files < 6 { // lab.json, lock, a card, three private keys
		t.Errorf("%d private files, %v; want 6 or more", files, err)
	}
}
