package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"quancun/journal"
)

// TestClock lets the clocks run between two entries, and looks at the time of
// the second and at the step journalled before it.
func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name     string
		wall, up time.Duration // since the first entry
		restart  bool          // between the two
		at       time.Duration // of the second entry
		step     int64         // milliseconds, 0 for none
	}{
		{name: "Runs", wall: time.Minute, up: time.Minute, at: time.Minute},
		{name: "Stands", at: time.Millisecond},
		{name: "Drifts", wall: time.Minute + 2*time.Second, up: time.Minute, at: time.Minute + 2*time.Second},
		{name: "Lags", wall: time.Minute - 2*time.Second, up: time.Minute, at: time.Minute - 2*time.Second},
		{name: "SubMillisecond", wall: 900 * time.Microsecond, up: 900 * time.Microsecond, at: time.Millisecond},
		{name: "Back", wall: -time.Hour, up: time.Second, at: 2 * time.Millisecond, step: -3_601_000},
		{name: "BackALittle", wall: -time.Millisecond, up: time.Second, at: 2 * time.Millisecond, step: -1_001},
		{name: "Forward", wall: time.Hour, up: time.Second, at: time.Hour + time.Millisecond, step: 3_599_000},
		{name: "BackButLaterThanTheLast", wall: time.Minute, up: time.Hour, at: time.Minute + time.Millisecond, step: -3_540_000},
		// Without a reading of this run, only going back can be known.
		{name: "RestartForward", wall: time.Hour, restart: true, at: time.Hour + time.Millisecond},
		{name: "RestartBackALittle", wall: -time.Second, restart: true, at: 2 * time.Millisecond},
		{name: "RestartBack", wall: -time.Hour, restart: true, at: 3 * time.Millisecond, step: -3_600_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			l.pass(time.Second)
			first := l.append(t, topUp("L1"))
			l.wall, l.up = l.wall.Add(tt.wall), l.up+tt.up
			if tt.restart {
				l.restart(t)
			}
			second := l.append(t, topUp("L2"))
			if got := second.At.Sub(first.At); got != tt.at {
				t.Errorf("the second entry is %v after the first, want %v", got, tt.at)
			}
			recent, err := l.Recent(ctx, 3)
			if err != nil {
				t.Fatalf("Recent: %v", err)
			}
			var steps []int64
			for _, e := range recent {
				var details struct {
					StepMS int64 `json:"step_ms"`
				}
				if e.Kind != journal.ClockStep {
					continue
				}
				if err := json.Unmarshal(e.Details, &details); err != nil {
					t.Errorf("details of the step: %v", err)
				}
				steps = append(steps, details.StepMS)
			}
			if tt.step == 0 && len(steps) > 0 || tt.step != 0 && (len(steps) != 1 || steps[0] != tt.step) {
				t.Errorf("steps journalled = %v ms, want %d", steps, tt.step)
			}
			l.append(t, topUp("L3")) // a step is journalled once
			if h, err := l.Head(ctx); err != nil || h.Seq != second.Seq+1 {
				t.Errorf("Head = %d, %v, want %d", h.Seq, err, second.Seq+1)
			}
			if _, err := l.Verify(ctx); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestUptime(t *testing.T) {
	before := Uptime()
	if after := Uptime(); before <= 0 || after < before {
		t.Errorf("uptime = %v, then %v, want more than 0 and never less than before", before, after)
	}
}
