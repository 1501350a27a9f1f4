package bath

// Step is where a panel is.
type Step string

// The steps, in the order of the guide.
const (
	Idle     Step = "idle"     // "press confirm"
	Entering Step = "entering" // the code
	Running  Step = "running"  // the valve is open
	Paused   Step = "paused"
)

// Event is what happens to a panel.
type Event string

// The events.
const (
	Confirm Event = "confirm"
	Cancel  Event = "cancel"
	Opened  Event = "opened"  // the eighth digit of a code that is good
	Refused Event = "refused" // of one that is not
	Left    Event = "left"    // nobody types
	Dry     Event = "dry"     // no water flows
	Full    Event = "full"    // all that is held is used
	Waited  Event = "waited"  // a pause was too long
	Late    Event = "late"    // the slot and the grace are over
	Out     Event = "out"     // the clock is lost
)

// steps is the whole flow: what each event leads to from each step. A pair that is
// missing does not matter.
var steps = map[Step]map[Event]Step{
	Idle:     {Confirm: Entering},
	Entering: {Confirm: Entering, Cancel: Idle, Opened: Running, Refused: Idle, Left: Idle, Out: Idle},
	Running:  {Confirm: Paused, Cancel: Idle, Dry: Paused, Full: Idle, Late: Idle, Out: Idle},
	Paused:   {Confirm: Running, Cancel: Idle, Waited: Idle, Late: Idle, Out: Idle},
}

// Next returns the step after e, and whether e means anything in s.
func (s Step) Next(e Event) (next Step, ok bool) {
	if next, ok = steps[s][e]; !ok {
		return s, false
	}
	return next, true
}

// Showering reports whether a code is being used in s.
func (s Step) Showering() bool { return s == Running || s == Paused }
