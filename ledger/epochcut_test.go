package ledger

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	ram "quancun/lab/disk"
)

// TestPowerCutInNewEpoch cuts the power after every operation of a change of
// epoch, in several ways each. The journal is then the old one or the new one,
// whole, with every sale that was acknowledged to the caller.
func TestPowerCutInNewEpoch(t *testing.T) {
	d := ram.New(ram.Options{Strict: true})
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

// TestPowerCutInMoveOn cuts the power at every moment of a change of files alone, in every way: one
// of the two is then in its place, and if that is the new one the old one is kept, and nothing that
// was deleted before lies beside it.
func TestPowerCutInMoveOn(t *testing.T) {
	d := ram.New(ram.Options{Strict: true})
	defer d.Close()
	const path, kept = "/journal.db", "/journal.1.db"
	for name, content := range map[string]string{path: "old", path + "-wal": "of the old", path + nextSuffix: "new"} {
		if err := d.WriteFile(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	rec := d.Record()
	if err := errors.Join(d.Remove(path+"-wal"), moveOn(memory{d}, path, kept)); err != nil {
		t.Fatal(err)
	}
	d.Mark(1)
	rec.Stop()
	defer rec.Close()
	were := map[string]int{}
	for s := range rec.States(ram.Choice{Seed: 1}) {
		files := memory{s.Disk}
		if err := settleEpoch(files, path); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		there, before := string(must2(readFile(files, path))), string(must2(readFile(files, kept)))
		next, wal := must2(exists(files, path+nextSuffix)), must2(exists(files, path+"-wal"))
		if there != "new" && (there != "old" || s.Acked > 0) || there == "new" && (before != "old" || wal) || next {
			t.Errorf("%s: there is %q, %q is kept, the next one is there: %t, a -wal: %t", s, there, before, next, wal)
		}
		were[there]++
		s.Disk.Close()
	}
	if were["old"] == 0 || were["new"] < 3 {
		t.Errorf("states: %v, want several of each", were)
	}
}

// TestPowerCutInRestore cuts the power everywhere in a restore, in the place of a
// journal of which only SQLite's own files are left. The backup is then there, or
// nothing is and it can be done again; never is half of it, or anything else, and
// what was left is kept. A backup of an older version is brought up to date on the
// way.
func TestPowerCutInRestore(t *testing.T) {
	t.Run("New", func(t *testing.T) { cutInRestore(t, "") })
	t.Run("Old", func(t *testing.T) { cutInRestore(t, v3File) })
}

// cutInRestore restores a file in testdata, or a backup that it makes. In either
// three acts are open.
func cutInRestore(t *testing.T, file string) {
	t.Helper()
	d := ram.New(ram.Options{Strict: true})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: memory{d}}
	b := must2(Open(t.Context(), "/journal.db", o))
	for i := range 3 {
		must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
	}
	if err := b.Backup(t.Context(), "/backup.db"); err != nil {
		t.Fatal(err)
	}
	want := must2(b.Head(t.Context()))
	for i := range 3 { // which the "-wal" alone has
		must2(b.Append(t.Context(), sale(fmt.Sprint("T", i))))
	}
	left := must2(d.ReadFile("/journal.db-wal"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{d.Remove("/journal.db"), d.WriteFile("/journal.db-wal", left)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if file != "" {
		if err := d.WriteFile("/backup.db", must2(os.ReadFile(file))); err != nil {
			t.Fatal(err)
		}
		here := filepath.Join(t.TempDir(), "old.db") // SQLite makes files beside what it reads
		copyFile(t, file, here)
		all := contents(t, here)
		want = journal.Head{Seq: v3Entries, Hash: journal.Hash(all[len(all)-len(journal.Hash{}):])}
	}
	rec := d.Record()
	if err := Restore(t.Context(), "/backup.db", "/journal.db", o); err != nil {
		t.Fatal(err)
	}
	d.Mark(1)
	rec.Stop()
	defer rec.Close()
	if err := Restore(t.Context(), "/backup.db", "/journal.db", o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Restore over a journal = %v, want fs.ErrExist", err)
	}
	were := map[bool]int{}
	for s := range rec.States(ram.Choice{Seed: 1, Each: 4}) {
		o.FS = memory{s.Disk}
		there := must2(exists(o.FS, "/journal.db"))
		if were[there]++; !there && s.Acked > 0 {
			t.Errorf("%s: the journal was restored, and is not there", s)
		}
		if !there {
			if err := Restore(t.Context(), "/backup.db", "/journal.db", o); err != nil {
				t.Errorf("%s: again: %v", s, err)
			}
		}
		again, err := Open(t.Context(), "/journal.db", o)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if h, err := again.HashAt(t.Context(), want.Seq); err != nil || h != want.Hash {
			t.Errorf("%s: entry %d is %x, %v", s, want.Seq, h, err)
		}
		if open, err := again.OpenItems(t.Context()); err != nil || len(open) != 3 {
			t.Errorf("%s: %d sales are open, %v, want 3", s, len(open), err)
		}
		if err := again.Close(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if kept, err := s.Disk.ReadFile("/journal.db.gone-wal"); err != nil || string(kept) != string(left) {
			t.Errorf("%s: of what was left %d bytes are kept, %v", s, len(kept), err)
		}
		s.Disk.Close()
	}
	t.Logf("%d states without a journal, %d with the backup", were[false], were[true])
	if were[true] == 0 || were[false] < 20 {
		t.Errorf("%d states without a journal, %d with it; want some of each", were[false], were[true])
	}
}

// TestPowerCutInRecover cuts the power everywhere while a journal is put together
// from what is left of it, a damaged file or none, and from its mirror. It is
// then done, or can be done again, and nothing is missing.
func TestPowerCutInRecover(t *testing.T) {
	for name, harm := range map[string]func(*ram.Disk) error{
		"DiskLost":    func(d *ram.Disk) error { return d.Remove("/journal.db") },
		"PageDamaged": func(d *ram.Disk) error { return d.Flip("/journal.db", 3*4096+9, 0xFF) },
		"HeadDamaged": func(d *ram.Disk) error { return d.Flip("/journal.db", 5, 0xFF) },
	} {
		t.Run(name, func(t *testing.T) {
			d := ram.New(ram.Options{Strict: true})
			defer d.Close()
			o := Options{Terminal: "K01", Key: key, FS: memory{d}, Mirror: "/card/mirror"}
			const sales = 5
			b := must2(Open(t.Context(), "/journal.db", o))
			for i := range sales {
				must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
			}
			reflected(t, b)
			if err := errors.Join(b.Close(), harm(d)); err != nil {
				t.Fatal(err)
			}
			rec := d.Record()
			if _, err := Recover(t.Context(), "/journal.db", o); err != nil {
				t.Fatal(err)
			}
			d.Mark(1)
			rec.Stop()
			defer rec.Close()
			states, again := 0, 0
			for s := range rec.States(ram.Choice{Seed: 1, Each: 2, Every: 9}) {
				states++
				o.FS = memory{s.Disk}
				whole, err := Open(t.Context(), "/journal.db", o)
				if err != nil && s.Acked > 0 {
					t.Fatalf("%s: %v, and it was recovered", s, err)
				}
				if err != nil {
					again++
					if _, err := Recover(t.Context(), "/journal.db", o); err != nil {
						t.Fatalf("%s: again: %v", s, err)
					}
					whole = must2(Open(t.Context(), "/journal.db", o))
				}
				if open, err := whole.OpenItems(t.Context()); err != nil || len(open) != sales {
					t.Errorf("%s: %d sales are open, %v, want %d", s, len(open), err, sales)
				}
				if _, err := whole.Verify(t.Context()); err != nil {
					t.Errorf("%s: %v", s, err)
				}
				if err := whole.Close(); err != nil {
					t.Errorf("%s: %v", s, err)
				}
				s.Disk.Close()
			}
			t.Logf("%d states, %d had to be recovered again", states, again)
			if states < 40 || again < 10 {
				t.Errorf("%d states, %d had to be recovered again; want many", states, again)
			}
		})
	}
}

// TestPowerCutInRetire cuts the power everywhere while a journal is put aside of which
// some is only in its "-wal". It is then there, or aside, with every entry, and never
// is its mirror there without it; another key begins a journal in its place.
func TestPowerCutInRetire(t *testing.T) {
	d := ram.New(ram.Options{Strict: true})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: memory{d}, Mirror: "/card/mirror"}
	b := must2(Open(t.Context(), "/journal.db", o))
	for i := range 3 {
		must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
	}
	reflected(t, b)
	want, kept := must2(b.Head(t.Context())), oldName("/journal.db", b.Epoch().String())
	left := map[string][]byte{}
	for _, name := range []string{"/journal.db", "/journal.db-wal", o.Mirror} {
		left[name] = must2(d.ReadFile(name))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range left { // as the program's death leaves them
		if err := d.WriteFile(name, content); err != nil {
			t.Fatal(err)
		}
	}
	rec := d.Record()
	if path, err := Retire(t.Context(), "/journal.db", o, func(string) error { return nil }); err != nil || path != kept {
		t.Fatalf("Retire = %q, %v, want %q", path, err, kept)
	}
	d.Mark(1)
	rec.Stop()
	defer rec.Close()
	were := map[bool]int{}
	for s := range rec.States(ram.Choice{Seed: 1, Each: 4}) {
		o := o
		o.FS = memory{s.Disk}
		there, mirror := must2(exists(o.FS, "/journal.db")), must2(exists(o.FS, o.Mirror))
		if were[there]++; there && s.Acked > 0 || mirror && !there {
			t.Errorf("%s: the journal is there: %t, its mirror: %t", s, there, mirror)
		}
		if _, err := Retire(t.Context(), "/journal.db", o, func(string) error { return nil }); err != nil {
			t.Fatalf("%s: again: %v", s, err)
		}
		o.Key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
		next, err := Open(t.Context(), "/journal.db", o)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if err := next.Close(); err != nil || next.Epoch() == want.Epoch {
			t.Errorf("%s: the next journal is of epoch %s, %v", s, next.Epoch(), err)
		}
		old := must2(Open(t.Context(), kept, Options{Terminal: "K01", Key: key, FS: o.FS}))
		if h, err := old.HashAt(t.Context(), want.Seq); err != nil || h != want.Hash {
			t.Errorf("%s: entry %d of the old journal: %x, %v", s, want.Seq, h, err)
		}
		if err := old.Close(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		s.Disk.Close()
	}
	t.Logf("%d states with the journal there, %d with it aside", were[true], were[false])
	if were[true] < 10 || were[false] == 0 {
		t.Errorf("%d states with the journal there, %d with it aside; want some of each", were[true], were[false])
	}
}

// reflected waits until the mirror has all that the journal has.
func reflected(t testing.TB, b *Book) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Microsecond) {
		switch h := b.MirrorHealth(); {
		case h.Err == nil && h.Behind == 0:
			return
		case time.Now().After(end):
			t.Fatalf("mirror %+v", h)
		}
	}
}

// TestPowerCutInMirror cuts the power everywhere while a mirror is written, and
// written anew for a new epoch, and has the journal's disk die with it. What the
// mirror was known to have is recovered from it alone.
func TestPowerCutInMirror(t *testing.T) {
	d := ram.New(ram.Options{Strict: true})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: memory{d}, Mirror: "/card/mirror"}
	b := must2(Open(t.Context(), "/journal.db", o))
	rec := d.Record()
	const sales = 8
	for i := range sales {
		if i == sales/2 {
			if err := b.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
				t.Fatal(err)
			}
		}
		must2(b.Append(t.Context(), sale(fmt.Sprint("S", i))))
		reflected(t, b)
		d.Mark(i + 1)
	}
	rec.Stop()
	defer rec.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	states := 0
	for s := range rec.States(ram.Choice{Seed: 1, Each: 2, Every: 12}) {
		for _, path := range s.Disk.Files() {
			if path != o.Mirror {
				if err := s.Disk.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		if states++; s.Acked == 0 {
			s.Disk.Close()
			continue // there may be no mirror yet
		}
		o.FS = memory{s.Disk}
		if _, err := Recover(t.Context(), "/journal.db", o); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		again := must2(Open(t.Context(), "/journal.db", o))
		if open, err := again.OpenItems(t.Context()); err != nil || len(open) < s.Acked {
			t.Errorf("%s: %d sales are open, %v", s, len(open), err)
		}
		if err := again.Close(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		s.Disk.Close()
	}
	t.Logf("%d states", states)
	if states < 40 {
		t.Errorf("%d states, want 40", states)
	}
}

// unnamed refuses to give a file the mirror's name.
type unnamed struct{ FS }

func (u unnamed) Rename(from, to string) error {
	if strings.HasSuffix(to, "mirror") {
		return errors.New("renamed nothing")
	}
	return u.FS.Rename(from, to)
}

// TestMirrorWithoutItsName has every entry written to the medium, but under a
// name that nobody will look for: the mirror may claim none of them.
func TestMirrorWithoutItsName(t *testing.T) {
	d := ram.New(ram.Options{Strict: true})
	defer d.Close()
	o := Options{Terminal: "K01", Key: key, FS: unnamed{memory{d}}, Mirror: "/card/mirror"}
	b := must2(Open(t.Context(), "/journal.db", o))
	defer b.Close()
	must2(b.Append(t.Context(), sale("S1")))
	for end := time.Now().Add(time.Minute); b.MirrorHealth().Err == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the mirror does not tell of its failure")
		}
	}
	if h := b.MirrorHealth(); h.Behind != 2 {
		t.Errorf("mirror %+v, want the opening of the journal and the sale behind", h)
	}
}

// TestHoldAfterCut: a power cut has ended a change of epoch between its two renames. Who
// holds the journal's lock finds it where it belongs, and what it has not sent.
func TestHoldAfterCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	b := must2(Open(t.Context(), path, plain))
	must2(b.Append(t.Context(), sale("S1")))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+nextSuffix); err != nil {
		t.Fatal(err)
	}
	held := must2(Hold(path))
	w, _, err := WaitingFile(t.Context(), path)
	if err != nil || w.Count < 2 {
		t.Errorf("%d entries wait, %v; want the start and a sale", w.Count, err)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
}
