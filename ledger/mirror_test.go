package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"

	"golang.org/x/sys/unix"
)

// mirroredLab is a journal with a mirror: the start, which upstream has, and S1 and S2 a minute
// later. The backup was made between the two.
func mirroredLab(t *testing.T) (l *lab, backup string) {
	t.Helper()
	dir := t.TempDir()
	l, backup = labAt(filepath.Join(dir, "journal.db")), filepath.Join(dir, "backup.db")
	l.o.Mirror = filepath.Join(dir, "mirror")
	l.open(t)
	t.Cleanup(func() { l.Close() })
	mirrored(t, l)
	if err := l.Acknowledge(t.Context(), takes(t, new(journal.Frontier), batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	l.pass(time.Minute)
	l.append(t, sale("S1"))
	if err := l.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	l.append(t, sale("S2"))
	mirrored(t, l)
	return l, backup
}

// TestMirrorOnly: before a terminal's journal and mirror are thrown away, what only the mirror
// has is asked for: it would be lost.
func TestMirrorOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil    func(t *testing.T, l *lab, backup string) // nil: nothing
		terminal string                                    // K01 if empty
		want     error
	}{
		"whole":     {},
		"no mirror": {spoil: func(t *testing.T, l *lab, _ string) { remove(t, l.o.Mirror); remove(t, l.path) }},
		"mirror unreadable": {spoil: func(t *testing.T, l *lab, _ string) {
			remove(t, l.o.Mirror)
			if err := os.Mkdir(l.o.Mirror, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		"another's":     {spoil: func(t *testing.T, l *lab, _ string) { remove(t, l.path) }, terminal: "K02"},
		"journal gone":  {spoil: func(t *testing.T, l *lab, _ string) { remove(t, l.path) }, want: ErrLost},
		"journal older": {spoil: func(t *testing.T, l *lab, backup string) { copyFile(t, backup, l.path) }, want: ErrLost},
		"behind a link": {spoil: func(t *testing.T, l *lab, _ string) {
			real := filepath.Join(t.TempDir(), "journal.db")
			if err := errors.Join(os.Rename(l.path, real), os.Symlink(real, l.path)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l, backup := mirroredLab(t)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if tt.spoil != nil {
				tt.spoil(t, l, backup)
			}
			if tt.terminal == "" {
				tt.terminal = "K01"
			}
			if err := MirrorOnly(t.Context(), l.path, l.o.Mirror, tt.terminal); !errors.Is(err, tt.want) {
				t.Errorf("MirrorOnly = %v, want %v", err, tt.want)
			}
		})
	}
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror = filepath.Join(t.TempDir(), "mirror")
	l.open(t)
	mirrored(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, l.path)
	if err := MirrorOnly(t.Context(), l.path, l.o.Mirror, "K01"); err != nil {
		t.Errorf("MirrorOnly of a start alone = %v, want nothing to lose", err)
	}
}

// TestMirrorHead: what a mirror says of its journal's end; nothing if there is none.
func TestMirrorHead(t *testing.T) {
	l, _ := mirroredLab(t)
	head := must2(l.Head(t.Context()))
	if all := must2(MirrorHead(l.o.Mirror)); len(all) != 1 || all[0] != head {
		t.Errorf("MirrorHead = %+v, want %+v", all, head)
	}
	none := filepath.Join(t.TempDir(), "none")
	if all := must2(MirrorHead(none)); len(all) > 0 {
		t.Errorf("MirrorHead of none = %+v", all)
	}
	if err := os.WriteFile(none, must2(os.ReadFile(l.o.Mirror))[:len(mirrorMagic)+60], 0o600); err != nil {
		t.Fatal(err)
	}
	if all := must2(MirrorHead(none)); len(all) > 0 {
		t.Errorf("MirrorHead of a beginning = %+v", all)
	}
}

// TestMirrorFile: how many entries a mirror lacks, from outside, and since when; of an older
// journal's mirror, and of one that has other entries, all.
func TestMirrorFile(t *testing.T) {
	l, _ := mirroredLab(t)
	lacks := func(mirror string, want int64, since time.Time) {
		t.Helper()
		n, at, err := MirrorFile(t.Context(), l.path, mirror)
		if err != nil || n != want || !at.Equal(since) {
			t.Errorf("MirrorFile = %d since %s, %v, want %d since %s", n, at, err, want, since)
		}
	}
	first := must2(l.Get(t.Context(), "S1")).First.At
	lacks(l.o.Mirror, 0, time.Time{})
	lacks(filepath.Join(t.TempDir(), "none"), 2, first)
	other, _ := mirroredLab(t)
	lacks(other.o.Mirror, 2, first)
	old := filepath.Join(t.TempDir(), "old")
	copyFile(t, l.o.Mirror, old)
	l.append(t, sale("S3"))
	lacks(old, 1, must2(l.Get(t.Context(), "S3")).First.At)
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	head := must2(l.Head(t.Context()))
	lacks(old, head.Seq, must2(l.Since(t.Context(), 1, 1))[0].At)
}

// TestMirrorByHand: such a mirror is written when it is asked for, and at no other time.
func TestMirrorByHand(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror, l.o.MirrorByHand = filepath.Join(t.TempDir(), "mirror"), true
	l.open(t)
	defer func() { l.Close() }()
	l.append(t, sale("S1"))
	select {
	case <-l.mirror.done:
	default:
		t.Error("somebody writes it")
	}
	if h := l.MirrorHealth(); h.Err != nil || h.Behind != 2 {
		t.Errorf("MirrorHealth = %+v, want 2 behind", h)
	}
	l.Reflect()
	if h := l.MirrorHealth(); h.Err != nil || h.Behind != 0 {
		t.Errorf("MirrorHealth = %+v after it was written, want none behind", h)
	}
}

// medium is a file system that counts how often a mirror was begun and how many of its files
// are open, and has no room while it is full.
type medium struct {
	FS
	full        *atomic.Bool
	begun, open *atomic.Int64
}

func newMedium() medium {
	return medium{system{}, new(atomic.Bool), new(atomic.Int64), new(atomic.Int64)}
}

func (m medium) Open(path string, flag int) (File, error) {
	f, err := m.FS.Open(path, flag)
	if err != nil || !strings.HasSuffix(path, "mirror.part") {
		return f, err
	}
	m.begun.Add(1)
	m.open.Add(1)
	return onMedium{f, m}, nil
}

type onMedium struct {
	File
	on medium
}

func (f onMedium) Close() error {
	f.on.open.Add(-1)
	return f.File.Close()
}

func (f onMedium) Sync() error {
	if f.on.full.Load() {
		return unix.ENOSPC
	}
	return f.File.Sync()
}

// TestMirrorAnew: after a failure nobody knows what is on the medium, so that the mirror is
// written anew, whole; also for a new epoch. One file is open, and none in the end.
func TestMirrorAnew(t *testing.T) {
	l, on := labAt(filepath.Join(t.TempDir(), "journal.db")), newMedium()
	l.o.Mirror, l.o.MirrorByHand, l.o.FS = filepath.Join(t.TempDir(), "mirror"), true, on
	l.open(t)
	l.append(t, sale("S1"))
	l.Reflect()
	on.full.Store(true)
	l.append(t, sale("S2"))
	l.Reflect()
	failed := l.wall
	l.pass(time.Minute)
	l.Reflect()
	if h := l.MirrorHealth(); !errors.Is(h.Err, unix.ENOSPC) || !h.Since.Equal(failed) {
		t.Errorf("MirrorHealth of a full medium = %+v, want ENOSPC since %s", h, failed)
	}
	on.full.Store(false)
	l.Reflect()
	if h := l.MirrorHealth(); h != (MirrorHealth{}) || on.begun.Load() != 3 {
		t.Errorf("MirrorHealth = %+v after %d beginnings, want that it is well after 3", h, on.begun.Load())
	}
	mirrored(t, l)
	if err := l.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
		t.Fatal(err)
	}
	l.Reflect()
	mirrored(t, l)
	if n := on.open.Load(); n != 1 {
		t.Errorf("%d files are open, want 1", n)
	}
	if err := l.Close(); err != nil || on.open.Load() != 0 {
		t.Errorf("Close: %v, %d files are open", err, on.open.Load())
	}
}

// TestMirrorPauses: a medium that fails is tried again after a pause, however much is sold
// meanwhile, and no more once it is well. The end waits for no pause.
func TestMirrorPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, on := labAt(filepath.Join(t.TempDir(), "journal.db")), newMedium()
		l.o.Mirror, l.o.FS = filepath.Join(t.TempDir(), "mirror"), on
		on.full.Store(true)
		l.open(t)
		defer func() { l.Close() }()
		sold := 0
		tries := func(after time.Duration, want int64) {
			t.Helper()
			time.Sleep(after)
			sold++
			l.append(t, sale(fmt.Sprint("S", sold)))
			synctest.Wait()
			if n := on.begun.Load(); n != want {
				t.Errorf("begun %d times, want %d", n, want)
			}
		}
		tries(0, 1)
		tries(mirrorPauseMin-time.Second, 1)
		tries(2*time.Second, 2)
		tries(2*mirrorPauseMin-2*time.Second, 2) // twice as long
		on.full.Store(false)
		tries(2*time.Second, 3)
		tries(0, 3)
		mirrored(t, l)
		on.full.Store(true)
		tries(0, 3)
		tries(mirrorPauseMin-time.Second, 3) // as short as the first
		tries(2*time.Second, 4)
		on.full.Store(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		m, err := readMirror(on, l.o.Mirror)
		if err != nil || m.rows[len(m.rows)-1].hash != l.head.Hash {
			t.Errorf("the mirror ends with %+v, %v, want %+v", m.rows[len(m.rows)-1], err, l.head)
		}
	})
}

// TestMirrorEmpty: upstream has all when the mirror is begun, so that there is nothing in it. The
// next entry is.
func TestMirrorEmpty(t *testing.T) {
	l := labAt(filepath.Join(t.TempDir(), "journal.db"))
	l.o.Mirror, l.o.MirrorByHand = filepath.Join(t.TempDir(), "mirror"), true
	l.open(t)
	defer func() { l.Close() }()
	if err := l.Acknowledge(t.Context(), takes(t, new(journal.Frontier), batchFrom(t, l, 1))); err != nil {
		t.Fatal(err)
	}
	l.Reflect()
	if m := must2(readMirror(system{}, l.o.Mirror)); m.epoch != l.Epoch() || m.terminal != "K01" || len(m.rows) > 0 {
		t.Errorf("the mirror is of %s, epoch %s, with %d entries, want K01, %s and none", m.terminal, m.epoch, len(m.rows), l.Epoch())
	}
	l.append(t, sale("S1"))
	l.Reflect()
	mirrored(t, l)
	if m := must2(readMirror(system{}, l.o.Mirror)); len(m.rows) != 1 || m.acked != must2(l.Acked(t.Context())) {
		t.Errorf("the mirror has %d entries after %+v, want S1 after %+v", len(m.rows), m.acked, must2(l.Acked(t.Context())))
	}
}
