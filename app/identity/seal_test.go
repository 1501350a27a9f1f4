package identity_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"quancun/app/identity"
	"quancun/journal"
	"quancun/upstream/client"
	"quancun/upstream/wire"
)

// TestExport: what is exported only the campus can read, and it is noted only
// when it is whole.
func TestExport(t *testing.T) {
	campus, err := wire.KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	p, dir := &client.Provisioning{SealKey: campus.PublicKey().Bytes()}, t.TempDir()
	book, stick := filepath.Join(dir, "journal.db"), filepath.Join(dir, "stick")
	head := journal.Head{Epoch: journal.Epoch{1}, Seq: 7}
	exported := func(want bool, h journal.Head) {
		t.Helper()
		if got, err := identity.Exported(book, h); got != want || err != nil {
			t.Errorf("Exported up to %d = %t, %v; want %t", h.Seq, got, err, want)
		}
	}
	exported(false, head)
	pulled := errors.New("stick pulled")
	err = identity.Export(p, stick, book, func(w io.Writer) (journal.Head, error) {
		io.WriteString(w, "journal") //nolint:errcheck // it goes nowhere
		return head, pulled
	})
	if _, err2 := os.Stat(stick); !errors.Is(err, pulled) || !errors.Is(err2, os.ErrNotExist) {
		t.Errorf("Export that breaks = %v, and %v; want nothing left", err, err2)
	}
	exported(false, head)

	err = identity.Export(p, stick, book, func(w io.Writer) (journal.Head, error) {
		_, err := io.WriteString(w, "journal")
		return head, err
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(stick)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(wire.Unseal(campus, f)); err != nil || string(got) != "journal" {
		t.Errorf("the campus reads %q, %v", got, err)
	}
	exported(true, head)
	exported(true, journal.Head{Epoch: journal.Epoch{1}, Seq: 6})
	exported(false, journal.Head{Epoch: journal.Epoch{1}, Seq: 8})
	exported(false, journal.Head{Epoch: journal.Epoch{2}, Seq: 7})
	err = identity.Export(p, stick, book, func(io.Writer) (journal.Head, error) { return head, nil })
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("Export over a file = %v, want %v", err, os.ErrExist)
	}
	if err := identity.Export(&client.Provisioning{}, stick+"2", book, nil); err == nil {
		t.Error("an export was sealed to nobody")
	}
}
