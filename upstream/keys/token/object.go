package token

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/miekg/pkcs11"

	"quancun/upstream/keys"
)

// Labels of our objects in the token. They are how the keys are found: never
// renamed.
const (
	loadMaster     = "quancun load master"
	purchaseMaster = "quancun purchase master"
	tacMaster      = "quancun TAC master"
	reloadMaster   = "quancun PIN reload master"
	pepper         = "quancun PIN pepper"
	sessionKey     = "quancun session"
	campusKey      = "quancun campus"
	pinKey         = "quancun PIN"
	sealKey        = "quancun seal"
)

// Labels of what personalising cards takes besides. A token may be without.
const (
	cardTransport     = "quancun card transport"
	cardTransportLeft = "quancun card transport left" // its left half, twice
	cardControl       = "quancun card control master"
	cardMaintenance   = "quancun card maintenance master"
)

// Our objects by what they are.
var (
	blanks  = []string{cardTransport, cardTransportLeft, cardControl, cardMaintenance} // two-key DES3
	masters = []string{loadMaster, purchaseMaster, tacMaster, reloadMaster}            // two-key DES3
	hmacs   = []string{pepper, sessionKey}                                             // 32 bytes
	pairs   = []string{campusKey, pinKey, sealKey}                                     // Ed25519, X25519, X25519
	all     = slices.Concat(masters, hmacs, pairs)
)

// secret are the attributes of every key that has to stay in the token.
var secret = []*pkcs11.Attribute{
	pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
	pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
	pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
}

// Generate makes all keys in a token that has none of ours yet. It is for a
// school that has not issued a card.
func Generate(c Config) error {
	return fill(c, all, (*session).generate)
}

// Import puts the keys of a school that has had them in files into a token
// that has none of ours yet. The files then belong in a safe.
func Import(c Config, s *keys.Secrets) error {
	labels := all
	if s.Blanks != nil {
		labels = slices.Concat(all, blanks)
	}
	return fill(c, labels, func(n *session, label string) ([]pkcs11.ObjectHandle, error) { return n.take(label, s) })
}

// fill makes the objects of these labels, or none.
func fill(c Config, labels []string, one func(n *session, label string) ([]pkcs11.ObjectHandle, error)) (err error) {
	p, err := newPool(c)
	if err != nil {
		return wrap("fill", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	n, err := p.login(pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
	if err != nil {
		return wrap("fill", err)
	}
	var made []pkcs11.ObjectHandle
	defer func() {
		if err != nil {
			for _, h := range made {
				n.destroy(h)
			}
		}
		err = errors.Join(err, p.ctx.CloseSession(n.handle))
	}()
	for _, label := range labels { // whoever has one of our keys may have issued cards
		found, err := n.objects(pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("there is a key named %q already", label)
		}
		if err != nil {
			return wrap("fill", err)
		}
	}
	for _, label := range labels {
		objects, err := one(n, label)
		made = append(made, objects...)
		if err != nil {
			return wrap("make "+label, err)
		}
	}
	return nil
}

// generate makes a key in the token.
func (n *session) generate(label string) ([]pkcs11.ObjectHandle, error) {
	switch {
	case slices.Contains(masters, label), slices.Contains(blanks, label):
		h, err := n.ctx.GenerateKey(n.handle, mechanism(pkcs11.CKM_DES2_KEY_GEN), n.private(label))
		return []pkcs11.ObjectHandle{h}, err
	case slices.Contains(hmacs, label):
		h, err := n.ctx.GenerateKey(n.handle, mechanism(pkcs11.CKM_GENERIC_SECRET_KEY_GEN),
			append(n.private(label), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32)))
		return []pkcs11.ObjectHandle{h}, err
	}
	var errs []error
	for _, kind := range kindsOf(label) {
		public := append(n.kept(label), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, kind.curve))
		a, b, err := n.ctx.GenerateKeyPair(n.handle, mechanism(kind.generate), public, n.private(label))
		if err == nil {
			return []pkcs11.ObjectHandle{a, b}, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// take imports a key.
func (n *session) take(label string, s *keys.Secrets) ([]pkcs11.ObjectHandle, error) {
	value, public, err := valueOf(label, s)
	if err != nil {
		return nil, err
	}
	class, kinds := pkcs11.CKO_SECRET_KEY, []kind{{typ: pkcs11.CKK_GENERIC_SECRET}}
	switch {
	case slices.Contains(masters, label), slices.Contains(blanks, label):
		kinds = []kind{{typ: pkcs11.CKK_DES2}}
	case slices.Contains(pairs, label):
		class, kinds = pkcs11.CKO_PRIVATE_KEY, kindsOf(label)
	}
	var errs []error
	for _, kind := range kinds {
		typ := pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind.typ)
		key := append(n.private(label), typ,
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_VALUE, value))
		if public == nil {
			h, err := n.ctx.CreateObject(n.handle, key)
			return []pkcs11.ObjectHandle{h}, err
		}
		curve := pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, kind.curve)
		h, err := n.ctx.CreateObject(n.handle, append(key, curve))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g, err := n.ctx.CreateObject(n.handle, append(n.kept(label), typ, curve,
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
			pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, append([]byte{0x04, 32}, public...))))
		return []pkcs11.ObjectHandle{h, g}, err
	}
	return nil, errors.Join(errs...)
}

// valueOf returns a key, and its public key if it has one.
func valueOf(label string, s *keys.Secrets) (value, public []byte, err error) {
	switch label {
	case loadMaster:
		return odd(s.Load), nil, nil
	case purchaseMaster:
		return odd(s.Purchase), nil, nil
	case tacMaster:
		return odd(s.TAC), nil, nil
	case reloadMaster:
		return odd(s.Reload), nil, nil
	case cardTransport:
		return odd(s.Blanks.Transport), nil, nil
	case cardTransportLeft:
		return odd(leftTwice(s.Blanks.Transport)), nil, nil
	case cardControl:
		return odd(s.Blanks.Control), nil, nil
	case cardMaintenance:
		return odd(s.Blanks.Maintenance), nil, nil
	case pepper:
		return s.Pepper[:], nil, nil
	case sessionKey:
		return s.Session[:], nil, nil
	case campusKey:
		return s.Campus.Seed(), s.Campus[32:], nil
	case pinKey:
		value = s.PIN[:]
	case sealKey:
		value = s.Seal[:]
	}
	k, err := ecdh.X25519().NewPrivateKey(value)
	if err != nil {
		return nil, nil, err
	}
	return value, k.PublicKey().Bytes(), nil
}

// odd returns k with the parity that tokens insist on. DES itself leaves these
// bits out, so it is the same key.
func odd(k [16]byte) []byte {
	for i, b := range k {
		k[i] = b&^1 | byte(bits.OnesCount8(b&^1)+1)&1
	}
	return k[:]
}

// kind is how a token names a curve's keys.
type kind struct {
	typ, generate uint
	curve         []byte // CKA_EC_PARAMS
}

// kindsOf returns the names under which tokens have the curve of a key, the
// right one first. SoftHSM has X25519 under that of the other curve.
func kindsOf(label string) []kind {
	if label == campusKey {
		return []kind{{ckkEdwards, ckmEdwardsKeyPairGen, oidEd25519}}
	}
	return []kind{{ckkMontgomery, ckmMontgomeryKeyPairGen, oidX25519}, {ckkEdwards, ckmEdwardsKeyPairGen, oidX25519}}
}

// kept are the attributes of every object of ours.
func (n *session) kept(label string) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
	}
}

// private are the attributes of a secret or private key of ours: that it stays
// here, and the one use that it has.
func (n *session) private(label string) []*pkcs11.Attribute {
	a := slices.Concat(secret, n.kept(label))
	switch {
	case slices.Contains(hmacs, label), label == campusKey:
		return append(a, pkcs11.NewAttribute(pkcs11.CKA_SIGN, true))
	case label == pinKey, label == sealKey:
		return append(a, pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true))
	}
	return append(a, pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DERIVE, label == loadMaster))
}

func mechanism(m uint) []*pkcs11.Mechanism { return []*pkcs11.Mechanism{pkcs11.NewMechanism(m, nil)} }

// find finds all keys, each of which has to be there once.
func (n *session) find() error {
	n.keys, n.public = map[string]pkcs11.ObjectHandle{}, map[string]pkcs11.ObjectHandle{}
	for _, label := range all {
		class := pkcs11.CKO_SECRET_KEY
		if slices.Contains(pairs, label) {
			class = pkcs11.CKO_PRIVATE_KEY
			h, err := n.one(pkcs11.CKO_PUBLIC_KEY, label)
			if err != nil {
				return err
			}
			n.public[label] = h
		}
		h, err := n.one(class, label)
		if err != nil {
			return err
		}
		n.keys[label] = h
	}
	return n.findBlanks()
}

func (n *session) one(class int, label string) (pkcs11.ObjectHandle, error) {
	found, err := n.objects(pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d keys named %q in slot %d, want one: was the token filled?", len(found), label, n.slot)
	}
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// objects returns at most two that have these attributes.
func (n *session) objects(like ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := n.ctx.FindObjectsInit(n.handle, like); err != nil {
		return nil, fmt.Errorf("find keys: %w", err)
	}
	found, _, err := n.ctx.FindObjects(n.handle, 2)
	if err := errors.Join(err, n.ctx.FindObjectsFinal(n.handle)); err != nil {
		return nil, fmt.Errorf("find keys: %w", err)
	}
	return found, nil
}

// checkSecrecy refuses keys that the token would give out.
func (n *session) checkSecrecy() error {
	for label, h := range n.keys {
		a, err := n.ctx.GetAttributeValue(n.handle, h, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil),
		})
		if err != nil {
			return fmt.Errorf("%s: read attributes: %w", label, err)
		}
		if !slices.Equal(a[0].Value, []byte{1}) || !slices.Equal(a[1].Value, []byte{0}) {
			return fmt.Errorf("%s: the token would give this key out", label)
		}
	}
	return nil
}
