package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"quancun/money"
)

// Kind says what an entry tells. The numbers are written to disk and sent
// upstream: add to them, never renumber.
type Kind int

// The kinds of this program. An intent is written before something
// irreversible is done, its end once the outcome is known.
const (
	Started     Kind = 1  // the program started; written by [Open] alone
	TopUpIntent Kind = 10 // an order number (充值) is about to be used upstream
	TopUpEnd    Kind = 11 // that order was paid, closed or refused
	LoadIntent  Kind = 20 // a card is about to be credited (圈存)
	LoadEnd     Kind = 21 // the card was credited, or was not
	ClockStep   Kind = 30 // the wall clock was set; written by the Book alone
)

var kindNames = map[Kind]string{
	Started: "started", TopUpIntent: "top-up intent", TopUpEnd: "top-up end",
	LoadIntent: "load intent", LoadEnd: "load end", ClockStep: "clock step",
}

// String returns the kind in words, for logs and for people who verify.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", int(k))
}

// intent returns the kind of intent that k ends, or 0 if k ends none.
func (k Kind) intent() Kind {
	switch k {
	case TopUpEnd:
		return TopUpIntent
	case LoadEnd:
		return LoadIntent
	}
	return 0
}

func (k Kind) isIntent() bool { return k == TopUpIntent || k == LoadIntent }
func (k Kind) isEnd() bool    { return k.intent() != 0 }

// Outcome is how an intent ended. The numbers are written to disk and sent
// upstream: add to them, never renumber.
//
// There is no outcome for "nobody knows". An intent whose outcome is unknown
// stays open until there is evidence.
type Outcome int

// The outcomes of a top-up and, from 11 on, of a load.
const (
	Paid       Outcome = 1  // the order was paid
	Closed     Outcome = 2  // the order was closed unpaid and can no longer be paid
	Refused    Outcome = 3  // the order never existed upstream
	Written    Outcome = 11 // the card has the money
	NotWritten Outcome = 12 // the card does not have it
	Elsewhere  Outcome = 13 // settled by what upstream knows, such as a later counter
)

var outcomes = map[Outcome]struct {
	name string
	of   Kind
}{
	Paid: {"paid", TopUpEnd}, Closed: {"closed", TopUpEnd}, Refused: {"refused", TopUpEnd},
	Written: {"written", LoadEnd}, NotWritten: {"not written", LoadEnd}, Elsewhere: {"elsewhere", LoadEnd},
}

// String returns the outcome in words, for logs and for people who verify.
func (o Outcome) String() string {
	if known, ok := outcomes[o]; ok {
		return known.name
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// Entry is one line of the journal.
type Entry struct {
	// Seq and At are the Book's: gapless from 1, and strictly increasing to
	// the millisecond (UTC). Seq orders entries, At only describes them.
	// [Book.Append] ignores what the caller put here.
	Seq int64
	At  time.Time

	Kind Kind

	// Ref names what the entry is about: an order number, a load ID. It is
	// made by the caller, and an intent and its end share it. Up to 64
	// printable ASCII characters without a space.
	Ref string

	// Card is the card's serial number, in the same alphabet. A load needs
	// one. An end may leave it out, and then takes it from its intent.
	Card string

	// Amount is more than zero for an intent. An end may leave it out, and
	// then takes it from its intent.
	Amount money.Fen

	// Outcome is set for ends only.
	Outcome Outcome

	// Details is one JSON value of up to 64 KiB that the ledger only stores,
	// such as counters and a TAC. It never holds a PIN, a key or an ID number.
	Details json.RawMessage
}

// Limits of an entry. They bound what one mistake elsewhere can write.
const (
	nameLenMax    = 64
	detailsLenMax = 64 << 10
	amountMax     = 1_000_000_000_000 * money.Fen(1) // ten thousand million yuan
)

// checked returns e as it will be stored, or an [ErrInvalid].
func (e Entry) checked() (Entry, error) {
	e.Seq, e.At = 0, time.Time{}
	if !e.Kind.isIntent() && !e.Kind.isEnd() {
		return e, e.invalid("the Book alone writes this kind")
	}
	if !isName(e.Ref) || e.Card != "" && !isName(e.Card) {
		return e, e.invalid("Ref or Card is not 1 to %d printable characters", nameLenMax)
	}
	if e.Kind == LoadIntent && e.Card == "" {
		return e, e.invalid("a load without a card")
	}
	if e.Amount < 0 || e.Amount > amountMax || e.Kind.isIntent() && e.Amount == 0 {
		return e, e.invalid("amount %s", e.Amount)
	}
	if e.Kind.isIntent() && e.Outcome != 0 || e.Kind.isEnd() && outcomes[e.Outcome].of != e.Kind {
		return e, e.invalid("%s", e.Outcome)
	}
	return e.withDetails()
}

// withDetails brings Details to the one form in which equal values are equal
// bytes, as far as spaces go. The order of members is the caller's.
func (e Entry) withDetails() (Entry, error) {
	if len(e.Details) == 0 {
		e.Details = nil
		return e, nil
	}
	var b bytes.Buffer
	if !utf8.Valid(e.Details) || json.Compact(&b, e.Details) != nil {
		return e, e.invalid("details are not JSON")
	}
	if b.Len() > detailsLenMax {
		return e, e.invalid("details of %d bytes", b.Len())
	}
	e.Details = b.Bytes()
	if b.String() == "null" {
		e.Details = nil
	}
	return e, nil
}

func (e Entry) invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s %q: %s", ErrInvalid, e.Kind, e.Ref, fmt.Sprintf(format, args...))
}

// same reports whether e and f say the same, whenever they were written.
func (e Entry) same(f Entry) bool {
	return e.Kind == f.Kind && e.Ref == f.Ref && e.Card == f.Card &&
		e.Amount == f.Amount && e.Outcome == f.Outcome && bytes.Equal(e.Details, f.Details)
}

func isName(s string) bool {
	return s != "" && len(s) <= nameLenMax &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
