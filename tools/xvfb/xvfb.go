// Package xvfb runs a program on a screen that nobody sees, and touches it as
// a finger would.
//
// It is for tests and demonstrations: the tap test, the end-to-end scenarios,
// and make run on a machine without a screen. It knows nothing of the program
// it shows, and starts no goroutine that outlives Close.
//
// It needs Xvfb and xdotool, which make setup installs.
package xvfb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// pressTime is how long a finger rests on the glass in a tap.
	pressTime = 80 * time.Millisecond
	// startMax is how long an X server may take on a busy machine.
	startMax = 20 * time.Second
	// stopMax is how long an X server may take to remove its lock file.
	stopMax = 3 * time.Second
)

// Display is an X server without a screen, with a home directory of its own.
// Whoever started it must call Close. Its methods are safe for concurrent use,
// but there is one pointer: taps made at the same time disturb each other.
type Display struct {
	Number        int // as in DISPLAY=:Number
	Width, Height int // in pixels

	dir  string // holds home/ and the frame buffer
	stop context.CancelFunc
	cmd  *exec.Cmd
}

// Start starts a server on a display number that is free, with a screen of
// width times height pixels, and returns when programs can connect. The server
// also ends when ctx or the calling program does.
func Start(ctx context.Context, width, height int) (*Display, error) {
	dir, err := os.MkdirTemp("", "xvfb-")
	if err != nil {
		return nil, err
	}
	d := &Display{Width: width, Height: height, dir: dir}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Xvfb: %w", err), d.Close())
	}
	return d, nil
}

func (d *Display) start(ctx context.Context) error {
	// Fyne makes its cache folder, but not the folder above it.
	if err := os.MkdirAll(filepath.Join(d.dir, "home", ".cache"), 0o700); err != nil {
		return err
	}
	numbers, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer numbers.Close()
	defer report.Close()

	ctx, d.stop = context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "Xvfb",
		"-displayfd", "3", // the server looks for a free number and writes it here
		"-screen", "0", fmt.Sprintf("%dx%dx24", d.Width, d.Height),
		"-fbdir", d.dir,
		"-nolisten", "tcp",
		"-noreset") // otherwise it starts anew whenever its last client leaves
	cmd.ExtraFiles = []*os.File{report}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopMax
	// A group of its own: Ctrl-C must reach the programs before their screen.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return missing(err)
	}
	d.cmd = cmd
	report.Close() // the server holds its own copy; without ours, its end is our EOF

	if err := numbers.SetReadDeadline(time.Now().Add(startMax)); err != nil {
		return err
	}
	line, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no display number: %w", err)
	}
	d.Number, err = strconv.Atoi(strings.TrimSpace(line))
	return err
}

// Close ends the server and removes its files. A program that is still on the
// display loses its connection.
func (d *Display) Close() error {
	if d.stop != nil {
		d.stop()
	}
	if d.cmd != nil {
		_ = d.cmd.Wait() // it always reports the signal that ended it
	}
	return os.RemoveAll(d.dir)
}

// Name returns the display's name for the DISPLAY variable, such as ":7".
func (d *Display) Name() string { return ":" + strconv.Itoa(d.Number) }

// Home returns the home directory of programs on this display. It is empty at
// first, and Close removes it.
func (d *Display) Home() string { return filepath.Join(d.dir, "home") }

// Env returns the environment for a program on this display, from our own one.
//
// It makes Fyne look the same everywhere: one pixel per unit, no settings of
// whoever runs it, and no session bus, of which Fyne would leave one behind
// for every start.
func (d *Display) Env() []string {
	drop := []string{"WAYLAND_DISPLAY", "FYNE_THEME", "FYNE_FONT", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LC_ALL"}
	set := []string{
		"DISPLAY=" + d.Name(),
		"HOME=" + d.Home(),
		"LANG=en_US.UTF-8",
		"DBUS_SESSION_BUS_ADDRESS=disabled:",
		"FYNE_DISABLE_DPI_DETECTION=true",
		"FYNE_SCALE=1",
	}
	for _, pair := range set {
		name, _, _ := strings.Cut(pair, "=")
		drop = append(drop, name)
	}
	var env []string
	for _, pair := range os.Environ() {
		if !named(pair, drop) {
			env = append(env, pair)
		}
	}
	return append(env, set...)
}

// Command returns name, ready to be started on this display. It is killed when
// ctx ends, and told to end when the calling program dies.
func (d *Display) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.Env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	return cmd
}

// Tap touches the screen at x, y in pixels for as long as a finger does.
//
// It moves and presses in one batch, as an X server does for a touch: a
// toolkit that looks at the pointer's place too late misses such a tap, and
// one after a pause between the two would hide that.
func (d *Display) Tap(x, y int) error { return d.Hold(x, y, pressTime) }

// Hold touches the screen at x, y in pixels for the given time.
func (d *Display) Hold(x, y int, press time.Duration) error {
	err := d.xdotool("mousemove", strconv.Itoa(x), strconv.Itoa(y), "mousedown", "1")
	if err != nil {
		return err
	}
	time.Sleep(press)
	return d.xdotool("mouseup", "1")
}

// Press presses keys one after the other, by their X names, such as "Return",
// "a" or "ctrl+shift+a".
func (d *Display) Press(keys ...string) error {
	return d.xdotool(append([]string{"key", "--delay", "20", "--"}, keys...)...)
}

// Type types text as a keyboard would whose owner is quick.
func (d *Display) Type(text string) error { return d.xdotool("type", "--delay", "5", "--", text) }

// Scan types a code and ends it, as a code scanner would: in one go, because a scanner
// does not rest before the end.
func (d *Display) Scan(code string) error {
	return d.xdotool("type", "--delay", "5", "--args", "1", "--", code, "key", "Return")
}

// Move waits for a window with title in its name, which may take a while to
// come, and puts its upper left corner at x, y in pixels. There is no window
// manager on a display, so windows lie on each other unless they are moved.
func (d *Display) Move(ctx context.Context, title string, x, y int) error {
	cmd := d.Command(ctx, "xdotool", "search", "--sync", "--onlyvisible", "--name", title,
		"windowmove", strconv.Itoa(x), strconv.Itoa(y))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("move window %q: %w: %s", title, missing(err), out)
	}
	return nil
}

// Screenshot writes what the screen shows to path, as a PNG.
func (d *Display) Screenshot(path string) error {
	img, err := d.Image()
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close())
}

func (d *Display) xdotool(args ...string) error {
	cmd := exec.Command("xdotool", args...)
	cmd.Env = d.Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("xdotool %s: %w: %s", args[0], missing(err), out)
	}
	return nil
}

// missing adds to err what to do when the program is not there.
func missing(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w (make setup installs it)", err)
	}
	return err
}

func named(pair string, names []string) bool {
	for _, n := range names {
		if strings.HasPrefix(pair, n+"=") {
			return true
		}
	}
	return false
}
