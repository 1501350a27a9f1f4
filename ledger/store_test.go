package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/mattn/go-sqlite3"

	"quancun/journal"
)

// TestSettings reads back what durability depends on, from the connection that
// the Book writes with.
func TestSettings(t *testing.T) {
	l := newLab(t)
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "3", "foreign_keys": "1", "mmap_size": "0",
		"application_id": strconv.Itoa(applicationID), "user_version": "5",
	} {
		var got string
		if err := l.s.conn.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, want)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(l.path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("journal%s: %v, %v, want mode 0600", suffix, info.Mode(), err)
		}
	}
	if max := l.s.db.Stats().MaxOpenConnections; max != 1 {
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
		params := strings.Replace(writeParams, wrong[0], wrong[1], 1)
		db := openDB(dsn(system{}, filepath.Join(t.TempDir(), "journal.db"), params), checkWriter)
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
	if l.Epoch() != first || m.Epoch() == first || first == (journal.Epoch{}) {
		t.Errorf("epochs %s, %s after a restart, %s of another journal", first, l.Epoch(), m.Epoch())
	}
	recent, err := l.Recent(t.Context(), 1)
	want := fmt.Sprintf(`{"version":"1.0","boot":"%s"}`, bootID())
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
		{"Newer", `PRAGMA user_version = 6`, ErrNewer},
		{"OtherProgram", `PRAGMA application_id = 1`, nil},
		{"NoVersion", `PRAGMA user_version = 0`, nil},
	} {
		path := written(t)
		if _, err := behind(t, path).ExecContext(t.Context(), tt.script); err != nil {
			t.Fatal(err)
		}
		if b, err := Open(t.Context(), path, plain); err == nil || !errors.Is(err, tt.want) && tt.want != nil {
			t.Errorf("%s: Open = %v, %v, want %v", tt.name, b, err, tt.want)
		}
		if r, err := VerifyFile(t.Context(), path, Trust{}); err == nil {
			t.Errorf("%s: VerifyFile = %+v, want an error", tt.name, r)
		}
	}
	noise := filepath.Join(t.TempDir(), "noise.db")
	if err := os.WriteFile(noise, []byte(strings.Repeat("noise ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Open(t.Context(), noise, plain); err == nil {
		t.Errorf("Open(noise) = %v, want an error", b)
	}
}

// TestMigrationFails runs a migration that breaks half way. It leaves nothing
// behind, and the journal can be opened as it was.
func TestMigrationFails(t *testing.T) {
	path, ctx := written(t), t.Context()
	broken, known := fstest.MapFS{}, must2(fs.Glob(migrations, "migrations/*.sql"))
	for _, name := range known {
		broken[name] = &fstest.MapFile{Data: must2(migrations.ReadFile(name))}
	}
	next := fmt.Sprintf("%04d_broken.sql", len(known)+1)
	broken["migrations/"+next] = &fstest.MapFile{
		Data: []byte(`CREATE TABLE half (x); INSERT INTO half VALUES (1); nonsense;`),
	}
	o := plain
	o.migrations = broken
	if b, err := Open(ctx, path, o); err == nil || !strings.Contains(err.Error(), next) {
		t.Errorf("open = %v, %v, want an error that names the migration", b, err)
	}
	if open := openUnder(t, path); len(open) > 0 {
		t.Errorf("%q are still open", open)
	}
	b, err := Open(ctx, path, plain)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer b.Close()
	var tables int
	if err := b.s.conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&tables); err != nil ||
		tables != 0 {
		t.Errorf("%d half tables, %v, want none", tables, err)
	}
}

// unsynced is a disk on which the names of files do not last once there is a certain one.
type unsynced struct {
	FS
	from string
}

func (u unsynced) SyncDir(dir string) error {
	if there, err := exists(u.FS, u.from); err != nil || there {
		return errors.Join(err, syscall.EIO)
	}
	return u.FS.SyncDir(dir)
}

// TestNamesNotSynced: a journal that was made, and of which nobody knows whether the names of
// its files last, is not written to.
func TestNamesNotSynced(t *testing.T) {
	l := newLab(t)
	o, path := l.Book.o, filepath.Join(t.TempDir(), "new.db")
	o.FS = unsynced{o.FS, path + "-wal"}
	if s, err := openStore(t.Context(), path, o); !errors.Is(err, syscall.EIO) {
		t.Errorf("openStore = %v, %v, want EIO", s, err)
	}
	if open := openUnder(t, path); len(open) > 0 {
		t.Errorf("%q are still open", open)
	}
}

// openUnder returns the files that this process has open whose names begin with a path.
func openUnder(t testing.TB, path string) (open []string) {
	t.Helper()
	for _, fd := range must2(os.ReadDir("/proc/self/fd")) {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, path) {
			open = append(open, name)
		}
	}
	return open
}

// TestReaderInTheWay: a journal whose "-wal" cannot be moved into its file, since another
// process reads it, is not written to.
func TestReaderInTheWay(t *testing.T) {
	t.Parallel() // it waits, as long as another process may read
	l, ctx := newLab(t), t.Context()
	l.append(t, sale("S1"))
	tx, err := behind(t, l.path).BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM journal`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	l.append(t, sale("S2"))
	if err := l.Close(); err != nil {
		t.Log(err)
	}
	if _, err := Open(ctx, l.path, l.o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Open = %v, want it refused while somebody reads", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	l.open(t)
}
