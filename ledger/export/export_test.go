package export_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/export"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	key    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	campus = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
)

// written is a journal with something of everything, into which an old epoch
// was carried over.
func written(t *testing.T) string {
	t.Helper()
	path, now := filepath.Join(t.TempDir(), "journal.db"), time.Date(2026, 3, 2, 15, 59, 58, 0, time.UTC)
	b, err := ledger.Open(t.Context(), path, ledger.Options{
		Terminal: "K01", Key: key, Version: "1.0",
		Now:    func() time.Time { now = now.Add(time.Second); return now },
		Uptime: func() time.Duration { return now.Sub(time.Unix(0, 0)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	append := func(e journal.Entry) {
		t.Helper()
		if _, err := b.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	purse := &journal.Purse{Balance: 5000, Counter: 7, TAC: [4]byte{0xAB, 1, 2, 3}}
	append(journal.Entry{Kind: journal.CashIn, Ref: "C1", Amount: 30_000, Operator: "c7"})
	append(journal.Entry{Kind: journal.SaleIntent, Ref: "S1", Card: "1001", Merchant: "M1", Amount: 1250, Purse: purse})
	if err := b.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	append(journal.Entry{Kind: journal.SaleEnd, Ref: "S1", Outcome: journal.Written, Purse: purse})
	append(journal.Entry{Kind: journal.CashTopUp, Ref: "C2", Account: "2026012345", Amount: 2000, Operator: "c7"})
	append(journal.Entry{Kind: journal.TopUpIntent, Ref: "T1", Card: "1001", Amount: 100,
		Details: []byte(`{"note":"say \"hi\", twice"}`)})
	append(journal.Entry{Kind: journal.Counted, Ref: "C3", Amount: 31_990, Operator: "c7"})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

var chance = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{16}\b`)

// TestGolden compares both texts with what docs/JOURNAL.md describes. What is
// drawn by chance is masked.
func TestGolden(t *testing.T) {
	path := written(t)
	for name, f := range map[string]func(ledger.Snapshot, io.Writer) error{
		"journal.csv": export.CSV, "journal.hledger": export.Hledger,
	} {
		var b bytes.Buffer
		if err := ledger.ReadFile(t.Context(), path, func(s ledger.Snapshot) error { return f(s, &b) }); err != nil {
			t.Fatal(err)
		}
		got, golden := chance.ReplaceAllString(b.String(), "~"), filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s, %v\n got %s\nwant %s", name, err, got, want)
		}
	}
}

// TestArchive: with the key the archive goes to the end; without it, as far as
// somebody has signed.
func TestArchive(t *testing.T) {
	path := written(t)
	cert, err := journal.Certify("K01", ed25519.PublicKey(key[32:]), time.Now(), campus)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []ed25519.PrivateKey{key, nil} {
		var b bytes.Buffer
		var head journal.Head
		err := ledger.ReadFile(t.Context(), path, func(s ledger.Snapshot) error {
			if k == nil {
				head, err = export.Archive(s, cert, nil, &b)
			} else {
				head, err = export.Archive(s, cert, k, &b)
			}
			if err == nil && head != s.Head {
				t.Errorf("archive up to %+v, want %+v", head, s.Head)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var last journal.Hash
		a, err := journal.ReadArchive(&b, ed25519.PublicKey(campus[32:]), func(_ int64, body []byte) error {
			last = journal.HashOf(body)
			return nil
		})
		if err != nil || a.Checkpoint.Size != head.Seq || last != head.Hash {
			t.Errorf("ReadArchive = %+v, %v, want %+v", a.Checkpoint, err, head)
		}
	}
}

// TestUnsigned: a journal that nobody has signed for cannot be proved.
func TestUnsigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	b, err := ledger.Open(t.Context(), path, ledger.Options{Terminal: "K01"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	err = ledger.ReadFile(t.Context(), path, func(s ledger.Snapshot) error {
		_, err := export.Archive(s, journal.Certificate{}, nil, new(strings.Builder))
		return err
	})
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("Archive = %v, want ErrNotFound", err)
	}
}
