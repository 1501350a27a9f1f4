package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quancun/journal"
	"quancun/money"
)

// TestNewEpoch opens a new epoch while one sale is open that upstream knows
// of, one load is in doubt, and some sales have not been acknowledged.
func TestNewEpoch(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	var upstream journal.Frontier
	l.append(t, journal.Entry{Kind: journal.CashIn, Ref: "C1", Amount: 300})
	l.append(t, sale("S1"))
	l.append(t, load("L1"))
	l.append(t, end(journal.LoadDoubt, "L1", 0))
	l.append(t, topUp("T1"))
	l.append(t, end(journal.TopUpEnd, "T1", journal.Paid))
	l.append(t, sale("S2"))
	if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	agreed := must2(l.Acked(ctx))
	l.append(t, end(journal.SaleDoubt, "S1", 0))
	l.append(t, end(journal.SaleEnd, "S2", journal.Written))
	l.append(t, sale("S3"))
	last := l.append(t, end(journal.SaleEnd, "S3", journal.Written))
	old, openBefore := must2(l.Head(ctx)), must2(l.OpenItems(ctx))
	balances := balancesOf(t, l)

	must2(l.Waiting(ctx))
	foreign := journal.Head{Epoch: journal.Epoch{1}, Seq: 1}
	if err := l.NewEpoch(ctx, journal.ReasonRewound, foreign); !errors.Is(err, ErrNotFound) || l.Epoch() != old.Epoch {
		t.Errorf("NewEpoch after a journal that never was = %v, epoch %s, want ErrNotFound and %s", err, l.Epoch(), old.Epoch)
	}
	if err := l.NewEpoch(ctx, journal.ReasonRewound, journal.Head{Epoch: old.Epoch, Seq: 99}); err != nil {
		t.Fatalf("NewEpoch: %v", err)
	}
	if l.Epoch() == old.Epoch {
		t.Error("the epoch is the same")
	}
	if nobody := openUnder(t, l.path+nextSuffix); len(nobody) > 0 {
		t.Errorf("after the change %q are open", nobody)
	}
	all := must2(l.Since(ctx, 1, 100))
	opening, err := all[0].Opening()
	if err != nil || opening.Epoch != old.Epoch || opening.Head != last.Seq || opening.Theirs != 99 ||
		opening.Reason != journal.ReasonRewound || all[0].Origin != (journal.Position{Terminal: "K01", Epoch: old.Epoch, Seq: 8}) {
		t.Errorf("opening = %+v, %v of %s", opening, err, all[0].Origin)
	}
	if opening.Agreed != journal.Hex(agreed.Hash) || !all[0].At.After(last.At) {
		t.Errorf("opened at %s after %s, agreed %s, want %s", all[0].At, last.At, opening.Agreed, journal.Hex(agreed.Hash))
	}
	var carried []int64
	for _, e := range all[1:] {
		inner, err := e.Inner()
		if err != nil || inner.Epoch != old.Epoch {
			t.Errorf("carried %+v, %v", inner, err)
		}
		carried = append(carried, inner.Seq)
	}
	// S1's and L1's beginnings since they are open, S2's since its end is news.
	if want := []int64{3, 4, 5, 8, 9, 10, 11, 12}; !slices.Equal(carried, want) {
		t.Errorf("carried over %v, want %v", carried, want)
	}
	if got := balancesOf(t, l); !reflect.DeepEqual(got, balances) {
		t.Errorf("balances %v, want %v", got, balances)
	}
	if got := must2(l.OpenItems(ctx)); !reflect.DeepEqual(got, openBefore) {
		t.Errorf("open items\n%+v, want\n%+v", got, openBefore)
	}
	if again := l.append(t, sale("S3")); again.Position() != last.Position() && again.Seq != last.Seq-1 {
		t.Errorf("S3 is written again as %s", again.Position())
	}
	ended := l.append(t, end(journal.SaleEnd, "S1", journal.NotWritten))
	if !ended.Doubted() || ended.Seq != 10 {
		t.Errorf("end of S1 = %+v, want entry 10 out of suspense", ended)
	}
	w := must2(l.Waiting(ctx))
	if anew := must2(new(waitingSum).read(ctx, l.s.conn, l.wall)); w != anew {
		t.Errorf("waiting = %+v, want %+v, as if nobody had asked before", w, anew)
	}
	if w.Acked.Seq != 0 || w.Count != 10 {
		t.Errorf("Waiting = %+v, want all 10", w)
	}

	// The old journal is there as it was, and nothing beside it.
	file := filepath.Join(filepath.Dir(l.path), "journal."+old.Epoch.String()+".db")
	if r, err := VerifyFile(ctx, file, Trust{}); err != nil || r.Head != old {
		t.Errorf("old journal: %+v, %v, want its head %+v", r, err, old)
	}
	for _, ending := range append(besides, nextSuffix) {
		if _, err := os.Stat(file + ending); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", file+ending, err)
		}
	}
	l.restart(t)

	// And again, before upstream has taken anything of it: what was carried over
	// keeps the place that it had first.
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatalf("second NewEpoch: %v", err)
	}
	again := must2(l.Since(ctx, 1, 100))
	if again[0].Origin != (journal.Position{}) {
		t.Errorf("nothing was agreed, and the origin is %s", again[0].Origin)
	}
	for i, e := range all[1:] {
		if again[2+i].Origin != e.Origin {
			t.Errorf("entry %d is that of %s, want %s", i, again[2+i].Origin, e.Origin)
		}
	}
	l.append(t, end(journal.LoadEnd, "L1", journal.Written))
	if got := must2(l.OpenItems(ctx)); len(got) != 0 {
		t.Errorf("open items %+v, want none", got)
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func balancesOf(t testing.TB, l *lab) map[journal.Account]money.Fen {
	t.Helper()
	all := map[journal.Account]money.Fen{}
	for _, a := range []journal.Account{
		journal.Holder, journal.MerchantAccount("M1"), journal.SuspenseAccount("K01"), journal.TillAccount("K01"), journal.Safe,
	} {
		all[a] = must2(l.Balance(t.Context(), a))
	}
	return all
}

// TestNewEpochAfterStep opens a new epoch on a machine whose clock has been set
// back a day since the last entry: the journal begins with its opening all the
// same, and the next entry tells of the step.
func TestNewEpochAfterStep(t *testing.T) {
	l := newLab(t)
	l.append(t, sale("S1"))
	l.wall = l.wall.Add(-24 * time.Hour)
	head := must2(l.Head(t.Context()))
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, head); err != nil {
		t.Fatalf("NewEpoch: %v", err)
	}
	l.append(t, sale("S2"))
	var kinds []journal.Kind
	for _, e := range must2(l.Since(t.Context(), 1, 100)) {
		kinds = append(kinds, e.Kind)
	}
	want := []journal.Kind{journal.EpochOpened, journal.Carried, journal.Carried, journal.ClockStep, journal.SaleIntent}
	if !slices.Equal(kinds, want) {
		t.Errorf("journal of %v, want %v", kinds, want)
	}
}

// TestNewEpochWhileRead: a process that is reading the journal keeps it from
// being moved, and nothing else happens.
func TestNewEpochWhileRead(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.append(t, sale("S1"))
	db := openDB(dsn(system{}, l.path, "mode=ro"), nil)
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		_, err = tailOf(ctx, tx)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := must2(l.Head(ctx))
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err == nil || errors.Is(err, ErrFailed) {
		t.Errorf("NewEpoch = %v, want an error after which it goes on", err)
	}
	if got := must2(l.Head(ctx)); got != before {
		t.Errorf("head %+v, want %+v", got, before)
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
		t.Errorf("NewEpoch: %v", err)
	}
	l.append(t, sale("S2"))
}

// TestNewEpochWhileAudited: an audit, which a long journal takes a while for, keeps the
// journal from being moved, and nobody from selling meanwhile.
func TestNewEpochWhileAudited(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	reads, over, ended := make(chan bool), make(chan bool), make(chan error)
	go func() {
		ended <- l.read(ctx, "audit", func(querier) error { close(reads); <-over; return nil })
	}()
	<-reads
	opened := make(chan error, 1)
	go func() { opened <- l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}) }()
	time.Sleep(100 * time.Millisecond) // it has its turn by then
	soon, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	if _, err := l.Append(soon, sale("S1")); err != nil {
		t.Errorf("Append: %v", err)
	}
	close(over)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("NewEpoch: %v", err)
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
}

// TestRestore restores a backup, and meets an upstream that knows more.
func TestRestore(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	backup := filepath.Join(t.TempDir(), "backup.db")
	l.append(t, sale("S1"))
	for range 2 { // the second takes the place of the first
		if err := l.Backup(ctx, backup); err != nil {
			t.Fatalf("Backup: %v", err)
		}
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	theirs := must2(l.Head(ctx))
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(l.path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{l.path, link} {
		if err := Restore(ctx, backup, path, Options{}); !errors.Is(err, ErrLocked) {
			t.Errorf("Restore over a journal at work, %s = %v, want ErrLocked", path, err)
		}
	}
	restored := labAt(filepath.Join(t.TempDir(), "journal.db"))
	if err := Restore(ctx, backup, restored.path, Options{Key: key}); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	restored.pass(time.Hour)
	restored.open(t) // entries 3 and 4: the start, and the doubt of S1
	defer func() { restored.Close() }()
	restored.append(t, sale("S2"))
	ours := must2(restored.Head(ctx))
	at := must(t, restored.HashAt)(ctx, theirs.Seq)
	if got := journal.Compare(ours, theirs, at); ours.Epoch != theirs.Epoch || got != journal.Forked {
		t.Errorf("it stands %d to upstream's, want forked", got)
	}
	if err := restored.NewEpoch(ctx, journal.ReasonForked, theirs); err != nil {
		t.Fatal(err)
	}
	if open := must2(restored.OpenItems(ctx)); len(open) != 2 {
		t.Errorf("open %+v, want S1 and S2", open)
	}
}

// TestRestoreOfItself: the power has failed in a restore, and who finds what it was
// making gives that as the backup. It may be the only one that is left.
func TestRestoreOfItself(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	l.append(t, sale("S1"))
	from := l.path + ".restored"
	if err := errors.Join(l.Close(), BackupFile(ctx, l.path, from), os.Remove(l.path)); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, from, l.path, l.o); !errors.Is(err, os.ErrExist) {
		t.Errorf("Restore = %v, want that it has another name first", err)
	}
	if _, err := VerifyFile(ctx, from, Trust{}); err != nil {
		t.Errorf("the backup: %v", err)
	}
}

// TestRestoreOfOtherKeys: the backup of a machine that has died, with its keys, comes into
// the machine in its place. Nothing of it proves itself by the new keys; what upstream does
// not have of it is carried over into a journal that does.
func TestRestoreOfOtherKeys(t *testing.T) {
	l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
	l.open(t)
	l.append(t, sale("S1"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	next := labAt(filepath.Join(t.TempDir(), "journal.db"))
	next.o.Key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, ed25519.SeedSize))
	if err := Restore(ctx, l.path, next.path, next.o); !errors.Is(err, ErrTampered) {
		t.Errorf("Restore after enrolling = %v, want ErrTampered", err)
	}
	if err := Restore(ctx, l.path, next.path, Options{}); err != nil {
		t.Fatal(err)
	}
	if r, err := Recover(ctx, next.path, next.o); err != nil || r.Carried != 2 {
		t.Errorf("Recover = %+v, %v, want the start and S1 carried over", r, err)
	}
	next.open(t)
	defer func() { next.Close() }()
	if open := must2(next.OpenItems(ctx)); len(open) != 1 || open[0].Ref != "S1" {
		t.Errorf("open %+v, want S1", open)
	}
}

// TestRestoreInChange: the power fails in the middle of a change of epoch, when neither
// journal is in its place, and a person takes that for a journal that is gone. The backup
// does not take the place of the newer one.
func TestRestoreInChange(t *testing.T) {
	l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
	l.open(t)
	defer func() { l.Close() }()
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := l.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	l.append(t, sale("S1"))
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	epoch := l.Epoch()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(l.path, l.path+nextSuffix); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, backup, l.path, l.o); !errors.Is(err, os.ErrExist) {
		t.Errorf("Restore = %v, want that there is a journal", err)
	}
	l.open(t)
	if open := must2(l.OpenItems(ctx)); l.Epoch() != epoch || len(open) != 1 {
		t.Errorf("epoch %s with %+v open, want %s with S1", l.Epoch(), open, epoch)
	}
}

// TestBackupOntoItself: a person names the journal itself as where its copy goes. What is
// written then would go into a file that is in no folder any more.
func TestBackupOntoItself(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	before := must2(os.Stat(l.path))
	if err := l.Backup(ctx, l.path); !errors.Is(err, os.ErrExist) {
		t.Errorf("Backup = %v, want that there is a journal", err)
	}
	if err := BackupFile(ctx, l.path, filepath.Join(filepath.Dir(l.path), ".", "journal.db")); !errors.Is(err, os.ErrExist) {
		t.Errorf("BackupFile = %v, want that there is a journal", err)
	}
	if !os.SameFile(before, must2(os.Stat(l.path))) {
		t.Error("another file is in the journal's place")
	}
}

// TestBackupFull: a copy that the disk has no room for leaves none of it taken.
func TestBackupFull(t *testing.T) {
	l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
	l.o.FS = noRoomFor{system{}, ".part"}
	l.open(t)
	defer func() { l.Close() }()
	if err := l.Backup(ctx, filepath.Join(t.TempDir(), "backup.db")); !errors.Is(err, ErrFull) {
		t.Errorf("Backup = %v, want ErrFull", err)
	}
	if err := l.Backup(ctx, l.path+".copy"); !errors.Is(err, ErrFull) {
		t.Errorf("Backup = %v, want ErrFull", err)
	}
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); !errors.Is(err, ErrFull) {
		t.Errorf("NewEpoch = %v, want ErrFull", err)
	}
	l.append(t, sale("S1"))
	if left := must2(filepath.Glob(l.path + "*.part*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// noRoomFor is a file system that finds out at the sync that it has no room for files
// with an ending.
type noRoomFor struct {
	FS
	ending string
}

func (f noRoomFor) Open(path string, flag int) (File, error) {
	file, err := f.FS.Open(path, flag)
	if err == nil && strings.HasSuffix(path, f.ending) {
		return noRoom{file}, nil
	}
	return file, err
}

type noRoom struct{ File }

func (noRoom) Sync() error { return unix.ENOSPC }

// TestMirror keeps a mirror while upstream acknowledges and epochs change, and
// recovers from it.
func TestMirror(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.Book, l.o.Mirror = nil, filepath.Join(t.TempDir(), "mirror")
	l.open(t)
	defer func() { l.Close() }()
	ctx := t.Context()
	var upstream journal.Frontier
	l.append(t, sale("S1"))
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	mirrored(t, l) // with what is acknowledged now, so that it is carried as well
	if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	l.append(t, sale("S2"))
	l.append(t, end(journal.SaleDoubt, "S2", 0))
	l.append(t, load("L1"))
	mirrored(t, l)
	epoch := l.Epoch()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ending := range append(besides, "") {
		discard(system{}, l.path+ending)
	}

	if _, err := Open(ctx, l.path, l.o); !errors.Is(err, ErrLost) {
		t.Fatalf("Open without the journal = %v, want ErrLost", err)
	}
	if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Open has made a journal all the same: %v", err)
	}
	l.pass(time.Minute)
	r, err := Recover(ctx, l.path, l.o)
	if err != nil || r.Epoch != epoch || r.Journal != 0 || r.Mirror != 6 || r.Carried != 6 {
		t.Fatalf("Recover = %+v, %v, want the 6 entries of the mirror", r, err)
	}
	if _, err := Recover(ctx, l.path, l.o); !errors.Is(err, ErrNotFound) {
		t.Errorf("second Recover = %v, want ErrNotFound", err)
	}
	l.open(t)
	if open := must2(l.OpenItems(ctx)); len(open) != 2 || open[0].Ref != "S2" || open[1].Ref != "L1" {
		t.Errorf("open %+v, want S2 and L1", open)
	}
	mirrored(t, l)
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	mirrored(t, l)
	l.restart(t)
	mirrored(t, l)
}

// TestMirrorShrinks: a mirror that has become large in the dark is written anew when upstream
// has what is in it, and does not wait for the next sale, which may come after the night.
func TestMirrorShrinks(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror, l.o.Sentinel = filepath.Join(t.TempDir(), "mirror"), false
	l.open(t)
	defer func() { l.Close() }()
	for n := range mirrorWaste / 100 { // which are longer than that
		l.append(t, sale(fmt.Sprintf("S%04d", n)))
	}
	mirrored(t, l)
	large := must2(os.Stat(l.o.Mirror)).Size()
	if large < 3*mirrorWaste/2 {
		t.Fatalf("%d bytes, want %d at least", large, 3*mirrorWaste/2)
	}
	var upstream journal.Frontier
	for head := must2(l.Head(t.Context())); upstream.Size < head.Seq; {
		ack := takes(t, &upstream, batchFrom(t, l, upstream.Size+1))
		if err := l.Acknowledge(t.Context(), ack); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for size := large; size > large/2; size = must2(os.Stat(l.o.Mirror)).Size() {
		if time.Now().After(deadline) {
			t.Fatalf("the mirror has %d of %d bytes", size, large)
		}
		time.Sleep(time.Millisecond)
	}
	l.append(t, sale("last")) // after a file in which there is nothing
	mirrored(t, l)
}

// mirrored waits until the mirror holds what upstream has not acknowledged.
func mirrored(t testing.TB, l *lab) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		h := l.MirrorHealth()
		if h.Err != nil {
			t.Fatalf("mirror: %v", h.Err)
		}
		m, err := readMirror(l.Book.o.FS, l.Book.o.Mirror)
		if err != nil {
			t.Fatal(err)
		}
		head, acked := must2(l.Head(t.Context())), must2(l.Acked(t.Context()))
		if m != nil && m.epoch == head.Epoch && len(m.rows) > 0 && h.Behind == 0 &&
			m.rows[0].Seq <= acked.Seq+1 && m.rows[len(m.rows)-1].hash == head.Hash {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("mirror %+v, %+v does not come up to %+v", h, m, head)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRewoundLocally: an older image of the disk is noticed without a network,
// by what the mirror holds, and put right.
func TestRewoundLocally(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror = filepath.Join(t.TempDir(), "mirror")
	l.open(t)
	ctx, image := t.Context(), filepath.Join(t.TempDir(), "image.db")
	l.append(t, sale("S1"))
	if err := l.Backup(ctx, image); err != nil {
		t.Fatal(err)
	}
	l.append(t, end(journal.SaleEnd, "S1", journal.Written))
	mirrored(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	copyFile(t, image, l.path)
	if _, err := Open(ctx, l.path, l.o); !errors.Is(err, ErrLost) {
		t.Fatalf("Open of an older image = %v, want ErrLost", err)
	}
	r, err := Recover(ctx, l.path, l.o)
	if err != nil || r.Journal != 2 || r.Mirror != 1 || r.Carried != 3 {
		t.Fatalf("Recover = %+v, %v, want 2 entries and 1 of the mirror", r, err)
	}
	l.open(t)
	defer l.Close()
	if open := must2(l.OpenItems(ctx)); len(open) != 0 {
		t.Errorf("open %+v, want none: S1 was written", open)
	}
	if got := must2(l.Balance(ctx, journal.MerchantAccount("M1"))); got != 500 {
		t.Errorf("the merchant has %s, want 5.00", got)
	}
}

// TestRecoverDamaged breaks a page in the middle of the journal.
func TestRecoverDamaged(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror, l.o.Sentinel = filepath.Join(t.TempDir(), "mirror"), false
	l.open(t)
	ctx := t.Context()
	for i := range 200 {
		l.append(t, sale(fmt.Sprintf("S%03d", i)))
	}
	mirrored(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	content := must2(os.ReadFile(l.path))
	i := len(content) / 2 / 4096 * 4096
	for j := range 4096 {
		content[i+j] = byte(j)
	}
	if err := os.WriteFile(l.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, l.path, l.o); !errors.Is(err, ErrTampered) {
		t.Fatalf("Open of a damaged journal = %v, want ErrTampered", err)
	}
	r, err := Recover(ctx, l.path, l.o)
	if err != nil || r.Journal+r.Mirror != 201 || r.Carried != 201 {
		t.Fatalf("Recover = %+v, %v, want 201 entries in all", r, err)
	}
	l.open(t)
	defer l.Close()
	if open := must2(l.OpenItems(ctx)); len(open) != 200 {
		t.Errorf("%d open, want 200", len(open))
	}
	if files, err := filepath.Glob(filepath.Join(filepath.Dir(l.path), "*.damaged.db")); err != nil || len(files) != 1 {
		t.Errorf("damaged files kept: %v, %v", files, err)
	}
}

// TestMirrorFails: a medium that is not there is reported, sales go on, and it
// is written as soon as it is there.
func TestMirrorFails(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror = filepath.Join(t.TempDir(), "card", "mirror")
	l.open(t)
	defer func() { l.Close() }()
	l.append(t, sale("S1"))
	deadline := time.Now().Add(10 * time.Second)
	for h := l.MirrorHealth(); !errors.Is(h.Err, os.ErrNotExist) || h.Behind != 2; h = l.MirrorHealth() {
		if time.Now().After(deadline) {
			t.Fatalf("MirrorHealth = %+v, want that there is no such directory, 2 behind", h)
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Mkdir(filepath.Dir(l.o.Mirror), 0o700); err != nil {
		t.Fatal(err)
	}
	l.restart(t) // which does not wait for the pause to be over
	mirrored(t, l)

	other := labAt(filepath.Join(t.TempDir(), "journal.db"))
	other.o.Terminal, other.o.Mirror = "K02", l.o.Mirror
	other.open(t)
	defer func() { other.Close() }()
	other.append(t, sale("S1"))
	for h := other.MirrorHealth(); !errors.Is(h.Err, errForeignMirror); h = other.MirrorHealth() {
		if time.Now().After(deadline) {
			t.Fatalf("MirrorHealth = %+v, want that it is another terminal's", h)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestMirrorComesLate: a medium that is put in while the terminal works, and has what a
// journal that was lost had, keeps it until it is recovered; also where an image was put
// back, and has gone on in a new epoch before.
func TestMirrorComesLate(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, l *lab, image string){
		"no journal": func(t *testing.T, l *lab, _ string) { l.open(t) },
		"image": func(t *testing.T, l *lab, image string) {
			copyFile(t, image, l.path)
			l.open(t)
		},
		"image in a new epoch": func(t *testing.T, l *lab, image string) {
			copyFile(t, image, l.path)
			l.open(t)
			if err := l.NewEpoch(t.Context(), journal.ReasonRewound, journal.Head{}); err != nil {
				t.Fatal(err)
			}
		},
		"image that went further": func(t *testing.T, l *lab, image string) {
			copyFile(t, image, l.path)
			l.open(t)
			for i := range 20 { // under the numbers that the mirror has others under
				l.append(t, topUp(fmt.Sprintf("U%02d", i)))
				l.append(t, end(journal.TopUpEnd, fmt.Sprintf("U%02d", i), journal.Closed))
			}
			if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := labAt(filepath.Join(t.TempDir(), "journal.db"))
			ctx, card := t.Context(), filepath.Join(t.TempDir(), "card")
			l.o.Mirror, l.o.MirrorByHand = filepath.Join(card, "mirror"), true
			if err := os.Mkdir(card, 0o700); err != nil {
				t.Fatal(err)
			}
			l.open(t)
			image := filepath.Join(t.TempDir(), "image.db")
			if err := l.Backup(ctx, image); err != nil {
				t.Fatal(err)
			}
			for i := range 9 {
				l.append(t, sale(fmt.Sprintf("S%d", i)))
			}
			l.Reflect()
			if err := errors.Join(l.Close(), os.Rename(card, card+".out")); err != nil {
				t.Fatal(err)
			}
			remove(t, l.path)
			spoil(t, l, image)
			l.append(t, sale("T1"))
			l.Reflect() // there is no medium
			if err := os.Rename(card+".out", card); err != nil {
				t.Fatal(err)
			}
			l.Reflect()
			if h := l.MirrorHealth(); !errors.Is(h.Err, ErrLost) {
				t.Errorf("MirrorHealth = %+v, want ErrLost", h)
			}
			l.append(t, sale("T2")) // the journal works all the same
			if lacks, _, err := MirrorFile(ctx, l.path, l.o.Mirror); err != nil || lacks == 0 {
				t.Errorf("MirrorFile = %d, %v; want that it lacks something", lacks, err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Recover(ctx, l.path, l.o); err != nil {
				t.Fatalf("Recover: %v", err)
			}
			l.open(t)
			defer l.Close()
			if open := must2(l.OpenItems(ctx)); len(open) != 11 {
				t.Errorf("%d open, want the 9 of the mirror and 2", len(open))
			}
			l.Reflect()
			if h := l.MirrorHealth(); h.Err != nil || h.Behind != 0 {
				t.Errorf("MirrorHealth = %+v after it was recovered", h)
			}
			if lacks, _, err := MirrorFile(ctx, l.path, l.o.Mirror); err != nil || lacks != 0 {
				t.Errorf("MirrorFile = %d, %v; want that it has all", lacks, err)
			}
		})
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, must2(os.ReadFile(from)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBefore reads what was sold today in journals that this one carries on: whole and in
// order over two of them, nothing where this one began yesterday, and an error with the
// rest where an old file is missing, damaged, or another's: what was before that is found
// only where it says so itself.
func TestBefore(t *testing.T) {
	midnight := noon.Add(-12 * time.Hour)
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, old []string)
		since time.Time
		want  []string // refs of what was sold
		gone  bool
	}{
		"whole":     {nil, midnight, []string{"S1", "S2", "S3"}, false},
		"today":     {func(t *testing.T, old []string) { remove(t, old[1]) }, midnight.Add(72 * time.Hour), nil, false},
		"yesterday": {func(t *testing.T, old []string) { remove(t, old[0]) }, noon.Add(36 * time.Hour), []string{"S2", "S3"}, false},
		"missing":   {func(t *testing.T, old []string) { remove(t, old[1]) }, midnight, nil, true},
		"first missing": {func(t *testing.T, old []string) { remove(t, old[0]) }, midnight,
			[]string{"S2", "S3"}, true},
		"damaged": {func(t *testing.T, old []string) {
			spoiled(t, old[1], `UPDATE journal SET body = substr(body, 1, length(body) - 1) WHERE ref = 'S2'`)
		}, midnight, []string{"S1"}, true},
		"no journal": {func(t *testing.T, old []string) {
			if err := os.WriteFile(old[1], []byte("no journal"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, midnight, nil, true},
		"another terminal's": {func(t *testing.T, old []string) {
			spoiled(t, old[1], `UPDATE meta SET value = CAST('K02' AS BLOB) WHERE key = 'terminal'`)
		}, midnight, nil, true},
		"another epoch's": {func(t *testing.T, old []string) {
			spoiled(t, old[1], `UPDATE meta SET value = x'0102030405060708' WHERE key = 'epoch'`)
		}, midnight, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, ctx := newLab(t), t.Context()
			var upstream journal.Frontier
			var old []string
			for _, refs := range [][]string{{"S1"}, {"S2", "S3"}} {
				upstream = journal.Frontier{}
				for _, ref := range refs {
					l.append(t, code(ref))
				}
				if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
					t.Fatal(err)
				}
				old = append(old, oldName(l.path, l.Epoch().String()))
				l.pass(24 * time.Hour)
				if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
					t.Fatal(err)
				}
			}
			l.append(t, code("S4"))
			if tt.spoil != nil {
				tt.spoil(t, old)
			}
			all, err := l.Before(ctx, tt.since)
			var got []string
			for _, e := range all {
				if e.Kind == journal.CodeSale {
					got = append(got, e.Ref)
				}
			}
			if !slices.Equal(got, tt.want) || errors.Is(err, ErrGone) != tt.gone || err != nil != tt.gone {
				t.Errorf("Before = %q, %v; want %q, gone: %t", got, err, tt.want, tt.gone)
			}
		})
	}
}

func code(ref string) journal.Entry {
	return journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: "2026", Merchant: "M1", Amount: 700}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// spoiled changes a journal as no program of ours would.
func spoiled(t *testing.T, file, statement string) {
	t.Helper()
	db := behind(t, file)
	unguarded(t, db, statement)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
