package front_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"quancun/app/front"
	"quancun/journal"
	"quancun/ledger"
)

// TestUnsentAfterOutage: a holder who has paid here just now reads that it is not sent yet,
// also where a long outage has left more than can be looked through.
func TestUnsentAfterOutage(t *testing.T) {
	book, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "j.db"), ledger.Options{Terminal: "K01"})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	const last = 1200
	for i := range last {
		_, err := book.Append(t.Context(), journal.Entry{
			Kind: journal.CodeSale, Ref: fmt.Sprint("S", i+1), Account: "1001", Merchant: "M1", Amount: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err1 := front.Unsent(book)(t.Context())
	head, err2 := book.Head(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if n := len(all); n != 1000 || all[n-1].Seq != head.Seq {
		t.Errorf("%d entries up to %d; the journal ends at %d", n, all[n-1].Seq, head.Seq)
	}
}
