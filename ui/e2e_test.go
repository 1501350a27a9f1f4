//go:build e2e

package ui

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"quancun/kiosk"
)

// TestMap asks for the map as a test from outside does, and finds a key by its
// label and by its name.
func TestMap(t *testing.T) {
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGUSR1) // before Run listens, the signal would end the test
	defer signal.Stop(ignored)
	name := filepath.Join(t.TempDir(), "map.json")
	t.Setenv(mapVariable, name)
	var told []kiosk.Input
	w := newWindow(t, still, &told)
	w.Show(viewOf("06-account"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() { cancel(); <-done }()

	var m Map
	for range 100 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if b, err := os.ReadFile(name); err == nil {
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if m.Step != int(kiosk.Account) || m.Language != "zh" {
		t.Errorf("map is of step %d in %q", m.Step, m.Language)
	}
	byLabel, byName := m.Targets["充值"], m.Targets["topup"]
	if byLabel != byName || !byName.Enabled || byName.Width < 80 || byName.Y < 900 {
		t.Errorf("top-up key is %+v by label and %+v by name", byLabel, byName)
	}
}
