package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"quancun/money"
)

// Hash is SHA-256(0x00 || body), the leaf hash of RFC 6962. The zero Hash
// stands before the first entry.
type Hash [sha256.Size]byte

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// hashOf hashes the bytes as they were written and never a form made from them
// again, so that no later encoder can make an old entry look forged.
func hashOf(body []byte) Hash {
	return sha256.Sum256(append([]byte{0}, body...))
}

// bodyVersion is the form of the bodies this program writes. A later form gets
// the next number, and decode goes on reading every older one.
const bodyVersion = 1

// atLayout has a fixed width, so that text sorts as time does.
const atLayout = "2006-01-02T15:04:05.000Z"

// body is the JSON that is written, version 1.
type body struct {
	Version int             `json:"v"`
	Seq     int64           `json:"seq"`
	Prev    string          `json:"prev"` // hash of the entry before
	At      string          `json:"at"`
	Kind    Kind            `json:"kind"`
	Ref     string          `json:"ref,omitempty"`
	Card    string          `json:"card,omitempty"`
	Amount  money.Fen       `json:"amount,omitempty"` // fen
	Outcome Outcome         `json:"outcome,omitempty"`
	Details json.RawMessage `json:"details,omitempty"`
}

// encode returns the bytes of e as the entry after prev.
func encode(e Entry, prev Hash) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // Details must come back as they went in
	err := enc.Encode(body{
		Version: bodyVersion, Seq: e.Seq, Prev: prev.String(), At: e.At.UTC().Format(atLayout),
		Kind: e.Kind, Ref: e.Ref, Card: e.Card, Amount: e.Amount, Outcome: e.Outcome, Details: e.Details,
	})
	if err != nil {
		return nil, fmt.Errorf("encode entry %d: %w", e.Seq, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads the bytes of an entry, and the hash of the one before it. It
// refuses what this program cannot have written, except for outcomes and kinds
// that a later program may have added.
func decode(data []byte) (e Entry, prev Hash, err error) {
	var b body
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return e, prev, fmt.Errorf("decode entry: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return e, prev, errors.New("decode entry: bytes after the entry")
	}
	if b.Version != bodyVersion {
		return e, prev, fmt.Errorf("decode entry: version %d", b.Version)
	}
	at, err := time.Parse(atLayout, b.At)
	if err != nil || at.Format(atLayout) != b.At {
		return e, prev, fmt.Errorf("decode entry: time %q", b.At)
	}
	if n, err := hex.Decode(prev[:], []byte(b.Prev[:min(len(b.Prev), 2*len(prev))])); err != nil ||
		n != len(prev) || prev.String() != b.Prev {
		return e, prev, errors.New("decode entry: malformed prev")
	}
	if b.Seq <= 0 || b.Kind <= 0 || b.Amount < 0 || b.Outcome < 0 {
		return e, prev, errors.New("decode entry: a number out of range")
	}
	return Entry{
		Seq: b.Seq, At: at, Kind: b.Kind, Ref: b.Ref, Card: b.Card,
		Amount: b.Amount, Outcome: b.Outcome, Details: b.Details,
	}, prev, nil
}
