package pinpad

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"quancun/reader/evdev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socket is where a pad is plugged in: a path at which there is a pipe that speaks as
// the kernel does, or nothing.
type socket struct {
	t    *testing.T
	path string
	pad  *os.File
}

// plug plugs a pad in. The pipe has a writer before it has its name, as a device is
// ready before udev names it.
func (s *socket) plug() {
	s.t.Helper()
	made := s.path + ".new"
	if out, err := exec.Command("mkfifo", made).CombinedOutput(); err != nil {
		s.t.Fatalf("mkfifo: %v: %s", err, out)
	}
	var err error
	if s.pad, err = os.OpenFile(made, os.O_RDWR, 0); err == nil {
		err = os.Rename(made, s.path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// pull pulls it out.
func (s *socket) pull() {
	s.t.Helper()
	if err := errors.Join(os.Remove(s.path), s.pad.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// send writes events as the kernel does, each with the end of its report.
func (s *socket) send(events ...evdev.Event) {
	s.t.Helper()
	for _, e := range events {
		if _, err := s.pad.Write(append(e.Bytes(), evdev.Event{}.Bytes()...)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// stroke presses a key of that code and lets it go.
func stroke(code uint16) []evdev.Event {
	return []evdev.Event{{Kind: 4, Code: 4, Value: 0x70059}, // EV_MSC, MSC_SCAN: which key of the device it was
		{Kind: evdev.Key, Code: code, Value: 1}, {Kind: evdev.Key, Code: code}}
}

// newSocket has a pad read until the test ends.
func newSocket(t *testing.T) (*socket, <-chan Event, *strings.Builder) {
	t.Helper()
	s := &socket{t: t, path: filepath.Join(t.TempDir(), "pad")}
	events, log := make(chan Event), &strings.Builder{}
	p := Pad{Device: s.path, Log: slog.New(slog.NewTextHandler(log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, events) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		if s.pad != nil {
			s.pad.Close()
		}
		if strings.Contains(log.String(), "digit") || strings.Count(log.String(), "\n") > 12 {
			t.Errorf("the log says too much:\n%s", log)
		}
	})
	return s, events, log
}

// want takes the next events, of which Away may come more than once.
func want(t *testing.T, events <-chan Event, all ...Event) {
	t.Helper()
	for i, w := range all {
		for {
			var got Event
			select {
			case got = <-events:
			case <-time.After(20 * time.Second):
				t.Fatalf("event %d: nothing came, want kind %d", i, w.Kind)
			}
			if got.Kind == Away && w.Kind != Away {
				continue
			}
			if got != w {
				t.Fatalf("event %d is of kind %d, digit %q, want kind %d, %q", i, got.Kind, got.Digit, w.Kind, w.Digit)
			}
			break
		}
	}
}

// TestPad types on every sort of keypad, unplugs it amid that, and plugs it in again.
func TestPad(t *testing.T) {
	s, events, _ := newSocket(t)
	want(t, events, Event{Kind: Away}) // there is none yet
	s.plug()
	want(t, events, Event{Kind: There})
	var typed []Event
	for digit, codes := range map[byte][]uint16{
		'0': {11, 82, 0x200}, '1': {2, 79, 0x201}, '2': {3, 80, 0x202}, '3': {4, 81, 0x203}, '4': {5, 75, 0x204},
		'5': {6, 76, 0x205}, '6': {7, 77, 0x206}, '7': {8, 71, 0x207}, '8': {9, 72, 0x208}, '9': {10, 73, 0x209},
	} {
		for _, code := range codes {
			s.send(stroke(code)...)
			typed = append(typed, Event{Digit, digit})
		}
	}
	for kind, codes := range map[Kind][]uint16{
		Enter: {28, 96, 0x20B}, Back: {14, 83, 111}, Cancel: {1, 12, 74, 223, 0x20A},
	} {
		for _, code := range codes {
			s.send(stroke(code)...)
			typed = append(typed, Event{Kind: kind})
		}
	}
	want(t, events, typed...)
	// NumLock, a letter and a key that is held type nothing.
	s.send(stroke(69)...)
	s.send(stroke(30)...)
	s.send(evdev.Event{Kind: evdev.Key, Code: 79, Value: 2}, evdev.Event{Kind: evdev.Key, Code: 96, Value: 1})
	want(t, events, Event{Kind: Enter})
	s.pull()
	want(t, events, Event{Kind: Away})
	s.plug()
	s.send(stroke(79)...)
	want(t, events, Event{Kind: There}, Event{Digit, '1'})
}

// TestDropped: where the kernel says that keys are missing, the pad counts as pulled
// out, so that nobody takes what is left for a PIN.
func TestDropped(t *testing.T) {
	s, events, _ := newSocket(t)
	s.plug()
	want(t, events, Event{Kind: There})
	s.send(stroke(79)...)
	s.send(evdev.Event{Kind: evdev.Syn, Code: evdev.Dropped})
	want(t, events, Event{Digit, '1'}, Event{Kind: Away}, Event{Kind: There})
	s.send(stroke(80)...)
	want(t, events, Event{Digit, '2'})
}

// TestNobodyElse: a device of the kernel's that cannot be kept from others is no pad,
// and says so.
func TestNobodyElse(t *testing.T) {
	if err := Try("/dev/null"); err == nil || !strings.Contains(err.Error(), "grab") {
		t.Errorf("a device that cannot be grabbed: %v", err)
	}
	if err := Try(filepath.Join(t.TempDir(), "pad")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device that is not there: %v", err)
	}
	if err := Try("no such pad"); !errors.Is(err, evdev.ErrNone) {
		t.Errorf("a name that nobody has: %v", err)
	}
	s := &socket{t: t, path: filepath.Join(t.TempDir(), "pad")}
	s.plug()
	defer s.pull()
	if err := Try(s.path); err != nil {
		t.Errorf("a pad that is there: %v", err)
	}
}

// TestNoDigits: no way of printing an event shows which key it was.
func TestNoDigits(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%s"} {
		a, b := fmt.Sprintf(verb, Event{Digit, '1'}), fmt.Sprintf(verb, Event{Digit, '2'})
		if a != b {
			t.Errorf("%s prints %q and %q", verb, a, b)
		}
	}
}
