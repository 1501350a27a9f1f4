package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"errors"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"
)

// Names of PKCS #11 v3.0, which the binding does not have.
const (
	ckkEdwards              = 0x40   // CKK_EC_EDWARDS
	ckkMontgomery           = 0x41   // CKK_EC_MONTGOMERY
	ckmEdwardsKeyPairGen    = 0x1055 // CKM_EC_EDWARDS_KEY_PAIR_GEN
	ckmMontgomeryKeyPairGen = 0x1056 // CKM_EC_MONTGOMERY_KEY_PAIR_GEN
	ckmEdDSA                = 0x1057 // CKM_EDDSA
)

// Object identifiers of the curves, DER (RFC 8410).
var (
	oidX25519  = []byte{0x06, 0x03, 0x2b, 0x65, 0x6e}
	oidEd25519 = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}
)

// readPublic reads the public keys, which never change.
func (s *Store) readPublic(n *session) error {
	sign, err1 := n.point(campusKey)
	pin, err2 := n.point(pinKey)
	seal, err3 := n.point(sealKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	s.campus = ed25519Key{s.pool, sign}
	s.pin, err1 = newX25519(s.pool, pinKey, pin)
	s.seal, err2 = newX25519(s.pool, sealKey, seal)
	return errors.Join(err1, err2)
}

// point returns a public key. Tokens disagree on whether CKA_EC_POINT is the
// bare 32 bytes or wrapped as a DER octet string.
func (n *session) point(label string) ([]byte, error) {
	a, err := n.ctx.GetAttributeValue(n.handle, n.public[label],
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return nil, fmt.Errorf("%s: read public key: %w", label, err)
	}
	p := a[0].Value
	if bare, ok := bytes.CutPrefix(p, []byte{0x04, 32}); ok && len(bare) == 32 {
		p = bare
	}
	if len(p) != 32 {
		return nil, fmt.Errorf("%s: public key of %d bytes, want 32", label, len(p))
	}
	return p, nil
}

// ed25519Key is the campus's signing key.
type ed25519Key struct {
	pool   *pool
	public ed25519.PublicKey
}

// Public implements [crypto.Signer].
func (k ed25519Key) Public() crypto.PublicKey { return k.public }

// Sign implements [crypto.Signer]: message is the message and not its digest.
func (k ed25519Key) Sign(_ io.Reader, message []byte, o crypto.SignerOpts) (sig []byte, err error) {
	if o.HashFunc() != 0 {
		return nil, errors.New("token: Ed25519 signs messages, not digests")
	}
	err = k.pool.with(context.Background(), func(n *session) error {
		sig, err = n.sign(ckmEdDSA, n.keys[campusKey], message)
		return err
	})
	return sig, wrap("sign", err)
}

// x25519Key is a key that terminals seal to.
type x25519Key struct {
	pool   *pool
	label  string
	public *ecdh.PublicKey
}

func newX25519(p *pool, label string, point []byte) (x25519Key, error) {
	public, err := ecdh.X25519().NewPublicKey(point)
	return x25519Key{p, label, public}, err
}

// use returns k as HPKE wants it, for one message.
func (k x25519Key) use(ctx context.Context) (hpke.PrivateKey, *exchange, error) {
	e := &exchange{x25519Key: k, ctx: ctx}
	key, err := hpke.NewDHKEMPrivateKey(e)
	return key, e, wrap("key exchange", err)
}

// exchange is one use of a key. It remembers whether the token failed, because
// HPKE calls that, too, a message that does not open.
type exchange struct {
	x25519Key
	ctx context.Context
	err error
}

// orElse returns the token's failure, or err if there was none.
func (e *exchange) orElse(err error) error {
	if e.err != nil {
		return wrap("key exchange", e.err)
	}
	return err
}

// PublicKey implements [ecdh.KeyExchanger].
func (e *exchange) PublicKey() *ecdh.PublicKey { return e.public }

// Curve implements [ecdh.KeyExchanger].
func (e *exchange) Curve() ecdh.Curve { return ecdh.X25519() }

// ECDH implements [ecdh.KeyExchanger]. A point of low order, which gives
// everybody the same secret, is refused (RFC 7748, section 6.1).
func (e *exchange) ECDH(theirs *ecdh.PublicKey) (secret []byte, err error) {
	// Any of our own keys finds such a point without asking the token, whose
	// words for it differ.
	if _, err := anyKey.ECDH(theirs); err != nil {
		return nil, err
	}
	e.err = e.pool.with(e.ctx, func(n *session) error {
		secret, err = n.ecdh(n.keys[e.label], theirs.Bytes())
		return err
	})
	return secret, e.err
}

// anyKey is a key that guards nothing.
var anyKey, _ = ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{1}, 32))

// ecdh derives the secret shared with the holder of point (section 6.3.20).
func (n *session) ecdh(key pkcs11.ObjectHandle, point []byte) ([]byte, error) {
	m := pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, point))
	h, err := n.ctx.DeriveKey(n.handle, []*pkcs11.Mechanism{m}, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false), // HPKE goes on with it outside
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
	})
	if err != nil {
		return nil, fmt.Errorf("derive: %w", err)
	}
	defer n.destroy(h)
	a, err := n.ctx.GetAttributeValue(n.handle, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if len(a[0].Value) != 32 {
		return nil, fmt.Errorf("secret of %d bytes, want 32", len(a[0].Value))
	}
	return a[0].Value, nil
}
