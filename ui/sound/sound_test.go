package sound

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quancun/assets"
)

// TestPlay hears what a program called aplay was given.
func TestPlay(t *testing.T) {
	dir := t.TempDir()
	heard := filepath.Join(dir, "heard")
	script := "#!/bin/sh\nPATH=/usr/bin:/bin\ncat >" + heard + ".new\nmv " + heard + ".new " + heard + "\n"
	if err := os.WriteFile(filepath.Join(dir, "aplay"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	p := NewPlayer("")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.Play(OK)

	var got []byte
	want := assets.Sound("ok")
	for end := time.Now().Add(time.Minute); !bytes.Equal(got, want) && time.Now().Before(end); {
		got, _ = os.ReadFile(heard) // none at first, then a part of it
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("aplay was given %d bytes, want %d", len(got), len(want))
	}
}

// TestPlayNeverWaits: without aplay, and with nobody who plays.
func TestPlayNeverWaits(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	silent := NewPlayer("")
	stuck := &Player{program: "aplay", queue: make(chan Name, 2)}
	for range 100 {
		silent.Play(Key)
		stuck.Play(Key)
	}
	if len(silent.queue) != 0 || len(stuck.queue) != 2 {
		t.Errorf("%d and %d sounds wait, want 0 and 2", len(silent.queue), len(stuck.queue))
	}
}

// TestSounds: each name has a WAV.
func TestSounds(t *testing.T) {
	for _, n := range []Name{Key, Erase, Accepted, OK, Attention, Refuse} {
		if b := assets.Sound(string(n)); !bytes.HasPrefix(b, []byte("RIFF")) {
			t.Errorf("%s is no WAV", n)
		}
	}
}
