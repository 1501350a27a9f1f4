package journal

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"quancun/money"
)

// Reasons to open a new epoch. An operator may have others.
const (
	ReasonRewound   = "rewound"   // this journal lacks entries that upstream has
	ReasonForked    = "forked"    // upstream has other entries under this journal's numbers
	ReasonRecovered = "recovered" // the journal was damaged or lost, and what is left was put together

	// ReasonRestored: upstream was restored from a copy, and what it has lost of
	// an older journal cannot be pushed again as it was.
	ReasonRestored = "restored"
)

// Opening is what the first entry of an epoch says of the journal before it,
// in its Details. The entry's Origin is the last position of that journal that
// upstream has acknowledged, none if it has acknowledged none.
type Opening struct {
	Reason string `json:"reason"`
	Epoch  Epoch  `json:"epoch"` // that has ended
	Head   int64  `json:"head"`  // its last number: this machine has given none above it
	Hash   string `json:"hash"`  // of that entry

	// Agreed is the hash of the entry that Origin names. Upstream takes this
	// journal when it has that entry, and asks for it if it has lost it.
	Agreed string `json:"agreed,omitempty"`

	// Theirs is upstream's last number of that epoch, 0 if nobody has asked.
	Theirs int64 `json:"theirs,omitempty"`

	// Gone is how many entries of older journals should be carried over, and
	// cannot be found on this machine any more.
	Gone int64 `json:"gone,omitempty"`

	// Accounts are the balances with which the new books begin, credits positive.
	Accounts map[Account]money.Fen `json:"accounts,omitempty"`

	Version string `json:"version"` // of the program
}

// Entry returns the entry that says so. agreed is what upstream has acknowledged.
func (o Opening) Entry(agreed Position) Entry {
	e := Entry{Kind: EpochOpened, Details: mustMarshal(o)}
	if agreed.Seq > 0 {
		e.Origin = agreed
	}
	return e
}

// Before returns the last entry of the journal before it that upstream has
// acknowledged, by the word of an [EpochOpened] entry: number 0 if there is
// none, and no hash if it does not say.
func (e Entry) Before() (Head, error) {
	o, err := e.Opening()
	h := Head{Epoch: o.Epoch, Seq: e.Origin.Seq}
	if err != nil || o.Agreed == "" {
		return h, err
	}
	hash, err := hex.DecodeString(o.Agreed)
	if err != nil || len(hash) != len(h.Hash) {
		return h, fmt.Errorf("%w: %.70q is no hash", ErrMalformed, o.Agreed)
	}
	h.Hash = Hash(hash)
	return h, nil
}

// Opening returns what an [EpochOpened] entry says.
func (e Entry) Opening() (o Opening, err error) {
	if err := json.Unmarshal(e.Details, &o); err != nil || e.Kind != EpochOpened {
		return o, fmt.Errorf("%w: %s with details %.40q", ErrMalformed, e.Kind, e.Details)
	}
	return o, nil
}

// carriage is the Details of a Carried entry.
type carriage struct {
	Body []byte `json:"body"` // in base64
}

// Carry returns the entry that carries an old one over into a new epoch.
func Carry(from Position, body []byte) Entry {
	return Entry{Kind: Carried, Origin: from, Details: mustMarshal(carriage{body})}
}

// Body returns the bytes of the entry that a [Carried] entry carries over.
func (e Entry) Body() ([]byte, error) {
	var c carriage
	if err := json.Unmarshal(e.Details, &c); err != nil || e.Kind != Carried || len(c.Body) == 0 {
		return nil, fmt.Errorf("%w: %s carries nothing", ErrMalformed, e.Kind)
	}
	return c.Body, nil
}

// Inner returns the entry that a [Carried] entry carries over, with the
// position that it had, and any other entry as it is.
func (e Entry) Inner() (Entry, error) {
	if e.Kind != Carried {
		return e, nil
	}
	body, err := e.Body()
	if err != nil {
		return e, err
	}
	inner, _, err := Decode(body)
	if err != nil {
		return e, err
	}
	if inner.Epoch == (Epoch{}) { // of the first form, which has no place
		inner.Terminal, inner.Epoch = e.Origin.Terminal, e.Origin.Epoch
	}
	if inner.Position() != e.Origin {
		return e, fmt.Errorf("%w: carries %s as %s", ErrMalformed, inner.Position(), e.Origin)
	}
	return inner, nil
}

// Innermost reads an entry, whether it was carried over or not; the zero Entry if it
// cannot be read.
func Innermost(body []byte) Entry {
	e, _, err := Decode(body)
	for err == nil && e.Kind == Carried {
		e, err = e.Inner()
	}
	if err != nil {
		return Entry{}
	}
	return e
}

// Copies tells apart what the entries that were carried over have said already: what is
// put together from two copies of a journal may be there twice, and counts once, as it
// was said first. The zero value has seen nothing.
type Copies struct{ said map[part]bool }

// part is what is said once under a Ref: how something begins, or goes on, or ends.
type part struct {
	ref         string
	begins, end bool
}

// Again reports whether e, which the next entry of the journal carries over, was said
// before.
func (c *Copies) Again(e Entry) bool {
	if e.Kind.LedgerOnly() {
		return false
	}
	p := part{e.Ref, e.Kind.IsIntent() || e.Kind.Intent() == 0, e.Kind.IsEnd()}
	if c.said[p] {
		return true
	}
	if c.said == nil {
		c.said = map[part]bool{}
	}
	c.said[p] = true
	return false
}

// mustMarshal encodes what cannot fail.
func mustMarshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("journal: internal error: " + err.Error())
	}
	return b
}
