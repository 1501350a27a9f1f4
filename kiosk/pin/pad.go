package pin

// Pad is what a page may know of the keypad on the holder's side of the counter.
type Pad struct {
	Set   bool // there is to be one
	There bool // it is plugged in
	Panel bool // it is not, and the panel takes the PIN meanwhile
	Lost  bool // it went away with part of a PIN, which is forgotten
	Few   bool // it was confirmed before the last digit
	Dots  int  // digits that were typed on it
}

// OnPanel reports whether the panel, and a keyboard beside it, take a holder's PIN.
func (p Pad) OnPanel() bool { return !p.Set || p.Panel && !p.There }
