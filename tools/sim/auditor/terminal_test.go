package auditor_test

import (
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/tools/sim/auditor"
)

// TestTerminal holds what an upstream might have against a real journal.
func TestTerminal(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	book, err := ledger.Open(ctx, filepath.Join(dir, "journal.db"), ledger.Options{
		Terminal: "K01", Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), RoomMin: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	feeds, err := feed.Open(ctx, filepath.Join(dir, "feeds.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer feeds.Close()
	terminal := auditor.NewTerminal(book, feeds, map[string]uint64{})
	for _, ref := range []string{"c1", "c2"} {
		_, err := book.Append(ctx, journal.Entry{Kind: journal.CashIn, Ref: ref, Amount: money.Yuan, Operator: "clerk"})
		if err != nil {
			t.Fatal(err)
		}
		if broken, err := terminal.Look(ctx); err != nil || len(broken) > 0 {
			t.Fatalf("Look = %q, %v", broken, err)
		}
	}
	head, err := book.Head(ctx)
	if err != nil || terminal.Epoch() != head.Epoch {
		t.Fatalf("head %+v, %v; the auditor has epoch %s", head, err, terminal.Epoch())
	}
	other, ahead := head, head
	other.Hash[0] ^= 1
	ahead.Seq++
	for _, tt := range []struct {
		name string
		up   journal.Head
		want string
	}{
		{"Nothing", journal.Head{Epoch: head.Epoch}, ""},
		{"Other", other, "another entry"},
		{"Ahead", ahead, "the upstream has"},
		{"All", head, ""},
	} {
		broken, err := terminal.Compare(ctx, tt.up, false)
		if err != nil || !strings.Contains(strings.Join(broken, "\n"), tt.want) || (len(broken) > 0) != (tt.want != "") {
			t.Errorf("%s: Compare = %q, %v; want something about %q", tt.name, broken, err, tt.want)
		}
	}
}
