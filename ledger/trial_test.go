package ledger_test

import (
	"os"
	"path/filepath"
	"testing"

	"quancun/tools/crash/trial"
)

// The tests below are small versions of make crash.

// TestCuts cuts the power on a disk in memory, at every operation.
func TestCuts(t *testing.T) {
	t.Parallel()
	o := trial.Options{Seed: 1, States: 500}
	names, err := filepath.Glob("testdata/v*.db")
	if err != nil || len(names) == 0 {
		t.Fatalf("journals of older versions: %v, %v", names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		o.Old = append(o.Old, data)
	}
	r, err := trial.Cuts(t.Context(), o)
	t.Log(r)
	if err != nil || r.Bad > 0 || r.States < o.States || r.Again == 0 {
		t.Errorf("%d of %d states are bad, %d cut again, %v; first %q", r.Bad, r.States, r.Again, err, r.First)
	}
}

// TestControls: what finds nothing proves nothing until it is seen to find
// something.
func TestControls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trial.Weakened
		percentMin float64
	}{{trial.Normal, 50}, {trial.Delete, 25}} {
		r, err := trial.Control(t.Context(), trial.Options{Seed: 1, Acts: 15}, c.Weakened)
		t.Log(c.Name, r)
		if err != nil || r.BadShare() < c.percentMin {
			t.Errorf("%s: %.1f %% of %d cuts lost something, %v; want %.0f %%",
				c.Name, r.BadShare(), r.States, err, c.percentMin)
		}
	}
}

// TestFaults has calls to the disk fail, in every way.
func TestFaults(t *testing.T) {
	t.Parallel()
	r, err := trial.Faults(t.Context(), trial.Options{Seed: 1, Acts: 15, Every: 13})
	t.Log(r)
	if err != nil || r.Bad > 0 || r.States < 100 {
		t.Errorf("%d of %d runs are bad, %v; first %q", r.Bad, r.States, err, r.First)
	}
}
