// Package wire is the part of the contract between a terminal and the
// upstream that Protocol Buffers can not say: how a PIN travels.
//
// The messages themselves are in quancun/v1. This package knows neither ends'
// business: it holds no key and decides nothing.
package wire

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"
)

// PINLen is the length of a PIN: six digits.
const PINLen = 6

// ChallengeLen is the length of the challenge that a sealed PIN is bound to.
const ChallengeLen = 32

// ErrSealedPIN means that a sealed PIN does not open: it was sealed to another
// key, for another card or challenge, or it is no six digits.
var ErrSealedPIN = errors.New("wire: sealed PIN does not open")

// info separates this use of a key from every other (RFC 9180, 5.1).
var info = []byte("quancun pin v1")

// sealedLen is the only length there is: an X25519 point, six digits, a tag.
const sealedLen = 32 + PINLen + 16

// KEM is the key encapsulation of sealed PINs: DHKEM(X25519, HKDF-SHA256).
// The rest of the suite is HKDF-SHA256 and ChaCha20-Poly1305.
func KEM() hpke.KEM { return hpke.DHKEM(ecdh.X25519()) }

// SealPIN seals pin to the upstream's public key, bound to the challenge of
// this sign-in and to the card's number, so that it opens for nothing else.
// The caller keeps pin and wipes it; no copy of it is left here.
func SealPIN(publicKey, challenge []byte, cardNo string, pin *[PINLen]byte) ([]byte, error) {
	if len(challenge) != ChallengeLen || !Digits(pin) {
		return nil, errors.New("wire: seal PIN: not six digits, or no challenge")
	}
	key, err := KEM().NewPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("wire: seal PIN: %w", err)
	}
	enc, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
	if err != nil {
		return nil, fmt.Errorf("wire: seal PIN: %w", err)
	}
	sealed, err := sender.Seal(bound(challenge, cardNo), pin[:])
	if err != nil {
		return nil, fmt.Errorf("wire: seal PIN: %w", err)
	}
	return append(enc, sealed...), nil
}

// CentrePIN is what stands for an account where a PIN is sealed at the card centre
// or a challenge is asked for.
func CentrePIN(account string) string { return "centre/" + account }

// CodePIN is what stands for an account where its holder shows a code and no card.
func CodePIN(account string) string { return "code/" + account }

// LossPIN is what stands for a student or staff number where whoever has it reports a
// lost card, and so shows none.
func LossPIN(number string) string { return "lost/" + number }

// StaffCard is what stands for a member of the staff's card where a PIN is sealed
// or a challenge is asked for: the same card may be a holder's, with another PIN.
func StaffCard(cardNo string) string { return "staff/" + cardNo }

// SealedPIN is a PIN on its way, and what it is bound to.
type SealedPIN struct {
	CardNo    string // as it was sealed, letter for letter
	Challenge []byte
	Sealed    []byte
}

// OpenPIN opens into pin what [SealPIN] has sealed. Its error is always
// [ErrSealedPIN], and pin is then zero. The caller wipes pin after use.
func OpenPIN(key hpke.PrivateKey, s SealedPIN, pin *[PINLen]byte) error {
	clear(pin[:])
	if len(s.Sealed) != sealedLen || len(s.Challenge) != ChallengeLen {
		return ErrSealedPIN
	}
	r, err := hpke.NewRecipient(s.Sealed[:32], key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
	if err != nil {
		return ErrSealedPIN
	}
	plain, err := r.Open(bound(s.Challenge, s.CardNo), s.Sealed[32:])
	defer clear(plain)
	if err != nil || len(plain) != PINLen {
		return ErrSealedPIN
	}
	copy(pin[:], plain)
	if !Digits(pin) {
		clear(pin[:])
		return ErrSealedPIN
	}
	return nil
}

// Digits reports whether pin is six ASCII digits.
func Digits(pin *[PINLen]byte) bool {
	for _, c := range pin {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// bound is the additional data; the challenge has a fixed length, so the two
// parts can not run into each other.
func bound(challenge []byte, cardNo string) []byte {
	return append(append(make([]byte, 0, ChallengeLen+len(cardNo)), challenge...), cardNo...)
}
