package bathcode

import (
	"crypto/subtle"
	"encoding/binary"

	"quancun/money"
)

// Stub returns the eight digits (结算码) that a controller shows when the shower of
// code n is over. With them its holder says at any terminal what it has cost, before
// anybody has brought the controller's log. It panics as [Key.Code] does.
func (k Key) Stub(s Slot, n uint8, cost money.Fen) Code {
	if !k.Covers(s) || int(n) >= s.Place.Codes() {
		panic("bathcode: internal error: a stub of no code")
	}
	message := binary.BigEndian.AppendUint64(append([]byte("STUB"), context(s, n)...), uint64(cost))
	return digits(truncate(tag(k.key[:], message)))
}

// Cost returns what the shower of code n has cost by its stub: at most so much. The
// stub does not say it; all amounts are tried, so that a guess is right so many times
// more often. ok is false for a stub that is of another shower, or that two amounts
// have in common.
func (k Key) Cost(c Code, s Slot, n uint8, most money.Fen) (cost money.Fen, ok bool) {
	found := 0
	for f := money.Fen(0); f <= most; f++ {
		if subtle.ConstantTimeCompare([]byte(k.Stub(s, n, f)), []byte(c)) == 1 {
			cost, found = f, found+1
		}
	}
	return cost, found == 1
}
