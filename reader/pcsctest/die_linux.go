package pcsctest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends pcscd even if a test is killed before it can stop it, and no
// sooner: Ctrl-C is for whoever uses it, and may still have a card to write.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
