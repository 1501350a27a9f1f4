package pboc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// SAMFile is a purchase SAM that is a file, for a till that has no SAM in a slot.
// Upstream's operator makes it, for one terminal, and that terminal keeps it. It
// holds the key that every card's purchase key comes from: whoever has it can
// pretend to be a till, so it is worth guarding as a SAM is.
type SAMFile struct {
	Terminal TerminalNo
	Purchase Key    // master
	Next     uint32 // transaction number; those below it may have been used
}

// samFile is the file's form: JSON, with hexadecimal digits.
type samFile struct {
	Terminal string `json:"terminal_no"`
	Purchase string `json:"purchase_master"`
	Next     uint32 `json:"next_transaction"`
	Check    string `json:"check,omitempty"` // of the three; none in a file that an older program has made
}

// check is what a flipped bit is known by, when the number or a key has become
// another one.
func (f samFile) check() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", f.Terminal, f.Purchase, f.Next))
	return hex.EncodeToString(sum[:8])
}

// Format keeps the key out of every log and message.
func (f SAMFile) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "SAM of terminal %x", f.Terminal[:]) }

// Encode returns the file's text.
func (f SAMFile) Encode() []byte {
	kept := samFile{
		Terminal: hex.EncodeToString(f.Terminal[:]), Purchase: hex.EncodeToString(f.Purchase[:]), Next: f.Next,
	}
	kept.Check = kept.check()
	text, err := json.MarshalIndent(kept, "", "\t")
	if err != nil {
		panic("pboc: internal error: " + err.Error()) // strings and a number
	}
	return append(text, '\n')
}

// ErrNoSAMFile means that a text is no [SAMFile]. It does not say why, since that
// might quote the key.
var ErrNoSAMFile = errors.New("pboc: not a SAM's file")

// ParseSAMFile reads a file's text.
func ParseSAMFile(text []byte) (f SAMFile, err error) {
	var kept samFile
	if json.Unmarshal(text, &kept) != nil || kept.Next == 0 || kept.Check != "" && kept.Check != kept.check() ||
		!unhex(f.Terminal[:], kept.Terminal) || !unhex(f.Purchase[:], kept.Purchase) {
		return SAMFile{}, ErrNoSAMFile
	}
	f.Next = kept.Next
	return f, nil
}

// unhex fills to with digits, and reports whether they are just as many.
func unhex(to []byte, digits string) bool {
	b, err := hex.DecodeString(digits)
	return err == nil && len(b) == len(to) && copy(to, b) == len(to)
}
