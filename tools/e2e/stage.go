package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quancun/kiosk"
	"quancun/money"
	"quancun/tools/stack"
	"quancun/tools/xvfb"
)

// panel is the one that the pages are drawn for first: 21.5 inches, upright.
var panel = stack.Panel{WidthPX: 1080, HeightPX: 1920, WidthMM: 268, FullScreen: true}

// stage is one machine, or two, with everything behind them, and one person in
// front.
type stage struct {
	ctx     context.Context
	dir     string
	stack   *stack.Stack
	windows []*window
	here    *window // that the person stands at: one of windows
	card    string  // that the person holds, as the lab calls it
	pin     string
	account string
	aside   money.Fen // that the account has spent and the card not
	shots   int
	visits  int // of a soak
}

// window is a terminal, and the screen that it shows itself on.
type window struct {
	terminal *stack.Process
	display  *xvfb.Display
	slot     int    // of the service's readers, that it sells at
	mapFile  string // that it writes: see ui.Map
}

// open makes a screen for a window, and where that keeps its things.
func (s *stage) open(dir string, slot int) (*window, error) {
	display, err := xvfb.Start(s.ctx, panel.WidthPX, panel.HeightPX)
	if err != nil {
		return nil, err
	}
	w := &window{display: display, slot: slot, mapFile: filepath.Join(dir, "map.json")}
	s.windows = append(s.windows, w)
	return w, nil
}

// env is the environment of the window's terminal.
func (w *window) env() []string { return append(w.display.Env(), "QUANCUN_E2E_MAP="+w.mapFile) }

// journal is the file of the window's terminal.
func (w *window) journal() string { return filepath.Join(w.terminal.Dir, "journal.db") }

// newStage starts everything in a new dir. The person holds the card of the
// demonstration that is level with its account.
func newStage(ctx context.Context, of scenario, o options) (_ *stage, err error) {
	bin, dir := o.bin, o.dir
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, path := range []*string{&bin, &dir} { // the programs run in dir
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	s := &stage{ctx: ctx, dir: dir, visits: o.visits}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.here, err = s.open(dir, 0); err != nil {
		return s, err
	}
	s.stack, err = stack.New(stack.Options{
		Dir: dir, Bin: bin, Reader: stack.PCSC, Panel: panel, Face: of.face, SignIn: of.staff, Printer: of.printer,
		TerminalPath: filepath.Join(bin, "quancun-e2e"),
		Env:          s.here.env(),
	})
	if err != nil {
		return s, err
	}
	s.here.terminal = s.stack.Terminal
	if err := s.stack.Start(ctx); err != nil {
		return s, err
	}
	if err := s.ready(); err != nil {
		return s, err
	}
	return s, s.holdCard("level")
}

// ready waits until the window answers. A signal that came before would end
// the terminal.
func (s *stage) ready() error {
	for end := time.Now().Add(seeMax); time.Now().Before(end); {
		if _, err := os.Stat(s.here.mapFile); err == nil {
			return nil
		}
		if err := s.pause(50 * time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the window does not come up")
}

// restart starts the terminal again after its power was cut.
func (s *stage) restart() error {
	if err := os.Remove(s.here.mapFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.here.terminal.Start(); err != nil {
		return err
	}
	return s.ready()
}

// another puts a second terminal beside the first, with a screen, a reader and a
// journal of its own.
func (s *stage) another(name, face string) (*window, error) {
	w, err := s.open(s.stack.File(name), 1)
	if err != nil {
		return nil, err
	}
	if w.terminal, err = s.stack.Another(s.ctx, name, face, w.env()); err != nil {
		return nil, err
	}
	before := s.here
	s.here = w
	defer func() { s.here = before }()
	return w, s.restart()
}

// goTo has the person go to a window.
func (s *stage) goTo(w *window) func() error {
	return func() error { s.here = w; return nil }
}

func (s *stage) close() error {
	var errs []error
	if s.stack != nil {
		errs = append(errs, s.stack.Stop())
		errs = append(errs, s.threads())
	}
	for _, w := range s.windows {
		errs = append(errs, w.display.Close())
	}
	return errors.Join(errs...)
}

// threads looks for what only a build with Fyne's thread checks can find.
func (s *stage) threads() error {
	for _, w := range s.windows {
		if w.terminal == nil {
			continue
		}
		log, err := os.ReadFile(w.terminal.Log)
		if err == nil && bytes.Contains(log, []byte("Error in Fyne call thread")) {
			return fmt.Errorf("the window was touched from another goroutine; see %s", w.terminal.Log)
		}
	}
	return nil
}

// screen is where everything is that can be tapped, as ui writes it.
type screen struct {
	Step    kiosk.Step `json:"step"`
	Part    string     `json:"part"` // of a conversation: what it asks, or how a task has ended
	Texts   []string   `json:"texts"`
	Said    []string   `json:"said"` // what a person hears who does not see
	Targets map[string]struct {
		X, Y, W, H int
		Enabled    bool
	} `json:"targets"`
}

// slow is an answer that a person would notice. A machine that has more to do
// than it can gives one too, so it is said, and fails nothing.
const slow = 2 * time.Second

// look asks the window what it shows, until end or for a moment. A window that
// draws late is waited for; a terminal that has ended is not.
func (s *stage) look(end time.Time) (now screen, err error) {
	path := s.here.mapFile
	_ = os.Remove(path)
	asked := time.Now()
	if soon := asked.Add(slow); end.Before(soon) {
		end = soon
	}
	s.here.terminal.Signal(syscall.SIGUSR1)
	for {
		text, err := os.ReadFile(path)
		took := time.Since(asked).Truncate(time.Millisecond)
		switch {
		case err == nil && took > slow:
			fmt.Fprintf(os.Stderr, "e2e: the window took %v to answer\n", took)
			fallthrough
		case err == nil:
			return now, json.Unmarshal(text, &now)
		case s.here.terminal.PID() == 0:
			return now, errors.Join(errors.New("the terminal has ended"), s.here.terminal.Err())
		case time.Now().After(end):
			return now, fmt.Errorf("the terminal runs, and the window has not answered for %v", took)
		}
		if err := s.pause(20 * time.Millisecond); err != nil {
			return now, err
		}
	}
}

func (s *stage) pause(d time.Duration) error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// seeMax is how long a step may take to come.
const seeMax = 40 * time.Second

// see waits until the window shows one of the steps, takes a picture, and
// returns which.
func (s *stage) see(steps ...kiosk.Step) (kiosk.Step, error) {
	var now screen
	for end := time.Now().Add(seeMax); time.Now().Before(end); {
		var err error
		if now, err = s.look(end); err != nil {
			return 0, err
		}
		for _, step := range steps {
			if now.Step == step {
				_ = s.pause(150 * time.Millisecond) // for the picture
				s.shot(fmt.Sprintf("step%02d", step))
				return step, nil
			}
		}
		if err := s.pause(50 * time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the window shows step %d, and not one of %v", now.Step, steps)
}

// says waits until a line on the page has some words.
func (s *stage) says(words string) func() error { return s.untilSays(words, true) }

// saysNoMore waits until none has.
func (s *stage) saysNoMore(words string) func() error { return s.untilSays(words, false) }

func (s *stage) untilSays(words string, there bool) func() error {
	return func() error {
		var now screen
		for end := time.Now().Add(seeMax); time.Now().Before(end); {
			var err error
			if now, err = s.look(end); err != nil {
				return err
			}
			if strings.Contains(strings.Join(now.Texts, ""), words) == there {
				s.shot("says")
				return nil
			}
			if err := s.pause(50 * time.Millisecond); err != nil {
				return err
			}
		}
		return fmt.Errorf("whether the page says %q is not %v: %q", words, there, now.Texts)
	}
}

// without waits until the window shows nothing of that name to tap.
func (s *stage) without(target string) func() error {
	return func() error {
		for end := time.Now().Add(seeMax); time.Now().Before(end); {
			now, err := s.look(end)
			if err != nil {
				return err
			}
			if _, there := now.Targets[target]; !there {
				return nil
			}
			if err := s.pause(50 * time.Millisecond); err != nil {
				return err
			}
		}
		return errors.New("the window still shows " + target)
	}
}

// tap touches a target as a finger does.
func (s *stage) tap(name string) error {
	now, err := s.look(time.Now().Add(seeMax))
	if err != nil {
		return err
	}
	t, ok := now.Targets[name]
	if !ok || !t.Enabled {
		return fmt.Errorf("step %d has nothing to tap called %q", now.Step, name)
	}
	return s.here.display.Tap(t.X+t.W/2, t.Y+t.H/2)
}

// await taps target once the window shows step.
func (s *stage) await(step kiosk.Step, target string) error {
	if _, err := s.see(step); err != nil {
		return err
	}
	return s.tap(target)
}

// typePIN types the card's PIN on the window's pad.
func (s *stage) typePIN(step kiosk.Step) error {
	if _, err := s.see(step); err != nil {
		return err
	}
	for _, digit := range s.pin {
		if err := s.tap("digit-" + string(digit)); err != nil {
			return err
		}
	}
	return nil
}

// shot takes a picture. A picture that fails is no failure.
func (s *stage) shot(name string) {
	if s.here != nil {
		s.shots++
		_ = s.here.display.Screenshot(filepath.Join(s.dir, fmt.Sprintf("%02d-%s.png", s.shots, name)))
	}
}

// lay lays the person's card on the reader of the window.
func (s *stage) lay() error {
	return s.lab("lay", s.card, "--vpcd", s.stack.Service.Addr(s.here.slot))
}

// lab has the lab do something.
func (s *stage) lab(args ...string) error {
	_, err := s.tool("campuslab", args...)
	return err
}

// tool runs one of the programs and returns what it prints.
func (s *stage) tool(name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.ctx, filepath.Join(s.stack.Bin, name), args...)
	cmd.Env = append(os.Environ(), "CAMPUSLAB="+s.stack.LabURL())
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, failed.Stderr)
	}
	return out, err
}
