package pboc

import (
	"errors"
	"fmt"
)

// Part is something that a card gets when it is personalised (发卡) and that takes
// its issuer's keys. On the wire: never renumbered.
type Part int

// The parts, in the order in which a card gets them.
const (
	PartAnswer      Part = 1 // to a blank's challenge: EXTERNAL AUTHENTICATE
	PartControl     Part = 2 // control key of the application
	PartMaintenance Part = 3
	PartTAC         Part = 4
	PartReload      Part = 5
	PartPurchase    Part = 6
	PartLoad        Part = 7
	PartPIN         Part = 8  // one that nobody knows, until RELOAD PIN
	PartFile        Part = 9  // content of a file
	PartLock        Part = 10 // the issuer's control key in place of the maker's
	PartProof       Part = 11 // as PartAnswer, to a card that was locked: under the issuer's control key
)

// Order asks an issuer for a part. What does not belong to the part is zero.
type Order struct {
	Part      Part
	Challenge Challenge // the card's
	Index     byte      // PartPurchase, PartLoad
	SFI       byte      // PartFile
	Offset    byte      // PartFile
	Data      []byte    // PartFile
}

// Head returns the head of the command that brings the part to the card.
func (o Order) Head() Head {
	switch o.Part {
	case PartAnswer, PartProof:
		return Head{0x00, 0x82, 0x00, 0x00}
	case PartFile:
		return Head{0x04, 0xD6, 0x80 | o.SFI, o.Offset}
	case PartLock:
		return Head{0x84, 0xD4, KeyControl, 0x00}
	}
	return Head{0x84, 0xD4, 0x01, o.Index}
}

// NewKeys are the keys that a blank has and gets. They print as
// "pboc.NewKeys(…)".
type NewKeys struct {
	Transport Key // the maker's control key, which a blank comes with
	Issuer    Key // control key that takes its place

	Control, Maintenance, TAC, Reload, Purchase, Load Key
	PIN                                               [3]byte // random
}

// Format keeps the keys out of every log and message.
func (NewKeys) Format(s fmt.State, _ rune) { fmt.Fprint(s, "pboc.NewKeys(…)") }

// ErrNoPart means that an order asks for what there is not.
var ErrNoPart = errors.New("pboc: no such part of a card")

// fileDataMax is the most that one command writes: FMCOS takes 239 bytes with the
// MAC.
const fileDataMax = 235

// recordHeads are what a key's record has before the key: type, right of use, right
// of change, and two bytes: state after it and tries, or version and algorithm.
var recordHeads = map[Part][5]byte{
	PartControl:     {KeyControl, 0xF0, 0x02, 0x44, 0x33},
	PartMaintenance: {KeyMaintenance, 0xF0, 0x02, 0xFF, 0x33},
	PartTAC:         {KeyTAC, 0xF0, 0x02, 0x01, 0x00},
	PartReload:      {KeyReload, 0xF0, 0x02, 0xFF, 0x33},
	PartPurchase:    {KeyPurchase, 0xF0, 0x02, 0x01, 0x00},
	PartLoad:        {KeyLoad, 0xF0, 0x02, 0x01, 0x00},
	PartPIN:         {KeyPIN, 0xF0, 0xEF, 0x01, 0x33},
}

// Field returns the data field of the command that brings the part to the card.
// No key can be read in it.
func (k NewKeys) Field(o Order) ([]byte, error) {
	switch o.Part {
	case PartAnswer:
		answer := k.Transport.Answer(o.Challenge)
		return answer[:], nil
	case PartProof:
		answer := k.Issuer.Answer(o.Challenge)
		return answer[:], nil
	case PartFile:
		if len(o.Data) == 0 || len(o.Data) > fileDataMax {
			return nil, ErrNoPart
		}
		return k.Maintenance.Protect(o.Head(), o.Challenge, o.Data), nil
	case PartLock:
		return k.Transport.Protect(o.Head(), o.Challenge, k.Transport.Conceal(k.Issuer[:])), nil
	}
	under := k.Control
	if o.Part == PartControl {
		under = k.Transport
	}
	key := map[Part][]byte{
		PartControl: k.Control[:], PartMaintenance: k.Maintenance[:], PartTAC: k.TAC[:], PartReload: k.Reload[:],
		PartPurchase: k.Purchase[:], PartLoad: k.Load[:], PartPIN: k.PIN[:],
	}[o.Part]
	record, ok := Record(o.Part, key)
	if !ok {
		return nil, ErrNoPart
	}
	defer clear(record)
	return under.Protect(o.Head(), o.Challenge, under.Conceal(record)), nil
}

// Record returns what a key is written as, and whether p is the part of one. The
// caller wipes it.
func Record(p Part, key []byte) (record []byte, ok bool) {
	head, ok := recordHeads[p]
	return append(head[:], key...), ok
}
