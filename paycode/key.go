package paycode

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Algorithm is how both signatures of a code are made. Never renumbered.
type Algorithm byte

// The algorithms.
const (
	Ed25519 Algorithm = 1
	SM2     Algorithm = 2 // GB/T 32918 with SM3, for schools that have to
)

// String returns the algorithm's name.
func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case SM2:
		return "SM2"
	}
	return fmt.Sprintf("algorithm %d", byte(a))
}

// keySize returns how long a public key is, and 0 for no algorithm of ours. An
// SM2 key is a compressed point.
func (a Algorithm) keySize() int {
	switch a {
	case Ed25519:
		return ed25519.PublicKeySize
	case SM2:
		return 33
	}
	return 0
}

// identity is who signs with SM2, as GM/T 0009 has it where nobody has agreed on
// anything else.
var identity = []byte("1234567812345678")

// PublicKey checks signatures.
type PublicKey struct {
	Algorithm Algorithm `json:"algorithm"`
	Bytes     []byte    `json:"key"`
}

// Equal reports whether two keys are the same.
func (k PublicKey) Equal(l PublicKey) bool {
	return k.Algorithm == l.Algorithm && string(k.Bytes) == string(l.Bytes)
}

// Check returns [ErrMalformed] for what is no key.
func (k PublicKey) Check() error {
	if k.Algorithm.keySize() != len(k.Bytes) || len(k.Bytes) == 0 {
		return fmt.Errorf("%w: key of %s", ErrMalformed, k.Algorithm)
	}
	if k.Algorithm == SM2 {
		_, err := k.point()
		return err
	}
	return nil
}

// point returns an SM2 key as the library has it.
func (k PublicKey) point() (*ecdsa.PublicKey, error) {
	x, y := elliptic.UnmarshalCompressed(sm2.P256(), k.Bytes)
	if x == nil {
		return nil, fmt.Errorf("%w: key of %s", ErrMalformed, k.Algorithm)
	}
	return &ecdsa.PublicKey{Curve: sm2.P256(), X: x, Y: y}, nil
}

// Verify reports whether the owner of the key has signed message.
func (k PublicKey) Verify(message []byte, sig [SignatureSize]byte) bool {
	if k.Algorithm.keySize() != len(k.Bytes) {
		return false
	}
	switch k.Algorithm {
	case Ed25519:
		return ed25519.Verify(k.Bytes, message, sig[:])
	case SM2:
		p, err := k.point()
		return err == nil && sm2.VerifyASN1WithSM2(p, identity, message, derOf(sig))
	}
	return false
}

// derOf returns the two numbers of a signature as the library wants them.
func derOf(sig [SignatureSize]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(sig[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(sig[32:]))
	})
	return b.BytesOrPanic()
}

// Signer has a private key, here or in hardware.
type Signer interface {
	Public() PublicKey
	Sign(message []byte) ([SignatureSize]byte, error)
}

// PrivateKey signs. It prints as "paycode.PrivateKey(…)".
type PrivateKey struct {
	ed ed25519.PrivateKey // of Ed25519
	sm *sm2.PrivateKey    // of SM2
}

// Format keeps the key out of every log and message.
func (PrivateKey) Format(s fmt.State, _ rune) { fmt.Fprint(s, "paycode.PrivateKey(…)") }

// GenerateKey makes a key.
func GenerateKey(a Algorithm) (*PrivateKey, error) {
	switch a {
	case Ed25519:
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return &PrivateKey{ed: k}, err
	case SM2:
		k, err := sm2.GenerateKey(rand.Reader)
		return &PrivateKey{sm: k}, err
	}
	return nil, fmt.Errorf("%w: %s", ErrMalformed, a)
}

// NewPrivateKey returns the key that [PrivateKey.Secret] gave away.
func NewPrivateKey(a Algorithm, secret []byte) (*PrivateKey, error) {
	switch {
	case a == Ed25519 && len(secret) == ed25519.SeedSize:
		return &PrivateKey{ed: ed25519.NewKeyFromSeed(secret)}, nil
	case a == SM2:
		k, err := sm2.NewPrivateKey(secret)
		if err != nil {
			break // the library's words may quote it
		}
		return &PrivateKey{sm: k}, nil
	}
	return nil, fmt.Errorf("%w: private key of %s", ErrMalformed, a)
}

// Secret returns the key itself, 32 bytes, to be kept where nobody else reads.
// The caller wipes them.
func (k *PrivateKey) Secret() []byte {
	if k.sm != nil {
		return k.sm.D.FillBytes(make([]byte, 32))
	}
	return k.ed.Seed()
}

// Public implements [Signer].
func (k *PrivateKey) Public() PublicKey {
	if k.sm != nil {
		return PublicKey{SM2, elliptic.MarshalCompressed(sm2.P256(), k.sm.X, k.sm.Y)}
	}
	return PublicKey{Ed25519, append([]byte(nil), k.ed[32:]...)}
}

// Sign implements [Signer].
func (k *PrivateKey) Sign(message []byte) (sig [SignatureSize]byte, err error) {
	if k.sm == nil {
		return [SignatureSize]byte(ed25519.Sign(k.ed, message)), nil
	}
	der, err := k.sm.SignWithSM2(rand.Reader, identity, message)
	if err != nil {
		return sig, fmt.Errorf("sign: %w", err)
	}
	var inner cryptobyte.String
	var r, s big.Int
	input := cryptobyte.String(der)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) {
		return sig, errors.New("paycode: SM2 gave something that is no signature")
	}
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig, nil
}

// Hardware returns a Signer for an Ed25519 key that is elsewhere, such as in a
// token.
func Hardware(k crypto.Signer) (Signer, error) {
	public, ok := k.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: key is not Ed25519", ErrMalformed)
	}
	return hardware{k, PublicKey{Ed25519, public}}, nil
}

type hardware struct {
	key    crypto.Signer
	public PublicKey
}

func (h hardware) Public() PublicKey { return h.public }

func (h hardware) Sign(message []byte) (sig [SignatureSize]byte, err error) {
	b, err := h.key.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return sig, fmt.Errorf("sign: %w", err)
	}
	if len(b) != SignatureSize {
		return sig, errors.New("paycode: the token gave something that is no signature")
	}
	return [SignatureSize]byte(b), nil
}
