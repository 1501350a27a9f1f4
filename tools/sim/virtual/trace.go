package virtual

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// Trace is the story of a seed, line by line. Its hash tells whether two runs
// were the same; nobody has to keep the lines for that.
type Trace struct {
	out  io.Writer // nil: nobody reads along
	hash hash.Hash
	line []byte
}

// NewTrace returns an empty story, which out reads along; nil is nobody.
func NewTrace(out io.Writer) *Trace { return &Trace{out: out, hash: sha256.New()} }

// Add adds a line.
func (t *Trace) Add(format string, args ...any) {
	t.line = fmt.Appendf(t.line[:0], format, args...)
	t.line = append(t.line, '\n')
	t.hash.Write(t.line)
	if t.out != nil {
		t.out.Write(t.line) //nolint:errcheck // for people; the hash is what counts
	}
}

// Sum returns the hash of all lines so far.
func (t *Trace) Sum() string { return hex.EncodeToString(t.hash.Sum(nil)[:16]) }
