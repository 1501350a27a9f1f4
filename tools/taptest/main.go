// Command taptest checks that no tap is lost between the touch panel and a
// widget, for the version of Fyne that this module uses and the tags that the
// terminal is built with.
//
// Fyne 2.8.0 lost most taps of a touch panel on X11: it handled the press
// before the move to its place, which arrive together when a finger lands. A
// mouse never shows that. So this test touches seven targets four times each,
// the way a finger does, and every tap has to hit. It is to be run with every
// new version of Fyne.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quancun/tools/xvfb"
)

const (
	targetCount = 7
	roundCount  = 4

	showMax = 30 * time.Second // for the first picture on a busy machine
	tapMax  = 3 * time.Second  // for a tap to arrive
)

func main() {
	tags := flag.String("tags", "x11,no_emoji,migrated_fynedo", "build tags of the program under test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *tags); err != nil {
		fmt.Fprintln(os.Stderr, "taptest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tags string) (err error) {
	dir, err := os.MkdirTemp("", "taptest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	program := filepath.Join(dir, "targets")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", tags, "-o", program,
		"quancun/tools/taptest/targets")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build targets: %w", err)
	}

	display, err := xvfb.Start(ctx, 1280, 1024)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, display.Close()) }()
	return touch(ctx, display, program)
}

// touch runs program on display and taps each of its targets.
func touch(ctx context.Context, display *xvfb.Display, program string) error {
	ctx, stop := context.WithCancel(ctx)
	cmd := display.Command(ctx, program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		stop()
		return err
	}
	if err := cmd.Start(); err != nil {
		stop()
		return err
	}
	said := make(chan string)
	go read(ctx, out, said)
	defer func() {
		stop()
		for range said { // ends with the program's output
		}
		_ = cmd.Wait() // it is killed: the error says so
	}()

	places, err := find(display, said)
	if err != nil {
		return err
	}
	hits := 0
	for i := range targetCount * roundCount {
		n := 3 * i % targetCount // a finger jumps about, and so does this
		if err := display.Tap(places[n].X, places[n].Y); err != nil {
			return err
		}
		if got, want := next(said), fmt.Sprint("tap ", n); got == want {
			hits++
		} else {
			fmt.Printf("tap %d at target %d: got %q, want %q\n", i, n, got, want)
		}
	}
	fmt.Printf("%d of %d taps hit\n", hits, targetCount*roundCount)
	if hits != targetCount*roundCount {
		return errors.New("taps were lost")
	}
	return nil
}

// read sends each line of r to lines until r or ctx ends, and closes lines.
func read(ctx context.Context, r io.Reader, lines chan<- string) {
	defer close(lines)
	for scanner := bufio.NewScanner(r); scanner.Scan(); {
		select {
		case lines <- scanner.Text():
		case <-ctx.Done():
			return
		}
	}
}

// find returns the middle of each target, once all of them can be seen.
func find(display *xvfb.Display, said <-chan string) ([]image.Point, error) {
	places := make([]image.Point, targetCount)
	deadline := time.After(showMax)
	for {
		select {
		case line, open := <-said:
			if !open {
				return nil, errors.New("targets ended")
			}
			var n, x, y int
			_, err := fmt.Sscanf(line, "place %d %d %d", &n, &x, &y)
			if err != nil || n >= targetCount {
				return nil, fmt.Errorf("targets said %q: %w", line, err)
			}
			places[n] = image.Pt(x, y)
		case <-deadline:
			return nil, fmt.Errorf("no picture of the targets within %v", showMax)
		case <-time.After(time.Second): // nothing moves any more
			if shown(display, places) {
				return places, nil
			}
		}
	}
}

// shown reports whether display has the colour of a target in all places.
func shown(display *xvfb.Display, places []image.Point) bool {
	img, err := display.Image()
	if err != nil {
		return false
	}
	for _, p := range places {
		if c := img.RGBAAt(p.X, p.Y); p == (image.Point{}) || c.R != 0xff || c.G != 0xc0 {
			return false
		}
	}
	return true
}

// next returns the next line that is not about places, or "" if there is none.
func next(said <-chan string) string {
	deadline := time.After(tapMax)
	for {
		select {
		case line := <-said:
			if !strings.HasPrefix(line, "place ") {
				return line
			}
		case <-deadline:
			return ""
		}
	}
}
