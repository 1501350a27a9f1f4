package ledger

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quancun/journal"
)

// Journals of older versions, made by the programs that wrote them. Both begin
// with a start and a top-up T1 that is paid; in both, load L1 was written, and
// later ones were left open.
const (
	v1File    = "testdata/v1.db" // migration 1: no outbox, so nothing had been reported
	v1Entries = 6
	v2File    = "testdata/v2.db" // migrations 1 and 2, as version 0.1.0 released them
	v2Entries = 15
	v3File    = "testdata/v3.db" // to migration 3: binary bodies, double entry, five entries acknowledged
	v3Entries = 15
	v4File    = "testdata/v4.db" // to migration 4: one row for each entry
	v4Entries = 12
	v5File    = "testdata/v5.db" // to migration 5, with SQLite 3.54.1
	v5Entries = 12
)

// TestMigrate opens journals of every older version, and sees that all they
// said is still there, byte for byte, and is told to upstream.
func TestMigrate(t *testing.T) {
	for _, tt := range []struct {
		file    string
		version int
		entries int64
		open    string // after the start
		doubts  string // that the start has journalled
		acked   int64
	}{
		// v1: L2 was being loaded.
		{v1File, 1, v1Entries, "6:L2", "8:L2", 0},
		// v2: L2 was in doubt, reported and still open; L3 was in doubt and ended
		// elsewhere; the clock had been set back by an hour; T3 and L4 were open.
		{v2File, 2, v2Entries, "8:L2 14:T3 15:L4", "17:L2 18:L4", 0},
		// v3: L2 was in doubt; S1 was, and was then written; V1 and C1 stand alone;
		// the code of T3 had been shown; S2 was being written.
		{v3File, 3, v3Entries, "6:L2 13:T3 15:S2", "17:S2", 5},
		// v4: L2 was in doubt; S1 was, and was then written.
		{v4File, 4, v4Entries, "8:L2", "", 5},
	} {
		t.Run(fmt.Sprint(tt.version), func(t *testing.T) {
			l, ctx := labAt(filepath.Join(t.TempDir(), "journal.db")), t.Context()
			copyFile(t, tt.file, l.path)
			before := contents(t, l.path)
			l.pass(24 * time.Hour)
			l.open(t)
			defer func() { l.Close() }()
			if got, err := l.OpenItems(ctx); err != nil || refs(got) != tt.open {
				t.Errorf("open %s, %v, want %s", refs(got), err, tt.open)
			}
			if got, err := l.Since(ctx, tt.entries+2, 9); err != nil || refs(got) != tt.doubts || len(got) > 0 && !got[0].Kind.IsDoubt() {
				t.Errorf("after the start there are %s, %v, want the doubts %s", refs(got), err, tt.doubts)
			}
			if w, err := l.Waiting(ctx); err != nil || w.Count != must2(l.Head(ctx)).Seq-tt.acked {
				t.Errorf("Waiting = %+v, %v, want all but %d entries", w, err, tt.acked)
			}
			item, err := l.Get(ctx, "L1")
			if err != nil || item.End.Outcome != journal.Written || item.End.Position() != (journal.Position{
				Terminal: "K01", Epoch: l.Epoch(), Seq: 5}) {
				t.Errorf("L1 = %+v, %v, want it written in entry 5", item, err)
			}
			l.append(t, end(journal.LoadEnd, "L2", journal.NotWritten))
			var upstream journal.Frontier
			if err := l.Acknowledge(ctx, takes(t, &upstream, batchFrom(t, l, 1))); err != nil {
				t.Errorf("Acknowledge: %v", err)
			}
			if after := contents(t, l.path); !bytes.HasPrefix(after, before) {
				t.Error("the old entries are not what they were")
			}
			checkBackup(t, l, tt.version, tt.entries)
			l.restart(t)
			if err := l.NewEpoch(ctx, journal.ReasonForked, journal.Head{}); err != nil {
				t.Errorf("NewEpoch: %v", err)
			}
			l.append(t, load("L9"))
		})
	}
}

// TestRestoreOld puts backups of every older version in the place of a journal
// that is gone. They are up to date then, byte for byte what they were, and of
// this terminal; or nothing is there.
func TestRestoreOld(t *testing.T) {
	for version, file := range map[int]string{1: v1File, 2: v2File, 3: v3File, 4: v4File} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			l, from := labAt(filepath.Join(dir, "journal.db")), filepath.Join(dir, "backup.db")
			copyFile(t, file, from)
			old, before := must2(os.ReadFile(from)), contents(t, from)
			for _, o := range []Options{{Terminal: "K01"}, l.o, {}} {
				if err := Restore(ctx, from, l.path, o); err != nil {
					t.Fatalf("Restore: %v", err)
				}
				if r, err := VerifyFile(ctx, l.path, trust); err != nil || r.Entries == 0 {
					t.Errorf("VerifyFile = %+v, %v, want no problem", r, err)
				}
				if !bytes.Equal(contents(t, l.path), before) || !bytes.Equal(must2(os.ReadFile(from)), old) {
					t.Error("entries, or the backup, are not what they were")
				}
				if err := os.Remove(l.path); err != nil {
					t.Fatal(err)
				}
			}
			refuse := func(want error, o Options) {
				t.Helper()
				if err := Restore(ctx, from, l.path, o); !errors.Is(err, want) {
					t.Errorf("Restore = %v, want %v", err, want)
				}
				if left, err := filepath.Glob(filepath.Join(dir, "journal.db*")); err != nil || len(left) != 1 {
					t.Errorf("%v, %v are left, want the lock alone", left, err)
				}
			}
			if version > 2 { // before that, a journal did not say whose it is
				refuse(ErrForeign, Options{Terminal: "K02"})
			}
			db := behind(t, from)
			var never string
			err := db.QueryRowContext(ctx, `SELECT sql FROM sqlite_schema WHERE name = 'journal_is_never_changed'`).Scan(&never)
			if err != nil {
				t.Fatal(err)
			}
			must2(db.ExecContext(ctx, `DROP TRIGGER journal_is_never_changed;
				UPDATE journal SET hash = zeroblob(32) WHERE seq = 4;`+never))
			refuse(ErrTampered, l.o)
			must2(db.ExecContext(ctx, `PRAGMA user_version = 99`))
			refuse(ErrNewer, l.o)
		})
	}
}

// TestVerifyOtherSQLite: SQLite itself has written those parts of the schema that
// migrations have renamed. A journal that another release of it has made must not
// look as if somebody had changed it.
func TestVerifyOtherSQLite(t *testing.T) {
	if r, err := VerifyFile(t.Context(), v5File, trust); err != nil || r.Entries != v5Entries || r.Version != 0 {
		t.Errorf("VerifyFile = %+v, %v, want %d entries and no problem", r, err, v5Entries)
	}
}

// TestVerifyOld: a journal of an older version is proved in a copy that is brought
// up to date, and stays as it is. What is wrong with it is found all the same.
func TestVerifyOld(t *testing.T) {
	for version, file := range map[int]string{1: v1File, 2: v2File, 3: v3File, 4: v4File} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
			if err := os.Mkdir(os.TempDir(), 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "journal.db.bak")
			copyFile(t, file, path)
			before := must2(os.ReadFile(path))
			r, err := VerifyFile(ctx, path, trust)
			want := map[int]int64{1: v1Entries, 2: v2Entries, 3: v3Entries, 4: v4Entries}[version]
			if err != nil || r.Version != version || r.Entries != want || r.Head.Seq != want {
				t.Errorf("VerifyFile = %+v, %v; want %d entries of version %d", r, err, want, version)
			}
			if !bytes.Equal(must2(os.ReadFile(path)), before) {
				t.Error("the file is not what it was")
			}
			tampered := func(seq int64, what, attack string) {
				t.Helper()
				if err := os.WriteFile(path, before, 0o600); err != nil {
					t.Fatal(err)
				}
				db := behind(t, path)
				must2(db.ExecContext(ctx, attack))
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				r, err := VerifyFile(ctx, path, trust)
				if !errors.Is(err, ErrTampered) || r.Version != version || !found(r, seq, what) {
					t.Errorf("VerifyFile = %+v, %v; want entry %d: %s", r, err, seq, what)
				}
			}
			tampered(0, "schema: trigger journal_is_never_changed is missing", `DROP TRIGGER journal_is_never_changed`)
			never := must2(madeBy(ctx, version))["trigger journal_is_never_changed"]
			tampered(4, "body and hash do not match", `DROP TRIGGER journal_is_never_changed;
				UPDATE journal SET hash = zeroblob(32) WHERE seq = 4;`+never)
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
				t.Errorf("%v, %v are left of copies", left, err)
			}
			if err := os.WriteFile(path, before[:len(before)/2], 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := VerifyFile(ctx, path, trust); !errors.Is(err, ErrTampered) {
				t.Errorf("VerifyFile of half the file = %+v, %v; want ErrTampered", r, err)
			}
		})
	}
}

// TestReadOld: a journal of an older version can be read out, and an export of it
// be made, without a program of that time. It stays as it is.
func TestReadOld(t *testing.T) {
	for version, file := range map[int]string{1: v1File, 2: v2File, 3: v3File, 4: v4File} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir := t.TempDir()
			path, temporary := filepath.Join(dir, "journal.db.bak"), filepath.Join(dir, "tmp")
			t.Setenv("TMPDIR", temporary)
			if err := os.Mkdir(temporary, 0o700); err != nil {
				t.Fatal(err)
			}
			copyFile(t, file, path)
			before, want := must2(os.ReadFile(path)), contents(t, path)
			var got []byte
			var head journal.Head
			err := ReadFile(t.Context(), path, func(s Snapshot) error {
				head = s.Head
				for l, err := range s.Lines(s.Head.Seq) {
					if err != nil {
						return err
					}
					got = append(append(got, l.Body...), l.Hash[:]...)
				}
				return nil
			})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("ReadFile = %v and %d bytes, want the %d of the file", err, len(got), len(want))
			}
			if entries := map[int]int64{1: v1Entries, 2: v2Entries, 3: v3Entries, 4: v4Entries}[version]; head.Seq != entries {
				t.Errorf("the head is %d, want %d", head.Seq, entries)
			}
			if left := must2(os.ReadDir(temporary)); len(left) > 0 || !bytes.Equal(must2(os.ReadFile(path)), before) {
				t.Errorf("%v are left, or the file is not what it was", left)
			}
		})
	}
}

// contents returns all bodies and hashes, one after the other.
func contents(t testing.TB, path string) (all []byte) {
	t.Helper()
	db := openDB(dsn(system{}, path, "mode=ro"), nil)
	defer db.Close()
	err := each(t.Context(), db, `SELECT body, hash FROM journal ORDER BY seq`, func(rows *sql.Rows) error {
		var body, hash []byte
		err := rows.Scan(&body, &hash)
		all = append(append(all, body...), hash...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkBackup checks that the journal as it was lies beside it, made once.
func checkBackup(t testing.TB, l *lab, version int, entries int64) {
	t.Helper()
	backup := fmt.Sprintf("%s.v%d.bak", l.path, version)
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("backup: %v, %v, want mode 0600", info, err)
	}
	old := behind(t, backup)
	if got, err := versionOf(t.Context(), old); err != nil || got != version {
		t.Errorf("backup is version %d, %v, want %d", got, err, version)
	}
	if last, err := tailOf(t.Context(), old); err != nil || last.seq != entries {
		t.Errorf("backup ends with entry %d, %v, want %d", last.seq, err, entries)
	}
	l.restart(t)
	if again, err := os.Stat(backup); err != nil || !again.ModTime().Equal(info.ModTime()) {
		t.Errorf("backup was written again: %v, %v", again, err)
	}
}
