// Package token keeps the upstream's keys in a PKCS #11 token: a hardware
// module, or SoftHSM. It is [keys.Store], [keys.Issuer] and [keys.Personaliser],
// and takes the place of [keys.Software] without anybody else noticing.
//
// Every key is made in the token or imported into it as sensitive and not
// extractable, and Open refuses a token that holds one which is not. A copy of
// the disk is then no copy of the keys.
//
// # What leaves the token
//
//   - Master keys, the PIN pepper, the session key and the campus's signing key
//     never do. What they compute does: MACs and signatures.
//   - A card's load key and its session key are derived in the token for one
//     MAC and never leave it.
//   - A card's TAC key is in this process's memory for one check, and its reload
//     key for one new PIN. Their MACs are computed under the exclusive-or of a
//     key's halves, which PKCS #11 can not do.
//   - All keys of a card leave the token when the card is issued, because they
//     have to be written on it. The key with which blanks come from their maker,
//     and the masters of the keys that take its place, do not.
//   - Of the two keys that terminals seal to, the secret shared with one sealed
//     message leaves the token, never the key: the rest of HPKE is not in
//     PKCS #11. So is Argon2id, under which peppered PINs are kept; it needs no
//     key.
//
// # What the token has to offer
//
// DES3-ECB, DES3-CBC and DES3-ECB-ENCRYPT-DATA for two-key DES3 keys,
// SHA256-HMAC, EDDSA, and ECDH1-DERIVE over X25519. SoftHSM 2.6 does.
//
// Section numbers refer to PKCS #11 v3.0 unless said otherwise.
package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/wire"
)

// Config says where the token is.
type Config struct {
	Module  string // the vendor's library
	Slot    uint
	PINFile string // the user's PIN, on one line; mode 0600
}

// Store does what only a holder of keys can do, in a token. It prints as
// "token.Store(…)". It is safe for concurrent use.
type Store struct {
	*pool
	campus    ed25519Key
	pin, seal x25519Key
}

// Format keeps the PIN out of every log and message.
func (*Store) Format(s fmt.State, _ rune) { fmt.Fprint(s, "token.Store(…)") }

// Open opens a token that [Generate] or [Import] has filled. The caller closes
// it.
func Open(c Config) (_ *Store, err error) {
	p, err := newPool(c)
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open token: %w", err), p.Close())
		}
	}()
	s := &Store{pool: p}
	err = p.with(context.Background(), func(n *session) error {
		if err := n.checkSecrecy(); err != nil {
			return err
		}
		return s.readPublic(n)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// CheckMAC1 implements [keys.Store].
func (s *Store) CheckMAC1(ctx context.Context, l keys.Load, mac1 pboc.MAC) error {
	want, err := s.loadMAC(ctx, l, l.MAC1Data())
	if err == nil && !want.Equal(mac1) { // false for a zero one
		err = keys.ErrWrong
	}
	return err
}

// MAC2 implements [keys.Store].
func (s *Store) MAC2(ctx context.Context, l keys.Load) (pboc.MAC, error) {
	return s.loadMAC(ctx, l, l.MAC2Data())
}

// loadMAC computes a MAC of a load in the token.
//
// It is a single-DES MAC (section 3 of the notes on the card), and single DES
// is what many tokens no longer do. Two-key DES3 with equal halves is the same,
// and deriving over the same block twice makes such a key.
func (s *Store) loadMAC(ctx context.Context, l keys.Load, data []byte) (mac pboc.MAC, err error) {
	blocks, block := pboc.DiversifyBlocks(l.Factor), pboc.LoadSessionBlock(l.Random, l.Counter)
	err = s.with(ctx, func(n *session) error {
		card, err := n.derive(n.keys[loadMaster], blocks[:])
		if err != nil {
			return err
		}
		defer n.destroy(card)
		key, err := n.derive(card, append(block[:], block[:]...))
		if err != nil {
			return err
		}
		defer n.destroy(key)
		out, err := n.encrypt(pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, make([]byte, 8)), key, pboc.Padded(data))
		if err == nil {
			copy(mac[:], out[len(out)-8:])
		}
		return err
	})
	return mac, wrap("MAC of a load", err)
}

// CheckTAC implements [keys.Store].
func (s *Store) CheckTAC(ctx context.Context, l keys.Load, tac pboc.MAC) error {
	return s.checkTAC(ctx, l.Factor, l, tac)
}

// CheckPurchaseTAC implements [keys.Store].
func (s *Store) CheckPurchaseTAC(ctx context.Context, f keys.Factor, p pboc.Purchase, tac pboc.MAC) error {
	return s.checkTAC(ctx, f, p, tac)
}

func (s *Store) checkTAC(ctx context.Context, f keys.Factor, of interface{ TAC(pboc.Key) pboc.MAC }, tac pboc.MAC,
) error {
	var key pboc.Key
	defer clear(key[:])
	err := s.with(ctx, func(n *session) error { return n.diversify(tacMaster, f, &key) })
	if err == nil && !of.TAC(key).Equal(tac) {
		return keys.ErrWrong
	}
	return wrap("TAC", err)
}

// ReloadMAC implements [keys.Store].
func (s *Store) ReloadMAC(ctx context.Context, f keys.Factor, pin []byte) (pboc.MAC, error) {
	var key pboc.Key
	defer clear(key[:])
	err := s.with(ctx, func(n *session) error { return n.diversify(reloadMaster, f, &key) })
	if err != nil {
		return pboc.MAC{}, wrap("MAC of a PIN", err)
	}
	return key.Folded().MAC(pin), nil
}

// IssueCard implements [keys.Issuer].
func (s *Store) IssueCard(ctx context.Context, f keys.Factor) (k keys.CardKeys, err error) {
	err = s.with(ctx, func(n *session) error {
		return errors.Join(
			n.diversify(loadMaster, f, &k.DLK), n.diversify(purchaseMaster, f, &k.DPK),
			n.diversify(tacMaster, f, &k.DTK), n.diversify(reloadMaster, f, &k.DRPK))
	})
	return k, wrap("issue card", err)
}

// Pepper implements [keys.Store], as the software does.
func (s *Store) Pepper(ctx context.Context, account string, pin *[wire.PINLen]byte) ([32]byte, error) {
	message := append(append([]byte(account), 0), pin[:]...)
	defer clear(message)
	return s.hmac(ctx, pepper, message)
}

// SessionMAC implements [keys.Store].
func (s *Store) SessionMAC(ctx context.Context, token []byte) ([32]byte, error) {
	return s.hmac(ctx, sessionKey, token)
}

func (s *Store) hmac(ctx context.Context, label string, message []byte) (sum [32]byte, err error) {
	err = s.with(ctx, func(n *session) error {
		out, err := n.sign(pkcs11.CKM_SHA256_HMAC, n.keys[label], message)
		if err == nil && len(out) != len(sum) {
			err = fmt.Errorf("%d bytes, want %d", len(out), len(sum))
		}
		copy(sum[:], out)
		clear(out)
		return err
	})
	return sum, wrap("HMAC", err)
}

// PINPublicKey implements [keys.Store].
func (s *Store) PINPublicKey() []byte { return s.pin.public.Bytes() }

// OpenPIN implements [keys.Store].
func (s *Store) OpenPIN(ctx context.Context, p wire.SealedPIN, pin *[wire.PINLen]byte) error {
	key, exchange, err := s.pin.use(ctx)
	if err != nil {
		return err
	}
	if wire.OpenPIN(key, p, pin) != nil {
		return exchange.orElse(keys.ErrWrong)
	}
	return nil
}

// Campus implements [keys.Store].
func (s *Store) Campus() crypto.Signer { return s.campus }

// SealPublicKey implements [keys.Store].
func (s *Store) SealPublicKey() []byte { return s.seal.public.Bytes() }

// OpenSealed implements [keys.Store].
func (s *Store) OpenSealed(ctx context.Context, r io.Reader) io.Reader {
	key, exchange, err := s.seal.use(ctx)
	if err != nil {
		return failed{err}
	}
	return unsealing{wire.Unseal(key, r), exchange}
}

// unsealing tells a file that does not open from a token that does not.
type unsealing struct {
	io.Reader
	exchange *exchange
}

func (u unsealing) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if errors.Is(err, wire.ErrSealed) {
		err = u.exchange.orElse(err)
	}
	return n, err
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("token: %s: %w", what, err)
}
