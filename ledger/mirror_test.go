package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quancun/journal"
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
