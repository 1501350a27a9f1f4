package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mattn/go-sqlite3"
)

// TestSettings reads back what durability depends on, from the connection that
// the Book writes with.
func TestSettings(t *testing.T) {
	l := newLab(t)
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "3", "foreign_keys": "1", "mmap_size": "0",
		"application_id": strconv.Itoa(applicationID), "user_version": "2",
	} {
		var got string
		if err := l.db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, want)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(l.path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("journal%s: %v, %v, want mode 0600", suffix, info.Mode(), err)
		}
	}
	if max := l.db.Stats().MaxOpenConnections; max != 1 {
		t.Errorf("%d connections, want 1", max)
	}
}

// TestUnsafe opens a connection with each setting wrong.
func TestUnsafe(t *testing.T) {
	for _, wrong := range [][2]string{
		{"_synchronous=EXTRA", "_synchronous=NORMAL"}, // the driver's default
		{"_synchronous=EXTRA", "_synchronous=OFF"},
		{"_journal_mode=WAL", "_journal_mode=DELETE"},
		{"_foreign_keys=on", "_foreign_keys=off"},
		{"_busy_timeout=5000", "_query_only=on"},
	} {
		params := strings.Replace(writing, wrong[0], wrong[1], 1)
		db := openDB(filepath.Join(t.TempDir(), "journal.db"), params, checkWriter)
		if err := db.PingContext(t.Context()); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v, want ErrUnsafe", wrong[1], err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, v := range []struct {
		version string
		number  int
		want    error
	}{
		{"3.51.2", 3_051_002, ErrUnsafe},
		{"3.51.3", 3_051_003, nil},
		{"4.0.0", 4_000_000, nil},
	} {
		if err := versionOK(v.version, v.number); !errors.Is(err, v.want) {
			t.Errorf("SQLite %s: %v, want %v", v.version, err, v.want)
		}
	}
	if version, number, _ := sqlite3.Version(); versionOK(version, number) != nil {
		t.Errorf("the SQLite of this program is %s", version)
	}
}

func TestEpoch(t *testing.T) {
	l, m := newLab(t), newLab(t)
	first := l.Epoch()
	l.restart(t)
	if l.Epoch() != first || m.Epoch() == first || first == (Epoch{}) {
		t.Errorf("epochs %s, %s after a restart, %s of another journal", first, l.Epoch(), m.Epoch())
	}
	recent, err := l.Recent(t.Context(), 1)
	want := fmt.Sprintf(`{"version":"1.0","epoch":"%s","boot":"%s"}`, first, bootID())
	if err != nil || len(recent) != 1 || string(recent[0].Details) != want {
		t.Errorf("Started = %+v, %v, want %s", recent, err, want)
	}
}

// TestNotOurs opens files that must be left alone.
func TestNotOurs(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         error
	}{
		{"Newer", `PRAGMA user_version = 3`, ErrNewer},
		{"OtherProgram", `PRAGMA application_id = 1`, nil},
		{"NoVersion", `PRAGMA user_version = 0`, nil},
	} {
		path := written(t)
		if _, err := behind(t, path).ExecContext(t.Context(), tt.script); err != nil {
			t.Fatal(err)
		}
		if b, err := Open(t.Context(), path, Options{}); err == nil || !errors.Is(err, tt.want) && tt.want != nil {
			t.Errorf("%s: Open = %v, %v, want %v", tt.name, b, err, tt.want)
		}
		if r, err := VerifyFile(t.Context(), path); err == nil {
			t.Errorf("%s: VerifyFile = %+v, want an error", tt.name, r)
		}
	}
	noise := filepath.Join(t.TempDir(), "noise.db")
	if err := os.WriteFile(noise, []byte(strings.Repeat("noise ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Open(t.Context(), noise, Options{}); err == nil {
		t.Errorf("Open(noise) = %v, want an error", b)
	}
}

const (
	v1File    = "testdata/v1.db"
	v1Entries = 6
)

// TestMigrateV1 opens a journal of version 1, which knew no outbox: the end
// of T1 has been reported to nobody, and L2 was being loaded.
func TestMigrateV1(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "journal.db"), t.Context()
	copyFile(t, v1File, path)
	l := &lab{path: path, wall: noon.Add(time24), up: 1}
	l.open(t)
	defer func() { l.Close() }()
	due, err := l.Unreported(ctx, 10)
	if got, want := refs(due), "3:T1 5:L1 6:L2"; err != nil || got != want {
		t.Errorf("Unreported = %s, %v, want %s", got, err, want)
	}
	if r, err := l.Verify(ctx); err != nil || r.Entries != v1Entries+1 || r.Open != 1 {
		t.Errorf("Verify = %+v, %v, want %d entries, 1 open", r, err, v1Entries+1)
	}
	l.append(t, end(LoadEnd, "L2", NotWritten))

	// The backup is the journal as it was, and is made once.
	backup := path + ".v1.bak"
	info, err := os.Stat(backup)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("backup: %v, %v, want mode 0600", info, err)
	}
	old := behind(t, backup)
	if version, err := versionOf(ctx, old); err != nil || version != 1 {
		t.Errorf("backup is version %d, %v, want 1", version, err)
	}
	if last, err := tailOf(ctx, old); err != nil || last.seq != v1Entries {
		t.Errorf("backup ends with entry %d, %v, want %d", last.seq, err, v1Entries)
	}
	l.restart(t)
	if again, err := os.Stat(backup); err != nil || !again.ModTime().Equal(info.ModTime()) {
		t.Errorf("backup was written again: %v, %v", again, err)
	}
}

// TestMigrationFails runs a migration that breaks half way. It leaves nothing
// behind, and the journal can be opened as it was.
func TestMigrationFails(t *testing.T) {
	path, ctx := written(t), t.Context()
	broken := fstest.MapFS{
		"migrations/0003_broken.sql": {Data: []byte(`CREATE TABLE half (x); INSERT INTO half VALUES (1); nonsense;`)},
	}
	for _, name := range []string{"migrations/0001_journal.sql", "migrations/0002_outbox.sql"} {
		data, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		broken[name] = &fstest.MapFile{Data: data}
	}
	if b, err := open(ctx, path, Options{}, broken); err == nil || !strings.Contains(err.Error(), "0003_broken.sql") {
		t.Errorf("open = %v, %v, want an error that names the migration", b, err)
	}
	b, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer b.Close()
	var tables int
	if err := b.db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&tables); err != nil ||
		tables != 0 {
		t.Errorf("%d half tables, %v, want none", tables, err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
