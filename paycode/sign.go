package paycode

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Issue signs a grant with the campus's key of number g.Issuer, and returns it
// with the signature, in bytes.
func Issue(g Grant, issuer Signer) ([]byte, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if issuer.Public().Algorithm != g.Device.Algorithm {
		return nil, fmt.Errorf("%w: issuer signs with %s, phone with %s", ErrMalformed, issuer.Public().Algorithm,
			g.Device.Algorithm)
	}
	body := g.body()
	sig, err := issuer.Sign(append([]byte(grantContext), body...))
	if err != nil {
		return nil, fmt.Errorf("issue grant: %w", err)
	}
	return append(body, sig[:]...), nil
}

// Show makes the code that a phone shows at a moment: granted is what [Issue]
// has returned for it.
func Show(granted []byte, at time.Time, counter uint16, phone Signer) (Code, error) {
	g, sig, err := ParseGrant(granted)
	if err != nil {
		return Code{}, err
	}
	c := Code{Grant: g, Granted: sig, Time: at.UTC().Truncate(time.Second), Counter: counter}
	if !fits(c.Time) || !g.Device.Equal(phone.Public()) {
		return Code{}, fmt.Errorf("%w: time, or key of another phone", ErrMalformed)
	}
	if c.Signed, err = phone.Sign(c.message()); err != nil {
		return Code{}, fmt.Errorf("show code: %w", err)
	}
	return c, nil
}

// message is what the phone signs.
func (c Code) message() []byte {
	b := c.Bytes()
	return append([]byte(codeContext), b[:len(b)-SignatureSize]...)
}

// Proof is what a phone says to the upstream: that it has its private key, at a
// moment, and what it asks for. An invitation that nobody else has heard of, or
// nothing for a phone that is known already.
type Proof struct {
	Device     PublicKey
	At         time.Time // to the second
	Invitation string
}

func (p Proof) message() []byte {
	b := append([]byte(bindContext), byte(p.Device.Algorithm))
	b = append(b, p.Device.Bytes...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.At.Unix()))
	return append(b, p.Invitation...)
}

// Sign makes the proof.
func (p Proof) Sign(phone Signer) ([SignatureSize]byte, error) { return phone.Sign(p.message()) }

// Verify returns [ErrForged] if the owner of p.Device has not made the proof.
func (p Proof) Verify(sig [SignatureSize]byte) error {
	if err := p.Device.Check(); err != nil {
		return err
	}
	if !p.Device.Verify(p.message(), sig) {
		return ErrForged
	}
	return nil
}

// Taken is what the details of a terminal's entry say of the code that it took:
// all that is needed to check it again. Approved is the upstream's word that it
// holds the money.
type Taken struct {
	Code     string `json:"code"`
	Approved bool   `json:"approved,omitempty"`
}
