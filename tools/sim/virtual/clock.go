package virtual

import (
	"time"
)

// Morning is when every story begins.
var Morning = time.Date(2026, 9, 1, 7, 0, 0, 0, time.FixedZone("CST", 8*60*60))

// World is the one virtual clock. It moves only between acts.
type World struct{ Now time.Time }

// Pass lets d pass, to the millisecond.
func (w *World) Pass(d time.Duration) { w.Now = w.Now.Add(d.Truncate(time.Millisecond)) }

// Watch is the clock in a machine. It can be set, and it can be wrong; the time
// since the machine was started cannot.
type Watch struct {
	World *World
	Off   time.Duration // by which it is ahead
	Boot  time.Time     // by the world
}

// Now returns what the clock says.
func (w *Watch) Now() time.Time { return w.World.Now.Add(w.Off) }

// Uptime returns the time since the machine was started.
func (w *Watch) Uptime() time.Duration { return w.World.Now.Sub(w.Boot) }

// Set makes the machine believe that it is t.
func (w *Watch) Set(t time.Time) { w.Off = t.Sub(w.World.Now) }
