package ingest_test

import (
	"path/filepath"
	"testing"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/pgtest"
)

// TestCopy copies books in which much is open, and goes on in the copy: what
// was begun in the one ends in the other.
func TestCopy(t *testing.T) {
	w := newWorld(t, filepath.Join(t.TempDir(), "books.db"))
	a := w.holder("1001", 100*yuan)
	p, c := w.card(1, a, 50*yuan), w.till("C01")
	sale := c.sell(p, "s1", 10*yuan)
	c.write(journal.Entry{
		Kind: journal.Refund, Ref: "r1", Card: p.no, Merchant: merchant, Amount: 4 * yuan, Origin: sale.Position(),
	})
	c.push()
	c.sell(p, "s2", 3*yuan)
	c = c.reopen(c.next()-3, journal.ReasonForked) // of which one journal refers to the other, and back
	in := c.intend(p, "torn", 5*yuan)
	c.doubt(in)
	w.holder("1002", 10*yuan)
	c.takeCode("code", "1002", newSchool(w).phone("1002", "phone").show(), yuan, false)
	c.push()

	to, err := booktest.Open(t.Context(), pgtest.New(t).DSN, w.books.Now)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.books.CopyTo(t.Context(), to)
	if err != nil || rows < 30 {
		t.Fatalf("CopyTo = %d rows, %v", rows, err)
	}
	w.wants(map[store.Account]money.Fen{a: 86 * yuan, payee: 10 * yuan, suspense("C01"): 5 * yuan})
	if err := w.books.Close(); err != nil {
		t.Fatal(err)
	}
	w.books = to
	w.in = ingest.New(w.books, w.keys, ingest.Policy{CardReserve: reserve, DailyLimit: 50 * yuan})
	w.sound()
	w.wants(map[store.Account]money.Fen{a: 86 * yuan, payee: 10 * yuan, suspense("C01"): 5 * yuan})
	c.end(in, journal.NotWritten, pboc.MAC{})
	c.sell(p, "s3", yuan)
	c.push()
	w.wants(map[store.Account]money.Fen{a: 90 * yuan, payee: 11 * yuan, suspense("C01"): 0})
	w.sound()
}
