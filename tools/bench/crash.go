package main

import (
	"context"
	"fmt"

	"quancun/tools/crash/trial"
)

// crashStates is how many states of a disk after a power cut are looked at.
const crashStates = 5000

// measureCrash measures how fast make crash looks at states.
func measureCrash(ctx context.Context, _ string) ([]figure, error) {
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
