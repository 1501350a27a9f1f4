package paycode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Tolerance is how far the clocks of a phone and of who checks may be apart.
const Tolerance = 30 * time.Second

// The shortest and the longest life of a code, from when it is made.
const (
	LifeMin = 30 * time.Second
	LifeMax = 60 * time.Second
)

// Issuer is a key of the campus that signs grants.
type Issuer struct {
	Index byte `json:"index"`
	PublicKey
}

// Keys are what a terminal has to know about codes, and the content of the feed
// "keys": public keys, and which phones are lost.
type Keys struct {
	School  uint16     `json:"school"`
	Issuers []Issuer   `json:"issuers"` // by index
	Revoked []DeviceID `json:"revoked"` // by name
}

// Bytes returns the content of the feed.
func (k Keys) Bytes() ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	return json.Marshal(k)
}

// ParseKeys reads the content of the feed "keys". What it does not know is for
// later programs, but an issuer of an algorithm that it does not know is an
// error: its codes would be refused as forged.
func ParseKeys(content []byte) (k Keys, err error) {
	if err := json.Unmarshal(content, &k); err != nil {
		return Keys{}, fmt.Errorf("%w: keys: %w", ErrMalformed, err)
	}
	return k, k.check()
}

func (k Keys) check() error {
	for i, n := range k.Issuers {
		if err := n.Check(); err != nil {
			return fmt.Errorf("issuer %d: %w", n.Index, err)
		}
		if i > 0 && n.Index <= k.Issuers[i-1].Index {
			return fmt.Errorf("%w: issuers are not in order", ErrMalformed)
		}
	}
	for i := range k.Revoked {
		if i > 0 && bytes.Compare(k.Revoked[i-1][:], k.Revoked[i][:]) >= 0 {
			return fmt.Errorf("%w: revoked phones are not in order", ErrMalformed)
		}
	}
	return nil
}

// issuer returns the key with a number.
func (k Keys) issuer(index byte) (PublicKey, bool) {
	for _, n := range k.Issuers {
		if n.Index == index {
			return n.PublicKey, true
		}
	}
	return PublicKey{}, false
}

// IsRevoked reports whether a phone is lost.
func (k Keys) IsRevoked(d DeviceID) bool {
	_, ok := slices.BinarySearchFunc(k.Revoked, d, func(a, b DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return ok
}

// Verify returns why a code is not one that this school and one of its phones
// have signed for a purpose, whenever that was.
func (k Keys) Verify(c Code, purpose Purpose) error {
	switch {
	case c.School != k.School:
		return ErrSchool
	case c.Purpose != purpose:
		return ErrPurpose
	}
	issuer, ok := k.issuer(c.Issuer)
	switch {
	case !ok || issuer.Algorithm != c.Device.Algorithm:
		return ErrIssuer
	case !issuer.Verify(append([]byte(grantContext), c.body()...), c.Granted),
		!c.Device.Verify(c.message(), c.Signed):
		return ErrForged
	}
	return nil
}

// Check returns why a code may not be taken at a moment: nil for one that is
// ours, of a phone that is not lost, and not older than life. Whether it was
// used before, and for how much it is good, is not said.
func (k Keys) Check(c Code, purpose Purpose, now time.Time, life time.Duration) error {
	if err := k.Verify(c, purpose); err != nil {
		return err
	}
	switch age := now.Sub(c.Time); {
	case k.IsRevoked(c.Device.ID()):
		return ErrRevoked
	case age < -Tolerance:
		return ErrEarly
	case age > life+Tolerance:
		return ErrStale
	case now.After(c.Expires):
		return ErrExpired
	}
	return nil
}
