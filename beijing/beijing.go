// Package beijing is the calendar that a campus goes by: days begin at midnight in
// Beijing, wherever a machine says that it is.
package beijing

import "time"

// Zone has had no daylight saving since 1991, so it needs no zone file, which a
// machine may not have.
var Zone = time.FixedZone("CST", 8*60*60)

// Midnight returns when the day of t began.
func Midnight(t time.Time) time.Time {
	y, m, d := t.In(Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, Zone)
}
