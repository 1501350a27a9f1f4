package keys

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"quancun/pboc"
	"quancun/upstream/wire"
)

// Software keeps the keys in two files of mode 0600 and in this process's
// memory. It is for schools without a hardware module. It prints as
// "keys.Software(…)".
type Software struct {
	secrets   Secrets
	pin, seal hpke.PrivateKey
}

// Format keeps the keys out of every log and message.
func (Software) Format(s fmt.State, _ rune) { fmt.Fprint(s, "keys.Software(…)") }

// Secrets are the keys themselves, for the moment in which a token takes them
// over from the files. They print as "keys.Secrets(…)".
type Secrets struct {
	Load, Purchase, TAC, Reload pboc.Key // masters
	Pepper, Session             [32]byte
	PIN, Seal                   [32]byte // X25519
	Campus                      ed25519.PrivateKey
	Blanks                      *BlankKeys // nil: no cards are personalised here
}

// Format keeps the keys out of every log and message.
func (Secrets) Format(s fmt.State, _ rune) { fmt.Fprint(s, "keys.Secrets(…)") }

// file is the key file: JSON, all values hexadecimal. To lose it is to lose
// every issued card and every PIN; its copy belongs in a safe.
type file struct {
	Version  int    `json:"version"` // 1
	Load     secret `json:"load_master"`
	Purchase secret `json:"purchase_master"`
	TAC      secret `json:"tac_master"`
	Reload   secret `json:"pin_reload_master"`
	PIN      secret `json:"pin_private"`
	Pepper   secret `json:"pin_pepper"`
	Session  secret `json:"session"`
}

// secret is a key as text, which prints as nothing else.
type secret []byte

func (secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, "…") }

// MarshalText is for the key file alone.
func (s secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s), nil }

// UnmarshalText is for the key file alone. Its error quotes nothing.
func (s *secret) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return errors.New("a key is not hexadecimal")
	}
	*s = b
	return nil
}

// OpenSoftware reads the key file at path and campus.pem beside it, and makes
// what is not there. It refuses a file that anybody but its owner may read.
func OpenSoftware(path string) (*Software, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := generate(path); err != nil {
			return nil, fmt.Errorf("make key file: %w", err)
		}
	}
	campus := campusFile(path)
	if _, err := os.Stat(campus); errors.Is(err, fs.ErrNotExist) {
		if err := generateCampus(campus); err != nil {
			return nil, fmt.Errorf("make campus key: %w", err)
		}
	}
	secrets, err := ReadSecrets(path)
	if err != nil {
		return nil, err
	}
	s := &Software{secrets: *secrets}
	if s.pin, err = wire.KEM().NewPrivateKey(secrets.PIN[:]); err != nil {
		return nil, errors.New("read key file: the PIN key is not one")
	}
	if s.seal, err = wire.KEM().NewPrivateKey(secrets.Seal[:]); err != nil {
		return nil, errors.New("read campus key: the sealing key is not one")
	}
	return s, nil
}

// ReadSecrets reads what [OpenSoftware] has made at path, and [WriteBlanks] beside it.
func ReadSecrets(path string) (*Secrets, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	defer clear(text)
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("read key file: %s is not a key file", path) // the decoder's words may quote it
	}
	s := &Secrets{}
	if err := f.copyTo(s); err != nil {
		return nil, err
	}
	if s.Blanks, err = readBlanks(path); err != nil {
		return nil, err
	}
	return s, readCampus(campusFile(path), s)
}

func generate(path string) error {
	pin, err := wire.KEM().GenerateKey()
	if err != nil {
		return err
	}
	private, err := pin.Bytes()
	if err != nil {
		return err
	}
	random := func(n int) secret {
		b := make([]byte, n)
		rand.Read(b) //nolint:errcheck // it never fails
		return b
	}
	text, err := json.MarshalIndent(file{
		Version: 1, PIN: private, Pepper: random(32), Session: random(32),
		Load: random(16), Purchase: random(16), TAC: random(16), Reload: random(16),
	}, "", "\t")
	if err != nil {
		return err
	}
	return WriteSecret(path, text)
}

func (f file) copyTo(s *Secrets) error {
	if f.Version != 1 {
		return fmt.Errorf("read key file: version %d, want 1", f.Version)
	}
	for _, k := range []struct {
		dst []byte
		src secret
	}{
		{s.Load[:], f.Load},
		{s.Purchase[:], f.Purchase},
		{s.TAC[:], f.TAC},
		{s.Reload[:], f.Reload},
		{s.PIN[:], f.PIN},
		{s.Pepper[:], f.Pepper},
		{s.Session[:], f.Session},
	} {
		if copy(k.dst, k.src) != len(k.dst) || len(k.src) != len(k.dst) {
			return errors.New("read key file: a key has the wrong length")
		}
	}
	return nil
}

// CheckMAC1 implements [Store].
func (s *Software) CheckMAC1(_ context.Context, l Load, mac1 pboc.MAC) error {
	if !l.MAC1(s.loadSession(l)).Equal(mac1) { // false for a zero one
		return ErrWrong
	}
	return nil
}

// MAC2 implements [Store].
func (s *Software) MAC2(_ context.Context, l Load) (pboc.MAC, error) {
	return l.MAC2(s.loadSession(l)), nil
}

// CheckTAC implements [Store].
func (s *Software) CheckTAC(_ context.Context, l Load, tac pboc.MAC) error {
	if !l.TAC(s.secrets.TAC.Diversify(l.Factor)).Equal(tac) {
		return ErrWrong
	}
	return nil
}

// CheckPurchaseTAC implements [Store].
func (s *Software) CheckPurchaseTAC(_ context.Context, f Factor, p pboc.Purchase, tac pboc.MAC) error {
	if !p.TAC(s.secrets.TAC.Diversify(f)).Equal(tac) {
		return ErrWrong
	}
	return nil
}

// ReloadMAC implements [Store].
func (s *Software) ReloadMAC(_ context.Context, f Factor, pin []byte) (pboc.MAC, error) {
	return s.secrets.Reload.Diversify(f).Folded().MAC(pin), nil
}

func (s *Software) loadSession(l Load) pboc.SessionKey {
	return s.secrets.Load.Diversify(l.Factor).LoadSession(l.Random, l.Counter)
}

// PINPublicKey implements [Store].
func (s *Software) PINPublicKey() []byte { return s.pin.PublicKey().Bytes() }

// OpenPIN implements [Store].
func (s *Software) OpenPIN(_ context.Context, p wire.SealedPIN, pin *[wire.PINLen]byte) error {
	if err := wire.OpenPIN(s.pin, p, pin); err != nil {
		return ErrWrong
	}
	return nil
}

// Pepper implements [Store]: HMAC-SHA-256 over the account, a zero byte and
// the PIN.
func (s *Software) Pepper(_ context.Context, account string, pin *[wire.PINLen]byte) (sum [32]byte, err error) {
	m := hmac.New(sha256.New, s.secrets.Pepper[:])
	m.Write([]byte(account))
	m.Write([]byte{0})
	m.Write(pin[:])
	m.Sum(sum[:0])
	return sum, nil
}

// SessionMAC implements [Store]: HMAC-SHA-256.
func (s *Software) SessionMAC(_ context.Context, token []byte) (sum [32]byte, err error) {
	m := hmac.New(sha256.New, s.secrets.Session[:])
	m.Write(token)
	m.Sum(sum[:0])
	return sum, nil
}

// Campus implements [Store].
func (s *Software) Campus() crypto.Signer { return s.secrets.Campus }

// SealPublicKey implements [Store].
func (s *Software) SealPublicKey() []byte { return s.seal.PublicKey().Bytes() }

// OpenSealed implements [Store].
func (s *Software) OpenSealed(_ context.Context, r io.Reader) io.Reader {
	return wire.Unseal(s.seal, r)
}

// IssueCard implements [Issuer].
func (s *Software) IssueCard(_ context.Context, f Factor) (CardKeys, error) {
	return s.CardKeys(f), nil
}

// CardKeys returns the keys of one card. It is [Software.IssueCard], which
// can not fail here.
func (s *Software) CardKeys(f Factor) CardKeys {
	k := &s.secrets
	return CardKeys{
		DLK: k.Load.Diversify(f), DPK: k.Purchase.Diversify(f),
		DTK: k.TAC.Diversify(f), DRPK: k.Reload.Diversify(f),
	}
}
