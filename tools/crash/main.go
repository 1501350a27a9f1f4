// Command crash proves that a terminal's journal loses nothing: it cuts the
// power at every write, and has every call to the disk fail. It is what make
// crash does. It prints what it looked at and what was bad, and fails if
// anything was, if it looked at too little or took too long for it, or if the
// controls, which have to lose entries, lose too few.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"quancun/tools/crash/trial"
)

// Figures that have to be reached.
const (
	rateGoal  = 500   // states in a second, where the machine does nothing else
	quiet     = 0.85  // of all processors' time: what we get where it does nothing else
	faultsMin = 5_000 // runs
	faultActs = 80
	normalMin = 50 // percent of the cuts under synchronous = NORMAL that lose something
	deleteMin = 25 // the same, under journal_mode = DELETE
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	debug.SetGCPercent(trial.GCPercent)
	var o trial.Options
	flag.Uint64Var(&o.Seed, "seed", 1, "of the scripts and of what a power cut leaves")
	flag.IntVar(&o.States, "states", 100_000, "to look at that power cuts leave")
	flag.DurationVar(&o.For, "for", 0, "how long to cut the power, if there are not enough states by then")
	flag.Parse()
	if err := crash(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

// crash runs all trials, and returns what is wrong with the figures.
func crash(ctx context.Context, o trial.Options) (err error) {
	if o.Old, err = oldJournals("ledger/testdata"); err != nil {
		return err
	}
	return errors.Join(cuts(ctx, o), controls(ctx, o), faults(ctx, o))
}

// oldJournals reads the journals of all older versions.
func oldJournals(dir string) (all [][]byte, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "v*.db"))
	if err == nil && len(names) == 0 {
		err = errors.New("no journals of older versions in " + dir)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, err
}

func cuts(ctx context.Context, o trial.Options) error {
	r, err := trial.Cuts(ctx, o)
	report("power cuts", r)
	fmt.Printf("%-36s %7d of these after a second cut, while it recovered\n", "", r.Again)
	switch {
	case err != nil:
		return fmt.Errorf("power cuts: %w", err)
	case r.Bad > 0, o.For == 0 && r.States < o.States:
		return fmt.Errorf("power cuts: %d of %d states are bad, want 0 of %d", r.Bad, r.States, o.States)
	case r.Share() < quiet:
		fmt.Printf("%-36s the machine had other work to do: nobody can tell how fast this is\n", "")
	case r.Rate() < rateGoal:
		fmt.Printf("%-36s the goal is %d/s\n", "", rateGoal) // told, and no reason to be red: machines differ
	}
	return nil
}

func controls(ctx context.Context, o trial.Options) error {
	return errors.Join(control(ctx, o, trial.Normal, normalMin), control(ctx, o, trial.Delete, deleteMin))
}

func control(ctx context.Context, o trial.Options, w trial.Weakened, percentMin float64) error {
	r, err := trial.Control(ctx, o, w)
	r.First = nil // which is as it should be
	report("control: "+w.Name, r)
	switch {
	case err != nil:
		return fmt.Errorf("control %s: %w", w.Name, err)
	case r.BadShare() < percentMin:
		return fmt.Errorf("control %s: %.1f %% of the cuts lost something, want %.0f %%",
			w.Name, r.BadShare(), percentMin)
	}
	return nil
}

func faults(ctx context.Context, o trial.Options) error {
	o.Acts = faultActs
	r, err := trial.Faults(ctx, o)
	report("failing calls", r)
	switch {
	case err != nil:
		return fmt.Errorf("failing calls: %w", err)
	case r.Bad > 0, r.States < faultsMin:
		return fmt.Errorf("failing calls: %d of %d runs are bad, want 0 of %d", r.Bad, r.States, faultsMin)
	}
	return nil
}

// report prints what came of a trial.
func report(name string, r trial.Result) {
	fmt.Printf("%-36s %s\n", name, r)
	for _, line := range r.First {
		fmt.Println("    " + line)
	}
}
