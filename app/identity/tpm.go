package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"sync"

	"github.com/BurntSushi/toml"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"quancun/upstream/client"
)

// ErrOtherTPM means that keys belong to the TPM of another machine, or to this
// one before it was cleared.
var ErrOtherTPM = errors.New("the keys belong to another TPM")

// tpm keeps the keys below the storage root key of a TPM, which every TPM
// makes anew from its own seed, always the same. Nothing stays in the TPM
// between two uses, so nothing there can run full or be in the way of others.
type tpm struct{ device string }

// tpmFile is the file of keys in a TPM: TOML, all values hexadecimal.
type tpmFile struct {
	Certificate blob `toml:"certificate_key"`
	Journal     blob `toml:"journal_key"`
}

// blob is an object as the TPM gave it out: encrypted to itself.
type blob struct {
	Public  hexBytes `toml:"public"`  // TPM2B_PUBLIC
	Private hexBytes `toml:"private"` // TPM2B_PRIVATE
}

// hexBytes is text in a file.
type hexBytes []byte

// MarshalText is for the file alone.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText is for the file alone.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// What the keys may do. Neither can be moved to another TPM (FixedTPM,
// FixedParent), and neither needs a password: who is on this machine is the
// machine's own affair.
var (
	signingKey = tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true,
			SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256,
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
		}),
	}
	sealedData = tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true},
	}
)

func (t tpm) generate() (text []byte, err error) {
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	rand.Read(seed) //nolint:errcheck // it never fails
	var f tpmFile
	err = t.use(func(root root) error {
		if f.Certificate, err = root.create(signingKey, nil); err != nil {
			return err
		}
		f.Journal, err = root.create(sealedData, seed)
		return err
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# The keys of a terminal, which only this machine's TPM can use.\n")
	err = toml.NewEncoder(&b).Encode(f)
	return b.Bytes(), err
}

func (t tpm) open(text []byte) (client.Keys, error) {
	var f tpmFile
	if _, err := toml.Decode(string(text), &f); err != nil {
		return client.Keys{}, errors.New("these are not keys in a TPM")
	}
	public, err := f.Certificate.publicKey()
	if err != nil {
		return client.Keys{}, err
	}
	var journal ed25519.PrivateKey
	err = t.use(func(root root) error {
		seed, err := root.unseal(f.Journal)
		defer clear(seed)
		if err == nil && len(seed) != ed25519.SeedSize {
			err = errors.New("the sealed key has a wrong length")
		}
		if err == nil {
			journal = ed25519.NewKeyFromSeed(seed)
		}
		return err
	})
	if err != nil {
		return client.Keys{}, err
	}
	return client.Keys{TLS: &tpmSigner{t, f.Certificate, public}, Journal: journal}, nil
}

// tpmSigner is a key in a TPM. It is safe for concurrent use.
type tpmSigner struct {
	tpm    tpm
	key    blob
	public *ecdsa.PublicKey
}

// Public implements [crypto.Signer].
func (s *tpmSigner) Public() crypto.PublicKey { return s.public }

// Sign implements [crypto.Signer], for digests of SHA-256.
func (s *tpmSigner) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) (signature []byte, err error) {
	if o.HashFunc() != crypto.SHA256 {
		return nil, fmt.Errorf("TPM signs SHA-256, not %v", o.HashFunc())
	}
	err = s.tpm.use(func(root root) error {
		signature, err = root.sign(s.key, digest)
		return err
	})
	return signature, err
}

// using keeps the uses of TPMs apart: a TPM has room for few objects at a time.
var using sync.Mutex

// use opens the TPM and gives do its root. What fails is tried once more:
// a TPM may be in the middle of something, or have lost its state with a
// suspended machine.
func (t tpm) use(do func(root) error) error {
	using.Lock()
	defer using.Unlock()
	err := t.once(do)
	if err != nil && !errors.Is(err, ErrOtherTPM) {
		err = t.once(do)
	}
	if err != nil {
		return fmt.Errorf("TPM %s: %w", t.device, err)
	}
	return nil
}

func (t tpm) once(do func(root) error) (err error) {
	dev, err := openDevice(t.device)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	made, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate),
	}.Execute(dev)
	if err != nil {
		return fmt.Errorf("make storage root key: %w", err)
	}
	defer flush(dev, made.ObjectHandle)
	public, err := made.OutPublic.Contents()
	if err != nil {
		return err
	}
	return do(root{dev, made.ObjectHandle, made.Name, *public})
}

func openDevice(path string) (transport.TPMCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSocket != 0 {
		return linuxudstpm.Open(path)
	}
	return linuxtpm.Open(path)
}

func flush(dev transport.TPM, h tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: h}.Execute(dev) // it ends with the connection at the latest
}

// root is the storage root key, loaded.
type root struct {
	dev    transport.TPM
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

// auth is how the root is used.
func (r root) auth() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: r.handle, Name: r.name, Auth: r.encrypted(in)}
}

// What is encrypted on the wires between processor and TPM: what goes in, or
// what comes out.
var (
	in  = tpm2.AESEncryption(128, tpm2.EncryptIn)
	out = tpm2.AESEncryption(128, tpm2.EncryptOut)
)

// encrypted is a session whose key is encrypted to the root, so that a secret
// can not be read off the wires.
func (r root) encrypted(way tpm2.AuthOption) tpm2.Session {
	return tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Salted(r.handle, r.public), way)
}

func (r root) create(like tpm2.TPMTPublic, data []byte) (b blob, err error) {
	c := tpm2.Create{ParentHandle: r.auth(), InPublic: tpm2.New2B(like)}
	if data != nil {
		c.InSensitive.Sensitive = &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data}),
		}
	}
	made, err := c.Execute(r.dev)
	if err != nil {
		return b, fmt.Errorf("make key: %w", err)
	}
	return blob{Public: made.OutPublic.Bytes(), Private: made.OutPrivate.Buffer}, nil
}

// load returns an object's handle, and what flushes it.
func (r root) load(b blob) (h tpm2.NamedHandle, done func(), err error) {
	loaded, err := tpm2.Load{
		ParentHandle: r.auth(), InPrivate: tpm2.TPM2BPrivate{Buffer: b.Private},
		InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](b.Public),
	}.Execute(r.dev)
	if errors.Is(err, tpm2.TPMRCIntegrity) {
		err = ErrOtherTPM
	}
	if err != nil {
		return h, nil, fmt.Errorf("load key: %w", err)
	}
	return tpm2.NamedHandle{Handle: loaded.ObjectHandle, Name: loaded.Name},
		func() { flush(r.dev, loaded.ObjectHandle) }, nil
}

func (r root) unseal(b blob) ([]byte, error) {
	h, done, err := r.load(b)
	if err != nil {
		return nil, err
	}
	defer done()
	unsealed, err := tpm2.Unseal{
		ItemHandle: tpm2.AuthHandle{Handle: h.Handle, Name: h.Name, Auth: r.encrypted(out)},
	}.Execute(r.dev)
	if err != nil {
		return nil, fmt.Errorf("unseal key: %w", err)
	}
	return unsealed.OutData.Buffer, nil
}

func (r root) sign(b blob, digest []byte) ([]byte, error) {
	h, done, err := r.load(b)
	if err != nil {
		return nil, err
	}
	defer done()
	signed, err := tpm2.Sign{
		KeyHandle:  tpm2.AuthHandle{Handle: h.Handle, Name: h.Name, Auth: tpm2.PasswordAuth(nil)},
		Digest:     tpm2.TPM2BDigest{Buffer: digest},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	}.Execute(r.dev)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s, err := signed.Signature.Signature.ECDSA()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(s.SignatureR.Buffer), new(big.Int).SetBytes(s.SignatureS.Buffer),
	})
}

// publicKey reads a key's public half from its blob, which needs no TPM.
func (b blob) publicKey() (*ecdsa.PublicKey, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](b.Public)
	if err != nil {
		return nil, errors.New("these are not keys in a TPM")
	}
	public, err := tpm2.Pub(*p)
	key, ok := public.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("the key is not one of a curve")
	}
	return key, nil
}
