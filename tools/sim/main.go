// Command sim lives through campuses: terminals, cards, phones and an upstream
// in one process, on a virtual clock, with every fault that we know how to
// make, all of it from one number. It is what make sim does.
//
//	sim                       many seeds, on every core, and a table of the rare branches
//	sim -seed 4711 -v         one seed, with its story
//
// The same seed is the same story, to the byte. A run is red if money was lost
// or invented, if an invariant broke, or if a rare branch was not taken often
// enough to be believed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"quancun/tools/sim/campus"
)

// options are what can be asked of a run.
type options struct {
	seed    uint64 // the one, or the first of many
	seeds   int
	days    int
	workers int
	least   int // times that each rare branch has to be taken
	verbose bool

	worker bool // this process runs seeds for another one
	step   int  // from one seed to the next
}

// memoryMax is what a process may use before it collects what is gone.
const memoryMax = 256 << 20

func main() {
	var o options
	one := flag.Uint64("seed", 0, "live through this seed only")
	flag.Uint64Var(&o.seed, "first", 1, "the first of the seeds")
	flag.IntVar(&o.seeds, "seeds", 10_000, "how many seeds")
	flag.IntVar(&o.days, "days", 1, "days of each seed")
	flag.IntVar(&o.workers, "workers", 0, "processes; 0 is one for each core")
	flag.IntVar(&o.least, "least", 0, "times that each rare branch has to be taken; 0 is one in a hundred seeds")
	flag.BoolVar(&o.verbose, "v", false, "tell the story")
	flag.BoolVar(&o.worker, "worker", false, "run seeds for another process")
	flag.IntVar(&o.step, "step", 1, "from one seed of a worker to its next")
	flag.Parse()

	debug.SetGCPercent(-1) // a campus is small, and gone in a moment
	debug.SetMemoryLimit(memoryMax)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.least == 0 {
		o.least = max(1, o.seeds/100)
	}
	var err error
	switch {
	case o.worker:
		err = work(ctx, o, os.Stdout)
	case *one != 0:
		err = tell(ctx, o, *one)
	default:
		err = runAll(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// tell lives through one seed, twice, and says what there is to say about it.
func tell(ctx context.Context, o options, seed uint64) error {
	c := campus.Config{Seed: seed, Days: o.days}
	if o.verbose {
		c.Story = os.Stdout
	}
	start := time.Now()
	first, err := campus.Run(ctx, c)
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	fmt.Printf("seed %d: %d acts, %d terminals, %d cards, %d days, story %s, %v\n",
		seed, first.Acts, first.Terminals, first.Cards, o.days, first.Story, time.Since(start).Round(time.Millisecond))
	c.Story = nil
	again, err := campus.Run(ctx, c)
	if err != nil || again.Story != first.Story {
		return fmt.Errorf("seed %d: it went another way the second time: %s, %w", seed, again.Story, err)
	}
	return nil
}
