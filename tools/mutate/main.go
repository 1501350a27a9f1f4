// Mutate drops one line at a time from the code that no fen may be lost in, and
// sees whether a test notices: a check, a sync, or what keeps an order. What no
// test notices is either not needed or not tested.
//
// It changes no file: the compiler is told to read another in its place.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"golang.org/x/sync/errgroup"
)

// target is code, and the tests that should miss a line of it.
type target struct {
	files []string
	suite
}

var targets = []target{
	{
		files: []string{
			"ledger/append.go", "ledger/writer.go", "ledger/store.go", "ledger/sync.go", "ledger/mirror.go",
			"ledger/recover.go", "ledger/epoch.go", "ledger/verify.go", "ledger/tree.go", "ledger/projection.go",
			"ledger/migrate.go",
		},
		suite: suite{packages: []string{"./ledger"}},
	},
	{
		files: []string{"ledger/wal/wal.go"},
		suite: suite{packages: []string{"./ledger/wal"}},
	},
	{
		files: []string{"kiosk/file/file.go"},
		suite: suite{packages: []string{"./kiosk/file"}},
	},
	{
		files: []string{
			"ledger/feed/feed.go", "ledger/feed/list.go", "ledger/feed/pull.go", "ledger/feed/store.go",
			"ledger/feed/write.go",
		},
		suite: suite{packages: []string{"./ledger/feed"}},
	},
	{
		files: []string{"ledger/push/push.go"},
		suite: suite{packages: []string{"./ledger/push"}},
	},
	{
		files: []string{
			"journal/sync.go", "journal/tree.go", "journal/checkpoint.go", "journal/posting.go", "journal/entry.go",
			"journal/shift.go",
		},
		suite: suite{packages: []string{"./journal"}},
	},
	{
		files: []string{"kiosk/shift/shift.go", "kiosk/shift/drawer.go"},
		suite: suite{packages: []string{"./kiosk/shift"}, skip: "^TestP"}, // the power cut takes longer than all others
	},
	{
		files: []string{"kiosk/staff/desk.go", "kiosk/staff/keep.go"},
		suite: suite{packages: []string{"./kiosk/staff"}},
	},
	{
		files: []string{"upstream/store/post.go", "upstream/store/verify.go"},
		suite: suite{
			packages: []string{"./upstream/store", "./upstream/ingest"},
			skip:     "TestMigrate|TestRestart|TestRace|TestStorm|TestLinear|TestModel", // which take minutes
			flags:    []string{"-rapid.checks=10"},
		},
	},
	{
		files: []string{"upstream/store/load.go"},
		suite: suite{
			packages: []string{"./upstream/store", "./upstream/server", "./upstream/centre/counter"},
			skip:     "TestMigrate|TestRestart",
		},
	},
	{
		files: []string{
			"upstream/ingest/push.go", "upstream/ingest/hold.go", "upstream/ingest/epoch.go", "upstream/ingest/fact.go",
			"upstream/ingest/claim.go", "upstream/ingest/sale.go",
		},
		suite: suite{
			packages: []string{"./upstream/ingest"},
			flags:    []string{"-rapid.checks=10", "-storm=1s", "-histories=2"},
		},
	},
}

func main() {
	only := flag.String("only", "", "a pattern of the lines to drop, as they are printed; all if empty")
	most := flag.Int("n", 60, "how many mutants to try, spread over all that there are")
	killed := flag.Int("killed", 95, "percent of mutants that tests have to notice")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pattern, err := regexp.Compile(*only)
	share := 0
	if err == nil {
		share, err = run(ctx, pattern, *most)
	}
	if err == nil && share < *killed {
		err = fmt.Errorf("%d %% of the mutants were noticed, want %d %%", share, *killed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		stop()
		os.Exit(1)
	}
}

// run tries mutants, prints what became of each, and returns the share that was
// noticed, in percent.
func run(ctx context.Context, only *regexp.Regexp, most int) (share int, err error) {
	var all []mutant
	for _, t := range targets {
		found, err := t.mutants(ctx, only)
		if err != nil {
			return 0, err
		}
		all = append(all, found...)
	}
	fates := make(chan fate, len(all))
	var work errgroup.Group // many hang, and only wait
	work.SetLimit(atOnce)
	for i := range min(most, len(all)) {
		m := all[i*len(all)/min(most, len(all))]
		work.Go(func() error {
			fate, how, err := m.try(ctx)
			if err == nil {
				fmt.Printf("%-11s  %s  %s\n", fate, m, how)
				fates <- fate
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return 0, err
	}
	close(fates)
	tried, noticed := 0, 0
	for fate := range fates {
		if fate != notBuilt {
			tried++
		}
		if fate == dead {
			noticed++
		}
	}
	if tried == 0 {
		return 0, errors.New("no mutants")
	}
	share = 100 * noticed / tried
	fmt.Printf("%d mutants, %d noticed: %d %%\n", tried, noticed, share)
	return share, nil
}

// atOnce is how many mutants are tried at once.
const atOnce = 6

// mutants returns those of the target that only matches and that can be told
// from the code as it is, and makes sure that the tests pass with that.
func (t target) mutants(ctx context.Context, only *regexp.Regexp) (all []mutant, err error) {
	s := t.suite
	for _, f := range t.files {
		found, err := mutants(f)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if only.MatchString(m.String()) && !m.isEquivalent() {
				m.suite = &s
				all = append(all, m)
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, s.try(ctx)
}
