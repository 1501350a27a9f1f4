// Package paycode is the form of a virtual-card code (虚拟卡码): what a phone
// shows at a till, and what a terminal needs to believe it with no network.
// Phone, terminal and upstream have to agree on every byte of it, so it is a
// leaf below all three. Section numbers refer to the project's notes on
// services, chapter 3.
//
// # Two signatures
//
// The campus signs a [Grant]: this phone's key may spend from that account, so
// much with a code and so much in a day, until then. The phone signs each [Code]
// on top of it: now, and for the how-manyth time. A terminal holds public keys
// only, so that a stolen one can make no code, and a phone's key says nothing
// about any other phone.
//
// # One form
//
// A code has one sequence of bytes and a sequence of bytes has one text (Base45,
// RFC 9285), which is what scanners carry whole. What does not read back as
// itself is no code.
//
// # What it refuses to know
//
// Whether a code was used before, what its account holds, and clocks: its caller
// says what the time is.
package paycode

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"quancun/money"
)

// Purpose says what a code is good for. It is in the signed bytes, so that the
// code for a door buys no lunch. Never renumbered.
type Purpose byte

// The purposes of codes.
const (
	Pay  Purpose = 1
	Door Purpose = 2
	Bath Purpose = 3
)

// SignatureSize is the length of each signature, in bytes, of every algorithm.
const SignatureSize = 64

// Limits of what a grant can say.
const (
	AccountLenMax = 16 // digits
	LimitMax      = 65535 * money.Yuan
)

// Grant is the campus's word that a phone may spend from an account. Signed by
// [Issue], it is good for as long as it says.
type Grant struct {
	School  uint16 // that has signed it
	Purpose Purpose
	Issuer  byte   // number of the key that has signed it
	Account string // 1 to 16 digits

	// CodeMax is the most that one code buys and DayMax the most that all of them
	// buy in a day, where nobody can be asked. Whole yuan.
	CodeMax money.Fen
	DayMax  money.Fen

	Expires time.Time // to the second
	Device  PublicKey // of the phone
}

// Code is what a phone shows: a grant, and the phone's word that it is here now.
type Code struct {
	Grant
	Granted [SignatureSize]byte // the issuer's signature of Grant

	Time    time.Time // by the phone's clock, to the second
	Counter uint16    // of the codes that the phone has made; it wraps
	Signed  [SignatureSize]byte
}

// Use names one code among all: nobody may spend the same twice.
type Use struct {
	Device  DeviceID
	Time    int64 // Unix seconds
	Counter uint16
}

// Use returns the code's name.
func (c Code) Use() Use { return Use{c.Device.ID(), c.Time.Unix(), c.Counter} }

// DeviceID names a phone: half of the SHA-256 of its public key.
type DeviceID [16]byte

// String returns the name as 32 hexadecimal digits.
func (d DeviceID) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String returned.
func (d *DeviceID) UnmarshalText(text []byte) error {
	var id DeviceID
	if len(text) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("%w: name of a phone", ErrMalformed)
	}
	if _, err := hex.Decode(id[:], text); err != nil || id.String() != string(text) {
		return fmt.Errorf("%w: name of a phone", ErrMalformed)
	}
	*d = id
	return nil
}

// ID returns the name of the phone whose key k is.
func (k PublicKey) ID() (d DeviceID) {
	sum := sha256.Sum256(append([]byte{byte(k.Algorithm)}, k.Bytes...))
	copy(d[:], sum[:])
	return d
}

// Why a text is no code, or a code may not be taken.
var (
	// ErrMalformed means that something cannot be what it should be.
	ErrMalformed = errors.New("paycode: malformed")
	// ErrHalf means that a text begins as a code and ends too soon: scan again.
	ErrHalf = errors.New("paycode: half a code")
	// ErrSchool means that another school has signed it.
	ErrSchool = errors.New("paycode: of another school")
	// ErrPurpose means that it is a code for something else.
	ErrPurpose = errors.New("paycode: for another purpose")
	// ErrIssuer means that we do not have the key that is said to have signed it.
	ErrIssuer = errors.New("paycode: issuer unknown")
	// ErrForged means that a signature does not fit.
	ErrForged = errors.New("paycode: signature is wrong")
	// ErrRevoked means that the phone was reported lost.
	ErrRevoked = errors.New("paycode: phone is revoked")
	// ErrExpired means that the grant has ended: the phone has to renew it.
	ErrExpired = errors.New("paycode: authorisation has expired")
	// ErrStale means that the code was shown too long ago: a picture of one.
	ErrStale = errors.New("paycode: code is too old")
	// ErrEarly means that the code is from the future: the phone's clock is wrong,
	// or ours.
	ErrEarly = errors.New("paycode: code is from the future")
)
