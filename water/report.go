package water

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/bathcode"
	"quancun/money"
)

// Ending says what has ended a shower. Stored and in reports: never renumbered.
type Ending int

// The endings.
const (
	ByKey   Ending = 1 // the cancel key
	ByCap   Ending = 2 // all that was held is used
	ByPause Ending = 3 // nobody went on
	ByTime  Ending = 4 // its slot and the grace were over
	ByPower Ending = 5 // the power was away, and nobody came back
)

// Use is what one code was used for.
type Use struct {
	N      uint8     `json:"n"`     // the code's serial number
	Stall  uint16    `json:"stall"` // that it has opened
	Start  int64     `json:"start"` // Unix seconds by the controller's clock
	End    int64     `json:"end"`
	Pulses int64     `json:"pulses"`
	Amount money.Fen `json:"fen"` // at the controller's price, never above its cap
	Pauses int       `json:"pauses"`
	Ending Ending    `json:"ending"`
}

// Report is what a controller says of one slot.
type Report struct {
	Slot bathcode.Slot `json:"of"`
	// Final says that no code of the slot will be used any more, so that all
	// that were are in Uses. Without it, more may come.
	Final bool `json:"final"`
	// Away says that the controller had no power, or no clock, for a while in this time:
	// whose code is not in Uses may have been there all the same.
	Away bool `json:"away,omitempty"`
	// Tried are the codes, by their numbers, that were typed and opened nothing because it
	// was not their time by the controller's clock. Who has typed one was there, whatever
	// that clock says. A last word may come again with more of them.
	Tried []int `json:"tried,omitempty"`
	Uses  []Use `json:"uses"` // by their numbers, each once
}

// ReportMax is the longest report in bytes: of a hall whose codes were all used.
const ReportMax = 32 << 10

// Errors of a report.
var (
	ErrReport    = errors.New("water: not a report")
	ErrSignature = errors.New("water: the report is of another key")
)

// Seal returns r signed with the key of its place and month, as a line of text.
func (r Report) Seal(k bathcode.Key) []byte {
	if !k.Covers(r.Slot) {
		panic(fmt.Sprintf("water: internal error: %v for %+v", k, r.Slot))
	}
	body, err := json.Marshal(r)
	if err != nil {
		panic("water: internal error: " + err.Error()) // of plain values
	}
	mac := k.Sign(body)
	return append(append(hex.AppendEncode(nil, mac[:]), ' '), body...)
}

// Open reads a line that [Report.Seal] has made. key returns the key of a place
// on a day.
func Open(line []byte, key func(bathcode.Place, bathcode.Day) bathcode.Key) (r Report, err error) {
	mac, body, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	if !ok || len(line) > ReportMax {
		return Report{}, ErrReport
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrReport, err)
	}
	want := key(r.Slot.Place, r.Slot.Day).Sign(body)
	if !hmac.Equal(mac, hex.AppendEncode(nil, want[:])) {
		return Report{}, ErrSignature
	}
	return r, r.check()
}

// check refuses what no controller says. What one says that cannot be, such as a
// use outside of its slot, is no reason to lose it.
func (r Report) check() error {
	last := -1
	for _, u := range r.Uses {
		switch {
		case int(u.N) <= last || int(u.N) >= r.Slot.Place.Codes():
			return fmt.Errorf("%w: number %d after %d", ErrReport, u.N, last)
		case u.Stall == 0 || u.Pulses < 0 || u.Pulses > PulsesMax || u.Amount < 0 || u.Amount > money.Yuan*10000:
			return fmt.Errorf("%w: use %d of stall %d, %d pulses, %s", ErrReport, u.N, u.Stall, u.Pulses, u.Amount)
		case u.End < u.Start || u.Pauses < 0 || u.Ending < ByKey || u.Ending > ByPower:
			return fmt.Errorf("%w: use %d ends before it begins, or by nothing", ErrReport, u.N)
		}
		last = int(u.N)
	}
	last = -1
	for _, n := range r.Tried {
		if n <= last || n >= r.Slot.Place.Codes() {
			return fmt.Errorf("%w: number %d was tried after %d", ErrReport, n, last)
		}
		last = n
	}
	return nil
}

// Within reports whether a use began in its slot, give or take a grace.
func (u Use) Within(from, to time.Time, grace time.Duration) bool {
	at := time.Unix(u.Start, 0)
	return !at.Before(from.Add(-grace)) && !at.After(to.Add(grace))
}
