// Package pboc is the arithmetic by which a card and its issuer believe each
// other: session keys, MACs, TACs and key diversification of the PBOC e-purse
// (电子钱包) as FMCOS 2.0 computes them.
//
// It is pure: it talks to no card, keeps no key and knows no policy. Both ends
// use it, the virtual card and the terminal's SAM on one side and the
// upstream's key store on the other, and neither knows the other.
//
// Section numbers refer to the project's notes on the card, chapter 3, whose
// worked examples (pboc/testdata) this package reproduces.
package pboc

import (
	"cmp"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what the cards speak
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"quancun/money"
)

// Key is a two-key triple-DES key (双长度密钥), a master key or a card's own.
//
// It prints as "pboc.Key(…)" whatever the verb, so that no log can hold one.
type Key [16]byte

// Format keeps the key out of every log and message.
func (Key) Format(s fmt.State, _ rune) { fmt.Fprint(s, "pboc.Key(…)") }

// SessionKey (过程密钥) lives for one transaction of one card.
type SessionKey [8]byte

// Format keeps the session key out of every log and message.
func (SessionKey) Format(s fmt.State, _ rune) { fmt.Fprint(s, "pboc.SessionKey(…)") }

// Fen returns the balance that a card says as money. Some cards carry noise in the top bit,
// so that it does not count (chapter 1). MACs are over the raw balance, always.
func Fen(raw uint32) money.Fen { return money.Fen(raw &^ (1 << 31)) }

// MAC is a message authentication code, and a TAC too: 4 bytes on the wire.
type MAC [4]byte

// Valid reports whether m is not all zero. Some chips answer 00000000 with a
// good status word for an algorithm they do not support (3.3), so a zero MAC
// never proves anything.
func (m MAC) Valid() bool { return m != MAC{} }

// Equal compares in constant time. A zero MAC equals nothing, itself included.
func (m MAC) Equal(n MAC) bool {
	return m.Valid() && subtle.ConstantTimeCompare(m[:], n[:]) == 1
}

// Diversify returns the key that k gives to one card, or at one more level
// (分散): 3DES(k, f) || 3DES(k, NOT f) (chapter 3).
func (k Key) Diversify(factor [8]byte) Key {
	var d Key
	blocks := DiversifyBlocks(factor)
	k.encrypt(d[:8], blocks[:8])
	k.encrypt(d[8:], blocks[8:])
	return d
}

// DiversifyBlocks returns the two blocks whose encryptions are the diversified
// key, for a key that is in hardware.
func DiversifyBlocks(factor [8]byte) (blocks [16]byte) {
	copy(blocks[:], factor[:])
	for i, b := range factor {
		blocks[8+i] = ^b
	}
	return blocks
}

// LoadSession returns the session key of a load (SESLK), 3.1: k is the card's
// load key (DLK), counter the online transaction counter before the load.
func (k Key) LoadSession(random [4]byte, counter uint16) SessionKey {
	return k.session(LoadSessionBlock(random, counter))
}

// LoadSessionBlock returns the block whose encryption under the card's load key
// is the session key of a load (3.1), for a key that is in hardware.
func LoadSessionBlock(random [4]byte, counter uint16) [8]byte {
	return sessionBlock(random, counter, 0x8000)
}

// PurchaseSession returns the session key of a purchase (SESPK), 3.1: k is the
// card's purchase key (DPK), counter the offline transaction counter before
// the purchase, and traceNo the terminal transaction number, of which only the
// low two bytes count.
func (k Key) PurchaseSession(random [4]byte, counter uint16, traceNo uint32) SessionKey {
	return k.session(sessionBlock(random, counter, uint16(traceNo)))
}

func sessionBlock(random [4]byte, counter, tail uint16) (block [8]byte) {
	copy(block[:], random[:])
	binary.BigEndian.PutUint16(block[4:], counter)
	binary.BigEndian.PutUint16(block[6:], tail)
	return block
}

func (k Key) session(block [8]byte) (s SessionKey) {
	k.encrypt(s[:], block[:])
	return s
}

// MAC authenticates data under the session key.
func (s SessionKey) MAC(data []byte) MAC { return desMAC(s, data) }

// TAC authenticates data to the issuer: a MAC under the two halves of the
// card's TAC key (DTK), exclusive-or'ed (chapter 3).
func (k Key) TAC(data []byte) MAC { return desMAC(k.Folded(), data) }

// Folded returns the halves of k exclusive-or'ed, the single-DES key of TACs
// and of RELOAD PIN. Halves that are equal fold to zero; real test cards have
// such keys, so that is no error.
func (k Key) Folded() (s SessionKey) {
	subtle.XORBytes(s[:], k[:8], k[8:])
	return s
}

func (k Key) encrypt(dst, src []byte) { k.cipher().Encrypt(dst, src) }

func (k Key) decrypt(dst, src []byte) { k.cipher().Decrypt(dst, src) }

func (k Key) cipher() cipher.Block {
	var triple [24]byte // two-key EDE is three-key EDE with the first key again
	copy(triple[:], k[:])
	copy(triple[16:], k[:8])
	c, err := des.NewTripleDESCipher(triple[:])
	if err != nil {
		panic("pboc: internal error: " + err.Error()) // only the length can be wrong
	}
	return c
}

// desMAC is single-DES CBC-MAC with a zero initial vector; 80 and then 00 are
// always appended, to whole blocks too; the leftmost 4 bytes count (chapter 3).
func desMAC(key SessionKey, data []byte) (m MAC) {
	c, err := des.NewCipher(key[:])
	if err != nil {
		panic("pboc: internal error: " + err.Error()) // only the length can be wrong
	}
	var block [8]byte
	for padded := Padded(data); len(padded) > 0; padded = padded[8:] {
		subtle.XORBytes(block[:], block[:], padded[:8])
		c.Encrypt(block[:], block[:])
	}
	copy(m[:], block[:])
	return m
}

// Padded returns data as its MAC covers it: with 80, and 00 up to whole blocks.
func Padded(data []byte) []byte {
	padded := append(append(make([]byte, 0, len(data)+8), data...), 0x80)
	for len(padded)%8 != 0 {
		padded = append(padded, 0)
	}
	return padded
}

// TerminalNo is a terminal number (终端机编号): opaque, and part of every MAC.
type TerminalNo [6]byte

// String returns the number as 12 hexadecimal digits.
func (t TerminalNo) String() string { return fmt.Sprintf("%X", t[:]) }

// Stamp is a date and a time of day as cards know them: BCD YYYYMMDDHHMMSS.
type Stamp [7]byte

// Transaction type identifiers (交易类型标识) that this program uses (1.1).
const (
	TypeDepositLoad     byte = 0x01 // load of a deposit (电子存折), 圈存
	TypeLoad            byte = 0x02 // purse load, 圈存
	TypeDepositPurchase byte = 0x05 // purchase from a deposit, 消费
	TypePurchase        byte = 0x06 // purse purchase, 消费
)

// Load is what the MACs of a load cover (3.1).
type Load struct {
	Balance  uint32 // before the load, raw as the card sent it
	Counter  uint16 // online transaction counter before the load
	Amount   money.Fen
	Terminal TerminalNo
	At       Stamp // the host's date and time; not part of MAC1
	Type     byte  // transaction type identifier; 0 is TypeLoad
}

// MAC1 is what the card proves itself with, under the [Key.LoadSession].
func (l Load) MAC1(s SessionKey) MAC { return s.MAC(l.MAC1Data()) }

// MAC1Data returns what MAC1 covers.
func (l Load) MAC1Data() []byte { return l.middle(binary.BigEndian.AppendUint32(nil, l.Balance)) }

// MAC2 is what the host answers with, under the same session key.
func (l Load) MAC2(s SessionKey) MAC { return s.MAC(l.MAC2Data()) }

// MAC2Data returns what MAC2 covers.
func (l Load) MAC2Data() []byte { return append(l.middle(nil), l.At[:]...) }

// TAC is the card's evidence that the load happened, under its TAC key.
func (l Load) TAC(dtk Key) MAC {
	b := binary.BigEndian.AppendUint32(nil, l.Balance+uint32(l.Amount))
	b = binary.BigEndian.AppendUint16(b, l.Counter)
	return dtk.TAC(append(l.middle(b), l.At[:]...))
}

func (l Load) middle(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(l.Amount))
	b = append(b, cmp.Or(l.Type, TypeLoad))
	return append(b, l.Terminal[:]...)
}

// Purchase is what the MACs of a purchase cover (3.1). The terminal proves
// itself first, with MAC1, and the card answers with MAC2.
type Purchase struct {
	Amount   money.Fen
	Terminal TerminalNo
	TraceNo  uint32 // terminal transaction number (终端交易序号)
	At       Stamp
	Type     byte // transaction type identifier; 0 is TypePurchase
}

// MAC1 is what the terminal's SAM proves itself with.
func (p Purchase) MAC1(s SessionKey) MAC {
	b := binary.BigEndian.AppendUint32(nil, uint32(p.Amount))
	b = append(append(b, cmp.Or(p.Type, TypePurchase)), p.Terminal[:]...)
	return s.MAC(append(b, p.At[:]...))
}

// MAC2 is what the card proves itself with.
func (p Purchase) MAC2(s SessionKey) MAC {
	return s.MAC(binary.BigEndian.AppendUint32(nil, uint32(p.Amount)))
}

// TAC is the card's evidence for the issuer, under its TAC key. It covers
// neither the balance nor a counter.
func (p Purchase) TAC(dtk Key) MAC {
	b := binary.BigEndian.AppendUint32(nil, uint32(p.Amount))
	b = append(append(b, cmp.Or(p.Type, TypePurchase)), p.Terminal[:]...)
	b = binary.BigEndian.AppendUint32(b, p.TraceNo)
	return dtk.TAC(append(b, p.At[:]...))
}
