// Package journal is the form of a terminal's journal: what an entry says, the
// exact bytes in which it is kept, how entries follow each other, and what
// proves all of them. Terminal and upstream both use it and neither knows the
// other, so that what one has written the other checks.
//
// # Entry
//
// An [Entry] is one thing that a terminal did or is about to do. Its bytes
// ([Entry.Encode]) are the truth: they are stored, hashed and sent as they
// are, and nothing is ever hashed that was encoded again.
//
// # Chain and tree
//
// Entries are numbered from 1 without a gap. Each holds the [Hash] of the one
// before it, and all hashes are the leaves of one Merkle tree (RFC 6962), of
// which a signed note ([Checkpoint], C2SP tlog-checkpoint) states size and
// root. So one signature covers every byte of every entry before it.
//
// # Money
//
// [Entry.Postings] move money between accounts; they sum to zero, and which
// there are follows from what the entry says ([Entry.Check]). Credits are
// positive, as in the upstream's books.
//
// # What it refuses to know
//
// Disks, networks, keys' whereabouts and clocks.
package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is SHA-256(0x00 || body), the leaf hash of RFC 6962. The zero Hash
// stands before the first entry.
type Hash = tlog.Hash

// HashOf hashes an entry's bytes as they were written and never a form made
// from them again, so that no later encoder can make an old entry look forged.
func HashOf(body []byte) Hash { return tlog.RecordHash(body) }

// Hex returns h as 64 hexadecimal digits, for people and for file names.
func Hex(h Hash) string { return hex.EncodeToString(h[:]) }

// Epoch tells two journals of one terminal apart. It is drawn by chance when a
// journal is made, and again when a terminal was restored from a copy or
// cloned: then its numbers start anew and none is ever used twice.
type Epoch [8]byte

// String returns the epoch as 16 hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// ParseEpoch reads what [Epoch.String] writes.
func ParseEpoch(s string) (e Epoch, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(e) || Epoch(b).String() != s {
		return Epoch{}, fmt.Errorf("journal: %q is not an epoch", s)
	}
	return Epoch(b), nil
}

// MarshalText writes what [Epoch.String] does.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads it.
func (e *Epoch) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEpoch(string(text))
	return err
}

// Position names one entry for good: it never expires and is never reused.
type Position struct {
	Terminal string
	Epoch    Epoch
	Seq      int64
}

// String returns the position as people read it out.
func (p Position) String() string { return fmt.Sprintf("%s/%s/%d", p.Terminal, p.Epoch, p.Seq) }

// Head is how far a journal has come. Two journals with the same head are the
// same journal. The zero Head is an empty one.
type Head struct {
	Epoch Epoch
	Seq   int64
	Hash  Hash // of entry Seq
}

// Errors of reading.
var (
	// ErrMalformed means that bytes are not an entry, a note or a receipt that
	// this program could have written.
	ErrMalformed = errors.New("journal: malformed")
	// ErrNewer means that a later form of entry is needed to read the bytes.
	ErrNewer = errors.New("journal: of a newer program")
	// ErrRule means that an entry breaks a rule of [Entry.Check].
	ErrRule = errors.New("journal: entry breaks a rule")
	// ErrUnsigned means that nobody whom we know has signed this.
	ErrUnsigned = errors.New("journal: not signed by a key we know")
	// ErrOtherKey is an [ErrUnsigned] of what bears the right name, and says that it was
	// signed by another key: which nobody can tell here.
	ErrOtherKey = fmt.Errorf("%w, but by another", ErrUnsigned)
)

const hashSize = sha256.Size
