package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"quancun/tools/stack"
	"quancun/tools/xvfb"
)

const (
	starts    = 9                // measured starts; the first, cold one does not count
	idleFor   = 20 * time.Second // how long the home screen is watched
	frameMax  = 20 * time.Second // a window that has not come by then never does
	frameLook = 2 * time.Millisecond
)

// panel is the size that the project's figures for windows are for.
var panel = stack.Panel{WidthPX: 1280, HeightPX: 1024, WidthMM: 338, FullScreen: true}

// showTerminal starts the upstream and the lab, and a screen for a terminal.
func showTerminal(ctx context.Context, dir string) (*stack.Stack, *xvfb.Display, func() error, error) {
	display, err := xvfb.Start(ctx, panel.WidthPX, panel.HeightPX)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := stack.New(stack.Options{Dir: dir, Panel: panel, Env: display.Env()})
	if err != nil {
		return nil, nil, nil, errors.Join(err, display.Close())
	}
	stop := func() error { return errors.Join(s.Stop(), display.Close()) }
	if err := s.StartServices(ctx); err != nil {
		return nil, nil, nil, errors.Join(err, stop())
	}
	return s, display, stop, nil
}

// firstFrame starts the terminal and returns after how long the screen was no
// longer black.
func firstFrame(ctx context.Context, s *stack.Stack, d *xvfb.Display) (time.Duration, error) {
	if err := dark(ctx, d, true); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := s.Terminal.Start(); err != nil {
		return 0, err
	}
	err := dark(ctx, d, false)
	return time.Since(start), err
}

// dark waits until the screen is black, or no longer.
func dark(ctx context.Context, d *xvfb.Display, want bool) error {
	for end := time.Now().Add(frameMax); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(frameLook) {
		// The page's ground reaches the middle of its left edge.
		black, err := d.Dark(2, d.Height/2)
		if err != nil {
			return err
		}
		if black == want {
			return nil
		}
	}
	return errors.New("the screen does not change")
}

// measureStart measures a warm start of the release build on software GL: from
// the start of the process until the home screen is there to be seen.
func measureStart(ctx context.Context, dir string) ([]figure, error) {
	s, display, stop, err := showTerminal(ctx, dir)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for i := range starts + 1 {
		d, err := firstFrame(ctx, s, display)
		if err == nil {
			err = s.Terminal.Stop()
		}
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		if i > 0 {
			took = append(took, d)
		}
	}
	return []figure{{
		Name: "start.first_frame", Value: median(took).Seconds(), Unit: "s",
		Note: fmt.Sprintf("median of %d warm starts, release build, software GL; aim 0.4", starts),
	}}, stop()
}

// measureIdle watches the home screen.
func measureIdle(ctx context.Context, dir string) ([]figure, error) {
	s, display, stop, err := showTerminal(ctx, dir)
	if err != nil {
		return nil, err
	}
	if _, err := firstFrame(ctx, s, display); err != nil {
		return nil, errors.Join(err, stop())
	}
	time.Sleep(3 * time.Second) // until everything that starts has started
	pid := s.Terminal.PID()
	before, err1 := cpuTime(pid)
	start := time.Now()
	time.Sleep(idleFor)
	after, err2 := cpuTime(pid)
	rss, err3 := residentKB(pid)
	wall := time.Since(start)
	if err := errors.Join(err1, err2, err3, stop()); err != nil {
		return nil, err
	}
	return []figure{
		{Name: "idle.cpu", Value: 100 * (after - before).Seconds() / wall.Seconds(), Unit: "%",
			Note: fmt.Sprintf("of one core, home screen, over %v; aim 1.2", idleFor)},
		{Name: "idle.rss", Value: float64(rss) / 1024, Unit: "MB", Note: "resident, home screen; aim 150"},
	}, nil
}

// tick is the unit of process times: USER_HZ, 100 on every Linux.
const tick = 10 * time.Millisecond

// cpuTime returns what a process has used of all cores so far.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("stat is too short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

func residentKB(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		}
	}
	return 0, errors.New("status has no VmRSS")
}
