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
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
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

func main() {
	out := flag.String("out", "build/e2e", "keeps pictures and logs")
	bin := flag.String("bin", "bin", "where the programs are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(2)
	}
	passed, failed := 0, 0
	for _, s := range chosen {
		start := time.Now()
		if err := run(ctx, s, *bin, filepath.Join(*out, s.name)); err != nil {
			fmt.Printf("FAIL  %-12s %v\n", s.name, err)
			failed++
			continue
		}
		fmt.Printf("ok    %-12s %5.1f s  %s\n", s.name, time.Since(start).Seconds(), s.what)
		passed++
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
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

func run(ctx context.Context, s scenario, bin, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, scenarioMax)
	defer cancel()
	st, err := newStage(ctx, s, bin, dir)
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
