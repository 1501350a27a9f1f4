package token

import (
	"context"
	"crypto/subtle"

	"github.com/miekg/pkcs11"

	"quancun/pboc"
	"quancun/upstream/keys"
)

// ImportBlanks puts the key with which blanks come from their maker into a token
// that has none, and makes the masters of the keys that take its place.
func ImportBlanks(c Config, transport pboc.Key) error {
	s := &keys.Secrets{Blanks: &keys.BlankKeys{Transport: transport}}
	return fill(c, blanks, func(n *session, label string) ([]pkcs11.ObjectHandle, error) {
		if label == cardTransport || label == cardTransportLeft {
			return n.take(label, s)
		}
		return n.generate(label)
	})
}

// leftTwice returns a key that works as single DES under the left half of k.
func leftTwice(k pboc.Key) pboc.Key {
	copy(k[8:], k[:8])
	return k
}

// findBlanks finds the keys of blanks: all of them, or none.
func (n *session) findBlanks() error {
	some, err := n.objects(pkcs11.NewAttribute(pkcs11.CKA_LABEL, cardTransport))
	if err != nil || len(some) == 0 {
		return err
	}
	for _, label := range blanks {
		if n.keys[label], err = n.one(pkcs11.CKO_SECRET_KEY, label); err != nil {
			return err
		}
	}
	return nil
}

// Personalise implements [keys.Personaliser].
func (s *Store) Personalise(ctx context.Context, f keys.Factor, o pboc.Order) (field []byte, err error) {
	var no error // nothing that another session would do better
	err = s.with(ctx, func(n *session) (err error) {
		if _, has := n.keys[cardTransport]; !has {
			no = keys.ErrNoBlanks
			return nil
		}
		var k pboc.NewKeys
		defer func() { k = pboc.NewKeys{} }()
		if err := n.newKeys(f, &k); err != nil {
			return err
		}
		switch o.Part {
		case pboc.PartAnswer:
			field, err = n.encrypt(ecb(), n.keys[cardTransport], o.Challenge[:])
		case pboc.PartControl:
			record, _ := pboc.Record(o.Part, k.Control[:])
			field, err = n.protect(o, record)
		case pboc.PartLock:
			field, err = n.protect(o, k.Issuer[:])
		default:
			field, no = k.Field(o)
		}
		return err
	})
	if err == nil && no != nil {
		return nil, no
	}
	return field, wrap("personalise", err)
}

// newKeys computes the keys that a card gets, which leave the token.
func (n *session) newKeys(f keys.Factor, k *pboc.NewKeys) error {
	for _, d := range []struct {
		label string
		key   *pboc.Key
	}{
		{cardControl, &k.Issuer}, {cardMaintenance, &k.Maintenance}, {tacMaster, &k.TAC}, {reloadMaster, &k.Reload},
		{purchaseMaster, &k.Purchase}, {loadMaster, &k.Load},
	} {
		if err := n.diversify(d.label, f, d.key); err != nil {
			return err
		}
	}
	k.Control, k.PIN = k.Issuer.Diversify(f), keys.NobodysPIN()
	return nil
}

func ecb() *pkcs11.Mechanism { return pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil) }

// protect conceals data under the transport key, which stays in the token, and adds
// the MAC of the command.
func (n *session) protect(o pboc.Order, data []byte) ([]byte, error) {
	framed := pboc.Framed(data)
	defer clear(framed)
	concealed, err := n.encrypt(ecb(), n.keys[cardTransport], framed)
	if err != nil {
		return nil, err
	}
	mac, err := n.secureMAC(pboc.Padded(pboc.ProtectedText(o.Head(), concealed)), o.Challenge)
	return append(concealed, mac[:]...), err
}

// secureMAC is the MAC of secure messaging (section 3.2 of the notes on the card):
// single DES under the left half, and both halves for the last block. The left
// half twice is single DES.
func (n *session) secureMAC(padded []byte, block pboc.Challenge) (mac pboc.MAC, err error) {
	last := len(padded) - len(block)
	if last > 0 {
		m := pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, block[:])
		out, err := n.encrypt(m, n.keys[cardTransportLeft], padded[:last])
		if err != nil {
			return mac, err
		}
		copy(block[:], out[last-len(block):])
	}
	subtle.XORBytes(block[:], block[:], padded[last:])
	out, err := n.encrypt(ecb(), n.keys[cardTransport], block[:])
	copy(mac[:], out)
	return mac, err
}
