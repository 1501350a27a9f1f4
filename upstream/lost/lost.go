// Package lost is about cards that their holders have lost (卡挂失): it stops them
// for whoever has the number and the PIN and no card to show, says how far that has
// come, and takes it that a lost card lies on some terminal's reader.
//
// A report is one transaction: the holder's cards are on the hotlist, and the row
// says with which version of it. A terminal knows when it has that version, which it
// says by itself (package server, Hello). Those that do not know, because they have
// no network, can still sell for what the purse holds. That is the holder's risk
// until all know, or until the moment that was promised at the report; from then on
// it is the school's.
//
// Nobody is told whether a number or a PIN is wrong. A right PIN stops the cards at
// once and opens nothing, so to guess at the PIN of a card in one's hand is to have
// that card stopped. Wrong tries are counted here and not with the PIN's own, which
// a passer-by could lock then.
//
// It keeps store's order of locks, with the holder before the holder's cards.
package lost

import (
	"fmt"
	"time"

	"quancun/money"
	"quancun/upstream/place"
	"quancun/upstream/store"
)

// Policy is what the school has decided.
type Policy struct {
	// Risk is how long after a report the holder bears what is spent with the card
	// at terminals that do not know of it yet.
	Risk time.Duration
}

// Desk takes reports. It is safe for concurrent use, and by several programs on one
// database.
type Desk struct {
	books  *store.Books
	policy Policy
}

// New returns the desk of books.
func New(books *store.Books, p Policy) *Desk { return &Desk{books, p} }

// Loss is a report, and how far it has come by now.
type Loss struct {
	Ref      string // the terminal's, written down before it is sent
	Terminal string
	Account  store.Account
	Name     string
	Number   string // student or staff number

	Version uint64    // of the hotlist, with which the cards were on it
	Again   bool      // they had been stopped before
	Stopped time.Time // when they were
	Free    time.Time // from when on the school bears what is spent with them
	At      time.Time // of this report

	Terminals int       // that take cards
	Told      int       // of them, those that have Version
	AtRisk    money.Fen // at most, that can still be spent at the others at the holder's risk
	Over      bool      // the cards can be used again, or were replaced
	Found     *Found    // nil: nobody has laid one of them on a reader
}

// Found is where a lost card was laid down.
type Found struct {
	CardNo   string
	Terminal string
	At       time.Time   // by the terminal's clock
	Where    place.Place // it stood then; zero: nobody has said
}

// Reason says why something is not done. On the wire: never renumbered.
type Reason int

// The reasons.
const (
	Malformed  Reason = 1
	Wrong      Reason = 2 // number or PIN
	TooOften   Reason = 3 // wrong; until Until
	NoCard     Reason = 4 // the holder has none that could be stopped
	Conflict   Reason = 5 // the reference is of another report
	Ended      Reason = 6 // the terminal has given the report up
	RefUnknown Reason = 7
	NotLost    Reason = 8
)

// Refusal means "no, and nothing was changed". Every other error of this package
// leaves open whether it was done.
type Refusal struct {
	Reason Reason
	Until  time.Time // with TooOften
}

// Error names the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("lost: refused, reason %d", int(r.Reason)) }

func refuse(r Reason) error { return &Refusal{Reason: r} }
