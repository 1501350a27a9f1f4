package channel_test

import (
	"testing"
	"time"

	"quancun/upstream/channel"
)

func TestDay(t *testing.T) {
	for _, tt := range []struct {
		at   string
		want channel.Day
	}{
		{"2026-02-28T15:59:59Z", "2026-02-28"}, // 23:59:59 in Beijing
		{"2026-02-28T16:00:00Z", "2026-03-01"},
		{"2026-12-31T23:00:00-05:00", "2027-01-01"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		d := channel.DayOf(at)
		if d != tt.want {
			t.Errorf("DayOf(%s) = %s, want %s", tt.at, d, tt.want)
		}
		if at.Before(d.Start()) || !at.Before(d.Add(1).Start()) {
			t.Errorf("%s is not within %s", tt.at, d)
		}
	}
	if got := channel.Day("2028-02-28").Add(1); got != "2028-02-29" {
		t.Errorf("the day after 2028-02-28 is %s", got)
	}
	if got := channel.Day("2026-03-01").Add(-1); got != "2026-02-28" {
		t.Errorf("the day before 2026-03-01 is %s", got)
	}
	for _, s := range []string{"", "2026-2-1", "2026-02-30", "20260201", "2026-02-01 "} {
		if d, err := channel.ParseDay(s); err == nil {
			t.Errorf("ParseDay(%q) = %q, want an error", s, d)
		}
	}
}
