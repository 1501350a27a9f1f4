package journal

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// ArchiveMagic begins an archive: a journal as one file that says all, in the
// project's own format.
//
//	magic
//	certificate of the journal key: length and bytes ([Certificate.Bytes])
//	each entry: length, and its bytes as they are in the journal
//	length 0
//	note: length, and the signed checkpoint over all entries
//
// Lengths are unsigned varints. An archive begins with entry 1, so the
// checkpoint proves it without anything else.
const ArchiveMagic = "quancun journal archive 1\n"

// archiveItemMax bounds a length, so that a damaged one costs no memory.
const archiveItemMax = 1 << 20

// WriteArchive writes a journal to w: its entries' bytes in order, and a note
// that proves them.
func WriteArchive(w io.Writer, c Certificate, bodies iter.Seq2[[]byte, error], note func() ([]byte, error)) error {
	b := bufio.NewWriter(w)
	if _, err := b.WriteString(ArchiveMagic); err != nil {
		return err
	}
	if err := writeItem(b, c.Bytes()); err != nil {
		return err
	}
	for body, err := range bodies {
		if err != nil {
			return err
		}
		if err := writeItem(b, body); err != nil {
			return err
		}
	}
	signed, err := note()
	if err != nil {
		return err
	}
	if err := errors.Join(writeItem(b, nil), writeItem(b, signed)); err != nil {
		return err
	}
	return b.Flush()
}

func writeItem(b *bufio.Writer, item []byte) error {
	_, err := b.Write(binary.AppendUvarint(nil, uint64(len(item))))
	if err != nil {
		return err
	}
	_, err = b.Write(item)
	return err
}

// Archive is what an archive proved to be.
type Archive struct {
	Certificate Certificate
	Checkpoint  Checkpoint
	Note        []byte
}

// ReadArchive reads an archive, gives the bytes of each entry to each in
// order, and then checks the proof. Only when it returns without an error has
// what each was given been proved: the certificate by the campus's public key
// (nil checks the terminal's own signature only), the entries by the note.
func ReadArchive(r io.Reader, campus ed25519.PublicKey, each func(seq int64, body []byte) error) (
	a Archive, err error,
) {
	b := bufio.NewReader(r)
	magic := make([]byte, len(ArchiveMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != ArchiveMagic {
		return a, fmt.Errorf("%w: not an archive", ErrMalformed)
	}
	item, err := readItem(b)
	if err == nil {
		a.Certificate, err = ParseCertificate(item)
	}
	if err != nil {
		return a, err
	}
	if campus != nil {
		if err := a.Certificate.Verify(campus); err != nil {
			return a, err
		}
	}
	tree, err := readEntries(b, each)
	if err != nil {
		return a, err
	}
	if a.Note, err = readItem(b); err != nil {
		return a, err
	}
	if _, err := b.ReadByte(); !errors.Is(err, io.EOF) {
		return a, fmt.Errorf("%w: bytes after the archive", ErrMalformed)
	}
	return a, a.prove(tree)
}

func (a *Archive) prove(tree Frontier) (err error) {
	a.Checkpoint, err = OpenCheckpoint(a.Note, a.Certificate.Key)
	if err != nil {
		return err
	}
	if a.Checkpoint.Terminal != a.Certificate.Terminal {
		return fmt.Errorf("%w: checkpoint of terminal %s", ErrUnsigned, a.Checkpoint.Terminal)
	}
	if a.Checkpoint.Size != tree.Size || a.Checkpoint.Root != tree.Root() {
		return fmt.Errorf("%w: %d entries here, checkpoint of %d", ErrUnproven, tree.Size, a.Checkpoint.Size)
	}
	return nil
}

func readEntries(b *bufio.Reader, each func(seq int64, body []byte) error) (tree Frontier, err error) {
	for {
		body, err := readItem(b)
		if err != nil || len(body) == 0 {
			return tree, err
		}
		tree.Append(HashOf(body))
		if err := each(tree.Size, body); err != nil {
			return tree, err
		}
	}
}

func readItem(b *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(b)
	if err != nil || n > archiveItemMax {
		return nil, fmt.Errorf("%w: archive is cut off", ErrMalformed)
	}
	item := make([]byte, n)
	if _, err := io.ReadFull(b, item); err != nil {
		return nil, fmt.Errorf("%w: archive is cut off", ErrMalformed)
	}
	return item, nil
}
