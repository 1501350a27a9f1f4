package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"quancun/money"
)

// AtLayout is how times are written for people and in the first form. It has a
// fixed width, so that text sorts as time does.
const AtLayout = "2006-01-02T15:04:05.000Z"

// jsonBody is the first form, of version 0.1. It is read and never written.
type jsonBody struct {
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

func decodeJSON(body []byte) (e Entry, prev Hash, err error) {
	var b jsonBody
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return e, prev, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return e, prev, fmt.Errorf("%w: bytes after the entry", ErrMalformed)
	}
	if b.Version != 1 {
		return e, prev, fmt.Errorf("%w: version %d", ErrMalformed, b.Version)
	}
	at, err := time.Parse(AtLayout, b.At)
	if err != nil || at.Format(AtLayout) != b.At {
		return e, prev, fmt.Errorf("%w: time %q", ErrMalformed, b.At)
	}
	n, err := hex.Decode(prev[:], []byte(b.Prev[:min(len(b.Prev), 2*len(prev))]))
	if err != nil || n != len(prev) || Hex(prev) != b.Prev {
		return e, prev, fmt.Errorf("%w: hash of the entry before", ErrMalformed)
	}
	if b.Seq <= 0 || b.Kind == 0 || b.Amount < 0 {
		return e, prev, fmt.Errorf("%w: a number out of range", ErrMalformed)
	}
	return Entry{
		Seq: b.Seq, At: at, Kind: b.Kind, Ref: b.Ref, Card: b.Card,
		Amount: b.Amount, Outcome: b.Outcome, Details: b.Details,
	}, prev, nil
}
