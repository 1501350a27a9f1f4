package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"quancun/journal"
)

// left is a journal as a power cut leaves it, n sales in its "-wal", and its
// mirror.
func left(t *testing.T, n int) (files map[string][]byte) {
	t.Helper()
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror, l.o.Sentinel = filepath.Join(t.TempDir(), "mirror"), false
	l.open(t)
	defer l.Close()
	for i := range n {
		l.append(t, sale(fmt.Sprintf("S%03d", i)))
	}
	mirrored(t, l)
	files = map[string][]byte{"mirror": must2(os.ReadFile(l.o.Mirror))}
	for _, ending := range []string{"", "-wal"} {
		files[ending] = must2(os.ReadFile(l.path + ending))
	}
	return files
}

// laid is a lab with files of its own.
func laid(t *testing.T, files map[string][]byte) *lab {
	t.Helper()
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Sentinel = false
	for ending, content := range files {
		path := l.path + ending
		if ending == "mirror" {
			l.o.Mirror = filepath.Join(t.TempDir(), ending)
			path = l.o.Mirror
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// TestDamagedWAL flips bits all over the "-wal" that a power cut has left. SQLite
// takes what is before that and forgets the sales behind it, without a word; here
// the journal is damaged, and all of them come back. Nobody can tell damage to the
// last sale from the power cut; but the mirror can.
func TestDamagedWAL(t *testing.T) {
	t.Parallel()
	const n, flips = 40, 30
	whole := left(t, n)
	tampered, size := 0, len(whole["-wal"])
	for i := range flips {
		at := i*size/flips + i*37%1000
		damaged := bytes.Clone(whole["-wal"])
		damaged[at%size] ^= 1 << (i % 8)
		l := laid(t, map[string][]byte{"": whole[""], "-wal": damaged})
		b, err := Open(t.Context(), l.path, l.o)
		switch {
		case err == nil:
			l.Book = b
		case errors.Is(err, ErrTampered):
			tampered++
			if _, err := VerifyFile(t.Context(), l.path, Trust{}); !errors.Is(err, ErrTampered) {
				t.Errorf("byte %d: VerifyFile = %v", at, err)
			}
			r, err := Recover(t.Context(), l.path, l.o)
			if err != nil || r.Journal < n-1 {
				t.Errorf("byte %d of %d: Recover = %+v, %v", at, size, r, err)
			}
			kept := must2(filepath.Glob(filepath.Join(filepath.Dir(l.path), "*.damaged.db-wal.damaged")))
			if len(kept) != 1 || !bytes.Equal(must2(os.ReadFile(kept[0])), damaged) {
				t.Errorf("byte %d: kept %v, want the file as it was", at, kept)
			}
			l.open(t)
		default:
			t.Fatalf("byte %d: %v", at, err)
		}
		if open := len(must2(l.OpenItems(t.Context()))); open < n-2 || open > n {
			t.Errorf("byte %d of %d: %d sales are known, want %d", at, size, open, n)
		}
		l.Close()

		l = laid(t, map[string][]byte{"": whole[""], "-wal": damaged, "mirror": whole["mirror"]})
		if b, err := Open(t.Context(), l.path, l.o); err == nil {
			l.Book = b
		} else if _, err := Recover(t.Context(), l.path, l.o); err != nil {
			t.Fatal(err)
		} else {
			l.open(t)
		}
		if open := len(must2(l.OpenItems(t.Context()))); open != n {
			t.Errorf("byte %d of %d: %d sales are known with a mirror, want %d", at, size, open, n)
		}
		l.Close()
	}
	if tampered < flips*8/10 {
		t.Errorf("%d of %d were noticed", tampered, flips)
	}
}

// TestDamagedMirror flips bits all over a mirror whose journal is gone. No more
// than one entry is lost, and that it is, is told, unless it is the last: then it
// was just being written.
func TestDamagedMirror(t *testing.T) {
	t.Parallel()
	const n = 9
	whole := left(t, n-1)["mirror"]
	want := parseMirror(whole)
	if len(want.rows) != n || want.gone != 0 {
		t.Fatalf("%d entries, %d gone, want %d and none", len(want.rows), want.gone, n)
	}
	for flip := range 2 * len(whole) { // a bit, and the one that would make a number negative
		at, damaged := flip/2, bytes.Clone(whole)
		damaged[at] ^= []byte{1 << (at % 8), 0x80}[flip%2]
		m := parseMirror(damaged)
		if m == nil || m.terminal != want.terminal || m.epoch != want.epoch || m.acked.Epoch != want.epoch {
			t.Fatalf("byte %d: %+v", at, m)
		}
		lost := n - len(m.rows)
		last := len(m.rows) > 0 && m.rows[len(m.rows)-1].Seq == n-1
		if lost > 1 || m.gone != int64(lost) && !last {
			t.Errorf("byte %d: %d of %d entries are lost, and %d said to be", at, lost, n, m.gone)
		}
	}
	for _, at := range []int{3, len(mirrorMagic) + 1, len(whole) / 2} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		l := laid(t, map[string][]byte{"mirror": damaged})
		if _, err := Open(t.Context(), l.path, l.o); !errors.Is(err, ErrLost) {
			t.Fatalf("byte %d: Open without the journal = %v, want ErrLost", at, err)
		}
		r, err := Recover(t.Context(), l.path, l.o)
		if err != nil || r.Mirror+int(r.Gone) != n || r.Epoch == (journal.Epoch{}) {
			t.Errorf("byte %d: Recover = %+v, %v", at, r, err)
		}
	}
}

// TestDamagedCopies flips bits all over the journal of an epoch that is over, and all
// over a backup. Either it is refused, or the bit meant nothing: what is pushed again
// and what is put in the place of a journal is what was written.
func TestDamagedCopies(t *testing.T) {
	t.Parallel()
	l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
	l.o.Sentinel = false
	l.open(t)
	defer l.Close()
	for i := range 20 {
		l.append(t, sale(fmt.Sprintf("S%03d", i)))
	}
	var upstream journal.Frontier
	if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := l.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	head, from := must2(l.Head(ctx)), journal.Head{Epoch: l.Epoch()}
	if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	want := must2(l.Old(ctx, from, journal.BatchMax))
	old := oldName(l.path, from.Epoch.String())
	whole, refused := must2(os.ReadFile(old)), 0
	for at := 0; at < len(whole); at += 509 {
		if err := os.WriteFile(old, flipped(whole, at), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Old(ctx, from, journal.BatchMax); err != nil {
			refused++
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("byte %d of the old journal: %d entries are pushed, not those that were written", at, len(got.Bodies))
		}
	}
	whole = must2(os.ReadFile(backup))
	for at := 0; at < len(whole); at += 509 {
		if err := os.WriteFile(backup, flipped(whole, at), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "journal.db")
		if err := Restore(ctx, backup, path, l.o); err != nil {
			refused++
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("byte %d of the backup: refused, and restored", at)
			}
		} else if r, err := VerifyFile(ctx, path, trust); err != nil || r.Head != head {
			t.Errorf("byte %d of the backup: restored up to %+v, %v, want %+v", at, r.Head, err, head)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func flipped(content []byte, at int) []byte {
	damaged := bytes.Clone(content)
	damaged[at] ^= 1 << (at % 8)
	return damaged
}

// TestRecoverWhileRead: somebody reads a damaged journal while it is recovered, so that
// what its "-wal" has cannot go into the file, and the power fails between the two. The
// newest entries are still found afterwards.
func TestRecoverWhileRead(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.Book.o.Sentinel = false
	for n := range 100 {
		l.append(t, topUp(fmt.Sprintf("A%03d", n)))
	}
	l.restart(t)
	l.append(t, sale("S1"))
	hurt := labAt(filepath.Join(t.TempDir(), "journal.db"))
	for _, ending := range []string{"", "-wal"} {
		content := must2(os.ReadFile(l.path + ending))
		if ending == "" {
			content = bytes.ReplaceAll(content, []byte("A003"), []byte("A00x"))
		}
		if err := os.WriteFile(hurt.path+ending, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader := openDB(dsn(system{}, hurt.path, readParams), checkVersion)
	tx := must2(reader.BeginTx(ctx, nil))
	var count int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM journal`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	hurt.o.FS = cutAt{system{}, hurt.path}
	if r, err := Recover(ctx, hurt.path, hurt.o); err == nil {
		t.Errorf("Recover while somebody reads = %+v", r)
	}
	if err := errors.Join(tx.Rollback(), reader.Close()); err != nil {
		t.Fatal(err)
	}
	hurt.o.FS = nil
	if r, err := Recover(ctx, hurt.path, hurt.o); err != nil {
		t.Errorf("Recover = %+v, %v", r, err)
	}
	hurt.open(t)
	defer func() { hurt.Close() }()
	if _, err := hurt.Get(ctx, "S1"); err != nil {
		t.Errorf("the newest entry is gone: %v", err)
	}
}

// cutAt is a file system whose power fails before a file gets another name.
type cutAt struct {
	FS
	path string
}

func (f cutAt) Rename(from, to string) error {
	if from == f.path {
		return errors.New("the power has failed")
	}
	return f.FS.Rename(from, to)
}
