// Package pin holds a PIN while it is being typed.
package pin

import "fmt"

// Length is how many digits a PIN has.
const Length = 6

// PIN is a PIN while it is being typed. It never becomes a string, prints as
// dots, and is wiped by whoever took it: the pad gives it away on the sixth
// digit and forgets it, the flow wipes it when both checks have been made.
type PIN struct {
	digits [Length]byte // ASCII
	n      int
}

// Add appends a digit from '0' to '9'. Anything else, and a seventh digit, is
// ignored.
func (p *PIN) Add(digit byte) {
	if p.n < Length && digit >= '0' && digit <= '9' {
		p.digits[p.n] = digit
		p.n++
	}
}

// Back removes the last digit, if there is one.
func (p *PIN) Back() {
	if p.n > 0 {
		p.n--
		p.digits[p.n] = 0
	}
}

// Len returns how many digits have been typed.
func (p *PIN) Len() int { return p.n }

// Full reports whether all six digits are there.
func (p *PIN) Full() bool { return p.n == Length }

// Digits lends the digits. They are p's own: [PIN.Wipe] clears them.
func (p *PIN) Digits() *[Length]byte { return &p.digits }

// Wipe forgets the digits. There may be no PIN at all.
func (p *PIN) Wipe() {
	if p != nil {
		*p = PIN{}
	}
}

// Format keeps the digits out of every log and message.
func (PIN) Format(s fmt.State, _ rune) { fmt.Fprint(s, "••••••") }
