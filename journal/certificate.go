package journal

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"time"
)

// Certificate is the campus's word that a key signs a terminal's journal. It
// is small enough to travel on a receipt, so that whoever has the campus's
// public key can check one with no network.
type Certificate struct {
	Terminal  string
	Key       ed25519.PublicKey
	Issued    time.Time // to the second
	Signature [ed25519.SignatureSize]byte
}

const certificateContext = "quancun journal key v1\n"

// Certify signs a terminal's journal key with the campus's Ed25519 key.
func Certify(terminal string, key ed25519.PublicKey, issued time.Time, campus crypto.Signer) (Certificate, error) {
	c := Certificate{Terminal: terminal, Key: key, Issued: issued.UTC().Truncate(time.Second)}
	if !IsName(terminal) || len(terminal) > idLenMax || len(key) != ed25519.PublicKeySize {
		return Certificate{}, fmt.Errorf("certify journal key: %w: terminal or key", ErrMalformed)
	}
	sig, err := campus.Sign(nil, c.message(), crypto.Hash(0))
	if err != nil {
		return Certificate{}, fmt.Errorf("certify journal key: %w", err)
	}
	if copy(c.Signature[:], sig) != len(sig) || len(sig) != len(c.Signature) {
		return Certificate{}, fmt.Errorf("certify journal key: %w: not an Ed25519 signature", ErrMalformed)
	}
	return c, nil
}

// Verify returns [ErrUnsigned] if the campus with this key has not signed c.
func (c Certificate) Verify(campus ed25519.PublicKey) error {
	if len(campus) != ed25519.PublicKeySize || !ed25519.Verify(campus, c.message(), c.Signature[:]) {
		return fmt.Errorf("%w: journal key of terminal %s", ErrUnsigned, c.Terminal)
	}
	return nil
}

// Bytes returns c as it is stored and sent.
func (c Certificate) Bytes() []byte {
	return append(c.body(), c.Signature[:]...)
}

// ParseCertificate reads what [Certificate.Bytes] returned. It checks no
// signature.
func ParseCertificate(b []byte) (Certificate, error) {
	r := reader{s: b}
	c := r.certificate()
	if !r.whole() {
		return Certificate{}, fmt.Errorf("%w: certificate", ErrMalformed)
	}
	return c, nil
}

func (c Certificate) message() []byte { return append([]byte(certificateContext), c.body()...) }

func (c Certificate) body() []byte {
	b := append(appendText(nil, c.Terminal), c.Key...)
	return binary.BigEndian.AppendUint64(b, uint64(c.Issued.Unix()))
}

func (r *reader) certificate() (c Certificate) {
	c.Terminal = r.text()
	c.Key = r.bytes(ed25519.PublicKeySize)
	c.Issued = time.Unix(int64(r.uint(8)), 0).UTC()
	r.fill(c.Signature[:])
	r.bad = r.bad || !IsName(c.Terminal) || !inRange(c.Issued)
	return c
}
