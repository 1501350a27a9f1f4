package shift

import (
	"encoding/json"
	"fmt"
	"os"

	"quancun/kiosk/file"
	"quancun/money"
)

// left are the sums of counts of a shift that were not taken: who leaves and begins
// anew has counted, too, and so has who switches the machine off. They are written
// down in the journal with the count that is taken. It belongs to the Drawer's mutex.
type left struct {
	path string // of the file that they are kept in; "" for none
	read bool   // the file was

	Shift string      `json:"shift"` // Ref of the shift
	Sums  []money.Fen `json:"sums"`
}

// of returns the sums of a shift. A file that is not as it was written is none: it
// would only say more about a count that has to be explained anyway.
func (l *left) of(shift string) []money.Fen {
	if !l.read && l.path != "" {
		b, err := os.ReadFile(l.path)
		if err == nil {
			b, err = file.Unsealed(b)
		}
		if err != nil || json.Unmarshal(b, l) != nil {
			l.Shift, l.Sums = "", nil
		}
	}
	l.read = true
	if l.Shift != shift {
		return nil
	}
	return l.Sums
}

// add keeps the sum of another count, on the disk before anybody is told.
func (l *left) add(shift string, sum money.Fen) error {
	l.Sums = append(l.of(shift), sum)
	l.Shift = shift
	if l.path == "" {
		return nil
	}
	text, err := json.Marshal(l)
	if err == nil {
		err = file.Replace(l.path, file.Sealed(text))
	}
	if err != nil {
		return fmt.Errorf("keep a count: %w", err)
	}
	return nil
}

// forget begins anew once they are in the journal.
func (l *left) forget() {
	l.Shift, l.Sums = "", nil
	if l.path != "" {
		_ = os.Remove(l.path) // what stays is said twice, of the same shift
	}
}
