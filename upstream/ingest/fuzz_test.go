package ingest_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

// FuzzPush has a terminal that has lost its mind push anything, well signed: raw
// bytes, or bytes in the place of what another entry carries over or says in its
// details. All of it is taken and kept, the sale behind it counts, and the books
// stay whole.
func FuzzPush(f *testing.F) {
	c := &till{epoch: journal.Epoch{1}, at: start, doubts: map[string]bool{}}
	c.terminal.ID = "C01"
	p := &purse{no: "00000000000000000001", balance: 5000, offline: 7, online: 3}
	in := c.intend(p, "s1", 300)
	c.end(in, journal.Written, [4]byte{1, 2, 3, 4})
	c.doubt(in)
	c.sellByCode("1001", "s2", 100)
	c.sighted(p)
	c.evidence(journal.Claim{Position: in.Position(), Card: p.no, Purse: *in.Purse}, journal.Written, "log", [4]byte{})
	c.write(journal.Opening{Epoch: journal.Epoch{9}, Reason: journal.ReasonForked}.Entry(journal.Position{}))
	c.write(journal.Entry{Kind: journal.Refund, Ref: "r", Account: "1001", Merchant: merchant, Amount: 1, Origin: in.Position()})
	for _, body := range c.bodies {
		for how := range byte(3) {
			f.Add(how, body)
		}
	}
	f.Add(byte(0), []byte("nonsense"))
	f.Add(byte(0), []byte{9})
	f.Add(byte(2), []byte(`{"online":70000,"by":"prove"}`))

	u := newFuzzed(f)
	f.Fuzz(func(t *testing.T, how byte, b []byte) {
		if len(b) > journal.DetailsLenMax/2 {
			return
		}
		w := u.clone(t)
		c := *u.till
		c.w = w
		mad(&c, how, b)
		c.write(journal.Entry{
			Kind: journal.CodeSale, Ref: "probe", Account: "1001", Merchant: "probe", Amount: 1,
		})
		ack, err := w.in.Push(t.Context(), c.terminal, c.batch(1, c.next()-1))
		if err != nil || ack.Head.Seq != c.next()-1 {
			t.Fatalf("push = %+v, %v; want all of it taken", ack, err)
		}
		got, err := w.books.Balance(t.Context(), store.Account(journal.MerchantAccount("probe")))
		if err != nil || got != 1 {
			t.Errorf("the sale behind it counts %s, %v", got, err)
		}
		broken, err := w.books.Verify(t.Context())
		more, err2 := w.in.Verify(t.Context())
		if err != nil || err2 != nil || len(broken)+len(more) > 0 {
			t.Errorf("%v, %v, %q", err, err2, append(broken, more...))
		}
	})
}

// fuzzed is an upstream with a holder, a card and a terminal, on a disk in
// memory. Each run of a fuzzer has a copy of its own: in books that others have
// written, a run would take another way each time, and the fuzzer would look for
// what is new about it. A run of hours leaves nothing behind.
type fuzzed struct {
	disk *disk.Disk
	keys *keys.Software
	till *till
}

const fuzzedBooks = "/books.db"

func newFuzzed(f *testing.F) *fuzzed {
	u := &fuzzed{disk: disk.New(disk.Options{})}
	f.Cleanup(u.disk.Close)
	var err error
	if u.keys, err = keys.OpenSoftware(filepath.Join(f.TempDir(), "keys.json")); err != nil {
		f.Fatal(err)
	}
	w := u.open(f, u.disk)
	w.card(1, w.holder("1001", 100*yuan), 50*yuan)
	u.till = w.till("C01")
	if err := w.books.Close(); err != nil {
		f.Fatal(err)
	}
	return u
}

// open opens the books on a disk.
func (u *fuzzed) open(t testing.TB, d *disk.Disk) *world {
	w := &world{t: t, keys: u.keys, now: start}
	var err error
	if w.books, err = store.OpenDSN(t.Context(), d.DSN(fuzzedBooks), func() time.Time { return start }); err != nil {
		t.Fatal(err)
	}
	w.in = ingest.New(w.books, u.keys, ingest.Policy{CardReserve: reserve, DailyLimit: 50 * yuan})
	return w
}

// clone returns a copy of the upstream, for one run.
func (u *fuzzed) clone(t *testing.T) *world {
	d := u.disk.Clone()
	t.Cleanup(d.Close)
	w := u.open(t, d)
	t.Cleanup(func() {
		if err := w.books.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// mad writes what no program should.
func mad(c *till, how byte, b []byte) {
	switch how % 3 {
	case 0:
		c.put(b)
	case 1:
		c.append(journal.Carry(journal.Position{Terminal: "C01", Epoch: journal.Epoch{1}, Seq: 1}, b), false)
	case 2:
		e := journal.Entry{Kind: journal.Sighting, Ref: "s", Card: "00000000000000000001", Purse: &journal.Purse{}}
		if json.Valid(b) {
			e.Details = b
		}
		c.append(e, false)
	}
}
