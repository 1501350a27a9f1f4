// Package tender is what every way of paying at a till has in common: what is
// sold, what came of it, and what it means that it did not. It is a leaf below
// kiosk, so that a card, a virtual card's code and a wallet's payment code,
// which do not know each other, are told apart by nobody above them.
//
// Outcomes are three. No error is "sold"; [ErrUnknown] is "nobody knows yet",
// and money may have moved; after every other error nothing has moved.
package tender

import (
	"encoding/json"
	"errors"
	"fmt"

	"quancun/money"
)

// Sale is what is sold.
type Sale struct {
	// Ref names the sale for good. Who sells again after [ErrPIN] uses the same,
	// so that the money is held once.
	Ref      string
	Merchant string
	Operator string // staff number of the cashier
	Amount   money.Fen
	Items    []Item // that the amount is of; none, or some of it: a price was keyed
	PIN      bool   // the holder's PIN was checked for this sale
	Alone    bool   // the upstream is known to be away: do not ask
}

// Item is one line of what is sold. It is written to the journal as it is.
type Item struct {
	Name  string    `json:"name"`
	Count int64     `json:"n"`
	Price money.Fen `json:"fen"` // of all of them
}

// Details is what the first entry of a sale says besides, whatever it is paid
// with. A way of paying may say more.
type Details struct {
	Approved bool   `json:"approved,omitempty"` // the upstream has agreed, and so should hold the money
	Items    []Item `json:"items,omitempty"`
}

// DetailsOf reads what the first entry of a sale says besides.
func DetailsOf(text json.RawMessage) (d Details) {
	_ = json.Unmarshal(text, &d) // what is not there was sold by its price alone
	return d
}

// JSON returns d as it is written, or nil if it says nothing.
func (d Details) JSON() json.RawMessage {
	if !d.Approved && len(d.Items) == 0 {
		return nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic("tender: internal error: " + err.Error()) // texts and numbers
	}
	return text
}

// Sold is a sale that was made.
type Sold struct {
	Ref     string    // under which it is in the journal
	Entry   int64     // number of the journal entry that says so; 0: the journal failed
	Online  bool      // the upstream has agreed
	Balance money.Fen // of the purse or the account, after it; meaningful when Known
	Known   bool
	Holder  string // masked name; "" if it is not known
}

// KeptError is [ErrNotEnough] where the account has enough, but for what only the card
// may spend of it.
type KeptError struct{ Kept money.Fen }

// Error says how much that is.
func (e *KeptError) Error() string {
	return fmt.Sprintf("%v: %s are for the card alone", ErrNotEnough, e.Kept)
}

// Unwrap returns [ErrNotEnough].
func (e *KeptError) Unwrap() error { return ErrNotEnough }

// Outlook is what is known of a way of paying before anybody pays.
type Outlook struct {
	// Closed is why whoever pays is refused, with the upstream or without it; nil:
	// nothing is known that would stop the sale.
	Closed error
	// Unknown says that nobody can tell what was sold here earlier today, so that
	// nothing is sold without the upstream.
	Unknown bool
}

// What stops a sale. ErrUnknown is "being checked" and never "failed"; ErrPIN
// asks for the holder's PIN. Nothing has moved after any but ErrUnknown.
var (
	ErrUnknown = errors.New("tender: nobody knows yet whether it was paid")
	ErrPIN     = errors.New("tender: the holder's PIN is asked")

	ErrOffline   = errors.New("tender: this way of paying needs the upstream")
	ErrForeign   = errors.New("tender: code of another school or service")
	ErrInvalid   = errors.New("tender: code is not whole, or not genuine")
	ErrExpired   = errors.New("tender: code has expired")
	ErrEarly     = errors.New("tender: code is from the future")
	ErrSpent     = errors.New("tender: code was used before")
	ErrRevoked   = errors.New("tender: phone or account was reported lost")
	ErrAllowance = errors.New("tender: more than may be sold to this code without the upstream")
	ErrNotEnough = errors.New("tender: account has less than the price")
	ErrClosed    = errors.New("tender: the upstream has not sent what this way of paying needs")
	ErrRefused   = errors.New("tender: the payer, or the payer's bank, has said no")
	ErrReturned  = fmt.Errorf("%w: paid too late, and given back", ErrRefused)
)
