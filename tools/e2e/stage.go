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

// stage is one machine with everything behind it, and one person in front.
type stage struct {
	ctx     context.Context
	dir     string
	stack   *stack.Stack
	display *xvfb.Display
	card    string // that the person holds, as the lab calls it
	pin     string
	account string
	byCode  money.Fen // that the account has spent and the card not
	shots   int
}

// newStage starts everything in a new dir. The person holds the card of the
// demonstration that is level with its account.
func newStage(ctx context.Context, face, bin, dir string) (_ *stage, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil { // the programs run in dir
		return nil, err
	}
	s := &stage{ctx: ctx, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.display, err = xvfb.Start(ctx, panel.WidthPX, panel.HeightPX); err != nil {
		return s, err
	}
	s.stack, err = stack.New(stack.Options{
		Dir: dir, Bin: bin, Reader: stack.PCSC, Panel: panel, Face: face,
		TerminalPath: filepath.Join(bin, "quancun-e2e"),
		Env:          append(s.display.Env(), "QUANCUN_E2E_MAP="+s.mapFile(dir)),
	})
	if err != nil {
		return s, err
	}
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
		if _, err := os.Stat(s.mapFile(s.dir)); err == nil {
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
	if err := os.Remove(s.mapFile(s.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.stack.Terminal.Start(); err != nil {
		return err
	}
	return s.ready()
}

func (s *stage) close() error {
	var errs []error
	if s.stack != nil {
		errs = append(errs, s.stack.Stop())
		errs = append(errs, s.threads())
	}
	if s.display != nil {
		errs = append(errs, s.display.Close())
	}
	return errors.Join(errs...)
}

// threads looks for what only a build with Fyne's thread checks can find.
func (s *stage) threads() error {
	log, err := os.ReadFile(filepath.Join(s.dir, "log", "quancun.log"))
	if err == nil && bytes.Contains(log, []byte("Error in Fyne call thread")) {
		return errors.New("the window was touched from another goroutine; see log/quancun.log")
	}
	return nil
}

func (s *stage) mapFile(dir string) string {
	path, err := filepath.Abs(filepath.Join(dir, "map.json"))
	if err != nil {
		return filepath.Join(dir, "map.json")
	}
	return path
}

// screen is where everything is that can be tapped, as ui writes it.
type screen struct {
	Step    kiosk.Step `json:"step"`
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
	path := s.mapFile(s.dir)
	_ = os.Remove(path)
	asked := time.Now()
	if soon := asked.Add(slow); end.Before(soon) {
		end = soon
	}
	s.stack.Terminal.Signal(syscall.SIGUSR1)
	for {
		text, err := os.ReadFile(path)
		took := time.Since(asked).Truncate(time.Millisecond)
		switch {
		case err == nil && took > slow:
			fmt.Fprintf(os.Stderr, "e2e: the window took %v to answer\n", took)
			fallthrough
		case err == nil:
			return now, json.Unmarshal(text, &now)
		case s.stack.Terminal.PID() == 0:
			return now, errors.Join(errors.New("the terminal has ended"), s.stack.Terminal.Err())
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
	return s.display.Tap(t.X+t.W/2, t.Y+t.H/2)
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
	if s.display != nil {
		s.shots++
		_ = s.display.Screenshot(filepath.Join(s.dir, fmt.Sprintf("%02d-%s.png", s.shots, name)))
	}
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
