package pcsctest

import (
	"syscall"
	"testing"
)

// TestOwnGroup: Ctrl-C at a terminal does not take the service away from a program
// that may have a card to write before it ends.
func TestOwnGroup(t *testing.T) {
	Need(t)
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	group, err := syscall.Getpgid(s.cmd.Process.Pid)
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("pcscd is of group %d, %v, and we of %d", group, err, syscall.Getpgrp())
	}
}
