//go:build !linux

package pcsctest

import "os/exec"

// dieWithParent does nothing where there is no such signal.
func dieWithParent(*exec.Cmd) {}
