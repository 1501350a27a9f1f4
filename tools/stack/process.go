package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopMax is how long a program may take to put its things in order after
// SIGTERM. The terminal first finishes an act that cannot be left half done,
// such as a write to a card, and gives itself 45 seconds for that.
const stopMax = 50 * time.Second

// Process is one program of the stack. It can be started again after it has
// ended, in the same place: that is how tests cut the power. Its methods are
// safe for concurrent use.
type Process struct {
	Name string   // for people
	Path string   // of the executable
	Args []string // without the program's name
	Env  []string // nil is our own environment
	Dir  string   // it runs here
	Log  string   // file that its output is appended to

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil before the first start
	ended chan struct{} // closed by the goroutine of the present cmd
	err   error         // guarded by ended: why it ended
}

// Start starts the program and does not wait for it to be ready. The program
// leads a process group of its own and is told to end when ours dies.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("%s is running already", p.Name)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own copy
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.Env, p.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		err := cmd.Wait()
		// What it started itself must not outlive it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		p.err = err
		close(ended)
	}()
	return nil
}

// Stop asks the program to end, and kills it if it does not in a long while.
// It returns once the program is gone, with an error if it had to be killed.
// To stop what is not running is no error.
func (p *Process) Stop() error {
	ended := p.signal(syscall.SIGTERM)
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopMax):
	}
	p.Kill()
	return fmt.Errorf("%s did not end within %v", p.Name, stopMax)
}

// Kill ends the program and all that it started at once, as a power cut does,
// and returns when it is gone.
func (p *Process) Kill() {
	if ended := p.signal(syscall.SIGKILL); ended != nil {
		<-ended
	}
}

// Freeze halts the program without ending it, so that it no longer answers but
// its connections stay; Thaw lets it go on.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen program go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

// Signal sends sig to the program and its children, and does nothing if the
// program is not running.
func (p *Process) Signal(sig syscall.Signal) { p.signal(sig) }

// PID returns the program's process number, or 0 if it is not running.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// Ended returns a channel that is closed when the program's present run ends.
// It is nil before the first start.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Err returns why the program ended: nil if by itself and well, or while it
// runs. The last lines of its log are part of the error.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.running() || p.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", p.Name, p.err, p.tail())
}

// signal sends sig to the program's group, and returns the channel of its end,
// or nil if it is not running.
func (p *Process) signal(sig syscall.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // if it has just gone, so much the better
	return p.ended
}

// running needs mu.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// tail returns the last lines of the log.
func (p *Process) tail() string {
	log, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// listening waits until p accepts connections on addr, a TCP address.
func (p *Process) listening(ctx context.Context, addr string) error {
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w", p.Name, addr, err)
		case <-p.Ended():
			return errors.Join(fmt.Errorf("%s ended before it listened on %s", p.Name, addr), p.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
