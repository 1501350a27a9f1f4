// Package pcsctest starts a PC/SC service of one's own: pcscd with the virtual
// reader driver vpcd, apart from the machine's own service, for tests and for
// whoever runs the whole terminal against virtual cards.
//
// pcscd knows one socket, in /run, unless systemd hands it another one. So that
// is what this package does, as systemd would: it listens at a path of its own
// and passes the listener on. The configuration, the ports of the virtual
// readers and the process are its own too, and nothing is left when it stops.
package pcsctest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// driver is where Debian's vsmartcard-vpcd puts the driver.
const driver = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"

// socketVariable is where clients of pcscd find their service. libpcsclite reads
// it once in the life of a process.
const socketVariable = "PCSCLITE_CSOCK_NAME"

// ErrMissing means that pcscd or vpcd is not installed on this machine.
var ErrMissing = errors.New("pcsctest: pcscd or vsmartcard-vpcd is not installed")

// Available returns nil if pcscd and vpcd are installed, and [ErrMissing] if
// not.
func Available() error {
	if _, err := exec.LookPath("pcscd"); err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	// The driver's name ends in its version; only the package knows the link.
	if found, _ := filepath.Glob(driver + "*"); len(found) == 0 {
		return fmt.Errorf("%w: no %s", ErrMissing, driver)
	}
	return nil
}

// Need skips the test if pcscd or vpcd is missing, and fails it where CI is set:
// there they must not be missing.
func Need(t testing.TB) {
	t.Helper()
	err := Available()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// Service is a running pcscd. Make one with [Start].
type Service struct {
	dir    string
	socket string
	port   int    // of the first slot
	name   string // of both readers, without their numbers

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan error // what cmd ended with
	log  *tail

	pulled bool // there are no readers
}

// here is the socket of this process's services: libpcsclite remembers the
// first path it was told, so that all of them share it, one after the other.
var here struct {
	sync.Mutex
	dir    string
	socket string
	taken  bool
}

// Start starts a service with two virtual readers, into which virtual cards
// dial at [Service.Addr]. It points this process's PC/SC clients at it, so that
// there is one service at a time in a process. Child processes need
// [Service.Env]. The caller stops it.
func Start() (*Service, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	s := &Service{name: "Virtual PCD"}
	if err := s.takeSocket(); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.Resume(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Service) takeSocket() error {
	here.Lock()
	defer here.Unlock()
	if here.taken {
		return errors.New("pcsctest: a service is running in this process")
	}
	if here.dir == "" {
		dir, err := os.MkdirTemp("", "pcsc-") // short: a socket's path has 107 bytes at most
		if err != nil {
			return fmt.Errorf("pcsctest: %w", err)
		}
		here.dir, here.socket = dir, filepath.Join(dir, "pcscd.comm")
		if err := os.Setenv(socketVariable, here.socket); err != nil {
			return fmt.Errorf("pcsctest: %w", err)
		}
	}
	if err := os.MkdirAll(here.dir, 0o700); err != nil {
		return fmt.Errorf("pcsctest: %w", err)
	}
	here.taken = true
	s.dir, s.socket = here.dir, here.socket
	return nil
}

// configure writes the readers' configuration, with ports that are free now.
func (s *Service) configure() error {
	var err error
	if s.port, err = freePorts(); err != nil {
		return err
	}
	return s.write("vpcd")
}

// write writes a file of that configuration.
func (s *Service) write(file string) error {
	library := driver
	if found, _ := filepath.Glob(driver + "*"); len(found) > 0 {
		library = found[0]
	}
	conf := filepath.Join(s.dir, "conf")
	if err := os.MkdirAll(conf, 0o700); err != nil {
		return fmt.Errorf("pcsctest: %w", err)
	}
	text := fmt.Sprintf("FRIENDLYNAME \"%s\"\nDEVICENAME /dev/null:0x%04X\nLIBPATH %s\nCHANNELID 0x%04X\n",
		s.name, s.port, library, s.port)
	if err := os.WriteFile(filepath.Join(conf, file), []byte(text), 0o600); err != nil {
		return fmt.Errorf("pcsctest: %w", err)
	}
	return nil
}

// freePorts returns the first of two free ports in a row, one for each slot.
func freePorts() (int, error) {
	for i := range portsLast - portsFirst {
		port := portsFirst + 2*(os.Getpid()+i)%(portsLast-portsFirst)
		a, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		b, err := net.Listen("tcp", fmt.Sprintf(":%d", port+1))
		a.Close()
		if err == nil {
			b.Close()
			return port, nil
		}
	}
	return 0, errors.New("pcsctest: no two free ports in a row")
}

// Where ports are looked for: below those that Linux gives away itself, so that
// nobody gets one by chance before pcscd has it.
const (
	portsFirst = 30_000
	portsLast  = 32_700
)

// Addr is where a virtual card dials in for the reader of the given slot, 0 or 1.
func (s *Service) Addr(slot int) string { return fmt.Sprintf("127.0.0.1:%d", s.port+slot) }

// Reader is the PC/SC name of the reader of the given slot.
func (s *Service) Reader(slot int) string { return fmt.Sprintf("%s 00 %02d", s.name, slot) }

// Env is what the environment of a child process needs to find the service.
func (s *Service) Env() []string { return []string{socketVariable + "=" + s.socket} }

// startTimeout is how long pcscd may take to start, and to stop, on a busy
// machine.
const startTimeout = 20 * time.Second

// Resume starts pcscd again after [Service.Halt].
func (s *Service) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return nil
	}
	if err := s.start(); err != nil {
		return fmt.Errorf("pcsctest: start pcscd: %w", err)
	}
	if s.pulled {
		return nil
	}
	return s.awaitReaders()
}

func (s *Service) start() error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // pcscd has it too; stop removes it
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return err
	}
	defer f.Close()

	// LISTEN_PID must be pcscd's own, which only the shell knows before exec.
	s.log = &tail{}
	s.cmd = exec.Command("/bin/sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec pcscd --foreground --config "$0"`,
		filepath.Join(s.dir, "conf"))
	s.cmd.ExtraFiles = []*os.File{f} // descriptor 3, where systemd puts it
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.WaitDelay = time.Second
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(s.cmd, s.done)
	return nil
}

// awaitReaders waits until both virtual readers listen for cards.
func (s *Service) awaitReaders() error {
	deadline := time.Now().Add(startTimeout)
	for slot := 0; slot < 2; {
		if listening(s.port + slot) {
			slot++
			continue
		}
		select {
		case err := <-s.done:
			s.cmd = nil
			return fmt.Errorf("pcsctest: pcscd ended: %w\n%s", errors.Join(err, errors.New("too early")), s.log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("pcsctest: pcscd has no reader %d\n%s", slot, s.log)
		}
	}
	return nil
}

// listening reports whether somebody listens on port. It asks the kernel: a dial
// would be taken for a card, and a bind might be in the driver's way.
func listening(port int) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false
	}
	local := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], local) && f[3] == "0A" { // LISTEN
			return true
		}
	}
	return false
}

// Halt ends pcscd, as an update or a crash of the service would, and waits until
// it has ended. [Service.Resume] starts it again in the same place.
func (s *Service) Halt() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil }()
	err := os.Remove(s.socket)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pcsctest: stop pcscd: %w", err)
	}
	select {
	case <-s.done: // with a signal, or by itself: either is an end
	case <-time.After(startTimeout / 4): // pcscd waits for a card that never answers
		err = errors.Join(err, s.cmd.Process.Kill())
		<-s.done
	}
	return err
}

// Pull restarts the service without its readers, as if their cables had been
// pulled, and Plug restarts it with them. A virtual reader cannot be pulled from
// a running pcscd.
func (s *Service) Pull() error { return s.rename("vpcd", ".vpcd") }

// Plug is the reverse of [Service.Pull].
func (s *Service) Plug() error { return s.rename(".vpcd", "vpcd") }

// PlugAs is Plug for readers that have come back under another name, as they do in
// another slot.
func (s *Service) PlugAs(name string) error {
	s.name = name
	if err := s.write(".vpcd"); err != nil {
		return err
	}
	return s.Plug()
}

func (s *Service) rename(from, to string) error {
	if err := s.Halt(); err != nil {
		return err
	}
	conf := filepath.Join(s.dir, "conf")
	if err := os.Rename(filepath.Join(conf, from), filepath.Join(conf, to)); err != nil {
		return fmt.Errorf("pcsctest: %w", err)
	}
	s.mu.Lock()
	s.pulled = to != "vpcd"
	s.mu.Unlock()
	return s.Resume()
}

// Restart is [Service.Halt] and then [Service.Resume].
func (s *Service) Restart() error {
	if err := s.Halt(); err != nil {
		return err
	}
	return s.Resume()
}

// Stop ends the service for good and removes what it left on the disk.
func (s *Service) Stop() error {
	err := s.Halt()
	here.Lock()
	defer here.Unlock()
	here.taken = false
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Log returns the end of what pcscd has said since it was started.
func (s *Service) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*tail)(nil)

const tailMax = 64 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > tailMax {
		l.buf.Next(l.buf.Len() - tailMax/2)
	}
	return l.buf.Write(p)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.buf.String())
}
