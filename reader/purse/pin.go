package purse

import (
	"errors"
	"fmt"

	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// PIN is six digits, '0' to '9'. Pass it by pointer and [PIN.Wipe] it; it is
// never made into a string, and prints as "PIN(…)".
type PIN [6]byte

// Format keeps the PIN out of every log and message.
func (PIN) Format(s fmt.State, _ rune) { fmt.Fprint(s, "PIN(…)") }

// Wipe overwrites the PIN.
func (p *PIN) Wipe() { clear(p[:]) }

// appendTo appends the PIN as the card wants it.
func (p *PIN) appendTo(b []byte, e profile.PINEncoding) []byte {
	if e == profile.PINASCII {
		return append(b, p[:]...)
	}
	for i := 0; i < len(p); i += 2 {
		b = append(b, (p[i]-'0')<<4|(p[i+1]-'0'))
	}
	return b
}

func (p *PIN) valid() bool {
	for _, d := range p {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

var errPINDigits = errors.New("purse: a PIN has six digits")

// VerifyPIN is VERIFY PIN (校验口令), 4.3.
type VerifyPIN struct {
	PIN      *PIN // the caller's; it is read and not kept
	Encoding profile.PINEncoding
	Key      byte // P2
}

// Send shows the PIN to the card. Its copies are wiped before Send returns.
//
// A wrong PIN is an error of which [PINTries] knows how many tries are left.
func (c VerifyPIN) Send(card Card) error {
	if !c.PIN.valid() {
		return errPINDigits
	}
	data := c.PIN.appendTo(make([]byte, 0, len(c.PIN)), c.Encoding)
	defer clear(data)
	_, err := send(card, "verify pin", apdu.Command{INS: 0x20, P2: c.Key, Data: data}, 0)
	return err
}

// ChangePIN is CHANGE PIN (修改口令), 4.3. It needs no PIN verified before.
type ChangePIN struct {
	Old, New *PIN // the caller's; they are read and not kept
	Encoding profile.PINEncoding
	Key      byte // P2
}

// Send changes the PIN. Errors are as for [VerifyPIN.Send].
func (c ChangePIN) Send(card Card) error {
	if !c.Old.valid() || !c.New.valid() {
		return errPINDigits
	}
	data := c.Old.appendTo(make([]byte, 0, 2*len(c.Old)+1), c.Encoding)
	data = c.New.appendTo(append(data, 0xFF), c.Encoding)
	defer clear(data)
	_, err := send(card, "change pin", apdu.Command{CLA: 0x80, INS: 0x5E, P1: 0x01, P2: c.Key, Data: data}, 0)
	return err
}

// ReloadPIN is RELOAD PIN (重装口令), 4.3. It revives a blocked PIN. The MAC is
// the issuer's, over the new PIN as encoded.
type ReloadPIN struct {
	New      *PIN // the caller's; it is read and not kept
	MAC      [4]byte
	Encoding profile.PINEncoding
	Key      byte // P2
}

// Send reloads the PIN.
func (c ReloadPIN) Send(card Card) error {
	if !c.New.valid() {
		return errPINDigits
	}
	data := c.New.appendTo(make([]byte, 0, len(c.New)+len(c.MAC)), c.Encoding)
	data = append(data, c.MAC[:]...)
	defer clear(data)
	_, err := send(card, "reload pin", apdu.Command{CLA: 0x80, INS: 0x5E, P2: c.Key, Data: data}, 0)
	return err
}

// PINTries returns how many tries are left after err, and whether err says that
// a PIN was wrong or is blocked. With none left the PIN is blocked.
func PINTries(err error) (left int, wrong bool) {
	var s apdu.Status
	if !errors.As(err, &s) {
		return 0, false
	}
	if s == apdu.AuthBlocked {
		return 0, true
	}
	return s.Tries()
}
