// Package holder tells who is signed in at a terminal what is theirs: all money
// that is on its way, their records with a copy of each receipt, their limits, a
// code by which a phone becomes their virtual card, and whether they have still to
// compare a new card with what is registered.
//
// It moves no money. All that it writes down is what holders have said of their
// cards, and that a phone is invited.
package holder

import (
	"log/slog"
	"time"

	"quancun/money"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// Terms are what the school has decided and holders are told.
type Terms struct {
	DailyLimit   money.Fen // for who has none of their own
	CardReserve  money.Fen
	PurseCeiling money.Fen
	BalanceCap   money.Fen
	CodeMax      money.Fen // of a phone's code, where nobody can be asked
	CodeDayMax   money.Fen
	Phones       bool   // there are virtual cards
	PhoneAddress string // host:port for phones; "" if it is that of terminals
}

// Config is what a desk is made of.
type Config struct {
	Books *store.Books
	Keys  keys.Store // whose campus key signs copies
	CA    wire.Fingerprint
	Terms Terms

	// BathDue is how long after a slot a bath's hold is let go, if its controller
	// says nothing; 0 is a day.
	BathDue time.Duration
	Log     *slog.Logger
}

// Desk answers. It is safe for concurrent use.
type Desk struct{ Config }

// New returns a desk.
func New(c Config) *Desk {
	if c.BathDue == 0 {
		c.BathDue = 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{c}
}

// fromMS returns a time, and the zero one for 0.
func fromMS(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
