package wire

import (
	"bytes"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A sealed file is what a terminal gives to a person to carry to the upstream:
// whoever finds the stick on the way reads nothing, and changes nothing unseen.
//
//	magic
//	encapsulated key: 32 bytes
//	pieces: length of the sealed piece, 4 bytes big-endian, and the piece
//
// Each piece is sealed under the next number of one HPKE context, so pieces can
// not be swapped, doubled or left out; the last says that it is the last, so
// none can be missing at the end.

// sealMagic begins a sealed file.
const sealMagic = "quancun sealed 1\n"

// sealPiece is the plaintext of a piece in bytes, except of the last one.
const sealPiece = 64 << 10

const (
	sealEncLen = 32 // an X25519 point
	sealTagLen = 16
)

// ErrSealed means that a sealed file does not open: it was sealed to another
// campus, or was damaged or cut off on its way.
var ErrSealed = errors.New("wire: sealed file does not open")

var (
	sealInfo = []byte("quancun sealed file v1") // keeps this use of a key from every other
	sealMore = []byte{0}
	sealLast = []byte{1}
)

// Seal returns a writer that seals what is written to it and writes that to w.
// The file is whole only after Close, which does not close w.
func Seal(w io.Writer, publicKey []byte) (io.WriteCloser, error) {
	key, err := KEM().NewPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("wire: seal: %w", err)
	}
	enc, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo)
	if err != nil {
		return nil, fmt.Errorf("wire: seal: %w", err)
	}
	if _, err := w.Write(append([]byte(sealMagic), enc...)); err != nil {
		return nil, err
	}
	return &sealer{w: w, sender: sender}, nil
}

type sealer struct {
	w      io.Writer
	sender *hpke.Sender
	piece  []byte // at most sealPiece
}

func (s *sealer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(s.piece) == sealPiece { // there is more, so this is not the last
			if err := s.flush(sealMore); err != nil {
				return n, err
			}
		}
		k := min(len(p), sealPiece-len(s.piece))
		s.piece = append(s.piece, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

// Close writes the last piece, which may be empty.
func (s *sealer) Close() error { return s.flush(sealLast) }

func (s *sealer) flush(position []byte) error {
	sealed, err := s.sender.Seal(position, s.piece)
	clear(s.piece)
	s.piece = s.piece[:0]
	if err != nil {
		return fmt.Errorf("wire: seal: %w", err)
	}
	_, err = s.w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...))
	return err
}

// Unseal returns a reader of what [Seal] has sealed. It gives out nothing that
// is not as it was written, and ends with io.EOF only after the last piece and
// nothing behind it. [ErrSealed] if the file is not whole; other errors are
// those of r.
func Unseal(key hpke.PrivateKey, r io.Reader) io.Reader { return &unsealer{key: key, r: r} }

type unsealer struct {
	key       hpke.PrivateKey
	r         io.Reader
	recipient *hpke.Recipient // nil before the first read
	piece     []byte          // not yet given out
	err       error           // of every further read
}

func (u *unsealer) Read(p []byte) (int, error) {
	for len(u.piece) == 0 && u.err == nil {
		u.err = u.next()
	}
	n := copy(p, u.piece)
	u.piece = u.piece[n:]
	if n == 0 && len(p) > 0 {
		return 0, u.err
	}
	return n, nil
}

// next reads a piece, and returns io.EOF with the last one.
func (u *unsealer) next() error {
	if u.recipient == nil {
		if err := u.begin(); err != nil {
			return err
		}
	}
	var length [4]byte
	if err := u.full(length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < sealTagLen || n > sealPiece+sealTagLen {
		return ErrSealed
	}
	sealed := make([]byte, n)
	if err := u.full(sealed); err != nil {
		return err
	}
	// A failed Open leaves the context where it was, so the second one tries
	// the same number.
	var err error
	if u.piece, err = u.recipient.Open(sealMore, sealed); err == nil {
		return nil
	}
	if u.piece, err = u.recipient.Open(sealLast, sealed); err != nil {
		return ErrSealed
	}
	return u.end()
}

func (u *unsealer) begin() error {
	head := make([]byte, len(sealMagic)+sealEncLen)
	if err := u.full(head); err != nil {
		return err
	}
	enc, ok := bytes.CutPrefix(head, []byte(sealMagic))
	if !ok {
		return ErrSealed
	}
	r, err := hpke.NewRecipient(enc, u.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo)
	if err != nil {
		return ErrSealed
	}
	u.recipient = r
	return nil
}

func (u *unsealer) end() error {
	var more [1]byte
	switch _, err := io.ReadFull(u.r, more[:]); {
	case err == nil:
		u.piece = nil
		return ErrSealed
	default:
		return err // io.EOF when all is well
	}
}

func (u *unsealer) full(b []byte) error {
	_, err := io.ReadFull(u.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrSealed
	}
	return err
}
