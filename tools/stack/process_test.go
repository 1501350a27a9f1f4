package stack

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell returns a process that runs script, whose first line of output is
// waited for.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", script},
		Dir: dir, Log: filepath.Join(dir, "log"),
	}
	t.Cleanup(p.Kill)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if log, _ := os.ReadFile(p.Log); strings.Contains(string(log), "\n") {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("shell said nothing")
	return nil
}

func TestStop(t *testing.T) {
	p := shell(t, "echo ready; exec sleep 60")
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if p.PID() != 0 {
		t.Errorf("PID after Stop = %d", p.PID())
	}
	if err := p.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Errorf("Start after Stop: %v", err)
	}
	if err := p.Start(); err == nil {
		t.Error("Start while running was not refused")
	}
}

// TestKill: what the program started must go with it.
func TestKill(t *testing.T) {
	p := shell(t, "sleep 60 & echo $!; wait")
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	child := strings.TrimSpace(string(log))
	p.Kill()
	for range 500 {
		if gone(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("child %s outlived the program", child)
}

// gone reports whether a process has ended, reaped or not.
func gone(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestEndedByItself(t *testing.T) {
	p := shell(t, "echo the disk is full; exit 3")
	<-p.Ended()
	err := p.Err()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") ||
		!strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("Err = %v, want exit status 3 and the log", err)
	}
}

func TestSignal(t *testing.T) {
	p := shell(t, `trap 'echo usr1; exit 0' USR1; echo ready; while :; do sleep 0.05; done`)
	p.Signal(syscall.SIGUSR1)
	<-p.Ended()
	if err := p.Err(); err != nil {
		t.Errorf("Err = %v", err)
	}
}
