package journal

import (
	"errors"
	"fmt"

	"quancun/money"
)

// BatchMax bounds one [Batch].
const (
	BatchMax      = 1000
	BatchBytesMax = 512 << 10
)

// Batch is what a terminal pushes upstream at once: the exact bytes of
// entries, from number From on, and a [Checkpoint] signed by the terminal over
// its whole journal up to the last of them. The checkpoint proves every byte,
// so that upstream can take an entry that it does not understand.
type Batch struct {
	Epoch  Epoch
	From   int64
	Bodies [][]byte
	Note   []byte
}

// Ack is upstream's answer once all of it is durable there: its head of this
// journal, and the checkpoint with its cosignature.
type Ack struct {
	Head Head
	Note []byte
}

// Reasons why a batch is not taken. They say nothing about the entries: an
// entry is never refused, and nothing that was refused may be dropped.
var (
	// ErrFork means that upstream holds other bytes under a number that this
	// journal has given: one of the two is a copy. A new epoch is due.
	ErrFork = errors.New("journal: upstream holds another entry under this number")
	// ErrGap means that upstream lacks entries before the batch. It is sent
	// again from upstream's head on.
	ErrGap = errors.New("journal: upstream lacks earlier entries")
	// ErrUnproven means that the checkpoint is not signed by this terminal, or
	// is not of these entries.
	ErrUnproven = errors.New("journal: checkpoint does not prove the entries")
)

// PushError is a reason with what upstream has instead.
type PushError struct {
	Reason error // ErrFork, ErrGap or ErrUnproven
	Head   Head  // upstream's, of this epoch
}

// Error names the reason and upstream's head.
func (e *PushError) Error() string { return fmt.Sprintf("%v (upstream has %d)", e.Reason, e.Head.Seq) }

// Unwrap returns the reason.
func (e *PushError) Unwrap() error { return e.Reason }

// Standing is how a journal stands to upstream's copy of it.
type Standing int

// The standings.
const (
	Level   Standing = 1 // the same, to the entry
	Ahead   Standing = 2 // upstream lacks the newest entries: push them
	Rewound Standing = 3 // upstream holds entries that the journal has lost: it was restored from a copy
	Forked  Standing = 4 // both hold an entry under one number, and they differ: one is a clone
)

// Compare tells how a journal stands to theirs, upstream's head of the same
// epoch. ours is the journal's own head, and at the hash of its entry theirs.Seq
// where it has one.
func Compare(ours, theirs Head, at Hash) Standing {
	switch {
	case theirs.Seq > ours.Seq:
		return Rewound
	case theirs.Seq > 0 && at != theirs.Hash:
		return Forked
	case theirs.Seq == ours.Seq:
		return Level
	}
	return Ahead
}

// Claim is a write to a card whose outcome one terminal could not learn. It is
// open until there is evidence, at whichever terminal meets the card next.
type Claim struct {
	Position        // of the intent
	Kind     Kind   // LoadIntent or SaleIntent
	Ref      string // of the intent
	Card     string
	Amount   money.Fen
	Purse    Purse // what the card said before it fell silent
}
