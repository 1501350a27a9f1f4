package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"quancun/money"
	"quancun/pboc"
)

// Entry is one line of a journal.
type Entry struct {
	// Terminal, Epoch and Seq are its [Position]. Seq is gapless from 1.
	// Entries of the first form carry no Terminal and no Epoch.
	Terminal string
	Epoch    Epoch
	Seq      int64

	// At is strictly increasing within a journal, to the millisecond (UTC).
	// Seq orders entries, At only describes them. Uptime is the time since the
	// machine was started, which nobody can set.
	At     time.Time
	Uptime time.Duration // milliseconds count
	Clock  ClockState

	Kind Kind

	// Ref names what the entry is about: an order number, a load or sale ID.
	// It is made by the caller. An intent, its doubt and its end share it, and
	// it is also the attempt ID of the hold that upstream placed for it. Up to
	// 64 printable ASCII characters without a space.
	Ref string

	// Card is the card's serial number in full, in the same alphabet. Account
	// is the holder's account number, where the terminal knows it. With
	// [CentreIntent] both are those that the act is about; with [RequestIntent] one
	// of them is enough.
	Card    string
	Account string

	// Merchant is who sells, Operator who stands at the till.
	Merchant string
	Operator string

	// Amount is more than zero for everything that is about money, except for
	// [Counted], where it is what was counted, for a shift, where it is what is in
	// the drawer, and for a request, where it is what upstream was asked to take.
	Amount money.Fen

	// Outcome is set for ends and for evidence only.
	Outcome Outcome

	// Origin is the entry that this one undoes (a refund), carries over, or
	// brings evidence for, or the last one that it adds up (a shift's report).
	// The zero Position is none.
	Origin Position

	// Purse is what the card said, for everything that reads or writes one.
	Purse *Purse

	// Postings are what the entry moves, and follow from the rest.
	Postings []Posting

	// Details is one JSON value of up to 64 KiB that nobody computes with. It
	// never holds a PIN, a key or an ID number.
	Details json.RawMessage
}

// ClockState says how far [Entry.At] can be believed. Never renumbered.
type ClockState uint8

// The states of a terminal's clock.
const (
	ClockUnknown ClockState = 0 // entries of the first form
	ClockSynced  ClockState = 1 // compared with upstream since the last start
	ClockAlone   ClockState = 2 // runs, but nobody has compared it
	ClockUnsure  ClockState = 3 // behind the journal or the program's own date
)

// Purse is a card's own word about one transaction, as the card's
// specification has it: all that is needed to ask the card about it later, or
// to check its TAC.
type Purse struct {
	Balance    uint32 // before the transaction, raw
	Counter    uint16 // before it: online for a load, offline for a sale
	KeyVersion byte
	Algorithm  byte
	TerminalNo pboc.TerminalNo
	TraceNo    uint32 // terminal transaction number; 0 for a load
	Stamp      pboc.Stamp
	TAC        pboc.MAC // zero until the card has given one
}

// Limits of an entry. They bound what one mistake elsewhere can write.
const (
	NameLenMax    = 64
	idLenMax      = 48 // of a terminal and of a merchant, which are part of accounts' names
	DetailsLenMax = 64 << 10
	AmountMax     = 1_000_000_000_000 * money.Fen(1) // ten thousand million yuan
	postingsMax   = 8
)

// Position returns the entry's name for good.
func (e Entry) Position() Position { return Position{e.Terminal, e.Epoch, e.Seq} }

// Check returns [ErrRule] if e breaks a rule, whoever wrote it. It needs e to
// be complete: what an end takes from its intent is there.
func (e Entry) Check() error {
	if !e.Kind.Known() {
		return e.rule("unknown kind")
	}
	if err := e.checkNames(); err != nil {
		return err
	}
	if e.Amount < 0 || e.Amount > AmountMax || e.movesMoney() && e.Amount == 0 {
		return e.rule("amount %s", e.Amount)
	}
	if !e.Outcome.of(e.Kind) {
		return e.rule("%s", e.Outcome)
	}
	if len(e.Details) > DetailsLenMax || len(e.Details) > 0 && !json.Valid(e.Details) {
		return e.rule("details")
	}
	if err := errors.Join(e.checkCentre(), e.checkRequest()); err != nil {
		return err
	}
	return e.checkPostings()
}

func (e Entry) checkNames() error {
	for _, n := range []struct {
		what, name string
		needed     bool
	}{
		{"ref", e.Ref, !e.Kind.LedgerOnly()},
		{"card", e.Card, e.needsCard()},
		{"account", e.Account, e.Kind.Intent() == CentreIntent},
		{"merchant", e.Merchant, e.needsMerchant()},
		{"operator", e.Operator, e.Kind.ofStaff()},
		{"terminal", e.Terminal, false},
		{"origin", e.Origin.Terminal, e.needsOrigin()},
	} {
		if n.needed && n.name == "" || n.name != "" && !IsName(n.name) {
			return e.rule("%s %q", n.what, n.name)
		}
	}
	if len(e.Terminal) > idLenMax || len(e.Merchant) > idLenMax {
		return e.rule("terminal or merchant longer than %d", idLenMax)
	}
	if e.Origin != (Position{}) && e.Origin.Seq <= 0 {
		return e.rule("origin %s", e.Origin)
	}
	return nil
}

func (e Entry) movesMoney() bool {
	return !e.Kind.ofStaff() && e.Kind.Intent() != RequestIntent &&
		(e.Kind.IsIntent() || e.Kind >= SaleIntent && e.Kind != Counted)
}

func (e Entry) needsCard() bool {
	i := e.Kind.Intent()
	return i == LoadIntent || i == SaleIntent || e.Kind == Sighting || e.Kind == Evidence
}

func (e Entry) needsMerchant() bool {
	i := e.Kind.Intent()
	return i == SaleIntent || i == PaymentIntent || i == ReturnIntent ||
		e.Kind == CodeSale || e.Kind == ChannelSale || e.Kind == Refund
}

func (e Entry) needsOrigin() bool {
	return e.Kind == Refund || e.Kind == ReturnIntent || e.Kind == Evidence || e.Kind == Carried || e.Kind.Sums()
}

func (e Entry) rule(format string, args ...any) error {
	return fmt.Errorf("%w: %s %q: %s", ErrRule, e.Kind, e.Ref, fmt.Sprintf(format, args...))
}

// Says reports whether e and f say the same, whenever and wherever they were
// written.
func (e Entry) Says(f Entry) bool {
	samePurse := e.Purse == f.Purse || e.Purse != nil && f.Purse != nil && *e.Purse == *f.Purse
	return e.Kind == f.Kind && e.Ref == f.Ref && e.Card == f.Card && e.Account == f.Account &&
		e.Merchant == f.Merchant && e.Operator == f.Operator && e.Amount == f.Amount &&
		e.Outcome == f.Outcome && e.Origin == f.Origin && samePurse && bytes.Equal(e.Details, f.Details)
}

// CompactDetails brings Details to the one form in which equal values are
// equal bytes, as far as spaces go. The order of members is the caller's.
func (e Entry) CompactDetails() (Entry, error) {
	if len(e.Details) == 0 {
		e.Details = nil
		return e, nil
	}
	var b bytes.Buffer
	if !utf8.Valid(e.Details) || json.Compact(&b, e.Details) != nil {
		return e, e.rule("details are not JSON")
	}
	e.Details = b.Bytes()
	if b.String() == "null" {
		e.Details = nil
	}
	return e, nil
}

// IsName reports whether s can be a name in an entry: 1 to 64 printable ASCII
// characters without a space.
func IsName(s string) bool {
	return s != "" && len(s) <= NameLenMax && isText(s)
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
