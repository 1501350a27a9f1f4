package ledger

import (
	"fmt"
	"testing"

	ram "quancun/lab/disk"
)

// TestPowerCutInMend cuts the power everywhere while a journal is recovered whose
// "-wal" is damaged in its middle, with a mirror and without: while that file is
// put aside, mended, played into the journal's, and read. It is then done, or can
// be done again, and what could be saved without a cut is saved with one.
func TestPowerCutInMend(t *testing.T) {
	t.Parallel()
	const sales = 12
	d := ram.New(ram.Options{})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: memory{d}, Mirror: "/card/mirror"}
	b := must2(Open(t.Context(), "/journal.db", o))
	for i := range sales {
		must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
	}
	reflected(t, b)
	all := make([]ram.Fate, len(d.Pending()))
	for i := range all {
		all[i] = ram.Kept
	}
	left := d.After(all) // as the power cut leaves it
	defer left.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	size := int(must2(left.Size("/journal.db-wal")))
	for name, at := range map[string]int{"Head": 9, "Early": size / 5, "Late": size * 3 / 4} {
		for _, mirror := range []string{"", o.Mirror} {
			t.Run(name+mirror, func(t *testing.T) {
				d := left.Clone()
				defer d.Close()
				if err := d.Flip("/journal.db-wal", int64(at), 0x10); err != nil { // and is on the disk
					t.Fatal(err)
				}
				o := o
				o.Mirror = mirror
				cutInMend(t, d, o, sales)
			})
		}
	}
}

// cutInMend recovers the journal on d, then as a cut at each moment leaves it.
func cutInMend(t *testing.T, d *ram.Disk, o Options, sales int) {
	t.Helper()
	o.FS = memory{d}
	damaged := must2(d.ReadFile("/journal.db-wal"))
	rec := d.Record()
	r, err := Recover(t.Context(), "/journal.db", o)
	if err != nil {
		t.Fatal(err)
	}
	d.Mark(1)
	rec.Stop()
	defer rec.Close()
	want := saved(t, o)
	if want < sales-1 || o.Mirror != "" && want != sales {
		t.Errorf("%d sales of %d are saved", want, sales)
	}
	states, again := 0, 0
	for s := range rec.States(ram.Choice{Seed: 1, Each: 2, Every: 29}) {
		states++
		o.FS = memory{s.Disk}
		b, err := Open(t.Context(), "/journal.db", o)
		switch {
		case err == nil:
			if err := b.Close(); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		case s.Acked > 0:
			t.Fatalf("%s: %v, and it was recovered", s, err)
		default:
			again++
			if _, err := Recover(t.Context(), "/journal.db", o); err != nil {
				t.Fatalf("%s: again: %v", s, err)
			}
		}
		if got := saved(t, o); got != want {
			t.Errorf("%s: %d sales are saved, want %d", s, got, want)
		}
		kept, err := s.Disk.ReadFile(damagedName("/journal.db", r.Epoch) + damagedWAL)
		if err != nil || string(kept) != string(damaged) {
			t.Errorf("%s: of what was damaged %d bytes are kept, %v", s, len(kept), err)
		}
		s.Disk.Close()
	}
	t.Logf("%d states, %d had to be recovered again", states, again)
	if states < 40 || again < 10 {
		t.Errorf("%d states, %d had to be recovered again; want many", states, again)
	}
}

// saved returns how many sales are open in a journal that is whole.
func saved(t *testing.T, o Options) int {
	t.Helper()
	b, err := Open(t.Context(), "/journal.db", o)
	if err != nil {
		t.Fatal(err)
	}
	open, err := b.OpenItems(t.Context())
	if err != nil {
		t.Error(err)
	}
	if r, err := b.Verify(t.Context()); err != nil {
		t.Errorf("%v: %v", err, r.Problems)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	return len(open)
}
