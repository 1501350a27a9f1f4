package bath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"quancun/bathcode"
	"quancun/water"
)

// Disk is where a controller writes what a power cut must not take.
type Disk interface {
	// Load returns all that was written.
	Load() ([]byte, error)
	// Append writes b behind it, and returns once it is durable. After an error, or
	// a power cut, any beginning of b may be there.
	Append(b []byte) error
	// Truncate cuts off all behind the first n bytes.
	Truncate(n int) error
}

// file is a Disk that is a file.
type file struct{ f *os.File }

func openFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

// Load implements [Disk].
func (d *file) Load() ([]byte, error) {
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(d.f)
}

// Append implements [Disk].
func (d *file) Append(b []byte) error {
	_, err := d.f.Write(b)
	return errors.Join(err, d.f.Sync())
}

// Truncate implements [Disk].
func (d *file) Truncate(n int) error { return errors.Join(d.f.Truncate(int64(n)), d.f.Sync()) }

// kind says what a record is about. On disk: never renumbered.
type kind int

const (
	wasBorn   kind = 1 // the controller was put to use
	wasUsed   kind = 2 // a code, before the valve opens
	hasRun    kind = 3 // so much water so far
	wasEnded  kind = 4 // a shower
	wasWrong  kind = 5 // a code was typed that is none
	wasSealed kind = 6 // a slot, in which no code opens any more
	wasHere   kind = 7 // the controller, and nothing else has happened
	wasAway   kind = 8 // it had no power or no clock, since Since
)

// record is a line of the journal.
type record struct {
	Kind  kind          `json:"kind"`
	At    int64         `json:"at"` // Unix seconds by the controller's clock
	Stall uint16        `json:"stall,omitempty"`
	Slot  bathcode.Slot `json:"slot,omitzero"`
	Use   *water.Use    `json:"use,omitempty"`  // as it stands
	Line  string        `json:"line,omitempty"` // of a sealed slot: the signed report
	Since int64         `json:"since,omitempty"`
}

// line returns a record as it is written: the CRC-32 of its text, and the text.
func (r record) line() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("lab/bath: internal error: " + err.Error()) // of plain values
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)
}

// errJournal means that a journal is broken in its middle, which no power cut does.
var errJournal = errors.New("lab/bath: journal is broken")

// load reads the journal, and cuts off what a power cut has left of its last line.
func load(d Disk) (all []record, err error) {
	text, err := d.Load()
	if err != nil {
		return nil, err
	}
	for n := 0; n < len(text); {
		line, _, whole := bytes.Cut(text[n:], []byte("\n"))
		r, ok := parse(line)
		switch {
		case whole && ok:
			all = append(all, r)
			n += len(line) + 1
			continue
		case whole && n+len(line)+1 < len(text):
			return nil, fmt.Errorf("%w after %d bytes", errJournal, n)
		}
		return all, d.Truncate(n)
	}
	return all, nil
}

func parse(line []byte) (r record, ok bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return r, false
	}
	return r, json.Unmarshal(text, &r) == nil
}
