// Command bench measures what the project promises, and writes the figures to
// bench/results.json. It is what make bench does; make bench B=prefix runs the
// benchmarks whose names begin so.
//
// A claim about speed is a ratio of two things measured in the same run, turn
// by turn, because the machine is never as quiet as it seems. Plain figures
// are notes about this machine.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"quancun/tools/crash/trial"
)

// figure is a line of the results.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	RatioTo string  `json:"ratio_to,omitempty"`
	Note    string  `json:"note,omitempty"`
}

// benchmark measures one or more figures.
type benchmark struct {
	dir     string   // its folder below build/bench
	names   []string // what its figures' names are, or begin with
	measure func(ctx context.Context, dir string) ([]figure, error)
}

var benchmarks = []benchmark{
	{"start", []string{"start"}, measureStart},
	{"idle", []string{"idle"}, measureIdle},
	{"load", []string{"load"}, measureLoad},
	{"tap", []string{"tap"}, measureTap},
	{"code", []string{"code.approval"}, measureCode},
	{"rush", []string{"rush"}, measureRush},
	{"commits", []string{"P1", "P2", "P3", "P10"}, measureCommits},
	{"hotlist", []string{"P8"}, measureHotlist},
	{"audit", []string{"P9"}, measureAudit},
	{"store", []string{"P4"}, measureStore},
	{"uploads", []string{"P5", "P6.sqlite", "P7"}, measureUploads},
	{"shared", []string{"P6.postgres"}, measureShared},
	{"drain", []string{"drain"}, measureDrain},
	{"flat", []string{"flat.sale", "flat.start"}, measureFlatTerminal},
	{"flat-upload", []string{"flat.upload"}, measureFlatUpload},
	{"crash", []string{"P11"}, measureCrash},
}

// wanted reports whether a figure of b begins with prefix.
func (b benchmark) wanted(prefix string) bool {
	return slices.ContainsFunc(b.names, func(name string) bool {
		return strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name+".")
	})
}

const results = "bench/results.json"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	prefix := ""
	if len(os.Args) > 1 {
		prefix = os.Args[1]
	}
	if err := run(ctx, prefix); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what begins with prefix, and keeps the other figures that an
// earlier run has written.
func run(ctx context.Context, prefix string) error {
	var all []figure
	if text, err := os.ReadFile(results); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			return fmt.Errorf("%s: %w", results, err)
		}
	}
	for _, b := range benchmarks {
		if !b.wanted(prefix) {
			continue
		}
		dir := filepath.Join("build", "bench", b.dir)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		found, err := b.measure(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", b.dir, err)
		}
		for _, f := range found {
			fmt.Printf("%-18s %10.3f %-6s %s\n", f.Name, f.Value, f.Unit, f.Note)
			all = slices.DeleteFunc(all, func(old figure) bool { return old.Name == f.Name })
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b figure) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(results), 0o755); err != nil {
		return err
	}
	return os.WriteFile(results, append(text, '\n'), 0o644)
}

// median returns the middle of d, which must not be empty.
func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// crashStates is how many states of a disk after a power cut are looked at.
const crashStates = 5000

// measureCrash measures how fast make crash looks at states.
func measureCrash(ctx context.Context, _ string) ([]figure, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(trial.GCPercent))
	r, err := trial.Cuts(ctx, trial.Options{Seed: 1, States: crashStates})
	if err == nil && r.Bad > 0 {
		err = fmt.Errorf("%d of %d states are bad: %q", r.Bad, r.States, r.First)
	}
	if err != nil {
		return nil, err
	}
	return []figure{{"P11", r.Rate(), "/s", "", fmt.Sprintf(
		"states after a power cut, looked at, with %.0f %% of the machine; at least 500", 100*r.Share())}}, nil
}
