package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/journal"
	ram "quancun/lab/disk"
	"quancun/money"
)

// memory is a disk in memory as a journal's file system.
type memory struct{ *ram.Disk }

func (m memory) Open(path string, flag int) (File, error) {
	f, err := m.Disk.Open(path, flag)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m memory) Lock(path string) (io.Closer, error) {
	held, err := m.Disk.Lock(path)
	if errors.Is(err, ram.ErrLocked) {
		return nil, ErrLocked
	}
	return held, err
}

// model is what a Book should be, as plain Go that keeps nothing on a disk.
type model struct {
	items    map[string]*modelItem
	balances map[journal.Account]money.Fen
	acked    int64
}

type modelItem struct {
	first      journal.Entry
	doubt, end *journal.Entry
}

func (m *model) open() (refs []string) {
	for ref, i := range m.items {
		if i.first.Kind.IsIntent() && i.end == nil {
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	return refs
}

// wants returns what Append should say to e: an error, or that it was said
// before.
func (m *model) wants(e journal.Entry) (again bool, want error) {
	i := m.items[e.Ref]
	begins := e.Kind == journal.SaleIntent || e.Kind == journal.CodeSale
	switch {
	case begins && i == nil:
		return false, nil
	case begins && i.first.Kind == e.Kind && i.first.Amount == e.Amount:
		return true, nil
	case begins:
		return false, ErrConflict
	case i == nil || i.first.Kind != journal.SaleIntent:
		return false, ErrNoIntent
	case e.Kind == journal.SaleDoubt && i.doubt != nil:
		return true, nil
	case i.end != nil && i.end.Kind == e.Kind && i.end.Outcome == e.Outcome:
		return true, nil
	case i.end != nil:
		return false, ErrResolved
	}
	return false, nil
}

// wrote takes over what was written.
func (m *model) wrote(e journal.Entry) {
	from, to := journal.Holder, journal.MerchantAccount("M1")
	i := m.items[e.Ref]
	switch e.Kind {
	case journal.SaleIntent, journal.CodeSale:
		m.items[e.Ref] = &modelItem{first: e}
		if e.Kind == journal.SaleIntent {
			return
		}
	case journal.SaleDoubt:
		i.doubt, to = &e, journal.SuspenseAccount("K01")
	case journal.SaleEnd:
		if i.doubt != nil {
			from = journal.SuspenseAccount("K01")
		}
		if i.end = &e; !e.Outcome.Happened() {
			to = journal.Holder
		}
	}
	m.balances[from] -= e.Amount
	m.balances[to] += e.Amount
}

// TestModel lives through random histories of few references, so that they
// collide all the time, with restarts, acknowledgements and new epochs, and
// compares the Book with the model after each step.
func TestModel(t *testing.T) {
	reached := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		d := ram.New(ram.Options{})
		defer d.Close()
		wall := noon
		o := Options{Terminal: "K01", Key: key, FS: memory{d}, Now: func() time.Time { return wall }}
		b, err := Open(t.Context(), "/journal.db", o)
		if err != nil {
			r.Fatal(err)
		}
		defer func() { b.Close() }()
		m := &model{items: map[string]*modelItem{}, balances: map[journal.Account]money.Fen{}}
		for range rapid.IntRange(30, 60).Draw(r, "steps") {
			wall = wall.Add(time.Duration(rapid.IntRange(-3000, 8000).Draw(r, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 11).Draw(r, "act") {
			case 0:
				if err := b.Close(); err != nil {
					r.Fatal(err)
				}
				if b, err = Open(t.Context(), "/journal.db", o); err != nil {
					r.Fatal(err)
				}
				for _, ref := range m.open() {
					if i := m.items[ref]; i.doubt == nil {
						m.wrote(journal.Entry{Kind: journal.SaleDoubt, Ref: ref, Amount: i.first.Amount})
					}
				}
				reached["restart"]++
			case 1:
				batch := must2(b.Batch(t.Context(), m.acked+1, journal.BatchMax))
				if n := len(batch.Bodies); n > 0 {
					m.acked += int64(n)
					head := journal.Head{Epoch: batch.Epoch, Seq: m.acked, Hash: journal.HashOf(batch.Bodies[n-1])}
					if err := b.Acknowledge(t.Context(), journal.Ack{Head: head, Note: batch.Note}); err != nil {
						r.Fatal(err)
					}
					reached["acknowledged"]++
				}
			case 2:
				if err := b.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
					r.Fatal(err)
				}
				// What had ended and was acknowledged is not carried over.
				for ref := range m.items {
					if _, err := b.Get(t.Context(), ref); errors.Is(err, ErrNotFound) {
						if slices.Contains(m.open(), ref) {
							r.Fatalf("%s was open, and is gone", ref)
						}
						delete(m.items, ref)
					}
				}
				m.acked = 0
				reached["epoch"]++
			default:
				reached[step(t, r, b, m)]++
			}
			agree(t, r, b, m)
		}
		if _, err := b.Verify(t.Context()); err != nil {
			r.Fatal(err)
		}
	})
	for _, branch := range []string{
		"new", "again", "restart", "acknowledged", "epoch",
		ErrConflict.Error(), ErrNoIntent.Error(), ErrResolved.Error(),
	} {
		if reached[branch] < 10 {
			t.Errorf("%q was reached %d times, want 10 at least", branch, reached[branch])
		}
	}
}

// step says one random thing to both, and names the branch it took.
func step(t *testing.T, r *rapid.T, b *Book, m *model) string {
	e := journal.Entry{Ref: fmt.Sprint("R", rapid.IntRange(0, 2).Draw(r, "ref"))}
	e.Kind = rapid.SampledFrom([]journal.Kind{
		journal.SaleIntent, journal.SaleEnd, journal.SaleEnd, journal.SaleEnd, journal.SaleDoubt, journal.CodeSale,
	}).Draw(r, "kind")
	switch e.Kind {
	case journal.SaleEnd:
		e.Outcome = rapid.SampledFrom([]journal.Outcome{journal.Written, journal.ElsewhereNot}).Draw(r, "outcome")
	case journal.SaleIntent, journal.CodeSale:
		e.Card, e.Merchant, e.Amount = "1001", "M1", money.Fen(rapid.IntRange(500, 501).Draw(r, "amount"))
	}
	again, want := m.wants(e)
	before := must2(b.Head(t.Context()))
	got, err := b.Append(t.Context(), e)
	after := must2(b.Head(t.Context()))
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		r.Fatalf("Append(%+v) = %v, want %v", e, err, want)
	}
	switch {
	case want != nil || again:
		if after != before {
			r.Fatalf("Append(%+v) has written, and should not have", e)
		}
		if again {
			return "again"
		}
		return want.Error()
	case got.Seq != after.Seq || got.Seq <= before.Seq:
		r.Fatalf("Append(%+v) = entry %d, the journal went from %d to %d", e, got.Seq, before.Seq, after.Seq)
	}
	m.wrote(got)
	return "new"
}

// agree compares everything that can be asked.
func agree(t *testing.T, r *rapid.T, b *Book, m *model) {
	var open []string
	for _, e := range must2(b.OpenItems(t.Context())) {
		open = append(open, e.Ref)
	}
	if slices.Sort(open); !slices.Equal(open, m.open()) {
		r.Fatalf("open %v, want %v", open, m.open())
	}
	for account, want := range m.balances {
		if got := must2(b.Balance(t.Context(), account)); got != want {
			r.Fatalf("%s has %s, want %s", account, got, want)
		}
	}
	w := must2(b.Waiting(t.Context()))
	if w.Acked.Seq != m.acked || w.Count != must2(b.Head(t.Context())).Seq-m.acked {
		r.Fatalf("Waiting = %+v, want what is after %d", w, m.acked)
	}
	var anew Waiting
	err := b.read(t.Context(), "add up", func(q querier) (err error) {
		anew, err = new(waitingSum).read(t.Context(), q, b.o.Now())
		return err
	})
	if err != nil || anew != w {
		r.Fatalf("Waiting = %+v, and added up anew %+v, %v", w, anew, err)
	}
}

// FuzzMirror reads what no terminal has written.
func FuzzMirror(f *testing.F) {
	whole := append(item([]byte(mirrorMagic), []byte("K01")), 1, 2, 3, 4, 5, 6, 7, 8)
	whole = append(whole, make([]byte, 40)...)
	f.Add(whole)
	e := journal.Entry{Terminal: "K01", Seq: 1, At: noon, Kind: journal.Started}
	body := e.Encode(journal.Hash{})
	hash := journal.HashOf(body)
	f.Add(append(item(whole, body), hash[:]...))
	f.Add([]byte(mirrorMagic + "\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, content []byte) {
		m := parseMirror(content)
		if m == nil {
			return
		}
		for i, r := range m.rows {
			if journal.HashOf(r.body) != r.hash || !bytes.Contains(content, r.body) || i > 0 && r.Seq <= m.rows[i-1].Seq ||
				i > 0 && r.Seq == m.rows[i-1].Seq+1 && r.prev != m.rows[i-1].hash {
				t.Errorf("entry %d is not what is in the file", r.Seq)
			}
		}
	})
}
