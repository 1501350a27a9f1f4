package pcsctest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends pcscd even if a test is killed before it can stop it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
