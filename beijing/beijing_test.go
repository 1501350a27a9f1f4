package beijing

import (
	"testing"
	"time"
)

// TestMidnight: a day begins where it does in Beijing, whose ever the time is.
func TestMidnight(t *testing.T) {
	newYork := time.FixedZone("EST", -5*60*60)
	for _, tt := range []struct{ at, want time.Time }{
		{time.Date(2026, 3, 2, 15, 59, 59, 0, time.UTC), time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 2, 10, 59, 0, 0, newYork), time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)},
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 12, 31, 16, 0, 0, 0, time.UTC)},
	} {
		if got := Midnight(tt.at); !got.Equal(tt.want) {
			t.Errorf("the day of %v began at %v, want %v", tt.at, got, tt.want)
		}
	}
}
