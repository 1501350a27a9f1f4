package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/tools/sim/campus"
)

// report is what a worker says of its seeds, as one line of JSON every now and
// then: what was done since the line before.
type report struct {
	Seeds, Acts, TerminalDays int
	Stories                   digest // of all of them
	Cover                     campus.Coverage
	Failed                    []failure
}

// digest tells whether the same seeds had the same stories, in whatever order.
type digest uint64

// digestOf takes the beginning of a story's hash.
func digestOf(story string) digest {
	n, _ := strconv.ParseUint(story[:min(16, len(story))], 16, 64) // none of a campus that never opened
	return digest(n)
}

// failure is a seed that is red.
type failure struct {
	Seed uint64
	Why  string
}

func (r *report) add(s report) {
	r.Seeds += s.Seeds
	r.Acts += s.Acts
	r.TerminalDays += s.TerminalDays
	r.Stories += s.Stories
	r.Failed = append(r.Failed, s.Failed...)
	r.Cover.Add(s.Cover)
}

// failedMax is how many red seeds a worker goes on after.
const failedMax = 5

// work lives through a share of the seeds. Each worker is a process of its own,
// because a campus takes over what its programs draw chance from.
func work(ctx context.Context, o options, out io.Writer) error {
	runtime.GOMAXPROCS(1)
	enc := json.NewEncoder(out)
	failed := 0
	for i := 0; i < o.seeds && failed < failedMax && ctx.Err() == nil; i++ {
		seed := o.seed + uint64(i*o.step)
		done, err := campus.Run(ctx, campus.Config{Seed: seed, Days: o.days})
		r := report{
			Seeds: 1, Acts: done.Acts, TerminalDays: done.Terminals * o.days, Cover: done.Cover,
			Stories: digestOf(done.Story),
		}
		if err != nil {
			failed++
			r.Failed = []failure{{seed, err.Error()}}
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// runAll has workers live through all seeds, and judges; if it is interrupted,
// what was seen until then.
func runAll(asked context.Context, o options) error {
	start := time.Now()
	if o.workers == 0 {
		o.workers = runtime.NumCPU()
	}
	reports := make(chan report)
	group, ctx := errgroup.WithContext(asked)
	for w := range o.workers {
		group.Go(func() error { return startWorker(ctx, o, w, reports) })
	}
	waited := make(chan error, 1)
	go func() {
		waited <- group.Wait()
		close(reports)
	}()
	var all report
	for r := range reports {
		all.add(r)
		if all.Seeds%1000 == 0 {
			took := time.Since(start).Round(time.Second)
			fmt.Fprintf(os.Stderr, "%d seeds in %v, %d red\n", all.Seeds, took, len(all.Failed))
		}
	}
	if err := <-waited; err != nil && asked.Err() == nil {
		return err
	}
	return judge(o, all, time.Since(start))
}

func startWorker(ctx context.Context, o options, w int, reports chan<- report) error {
	share := (o.seeds - w + o.workers - 1) / o.workers
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-worker", fmt.Sprintf("-first=%d", o.seed+uint64(w)),
		fmt.Sprintf("-step=%d", o.workers), fmt.Sprintf("-seeds=%d", share), fmt.Sprintf("-days=%d", o.days))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	dec := json.NewDecoder(bufio.NewReader(out))
	for {
		var r report
		if err = dec.Decode(&r); err != nil {
			break
		}
		reports <- r
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, cmd.Wait())
}

// judge prints what was seen, and returns why the run is red.
func judge(o options, all report, took time.Duration) error {
	rare := 0
	for b, n := range all.Cover {
		mark := ""
		if n < o.least {
			mark = "  RARE"
			rare++
		}
		fmt.Printf("%-28s %9d%s\n", campus.Branch(b), n, mark)
	}
	fmt.Printf("%d seeds, %d acts, %d terminal-days in %v: %.0f seeds and %.0f terminal-days a minute\n",
		all.Seeds, all.Acts, all.TerminalDays, took.Round(time.Second),
		float64(all.Seeds)/took.Minutes(), float64(all.TerminalDays)/took.Minutes())
	fmt.Printf("all stories: %016x\n", uint64(all.Stories))
	for _, f := range all.Failed {
		fmt.Printf("FAILED seed %d: %s\n\trepeat it with: make sim SEED=%d DAYS=%d\n", f.Seed, f.Why, f.Seed, o.days)
	}
	switch {
	case len(all.Failed) > 0:
		return fmt.Errorf("%d seeds failed", len(all.Failed))
	case all.Seeds < o.seeds:
		return fmt.Errorf("%d seeds of %d", all.Seeds, o.seeds)
	case rare > 0:
		return fmt.Errorf("%d branches were taken less than %d times", rare, o.least)
	}
	return nil
}
