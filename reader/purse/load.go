package purse

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// GetBalance is GET BALANCE (读余额), 4.3.
type GetBalance struct {
	Kind profile.Kind
}

// Send returns the raw balance; see [Fen].
func (c GetBalance) Send(card Card) (raw uint32, err error) {
	data, err := send(card, "get balance", apdu.Command{CLA: 0x80, INS: 0x5C, P2: c.Kind.P2(), Le: 4}, 4)
	if err != nil {
		return 0, err
	}
	return bigEndian.Uint32(data), nil
}

// InitLoad is INITIALIZE FOR LOAD (初始化圈存), 4.1. Most cards want their PIN
// first and answer [apdu.NotAllowed] without it.
type InitLoad struct {
	Kind     profile.Kind
	KeyIndex byte
	Amount   money.Fen // 1 to 2³¹-1 fen; the card enforces its own ceiling
	Terminal pboc.TerminalNo
}

// LoadOffer is the card's answer to [InitLoad]. It moves no money yet: the
// issuer checks MAC1, and only then answers with the MAC2 that [CreditLoad]
// carries. It dies with the card's power and with any other INITIALIZE.
type LoadOffer struct {
	Balance    uint32 // raw, before the load, as MAC1 covers it; see [Fen]
	Counter    uint16 // online transaction counter (联机交易序号)
	KeyVersion byte
	Algorithm  byte
	Random     [4]byte
	MAC1       pboc.MAC // never all zero
}

// ErrZeroMAC means that the card offered a MAC1 of zeros, as some chips do for
// an algorithm that they do not support (3.3). It proves nothing.
var ErrZeroMAC = errors.New("initialize for load: MAC1 is all zero")

// Send asks card for an offer. No error of it leaves a doubt: nothing has moved.
func (c InitLoad) Send(card Card) (LoadOffer, error) {
	data, err := forLoad.send(card, request(c))
	if err != nil {
		return LoadOffer{}, err
	}
	return ParseLoadOffer(data)
}

// ParseLoadOffer reads the answer to INITIALIZE FOR LOAD. It returns
// [ErrZeroMAC] for an offer without a MAC1.
func ParseLoadOffer(data []byte) (o LoadOffer, err error) {
	s := cryptobyte.String(data)
	if !s.ReadUint32(&o.Balance) ||
		!s.ReadUint16(&o.Counter) ||
		!s.ReadUint8(&o.KeyVersion) ||
		!s.ReadUint8(&o.Algorithm) ||
		!s.CopyBytes(o.Random[:]) ||
		!s.CopyBytes(o.MAC1[:]) ||
		!s.Empty() {
		return LoadOffer{}, fmt.Errorf("initialize for load: answer has %d bytes, not 16", len(data))
	}
	if !o.MAC1.Valid() {
		return LoadOffer{}, ErrZeroMAC
	}
	return o, nil
}

// CreditLoad is CREDIT FOR LOAD (圈存), 4.1: the command that writes the purse
// up. Its date, time and MAC2 are the issuer's.
type CreditLoad struct {
	At   pboc.Stamp
	MAC2 pboc.MAC
}

// Send credits the purse and returns the card's TAC.
//
// If it fails and the error is not [Certain], nobody knows whether the card
// holds the money: see [SettleLoad].
func (c CreditLoad) Send(card Card) (tac pboc.MAC, err error) {
	data, err := send(card, "credit for load", apdu.Command{
		CLA: 0x80, INS: 0x52,
		Data: append(append([]byte(nil), c.At[:]...), c.MAC2[:]...), Le: 4,
	}, 4)
	copy(tac[:], data)
	return tac, err
}

// initialize is what the two INITIALIZE commands differ in (4.1, 4.2).
type initialize struct {
	name  string
	p1    byte
	least money.Fen // that the card may be asked for
	size  int       // of the answer, in bytes
}

var (
	forLoad     = initialize{name: "initialize for load", p1: 0x00, least: 1, size: 16}
	forPurchase = initialize{name: "initialize for purchase", p1: 0x01, least: 0, size: 15}
)

// request is what both of them say to the card: an [InitLoad] or an [InitPurchase].
type request struct {
	Kind     profile.Kind
	KeyIndex byte
	Amount   money.Fen
	Terminal pboc.TerminalNo
}

// send returns the card's offer as bytes. Nothing has moved.
func (i initialize) send(card Card, r request) ([]byte, error) {
	if err := inRange(r.Amount, i.least); err != nil {
		return nil, err
	}
	data := bigEndian.AppendUint32([]byte{r.KeyIndex}, uint32(r.Amount))
	return send(card, i.name, apdu.Command{
		CLA: 0x80, INS: 0x50, P1: i.p1, P2: r.Kind.P2(), Data: append(data, r.Terminal[:]...), Le: i.size,
	}, i.size)
}

// Certain reports whether err, from [CreditLoad] or [DebitPurchase], proves that
// the card did not execute the command. Silence proves nothing, and neither
// does an answer of 62xx, 63xx, 64xx, 65xx or 6Fxx: the card answered, but not
// whether it wrote (6.2). Without proof the outcome is unknown.
func Certain(err error) bool {
	var s apdu.Status
	if !errors.As(err, &s) {
		return false
	}
	switch s {
	case apdu.WrongMAC, apdu.LockedForever, // the MAC is checked before anything is written
		apdu.WrongState, apdu.WrongClass, apdu.Conditions, apdu.NotAllowed, apdu.AuthBlocked,
		apdu.NoSecureMAC, apdu.WrongSecureMAC,
		apdu.WrongLength, apdu.BadData, apdu.Unsupported, apdu.NotFound, apdu.NoRecord, apdu.NoSpace,
		apdu.WrongP1P2, apdu.KeyNotFound, apdu.WrongOffset, apdu.UnknownINS, apdu.UnknownCLA,
		apdu.NoBalance, apdu.CounterMax, apdu.NoKey:
		return true
	}
	return false
}
