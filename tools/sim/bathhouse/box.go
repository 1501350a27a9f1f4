package bathhouse

import (
	"bytes"
	"errors"
	"time"

	lab "quancun/lab/bath"
	"quancun/water"
)

// box is a water controller in its place.
type box struct {
	*lab.Controller
	baths  *Baths
	setup  water.Setup
	disk   chip
	lost   bool          // its clock
	ahead  time.Duration // of the time, its clock
	latest time.Time     // that its clock has shown
}

// start switches the box on, or off and on again.
func (x *box) start() {
	var err error
	x.Controller, err = lab.New(x.setup, &x.disk, func() (time.Time, bool) { return x.now(), !x.lost })
	if err != nil {
		x.baths.Wrong("a controller of hall %d does not start: %v", x.setup.Hall, err)
	}
}

// now is the time by the box's clock.
func (x *box) now() time.Time {
	now := x.baths.World.Now.Add(x.ahead)
	if now.After(x.latest) {
		x.latest = now
	}
	return now
}

// stray has the clock run ahead to a time, as after somebody has set it wrong.
func (x *box) stray(to time.Time) {
	if x.lost || x.ahead > 0 || !to.After(x.baths.World.Now) {
		return
	}
	x.ahead = to.Sub(x.baths.World.Now)
	x.baths.Met(ClockAhead)
	x.baths.Note("bath %d: its clock is ahead by %v", x.setup.Hall, x.ahead)
	x.done(x.Tick())
}

// cut cuts the power, which comes back.
func (x *box) cut() {
	x.baths.Note("bath %d: power cut", x.setup.Hall)
	x.disk.left = 0
	for _, r := range x.baths.ran {
		if r.box == x {
			r.cuts++
		}
	}
	x.start()
}

// done looks at what has come of something, and reports whether it was done. If the
// power has gone meanwhile, it comes back.
func (x *box) done(err error) bool {
	switch {
	case errors.Is(err, errPower):
		x.cut()
	case err != nil:
		x.baths.Wrong("a controller of hall %d: %v", x.setup.Hall, err)
	}
	return err == nil
}

// press presses keys, and returns what the panel shows then.
func (x *box) press(stall uint16, keys string) lab.View {
	for _, key := range []byte(keys) {
		if !x.done(x.Press(stall, key)) {
			break
		}
	}
	return x.view(stall)
}

func (x *box) view(stall uint16) lab.View {
	v, err := x.View(stall)
	x.done(err)
	return v
}

// enter types a code, as the guide says, and reports whether it has opened the valve.
func (x *box) enter(stall uint16, code string) bool {
	return x.press(stall, "*#"+code).Step == lab.Running
}

// errPower means that the power went in the middle of a write.
var errPower = errors.New("the power is off")

// chip is a controller's memory.
type chip struct {
	text []byte
	left int // bytes until the power goes; 0: it does not
}

// Load implements [lab.Disk].
func (c *chip) Load() ([]byte, error) { return bytes.Clone(c.text), nil }

// Append implements [lab.Disk].
func (c *chip) Append(b []byte) error {
	if c.left > 0 && c.left <= len(b) {
		c.text = append(c.text, b[:c.left-1]...)
		c.left = 0
		return errPower
	}
	c.left = max(0, c.left-len(b))
	c.text = append(c.text, b...)
	return nil
}

// Truncate implements [lab.Disk].
func (c *chip) Truncate(n int) error {
	c.text = c.text[:n]
	return nil
}
