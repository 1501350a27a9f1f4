package scanner

import "time"

// How fast a machine types. Keys arrive a few milliseconds apart, or several at
// once when the window was busy; a person's fingers need seventy and more.
const (
	gap = 50 * time.Millisecond

	// burstMin is how many keys within a gap of each other no person types.
	burstMin = 3

	// stall is how long a machine that types may falter before the rest of its
	// code is not waited for any more.
	stall = 300 * time.Millisecond

	// looksMin is how often in a row the owner has to have found nothing more. A
	// window that was busy takes keys and looks as they come to it, so that one
	// look may be before keys that were waiting; three are not.
	looksMin = 3

	// codeMin is the shortest code; a wallet's has sixteen digits.
	codeMin = 8

	// codeMax is more than the longest code that anybody shows.
	codeMax = 1024

	// restMax is for how long after half a code its other half is thrown away.
	restMax = 1500 * time.Millisecond
)

// Wedge tells a scanner that types from a person who does. It holds each key
// back for a moment, until it is known whose it is. The zero Wedge is ready. It
// has no clock and starts nothing: its owner says when keys come, and calls
// [Wedge.Idle] again and again while it is [Wedge.Pending], each time after the keys
// that were there by then. So a window that was busy for a while tears no code.
type Wedge struct {
	buf   []rune
	last  time.Time // when the last key came
	looks int       // how often none was found since
	torn  time.Time // when half a code was thrown away; zero for none since
}

// Typed is what has become of keys.
type Typed struct {
	Keys []rune // a person's, in their order; '\n' is Enter
	Scan Scan   // meaningful if Done
	Done bool
}

// Key takes a key that makes a character.
func (w *Wedge) Key(r rune, at time.Time) {
	if len(w.buf) < codeMax {
		w.buf = append(w.buf, r)
	}
	w.last, w.looks = at, 0
}

// Enter takes the key that ends a code, or that a person presses.
func (w *Wedge) Enter(at time.Time) (out Typed) {
	buf := w.buf
	w.buf = nil
	switch {
	case w.tearing(at): // the other half of what was thrown away
		w.torn = time.Time{}
		out.Scan, out.Done = Scan{Half: true}, true
	case len(buf) >= codeMin && len(buf) < codeMax:
		out.Scan, out.Done = whole(string(buf)), true
	case len(buf) >= codeMax:
		out.Scan, out.Done = Scan{Half: true}, true
	default:
		out.Keys = append(buf, '\n')
	}
	return out
}

// Idle says what has become of keys that are held back, once no other has
// followed them. It is to be called every some hundredth of a second.
func (w *Wedge) Idle(at time.Time) (out Typed) {
	w.looks++
	patience := gap
	if len(w.buf) >= burstMin {
		patience = stall
	}
	if len(w.buf) == 0 || w.looks < looksMin || at.Sub(w.last) <= patience {
		return out
	}
	buf := w.buf
	w.buf = nil
	switch {
	case w.tearing(w.last):
		w.torn = w.last // one more piece of it
	case len(buf) >= burstMin:
		w.torn = w.last
		out.Scan, out.Done = Scan{Half: true}, true
	default:
		out.Keys = buf
	}
	return out
}

// Pending reports whether keys are held back.
func (w *Wedge) Pending() bool { return len(w.buf) > 0 }

// tearing reports whether what came at a time is the rest of half a code.
func (w *Wedge) tearing(at time.Time) bool {
	return !w.torn.IsZero() && at.Sub(w.torn) < restMax
}
