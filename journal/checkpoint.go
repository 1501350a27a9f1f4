package journal

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is a terminal's word about its whole journal: so many entries,
// and this root over their hashes. As a signed note it is in the form of C2SP
// tlog-checkpoint, so that any witness of such logs can read it.
type Checkpoint struct {
	Terminal string
	Epoch    Epoch
	Size     int64
	Root     Hash
}

const originPrefix = "quancun/terminal/"

// KeyName is the name under which a terminal signs.
func KeyName(terminal string) string { return originPrefix + terminal }

// text is the note's text: origin, size, root.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s/%s\n%d\n%s\n", KeyName(c.Terminal), c.Epoch, c.Size, c.Root)
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return c, fmt.Errorf("%w: checkpoint of %d lines", ErrMalformed, len(lines))
	}
	origin, ok := strings.CutPrefix(lines[0], originPrefix)
	slash := strings.LastIndexByte(origin, '/')
	if !ok || slash < 0 || !IsName(origin[:slash]) {
		return c, fmt.Errorf("%w: checkpoint of %q", ErrMalformed, lines[0])
	}
	c.Terminal = origin[:slash]
	if c.Epoch, err = ParseEpoch(origin[slash+1:]); err != nil {
		return c, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != hashSize {
		return c, fmt.Errorf("%w: root of checkpoint", ErrMalformed)
	}
	c.Root = Hash(root)
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 || c.text() != text {
		return c, fmt.Errorf("%w: size of checkpoint", ErrMalformed)
	}
	return c, nil
}

// Sign returns c as a note signed by a terminal's Ed25519 key. The key may be
// in hardware; its error is returned as it is.
func (c Checkpoint) Sign(key crypto.Signer) ([]byte, error) {
	s, err := newSigner(KeyName(c.Terminal), algEd25519, key, func(m []byte) []byte { return m })
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: c.text()}, s)
}

// PeekCheckpoint reads what a note says, whoever has signed it.
func PeekCheckpoint(signed []byte) (Checkpoint, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	return parseCheckpoint(text + "\n")
}

// OpenCheckpoint reads a note and checks that the terminal which it names has
// signed it with key. It returns [ErrUnsigned] if not.
func OpenCheckpoint(signed []byte, key ed25519.PublicKey) (Checkpoint, error) {
	c, err := PeekCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if _, err := open(signed, terminalVerifier(c.Terminal, key)); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// Campus is the upstream as one who signs: the name under which it is known,
// and its Ed25519 key.
type Campus struct {
	Name string
	Key  crypto.Signer
}

// Cosign adds the upstream's signature (C2SP tlog-cosignature, with its time)
// to a checkpoint that the terminal with the given key has signed. The caller
// has made sure that what the upstream holds has this root.
func (u Campus) Cosign(signed []byte, terminal ed25519.PublicKey, at time.Time) ([]byte, error) {
	c, err := PeekCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	n, err := open(signed, terminalVerifier(c.Terminal, terminal))
	if err != nil {
		return nil, err
	}
	s, err := newSigner(u.Name, algCosignature, u.Key, func(m []byte) []byte { return cosigned(at, m) })
	if err != nil {
		return nil, err
	}
	s.prefix = binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
	n.UnverifiedSigs = nil // whoever else has signed, we have not checked it
	return note.Sign(n, s)
}

// OpenCosigned checks the upstream's signature on a checkpoint, and returns
// with the checkpoint when the upstream signed.
func OpenCosigned(signed []byte, campus string, key ed25519.PublicKey) (Checkpoint, time.Time, error) {
	n, err := open(signed, campusVerifier(campus, key))
	if err != nil {
		return Checkpoint{}, time.Time{}, err
	}
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || len(sig) < 12 {
		return Checkpoint{}, time.Time{}, fmt.Errorf("%w: cosignature", ErrMalformed)
	}
	c, err := parseCheckpoint(n.Text)
	return c, time.Unix(int64(binary.BigEndian.Uint64(sig[4:12])), 0).UTC(), err
}

func open(signed []byte, v note.Verifier) (*note.Note, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		err = ErrUnsigned
		for _, s := range unverified.Note.UnverifiedSigs {
			if s.Name == v.Name() {
				err = ErrOtherKey
			}
		}
		return nil, fmt.Errorf("%w: note of %s", err, v.Name())
	}
	if invalid := (*note.InvalidSignatureError)(nil); errors.As(err, &invalid) {
		return nil, fmt.Errorf("%w: signature of %s is not of this note", ErrUnsigned, v.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return n, nil
}

// Signature types of C2SP signed-note.
const (
	algEd25519     = 1
	algCosignature = 4
)

// keyHash is the key ID of C2SP signed-note.
func keyHash(name string, alg byte, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{alg})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// cosigned is what a cosignature signs: the checkpoint, and when.
func cosigned(at time.Time, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text)
}

// signer is a [note.Signer] by a key that may be in hardware, which x/mod's own
// is not.
type signer struct {
	name    string
	hash    uint32
	key     crypto.Signer
	message func([]byte) []byte
	prefix  []byte // of the signature
}

func newSigner(name string, alg byte, key crypto.Signer, message func([]byte) []byte) (*signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("journal: key of %s is a %T, want Ed25519", name, key.Public())
	}
	return &signer{name: name, hash: keyHash(name, alg, public), key: key, message: message}, nil
}

func (s *signer) Name() string    { return s.name }
func (s *signer) KeyHash() uint32 { return s.hash }

func (s *signer) Sign(text []byte) ([]byte, error) {
	sig, err := s.key.Sign(nil, s.message(text), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", s.name, err)
	}
	return append(s.prefix[:len(s.prefix):len(s.prefix)], sig...), nil
}

// verifier is a [note.Verifier] from a bare public key.
type verifier struct {
	name   string
	hash   uint32
	verify func(text, sig []byte) bool
}

func (v verifier) Name() string                 { return v.name }
func (v verifier) KeyHash() uint32              { return v.hash }
func (v verifier) Verify(text, sig []byte) bool { return v.verify(text, sig) }

func terminalVerifier(terminal string, key ed25519.PublicKey) note.Verifier {
	name := KeyName(terminal)
	return verifier{name, keyHash(name, algEd25519, key), func(text, sig []byte) bool {
		return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, sig)
	}}
}

func campusVerifier(campus string, key ed25519.PublicKey) note.Verifier {
	return verifier{campus, keyHash(campus, algCosignature, key), func(text, sig []byte) bool {
		if len(key) != ed25519.PublicKeySize || len(sig) != 8+ed25519.SignatureSize {
			return false
		}
		at := time.Unix(int64(binary.BigEndian.Uint64(sig)), 0)
		return ed25519.Verify(key, cosigned(at, text), sig[8:])
	}}
}
