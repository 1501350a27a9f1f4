package disk_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"quancun/lab/disk"
)

const path = "/journal.db"

// open opens the database on d with the driver's parameters.
func open(t testing.TB, d *disk.Disk, params string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", d.DSN(path)+"&"+params)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func number(t testing.TB, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// TestSeed draws from SQLite's chance twice.
func TestSeed(t *testing.T) {
	defer disk.Seed(0)
	draw := func(seed uint32) (drawn string) {
		t.Helper()
		disk.Seed(seed)
		d := disk.New(disk.Options{})
		defer d.Close()
		db, err := sql.Open("sqlite3", d.DSN("/a.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow(`SELECT hex(randomblob(8))`).Scan(&drawn); err != nil {
			t.Fatal(err)
		}
		return drawn
	}
	first, other, again := draw(7), draw(8), draw(7)
	if first != again || first == other {
		t.Errorf("seed 7 draws %s, then %s; seed 8 %s", first, again, other)
	}
	if chance := draw(0); chance == draw(0) {
		t.Errorf("without a seed %s was drawn twice", chance)
	}
}

// TestTwoConnections: two connections in WAL mode read and write at once, the
// one waits for the other, and a checkpoint gets everything into the database.
func TestTwoConnections(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			d := disk.New(disk.Options{})
			defer d.Close()
			params := "_journal_mode=" + mode + "&_synchronous=FULL&_txlock=immediate&_busy_timeout=20000"
			a, b := open(t, d, params), open(t, d, params)
			exec(t, a, `CREATE TABLE entry (n INTEGER PRIMARY KEY, who TEXT NOT NULL) STRICT`)

			var group sync.WaitGroup
			for who, db := range map[string]*sql.DB{"a": a, "b": b} {
				group.Go(func() {
					for range 100 {
						if _, err := db.Exec(`INSERT INTO entry (who) VALUES (?)`, who); err != nil {
							t.Error(err)
						}
						var n int
						if err := db.QueryRow(`SELECT count(*) FROM entry`).Scan(&n); err != nil || n == 0 {
							t.Errorf("%d entries, %v", n, err)
						}
					}
				})
			}
			group.Wait()
			for _, db := range []*sql.DB{a, b} {
				if n := number(t, db, `SELECT count(*) FROM entry`); n != 200 {
					t.Errorf("%d entries, want 200", n)
				}
				var verdict string
				if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
					t.Errorf("integrity_check: %s, %v", verdict, err)
				}
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Fatal(err)
			}
			if files := d.Files(); (mode == "WAL" || mode == "DELETE") && !slices.Equal(files, []string{path}) {
				t.Errorf("left %v", files)
			}
		})
	}
}

// TestLocks: who reads the old snapshot keeps it while another writes, and two
// writers exclude each other.
func TestLocks(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	a, b := open(t, d, "_journal_mode=WAL&_busy_timeout=1"), open(t, d, "_journal_mode=WAL&_busy_timeout=1")
	defer a.Close()
	defer b.Close()
	exec(t, a, `CREATE TABLE entry (n INTEGER PRIMARY KEY) STRICT`)
	exec(t, a, `BEGIN`)
	if n := number(t, a, `SELECT count(*) FROM entry`); n != 0 {
		t.Fatalf("%d entries in a new table", n)
	}
	exec(t, b, `BEGIN IMMEDIATE`)
	exec(t, b, `INSERT INTO entry VALUES (1)`)
	if _, err := a.Exec(`INSERT INTO entry VALUES (2)`); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("second writer: %v, want locked", err)
	}
	exec(t, b, `COMMIT`)
	if n := number(t, a, `SELECT count(*) FROM entry`); n != 0 {
		t.Errorf("snapshot has %d entries, want 0", n)
	}
	exec(t, a, `COMMIT`)
	if n := number(t, a, `SELECT count(*) FROM entry`); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// TestIgnore: the disk deceives who sets a PRAGMA and reads it back.
func TestIgnore(t *testing.T) {
	d := disk.New(disk.Options{Ignore: map[string]string{"synchronous": "3", "user_version": "42"}})
	defer d.Close()
	for _, d := range []*disk.Disk{d.Clone(), d.Clone()} {
		db := open(t, d, "_journal_mode=WAL&_synchronous=OFF")
		exec(t, db, `PRAGMA user_version = 5`)
		for pragma, want := range map[string]int{"synchronous": 3, "user_version": 42} {
			if got := number(t, db, "PRAGMA "+pragma); got != want {
				t.Errorf("%s = %d, want %d", pragma, got, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		d.Close()
	}
}

// TestReadOnly: a connection that may not write reads along in WAL mode.
func TestReadOnly(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	writer := open(t, d, "_journal_mode=WAL&_synchronous=FULL")
	defer writer.Close()
	exec(t, writer, `CREATE TABLE entry (n INTEGER PRIMARY KEY) STRICT`)
	reader := open(t, d, "mode=ro")
	defer reader.Close()
	for n := range 100 {
		exec(t, writer, `INSERT INTO entry VALUES (?)`, n)
		if got := number(t, reader, `SELECT count(*) FROM entry`); got != n+1 {
			t.Fatalf("reader sees %d entries, want %d", got, n+1)
		}
	}
	if _, err := reader.Exec(`INSERT INTO entry VALUES (1000)`); err == nil {
		t.Error("read-only connection writes")
	}
}

// TestVacuumInto: a copy of a database lands on the same disk.
func TestVacuumInto(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	db := open(t, d, "_journal_mode=WAL")
	defer db.Close()
	exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY) STRICT`)
	exec(t, db, `VACUUM INTO '/copy.db'`)
	if files := d.Files(); !slices.Contains(files, "/copy.db") {
		t.Errorf("VACUUM INTO left %v", files)
	}
}

// TestDurability: what a power cut may take, operation by operation.
func TestDurability(t *testing.T) {
	type step = func(t *testing.T, d *disk.Disk)
	write := func(path, content string, sync bool) step {
		return func(t *testing.T, d *disk.Disk) {
			f, err := d.Open(path, os.O_CREATE)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
			if sync {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	do := func(f func(*disk.Disk) error) step {
		return func(t *testing.T, d *disk.Disk) {
			if err := f(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	syncDir := do(func(d *disk.Disk) error { return d.SyncDir("/") })
	kept := do(func(d *disk.Disk) error { return d.WriteFile("/old", []byte("old")) })
	remove := do(func(d *disk.Disk) error { return d.Remove("/old") })
	rename := do(func(d *disk.Disk) error { return d.Rename("/new", "/old") })
	failedSync := step(func(t *testing.T, d *disk.Disk) {
		f, err := d.Open("/old", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d.Break(disk.Fault{Calls: disk.CallSync, Failure: disk.IO})
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("broken sync: %v", err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	})
	for _, tt := range []struct {
		name       string
		strict     bool
		steps      []step
		lost, kept string // when all that is pending is lost or kept
	}{
		{"NewFile", false, []step{write("/a", "1", false)}, "", "/a=1"},
		{"SyncedContentCommitsNames", false, []step{write("/a", "1", true)}, "/a=1", "/a=1"},
		{"ButNotOfStrict", true, []step{write("/a", "1", true)}, "", "/a=1"},
		{"SyncedNameOnly", true, []step{write("/a", "1", false), syncDir}, "/a=", "/a=1"},
		{"Synced", true, []step{write("/a", "1", true), syncDir}, "/a=1", "/a=1"},
		{"Overwritten", true, []step{kept, write("/old", "new", false)}, "/old=old", "/old=new"},
		{"RemovedComesBack", false, []step{kept, remove}, "/old=old", ""},
		{"RemovedAndOtherSynced", false, []step{kept, remove, write("/a", "1", true)}, "/a=1", "/a=1"},
		{"RemovedAndOtherSyncedStrict", true, []step{kept, remove, write("/a", "1", true)}, "/old=old", "/a=1"},
		{"RemovedAndSynced", true, []step{kept, remove, syncDir}, "", ""},
		{"Replaced", true, []step{kept, write("/new", "2", true), rename}, "/old=old", "/old=2"},
		{"ReplacedAndSynced", true, []step{kept, write("/new", "2", true), rename, syncDir}, "/old=2", "/old=2"},
		{"ReplacedUnsynced", true, []step{kept, write("/new", "2", false), rename, syncDir}, "/old=", "/old=2"},
		{"OtherDirectory", true, []step{write("/b/a", "1", true), syncDir}, "", "/b/a=1"},
		{"LostByFailedSync", false, []step{kept, write("/old", "new", false), failedSync}, "/old=old", "/old=old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := disk.New(disk.Options{Strict: tt.strict})
			defer d.Close()
			for _, s := range tt.steps {
				s(t, d)
			}
			fates := make([]disk.Fate, len(d.Pending()))
			if got := content(t, d.After(fates)); got != tt.lost {
				t.Errorf("with %v lost: %q, want %q", d.Pending(), got, tt.lost)
			}
			for i := range fates {
				fates[i] = disk.Kept
			}
			if got := content(t, d.After(fates)); got != tt.kept {
				t.Errorf("with %v kept: %q, want %q", d.Pending(), got, tt.kept)
			}
		})
	}
}

// content returns what is on d, and closes it.
func content(t *testing.T, d *disk.Disk) string {
	t.Helper()
	defer d.Close()
	var list []string
	for _, f := range d.Files() {
		data, err := d.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f+"="+string(data))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestTear: of a write, a power cut may leave any sectors, and zeros between.
func TestTear(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	if err := d.WriteFile("/a", []byte(strings.Repeat("-", 600))); err != nil {
		t.Fatal(err)
	}
	f, err := d.Open("/a", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("+", 1500)), 500); err != nil {
		t.Fatal(err)
	}
	for fate, want := range map[disk.Fate]string{
		disk.Lost:   "600-",
		disk.Kept:   "500- 1500+",
		1 << 0:      "500- 12+ 88-",
		1 << 1:      "512- 512+",
		1 << 3:      "600- 936. 464+",
		1<<0 | 1<<2: "500- 12+ 88- 424. 512+",
	} {
		if got := runs(strings.TrimPrefix(content(t, d.After([]disk.Fate{fate})), "/a=")); got != want {
			t.Errorf("fate %x leaves %q, want %q", uint64(fate), got, want)
		}
	}
}

// runs writes s as lengths of equal bytes, with a dot for zero.
func runs(s string) string {
	var list []string
	for len(s) > 0 {
		rest := strings.TrimLeft(s, s[:1])
		list = append(list, fmt.Sprintf("%d%s", len(s)-len(rest), strings.ReplaceAll(s[:1], "\x00", ".")))
		s = rest
	}
	return strings.Join(list, " ")
}

// TestFull: a disk without room refuses, and the database on it stays whole.
func TestFull(t *testing.T) {
	d := disk.New(disk.Options{Capacity: 100_000})
	defer d.Close()
	db := open(t, d, "_journal_mode=WAL&_synchronous=FULL")
	defer db.Close()
	exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY, body BLOB) STRICT`)
	n := 0
	for ; n < 1000; n++ {
		if _, err := db.Exec(`INSERT INTO entry (body) VALUES (zeroblob(1000))`); err != nil {
			if !strings.Contains(err.Error(), "full") {
				t.Errorf("full disk: %v", err)
			}
			break
		}
	}
	if room, err := d.Room("/"); n == 1000 || err != nil || room > 20_000 {
		t.Errorf("%d entries, %d bytes left, %v", n, room, err)
	}
	d.Resize(0)
	exec(t, db, `INSERT INTO entry (body) VALUES (zeroblob(1000))`)
	if got := number(t, db, `SELECT count(*) FROM entry`); got != n+1 {
		t.Errorf("%d entries, want %d", got, n+1)
	}
}

// TestBreak: each failure arrives as what it is, at the call that was asked for.
func TestBreak(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	f, err := d.Open("/a", os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func() error {
		_, err := f.WriteAt([]byte("abcd"), 0)
		return err
	}
	d.Break(disk.Fault{Calls: disk.CallWrite, Nth: 2, Failure: disk.IO})
	if a, b, c := write(), write(), write(); a != nil || !errors.Is(b, syscall.EIO) || c != nil {
		t.Errorf("second write fails once: %v, %v, %v", a, b, c)
	}
	d.Break(disk.Fault{Failure: disk.Full, Forever: true})
	if a, b := write(), write(); !errors.Is(a, syscall.ENOSPC) || !errors.Is(b, syscall.ENOSPC) {
		t.Errorf("writes fail forever: %v, %v", a, b)
	}
	d.Break(disk.Fault{})
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	d.Break(disk.Fault{Calls: disk.CallWrite, Failure: disk.Short})
	err = write()
	if got, _ := d.ReadFile("/a"); !errors.Is(err, syscall.ENOSPC) || string(got) != "ab" {
		t.Errorf("short write: %v, %q, want half of it", err, got)
	}
	if n := d.Calls(disk.CallWrite); n != 6 {
		t.Errorf("%d writes, want 6", n)
	}
	if _, err := d.Open("/b", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestFlip: a decayed byte in a page is found.
func TestFlip(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	db := open(t, d, "")
	exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY, body TEXT) STRICT`)
	exec(t, db, `INSERT INTO entry (body) VALUES ('abc')`)
	db.Close()
	data, err := d.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Flip(path, int64(strings.LastIndex(string(data), "abc")), 1); err != nil {
		t.Fatal(err)
	}
	db = open(t, d, "")
	defer db.Close()
	if n := number(t, db, `SELECT count(*) FROM entry WHERE body = '`+"`bc"+`'`); n != 1 {
		t.Errorf("flipped byte is not there")
	}
}

// TestLock: a lock is held until it is closed.
func TestLock(t *testing.T) {
	d := disk.New(disk.Options{})
	defer d.Close()
	l, err := d.Lock("/x.lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock("/x.lock"); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	l.Close()
	if _, err := d.Lock("/x.lock"); err != nil {
		t.Errorf("lock after close: %v", err)
	}
}

// TestLeaks: thousands of disks come and go, with their connections cut off,
// closed before and after them, and leave nothing behind.
func TestLeaks(t *testing.T) {
	before := disk.Allocated()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		d := disk.New(disk.Options{Strict: i%2 == 0})
		rec := d.Record()
		db := open(t, d, "_journal_mode=WAL&_synchronous=NORMAL")
		exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY, body BLOB) STRICT`)
		exec(t, db, `INSERT INTO entry (body) VALUES (zeroblob(5000))`)
		rec.Stop()
		clone, cut := d.Clone(), d.Cut(r)
		if i%3 == 0 {
			d.Close()
		}
		db.Close()
		if i%3 != 0 {
			d.Close()
		}
		rec.Close()
		for _, d := range []*disk.Disk{clone, cut} {
			db := open(t, d, "_journal_mode=WAL")
			var n int
			db.QueryRow(`SELECT count(*) FROM entry`).Scan(&n)
			db.Close()
			d.Close()
		}
	}
	if left := disk.Allocated() - before; left != 0 {
		t.Errorf("%d blocks are left", left)
	}
}
