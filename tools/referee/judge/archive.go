// Package judge checks the archive of a terminal's journal. It was written from
// docs/JOURNAL.md and shares no code with the terminal, so that what both agree on is
// what the document says.
package judge

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

// Verdict is what an archive has proved.
type Verdict struct {
	Terminal string
	Epoch    []byte
	Entries  int64
	Totals   map[string]int64 // of each account, in fen, credits positive
}

var errCut = errors.New("archive is cut off")

// Judge checks an archive from its first byte to its last, for who trusts a campus's key.
func Judge(r *bufio.Reader, campus []byte) (*Verdict, error) {
	const magic = "quancun journal archive 1\n"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return nil, errors.New("not an archive")
	}
	cert, err := item(r)
	if err != nil {
		return nil, err
	}
	terminal, key, err := certificate(cert, campus)
	if err != nil {
		return nil, err
	}
	b := newBooks(terminal)
	var leaves [][]byte
	for {
		body, err := item(r)
		if err != nil {
			return nil, err
		}
		if len(body) == 0 {
			break
		}
		if err := b.take(body); err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(leaves)+1, err)
		}
		leaves = append(leaves, b.last)
	}
	note, err := item(r)
	if err != nil {
		return nil, err
	}
	if _, err := r.ReadByte(); err != io.EOF {
		return nil, errors.New("bytes after the checkpoint")
	}
	if err := checkpoint(note, key, b, root(leaves)); err != nil {
		return nil, err
	}
	return &Verdict{terminal, b.epoch, int64(len(leaves)), b.totals}, nil
}

func item(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > 1<<24 {
		return nil, errCut
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, errCut
	}
	return b, nil
}

// certificate returns whom the campus has certified, and the key.
func certificate(b, campus []byte) (terminal string, key []byte, err error) {
	if len(b) < 1 || len(b) != 1+int(b[0])+32+8+64 {
		return "", nil, errors.New("certificate is malformed")
	}
	signed, signature := b[:len(b)-64], b[len(b)-64:]
	message := append([]byte("quancun journal key v1\n"), signed...)
	if len(campus) != ed25519.PublicKeySize || !ed25519.Verify(campus, message, signature) {
		return "", nil, errors.New("the campus has not signed the certificate")
	}
	n := int(b[0])
	return string(b[1 : 1+n]), b[1+n : 1+n+32], nil
}

// root is the Merkle tree hash of RFC 6962, section 2.1, over the leaves' own
// hashes.
func root(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		empty := sha256.Sum256(nil)
		return empty[:]
	case 1:
		return leaves[0]
	default:
		k := 1 << (bits.Len(uint(n-1)) - 1)
		node := sha256.Sum256(concat([]byte{1}, root(leaves[:k]), root(leaves[k:])))
		return node[:]
	}
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// checkpoint checks a signed note against the entries.
func checkpoint(note, key []byte, b *books, root []byte) error {
	text, signatures, ok := strings.Cut(string(note), "\n\n")
	if !ok {
		return errors.New("checkpoint has no signature")
	}
	text += "\n"
	name := "quancun/terminal/" + b.terminal
	want := fmt.Sprintf("%s/%x\n%d\n%s\n", name, b.epoch, b.seq, base64.StdEncoding.EncodeToString(root))
	if text != want {
		return fmt.Errorf("checkpoint says\n%sand the entries are\n%s", text, want)
	}
	id := sha256.Sum256(concat([]byte(name+"\n"), []byte{1}, key))
	for line := range strings.Lines(signatures) {
		encoded, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "+name+" ")
		if !ok {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(sig) != 4+64 || !bytes.Equal(sig[:4], id[:4]) {
			continue
		}
		if ed25519.Verify(key, []byte(text), sig[4:]) {
			return nil
		}
	}
	return errors.New("the terminal has not signed the checkpoint")
}
