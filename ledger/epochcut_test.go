package ledger

import (
	"fmt"
	"testing"

	"quancun/journal"
	ram "quancun/lab/disk"
)

// TestPowerCutInNewEpoch cuts the power after every operation of a change of
// epoch, in several ways each. The journal is then the old one or the new one,
// whole, with every sale that was acknowledged to the caller.
func TestPowerCutInNewEpoch(t *testing.T) {
	d := ram.New(ram.Options{})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: memory{d}}
	b, err := Open(t.Context(), "/journal.db", o)
	if err != nil {
		t.Fatal(err)
	}
	const sales = 3
	for i := range sales {
		e := sale(fmt.Sprint("S", i))
		if _, err := b.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	old := b.Epoch()
	rec := d.Record()
	if err := b.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	d.Mark(1)
	rec.Stop()
	defer rec.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	states, were := 0, map[bool]int{}
	for s := range rec.States(ram.Choice{Seed: 1, Each: 2, Every: 3}) {
		states++
		o.FS = memory{s.Disk}
		again, err := Open(t.Context(), "/journal.db", o)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		open, err := again.OpenItems(t.Context())
		if err != nil || len(open) != sales {
			t.Errorf("%s: %d sales are open, %v, want %d", s, len(open), err, sales)
		}
		if _, err := again.Verify(t.Context()); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		isOld := again.Epoch() == old
		if were[isOld]++; isOld && s.Acked > 0 {
			t.Errorf("%s: the new epoch was there, and is not", s)
		}
		if err := again.Close(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		s.Disk.Close()
	}
	t.Logf("%d states: %d old, %d new", states, were[true], were[false])
	if were[true] < 20 || were[false] < 5 {
		t.Errorf("%d states with the old journal, %d with the new one; want some of each", were[true], were[false])
	}
}
