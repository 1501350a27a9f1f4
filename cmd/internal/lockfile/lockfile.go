// Package lockfile keeps a second process out of a folder that one program at a
// time may serve.
//
// It is for servers. A terminal's journal has a lock of its own (package
// ledger), which also says who holds it.
package lockfile

// Take makes the file at path if it is not there, and takes it for this process
// alone until release, or until the process ends, however it ends. The file
// stays. Its error is [errors.ErrUnsupported] on a system without such locks,
// and any other means that the file is taken, or that nobody can tell.
func Take(path string) (release func() error, err error) { return take(path) }
