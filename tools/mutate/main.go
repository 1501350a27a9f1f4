// Mutate drops one line at a time from the code that no fen may be lost in, and
// sees whether a test notices: a check, a sync, or what keeps an order. What no
// test notices is either not needed or not tested.
//
// It changes no file: the compiler is told to read another in its place.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// target is code, and the tests that should miss a line of it.
type target struct {
	files []string
	tests []string // arguments of go test
}

var targets = []target{
	{
		files: []string{
			"ledger/append.go", "ledger/writer.go", "ledger/store.go", "ledger/sync.go", "ledger/mirror.go",
			"ledger/recover.go", "ledger/epoch.go", "ledger/verify.go", "ledger/tree.go", "ledger/projection.go",
			"ledger/migrate.go",
		},
		tests: []string{"./ledger"},
	},
	{
		files: []string{"ledger/wal/wal.go"},
		tests: []string{"./ledger/wal"},
	},
	{
		files: []string{"kiosk/file/file.go"},
		tests: []string{"./kiosk/file"},
	},
	{
		files: []string{
			"ledger/feed/feed.go", "ledger/feed/list.go", "ledger/feed/pull.go", "ledger/feed/store.go",
			"ledger/feed/write.go",
		},
		tests: []string{"./ledger/feed"},
	},
	{
		files: []string{"ledger/push/push.go"},
		tests: []string{"./ledger/push"},
	},
	{
		files: []string{
			"journal/sync.go", "journal/tree.go", "journal/checkpoint.go", "journal/posting.go", "journal/entry.go",
			"journal/shift.go",
		},
		tests: []string{"./journal"},
	},
	{
		files: []string{"kiosk/shift/shift.go", "kiosk/shift/drawer.go"},
		tests: []string{"./kiosk/shift", "-run=^Test[^P]"}, // the power cut takes longer than all others together
	},
	{
		files: []string{"kiosk/staff/desk.go", "kiosk/staff/keep.go"},
		tests: []string{"./kiosk/staff"},
	},
	{
		files: []string{"upstream/store/post.go", "upstream/store/verify.go"},
		tests: []string{
			"./upstream/store", "./upstream/ingest", "-rapid.checks=10",
			"-skip=TestMigrate|TestRestart|TestRace|TestStorm|TestLinear|TestModel", // which take minutes
		},
	},
	{
		files: []string{"upstream/store/load.go"},
		tests: []string{
			"./upstream/store", "./upstream/server", "./upstream/centre/counter", "-skip=TestMigrate|TestRestart",
		},
	},
	{
		files: []string{
			"upstream/ingest/push.go", "upstream/ingest/hold.go", "upstream/ingest/epoch.go", "upstream/ingest/fact.go",
			"upstream/ingest/claim.go", "upstream/ingest/sale.go",
		},
		tests: []string{"./upstream/ingest", "-rapid.checks=10", "-storm=1s", "-histories=2"},
	},
}

func main() {
	only := flag.String("only", "", "the file to take lines from, or the beginning of several; all if empty")
	most := flag.Int("n", 60, "how many mutants to try, spread over all that there are")
	killed := flag.Int("killed", 95, "percent of mutants that tests have to notice")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	share, err := run(ctx, *only, *most)
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
func run(ctx context.Context, only string, most int) (share int, err error) {
	var all []mutant
	for _, t := range targets {
		for _, f := range t.files {
			if !strings.HasPrefix(f, only) {
				continue
			}
			found, err := mutants(f, t.tests)
			if err != nil {
				return 0, err
			}
			all = append(all, found...)
		}
	}
	limits, err := healthy(ctx, all)
	if err != nil {
		return 0, err
	}
	fates := make(chan fate, len(all))
	var work errgroup.Group // many hang, and only wait
	work.SetLimit(atOnce)
	for i := range min(most, len(all)) {
		m := all[i*len(all)/min(most, len(all))]
		work.Go(func() error {
			fate, err := m.try(ctx, limits[m.tests[0]])
			if err == nil {
				fmt.Printf("%-12s %s\n", fate, m)
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
		return 0, fmt.Errorf("no mutants")
	}
	share = 100 * noticed / tried
	fmt.Printf("%d mutants, %d noticed: %d %%\n", tried, noticed, share)
	return share, nil
}

// atOnce is how many mutants are tried at once.
const atOnce = 4

// What a mutant's tests may take: they may be slower than the healthy ones, but
// one that hangs has been noticed.
const (
	limitMin = 30 * time.Second
	limitMax = 10 * time.Minute
	slower   = 4
)

// healthy makes sure that the tests pass when nothing is gone, and so that it is
// a mutant which they notice. It returns how long those of each package may take.
func healthy(ctx context.Context, all []mutant) (map[string]time.Duration, error) {
	limits := map[string]time.Duration{}
	for _, m := range all {
		if limits[m.tests[0]] > 0 {
			continue
		}
		var err error
		if m.code, err = os.ReadFile(m.path); err != nil {
			return nil, err
		}
		begun := time.Now()
		switch fate, err := m.try(ctx, limitMax); {
		case err != nil:
			return nil, err
		case fate != alive:
			return nil, fmt.Errorf("the tests of %s fail as they are: %s", m.tests[0], fate)
		}
		limits[m.tests[0]] = min(limitMin+slower*time.Since(begun), limitMax)
	}
	return limits, nil
}
