// Command e2e runs the whole system as separate processes and uses it as a
// student does: a card on a real PC/SC service, a finger on the real window, a
// phone that pays. After each scenario it checks that card, journal and
// upstream agree to the fen. It is what make e2e does.
//
// It knows the programs only from outside. Pictures of every step, and the
// programs' logs, stay in build/e2e/SCENARIO.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// scenario is a story with an end that can be checked.
type scenario struct {
	name string
	what string
	face string // of the terminal; a kiosk if empty
	// staff says that cashiers and clerks sign in.
	staff   bool
	printer bool // the machine has one
	play    func(*stage) error

	// named says that it is played only when it is asked for by name, because
	// it takes long.
	named bool
}

// The faces of a till, and of a kiosk that is one at times.
const (
	cashier = "cashier"
	both    = "both"
)

// scenarioMax bounds a story: a machine that hangs has failed.
const scenarioMax = 5 * time.Minute

// visitMax is how long one visit of a soak may take.
const visitMax = 20 * time.Second

func main() {
	out := flag.String("out", "build/e2e", "keeps pictures and logs")
	bin := flag.String("bin", "bin", "where the programs are")
	visits := flag.Int("visits", 75, "how many there are in a soak")
	together := flag.Int("together", 2, "how many are played at a time: most of a story is waiting")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(2)
	}
	if len(chosen) > 1 {
		failed := playAll(ctx, chosen, *together, *out, *bin)
		fmt.Printf("%d passed, %d failed\n", len(chosen)-failed, failed)
		if failed > 0 {
			os.Exit(1)
		}
		return
	}
	s, start := chosen[0], time.Now()
	if err := run(ctx, s, options{*bin, filepath.Join(*out, s.name), *visits}); err != nil {
		fmt.Printf("FAIL  %-12s %v\n", s.name, err)
		os.Exit(1)
	}
	fmt.Printf("ok    %-12s %5.1f s  %s\n", s.name, time.Since(start).Seconds(), s.what)
}

// playAll plays stories, some at a time, each in a process of its own: a process
// can have one card service. It returns how many have failed.
func playAll(ctx context.Context, chosen []scenario, together int, out, bin string) (failed int) {
	var playing errgroup.Group
	playing.SetLimit(max(together, 1))
	var mu sync.Mutex // guards failed, and what is printed
	for _, s := range chosen {
		playing.Go(func() error {
			text, err := playAlone(ctx, s, out, bin)
			mu.Lock()
			defer mu.Unlock()
			fmt.Printf("%s", text)
			if err != nil {
				failed++
			}
			return nil
		})
	}
	_ = playing.Wait() // there are no errors but failed
	return failed
}

// playAlone plays a story in a process of its own, which ends itself when it is
// asked to, and returns what that says.
func playAlone(ctx context.Context, s scenario, out, bin string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return []byte(err.Error()), err
	}
	cmd := exec.CommandContext(ctx, self, "-out", out, "-bin", bin, s.name)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	text, err := cmd.CombinedOutput()
	if err != nil && len(text) == 0 {
		text = fmt.Appendf(nil, "FAIL  %-12s %v\n", s.name, err)
	}
	return text, err
}

// choose returns the scenarios with the given names, or all but those that
// have to be named.
func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.named }), nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			for _, s := range scenarios {
				fmt.Fprintf(os.Stderr, "  %-12s %s\n", s.name, s.what)
			}
			return nil, fmt.Errorf("no scenario %q", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

// options are what a story is played with.
type options struct {
	bin    string // where the programs are
	dir    string // keeps pictures and logs
	visits int    // of a soak
}

func run(ctx context.Context, s scenario, o options) (err error) {
	limit := scenarioMax
	if s.named {
		limit = max(limit, time.Duration(o.visits)*visitMax)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	st, err := newStage(ctx, s, o)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			st.shot("failed")
		}
		if closing := st.close(); err == nil {
			err = closing
		}
	}()
	if err := s.play(st); err != nil {
		return err
	}
	return st.agree()
}
