package paycode

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"quancun/money"
)

// The bytes of a code, section 3.4, all numbers big-endian:
//
//	 0  form, 'P'                1
//	 1  algorithm                1
//	 2  school                   2
//	 4  purpose                  1
//	 5  issuer                   1
//	 6  account, BCD filled up with F   8
//	14  cap of a code, yuan      2
//	16  allowance of a day, yuan 2
//	18  expiry, Unix seconds     4
//	22  the phone's public key   32 or 33
//	    the issuer's signature   64
//	    time, Unix seconds       4
//	    counter                  2
//	    the phone's signature    64
//
// 188 bytes or 189, which are 282 digits of Base45 or 284: a QR code of version
// 10 at level M. The form and the algorithm come first and together, so that
// every text of ours begins with "65A" or "75A", and no wallet's number does.
const (
	formByte    = 'P'
	grantHead   = 22 // bytes before the phone's key
	codeTail    = 4 + 2 + SignatureSize
	textHeadLen = 3
)

// What is signed begins with what it is, so that no signature passes for
// another.
const (
	grantContext = "quancun paycode grant v1\n"
	codeContext  = "quancun paycode code v1\n"
	bindContext  = "quancun paycode phone v1\n"
)

// size returns how many bytes a code of the algorithm has, or 0.
func (a Algorithm) size() int {
	if a.keySize() == 0 {
		return 0
	}
	return grantHead + a.keySize() + SignatureSize + codeTail
}

// Ours reports whether a text begins as a code of ours does, so that a scanner
// can tell it from a wallet's. Whether it is one, [Parse] says.
func Ours(text string) bool {
	for _, a := range []Algorithm{Ed25519, SM2} {
		if strings.HasPrefix(text, textHead(a)) {
			return true
		}
	}
	return false
}

// SamePhone reports whether two texts are codes of one phone, which shows another one every
// half minute. It checks no signature.
func SamePhone(one, other string) bool {
	a, err := Parse(one)
	b, err2 := Parse(other)
	return err == nil && err2 == nil && a.Device.ID() == b.Device.ID()
}

func textHead(a Algorithm) string { return string(appendBase45(nil, []byte{formByte, byte(a)})) }

// Check returns [ErrMalformed] for a grant that has no bytes.
func (g Grant) Check() error {
	wrong := func(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
	limit := func(f money.Fen) bool { return f >= 0 && f <= LimitMax && f%money.Yuan == 0 }
	digits := strings.ContainsFunc(g.Account, func(r rune) bool { return r < '0' || r > '9' })
	switch {
	case g.Purpose < Pay || g.Purpose > Bath:
		return wrong("purpose")
	case g.Account == "" || len(g.Account) > AccountLenMax || digits:
		return wrong("account is not 1 to 16 digits")
	case !limit(g.CodeMax), !limit(g.DayMax):
		return wrong("limit is not a number of whole yuan")
	case !fits(g.Expires):
		return wrong("expiry")
	}
	return g.Device.Check()
}

// fits reports whether a time is one that four bytes hold.
func fits(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Unix() > 0 && t.Unix() <= math.MaxUint32
}

// body returns the grant's bytes without a signature. g was checked.
func (g Grant) body() []byte {
	b := make([]byte, 0, SM2.size())
	b = append(b, formByte, byte(g.Device.Algorithm))
	b = binary.BigEndian.AppendUint16(b, g.School)
	b = append(b, byte(g.Purpose), g.Issuer)
	b = append(b, packAccount(g.Account)...)
	b = binary.BigEndian.AppendUint16(b, uint16(g.CodeMax/money.Yuan))
	b = binary.BigEndian.AppendUint16(b, uint16(g.DayMax/money.Yuan))
	b = binary.BigEndian.AppendUint32(b, uint32(g.Expires.Unix()))
	return append(b, g.Device.Bytes...)
}

func packAccount(no string) []byte {
	filled := no + strings.Repeat("?", AccountLenMax-len(no)) // '?' is 0x3F, whose low half is the F
	b := make([]byte, AccountLenMax/2)
	for i := range b {
		b[i] = filled[2*i]<<4 | filled[2*i+1]&0xF
	}
	return b
}

func unpackAccount(b []byte) (string, error) {
	var no []byte
	for _, x := range b {
		no = append(no, '0'+x>>4, '0'+x&0xF)
	}
	text := strings.TrimRight(string(no), "?")
	if strings.ContainsFunc(text, func(r rune) bool { return r > '9' }) || text == "" {
		return "", fmt.Errorf("%w: account", ErrMalformed)
	}
	return text, nil
}

// Bytes returns the code's bytes.
func (c Code) Bytes() []byte {
	b := append(c.body(), c.Granted[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Time.Unix()))
	b = binary.BigEndian.AppendUint16(b, c.Counter)
	return append(b, c.Signed[:]...)
}

// Text returns the code as a phone shows it.
func (c Code) Text() string { return string(appendBase45(nil, c.Bytes())) }

// Parse reads a code's text. It checks no signature: [Keys.Check] does.
func Parse(text string) (Code, error) {
	if Ours(text) && len(text) < (Ed25519.size()*3+1)/2 {
		return Code{}, ErrHalf
	}
	b, err := parseBase45(text)
	if err != nil {
		return Code{}, err
	}
	return ParseBytes(b)
}

// ParseBytes reads a code's bytes.
func ParseBytes(b []byte) (c Code, err error) {
	if len(b) < 2 || b[0] != formByte || Algorithm(b[1]).size() == 0 {
		return Code{}, fmt.Errorf("%w: none of ours", ErrMalformed)
	}
	switch want := Algorithm(b[1]).size(); {
	case len(b) < want:
		return Code{}, ErrHalf
	case len(b) > want:
		return Code{}, fmt.Errorf("%w: longer than a code", ErrMalformed)
	}
	tail := len(b) - codeTail
	if c.Grant, c.Granted, err = parseGrant(b[:tail]); err != nil {
		return Code{}, err
	}
	c.Time = unix(b[tail:])
	c.Counter = binary.BigEndian.Uint16(b[tail+4:])
	copy(c.Signed[:], b[tail+6:])
	if !fits(c.Time) {
		return Code{}, fmt.Errorf("%w: time", ErrMalformed)
	}
	return c, nil
}

func unix(b []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC() }

// parseGrant reads a signed grant of the right length.
func parseGrant(b []byte) (g Grant, sig [SignatureSize]byte, err error) {
	key := b[grantHead : len(b)-SignatureSize]
	g = Grant{
		School: binary.BigEndian.Uint16(b[2:]), Purpose: Purpose(b[4]), Issuer: b[5],
		CodeMax: money.Fen(binary.BigEndian.Uint16(b[14:])) * money.Yuan,
		DayMax:  money.Fen(binary.BigEndian.Uint16(b[16:])) * money.Yuan,
		Expires: unix(b[18:]),
		Device:  PublicKey{Algorithm(b[1]), append([]byte(nil), key...)},
	}
	if g.Account, err = unpackAccount(b[6:14]); err != nil {
		return Grant{}, sig, err
	}
	copy(sig[:], b[len(b)-SignatureSize:])
	if err := g.Check(); err != nil {
		return Grant{}, sig, err
	}
	return g, sig, nil
}

// ParseGrant reads a signed grant, as [Issue] has made it.
func ParseGrant(b []byte) (g Grant, sig [SignatureSize]byte, err error) {
	if len(b) < 2 || b[0] != formByte || len(b) != Algorithm(b[1]).size()-codeTail || Algorithm(b[1]).size() == 0 {
		return Grant{}, sig, fmt.Errorf("%w: no grant", ErrMalformed)
	}
	return parseGrant(b)
}
