package apdu

import (
	"errors"
	"fmt"
)

// Status is a status word, SW1-SW2 (5.6). A Status that is not [OK] is an
// error, and it is proof that the card answered: see [Answered].
type Status uint16

// Status words (notes, section 4.4). SW1 values 93 and 94 belong to the purse
// specification and not to ISO.
const (
	OK Status = 0x9000

	Corrupt        Status = 0x6281 // also a file that was never written
	Invalidated    Status = 0x6283 // the selected file is blocked
	WriteFailed    Status = 0x6581
	WrongLength    Status = 0x6700
	WrongClass     Status = 0x6900 // CLA does not suit the protection
	WrongState     Status = 0x6901 // CREDIT or DEBIT without INITIALIZE
	NotAllowed     Status = 0x6982 // PIN or external authentication is missing
	AuthBlocked    Status = 0x6983
	Conditions     Status = 0x6985
	NoSecureMAC    Status = 0x6987
	WrongSecureMAC Status = 0x6988
	BadData        Status = 0x6A80
	Unsupported    Status = 0x6A81 // also a locked card or application
	NotFound       Status = 0x6A82
	NoRecord       Status = 0x6A83
	NoSpace        Status = 0x6A84
	WrongP1P2      Status = 0x6A86
	KeyNotFound    Status = 0x6A88
	WrongOffset    Status = 0x6B00
	UnknownINS     Status = 0x6D00
	UnknownCLA     Status = 0x6E00
	WrongMAC       Status = 0x9302
	LockedForever  Status = 0x9303
	NoBalance      Status = 0x9401
	CounterMax     Status = 0x9402
	NoKey          Status = 0x9403
	NoProof        Status = 0x9406
)

var texts = map[Status]string{
	OK:             "ok",
	Corrupt:        "data may be corrupt",
	Invalidated:    "file is blocked",
	WriteFailed:    "writing the card's memory failed",
	WrongLength:    "wrong length",
	WrongClass:     "class does not suit the protection",
	WrongState:     "not initialized for this command",
	NotAllowed:     "security state is not satisfied",
	AuthBlocked:    "authentication is blocked",
	Conditions:     "conditions of use are not satisfied",
	NoSecureMAC:    "MAC is missing",
	WrongSecureMAC: "MAC of the message is wrong",
	BadData:        "bad data",
	Unsupported:    "not supported, or locked",
	NotFound:       "file not found",
	NoRecord:       "record not found",
	NoSpace:        "no space left",
	WrongP1P2:      "wrong parameters",
	KeyNotFound:    "key not found",
	WrongOffset:    "wrong offset",
	UnknownINS:     "unknown instruction",
	UnknownCLA:     "unknown class",
	WrongMAC:       "MAC is invalid",
	LockedForever:  "application is locked for good",
	NoBalance:      "balance is insufficient",
	CounterMax:     "transaction counter is at its maximum",
	NoKey:          "key index is not supported",
	NoProof:        "no MAC or TAC to prove it",
}

// Error returns the status word and its meaning: "card: 9302 MAC is invalid".
func (s Status) Error() string {
	text, ok := texts[s]
	left, isPIN := s.Tries()
	switch {
	case isPIN && left == 0:
		text = "wrong PIN, now blocked"
	case isPIN:
		text = fmt.Sprintf("wrong PIN, %d tries left", left)
	case !ok && s>>8 == 0x61:
		text = fmt.Sprintf("%d bytes to fetch", length(s))
	case !ok && s>>8 == 0x6C:
		text = fmt.Sprintf("wrong Le, %d bytes are there", length(s))
	case !ok:
		text = "unknown status"
	}
	return fmt.Sprintf("card: %04X %s", uint16(s), text)
}

// Tries returns how many tries a PIN or key has left, and whether s says so at
// all (63Cx). With none left it is blocked.
func (s Status) Tries() (left int, ok bool) {
	if s&0xFFF0 != 0x63C0 {
		return 0, false
	}
	return int(s & 0xF), true
}

// Answered reports whether err is a card's own refusal. If it is not, nobody
// knows what the card did with the command.
func Answered(err error) bool {
	var s Status
	return errors.As(err, &s)
}
