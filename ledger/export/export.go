// Package export writes a terminal's journal out, for people who do not have
// this program: as an archive that proves itself, as a table for a spreadsheet,
// and as a journal for plain-text accounting. docs/JOURNAL.md describes the
// forms. Equal journals give equal bytes.
//
// It refuses to know where the journal is, and who is trusted.
package export

import (
	"crypto"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"

	"quancun/journal"
	"quancun/ledger"
)

// Archive writes the journal with the certificate of its key, and a checkpoint
// that proves it: signed now, if key is not nil, over all of it; otherwise the
// newest that is stored, over the entries up to that. It returns how far the
// archive goes.
func Archive(s ledger.Snapshot, c journal.Certificate, key crypto.Signer, w io.Writer) (journal.Head, error) {
	size, note, err := proof(s, key)
	if err != nil {
		return journal.Head{}, fmt.Errorf("export archive: %w", err)
	}
	head := journal.Head{Epoch: s.Head.Epoch, Seq: size}
	bodies := func(yield func([]byte, error) bool) {
		for line, err := range s.Lines(size) {
			head.Hash = line.Hash
			if !yield(line.Body, err) {
				return
			}
		}
	}
	err = journal.WriteArchive(w, c, bodies, func() ([]byte, error) { return note, nil })
	if err != nil {
		return journal.Head{}, fmt.Errorf("export archive: %w", err)
	}
	return head, nil
}

func proof(s ledger.Snapshot, key crypto.Signer) (size int64, note []byte, err error) {
	if key == nil {
		return s.Signed()
	}
	c, err := s.Checkpoint()
	if err != nil {
		return 0, nil, err
	}
	note, err = c.Sign(key)
	return c.Size, note, err
}

// columns are those of the table, in order.
var columns = []struct {
	name string
	of   func(line ledger.Line, e journal.Entry) string
}{
	{"seq", func(l ledger.Line, _ journal.Entry) string { return strconv.FormatInt(l.Seq, 10) }},
	{"at", func(l ledger.Line, _ journal.Entry) string { return l.Entry.At.UTC().Format(journal.AtLayout) }},
	{"clock", func(l ledger.Line, _ journal.Entry) string { return strconv.Itoa(int(l.Entry.Clock)) }},
	{"kind", func(l ledger.Line, _ journal.Entry) string { return strconv.Itoa(int(l.Entry.Kind)) }},
	{"name", func(l ledger.Line, _ journal.Entry) string { return l.Entry.Kind.String() }},
	{"carried", func(l ledger.Line, e journal.Entry) string {
		if l.Entry.Kind != journal.Carried {
			return ""
		}
		return e.Kind.String()
	}},
	{"origin", func(l ledger.Line, _ journal.Entry) string {
		if l.Entry.Origin == (journal.Position{}) {
			return ""
		}
		return l.Entry.Origin.String()
	}},
	{"ref", func(_ ledger.Line, e journal.Entry) string { return e.Ref }},
	{"outcome", func(_ ledger.Line, e journal.Entry) string {
		if e.Outcome == 0 {
			return ""
		}
		return e.Outcome.String()
	}},
	{"card", func(_ ledger.Line, e journal.Entry) string { return e.Card }},
	{"account", func(_ ledger.Line, e journal.Entry) string { return e.Account }},
	{"merchant", func(_ ledger.Line, e journal.Entry) string { return e.Merchant }},
	{"operator", func(_ ledger.Line, e journal.Entry) string { return e.Operator }},
	{"amount", func(_ ledger.Line, e journal.Entry) string { return e.Amount.String() }},
	{"from", func(l ledger.Line, _ journal.Entry) string { return party(l.Entry, 0) }},
	{"to", func(l ledger.Line, _ journal.Entry) string { return party(l.Entry, 1) }},
	{"moved", func(l ledger.Line, _ journal.Entry) string {
		if len(l.Entry.Postings) != 2 {
			return ""
		}
		return l.Entry.Postings[1].Amount.String()
	}},
	{"tac", func(_ ledger.Line, e journal.Entry) string {
		if e.Purse == nil || !e.Purse.TAC.Valid() {
			return ""
		}
		return fmt.Sprintf("%x", e.Purse.TAC[:])
	}},
	{"details", func(_ ledger.Line, e journal.Entry) string { return string(e.Details) }},
	{"hash", func(l ledger.Line, _ journal.Entry) string { return journal.Hex(l.Hash) }},
}

// party returns the n-th account that an entry posts to: first the one that
// amounts are taken from.
func party(e journal.Entry, n int) string {
	if len(e.Postings) != 2 {
		return ""
	}
	return string(e.Postings[n].Account)
}

// CSV writes the journal as a table (RFC 4180), a line for each entry. What an
// entry carries over is in the columns from "ref" on, except for what moved,
// which was in the old journal.
func CSV(s ledger.Snapshot, w io.Writer) error {
	return table(s.Lines(s.Head.Seq), w)
}

func table(lines iter.Seq2[ledger.Line, error], w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.name
	}
	if err := out.Write(record); err != nil {
		return fmt.Errorf("export table: %w", err)
	}
	for line, err := range lines {
		if err != nil {
			return fmt.Errorf("export table: %w", err)
		}
		inner, err := line.Entry.Inner()
		if err != nil {
			return fmt.Errorf("export table: %w", err)
		}
		for i, c := range columns {
			record[i] = c.of(line, inner)
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("export table: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}
