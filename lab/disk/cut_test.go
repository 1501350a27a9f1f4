package disk_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quancun/lab/disk"
)

// work makes a database on a new disk and commits n transactions to it, each
// acknowledged by a mark. sync has the directory synced by hand after the
// database was made.
func work(t *testing.T, o disk.Options, params string, n int, sync bool) *disk.Recording {
	t.Helper()
	d := disk.New(o)
	t.Cleanup(d.Close)
	r := d.Record()
	t.Cleanup(r.Close)
	db := open(t, d, params+"&_txlock=immediate")
	defer db.Close()
	exec(t, db, `PRAGMA wal_autocheckpoint = 10`)
	exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT`)
	if sync {
		if err := d.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
	}
	d.Mark(0)
	for i := range n {
		exec(t, db, `INSERT INTO entry (body) VALUES (randomblob(?))`, 50+i*37%700)
		d.Mark(i + 1)
	}
	r.Stop()
	return r
}

// check reports what is wrong with the database that a cut has left, if
// anything is. Before the first mark nothing has been promised.
func check(s disk.State) error {
	db, err := sql.Open("sqlite3", s.Disk.DSN(path))
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("integrity_check: %s, %w", verdict, err)
	}
	if s.Acked == 0 {
		return nil
	}
	var n, max int
	if err := db.QueryRow(`SELECT count(*), max(n) FROM entry`).Scan(&n, &max); err != nil {
		return err
	}
	if n != max || n < s.Acked {
		return fmt.Errorf("%d entries up to %d, %d were acknowledged", n, max, s.Acked)
	}
	return nil
}

// cutEverywhere checks all states of r and returns how many there are, and how
// many are bad.
func cutEverywhere(t *testing.T, r *disk.Recording, c disk.Choice) (states, bad int64) {
	t.Helper()
	var group sync.WaitGroup
	work := make(chan disk.State)
	for range 2 {
		group.Go(func() {
			for s := range work {
				if err := check(s); err != nil {
					if n := atomic.AddInt64(&bad, 1); n == 1 {
						t.Logf("%v: %v", s, err)
					}
				}
				s.Disk.Close()
			}
		})
	}
	for s := range r.States(c) {
		states++
		work <- s
	}
	close(work)
	group.Wait()
	return states, bad
}

// TestPowerCut: what SQLite promises holds on this disk, and where it promises
// nothing the loss is seen. That is the proof that the disk loses enough.
func TestPowerCut(t *testing.T) {
	for _, tt := range []struct {
		name, params string
		options      disk.Options
		noDirSync    bool  // none by hand
		badMin       int64 // percent of the cuts that keep nothing unsynced
	}{
		{name: "WALFull", params: "_journal_mode=WAL&_synchronous=FULL"},
		{name: "WALFullStrict", params: "_journal_mode=WAL&_synchronous=FULL", options: disk.Options{Strict: true}},
		{name: "WALExtra", params: "_journal_mode=WAL&_synchronous=EXTRA", options: disk.Options{Strict: true}},
		{name: "WALFullPSOW", params: "_journal_mode=WAL&_synchronous=FULL",
			options: disk.Options{PowersafeOverwrite: true, Sector: 4096}},
		{name: "DeleteExtra", params: "_journal_mode=DELETE&_synchronous=EXTRA"},
		{name: "DeleteExtraStrict", params: "_journal_mode=DELETE&_synchronous=EXTRA", options: disk.Options{Strict: true}},
		{name: "TruncateFull", params: "_journal_mode=TRUNCATE&_synchronous=FULL", options: disk.Options{Strict: true}},
		{name: "PersistFull", params: "_journal_mode=PERSIST&_synchronous=FULL", options: disk.Options{Strict: true}},
		{name: "WALNormal", params: "_journal_mode=WAL&_synchronous=NORMAL", badMin: 50},
		{name: "WALOff", params: "_journal_mode=WAL&_synchronous=OFF", badMin: 50},
		{name: "DeleteFull", params: "_journal_mode=DELETE&_synchronous=FULL", badMin: 25},
		{name: "Deceived", params: "_journal_mode=WAL&_synchronous=FULL", badMin: 25, options: disk.Options{
			Ignore: map[string]string{"synchronous": "2", "journal_mode": "wal"}, // which is then DELETE and FULL
		}},
		{name: "WALFullNobodySyncsNames", params: "_journal_mode=WAL&_synchronous=FULL",
			options: disk.Options{Strict: true, NoDirSync: true}, noDirSync: true, badMin: 25},
		{name: "WALFullSQLiteSyncsNames", params: "_journal_mode=WAL&_synchronous=FULL",
			options: disk.Options{Strict: true}, noDirSync: true},
		{name: "WALFullWeSyncNames", params: "_journal_mode=WAL&_synchronous=FULL",
			options: disk.Options{Strict: true, NoDirSync: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := work(t, tt.options, tt.params, 30, !tt.noDirSync)
			start := time.Now()
			states, bad := cutEverywhere(t, r, disk.Choice{Seed: 1, AllLost: tt.badMin > 0})
			rate := float64(states) / time.Since(start).Seconds()
			t.Logf("%d of %d states bad, %.0f states/s, %d operations", bad, states, rate, len(r.Ops()))
			if states < 100 || bad*100 < tt.badMin*states || tt.badMin == 0 && (bad > 0 || states < 500) {
				t.Errorf("%d of %d states bad, want at least %d %%", bad, states, tt.badMin)
			}
		})
	}
}

// TestRepeats: a seed enumerates the same states again, and another others.
func TestRepeats(t *testing.T) {
	r := work(t, disk.Options{}, "_journal_mode=WAL&_synchronous=NORMAL", 20, true)
	list := func(seed uint64) (all string) {
		for s := range r.States(disk.Choice{Seed: seed}) {
			all += s.String() + "\n"
			s.Disk.Close()
		}
		return all
	}
	if a, b := list(1), list(1); a != b || a == "" {
		t.Error("one seed enumerates two lists of states")
	}
	if list(1) == list(2) {
		t.Error("two seeds enumerate the same states")
	}
}

// TestCut: a database that is cut again and again, also while it recovers,
// never loses what it has acknowledged.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		d := disk.New(disk.Options{Strict: r.IntN(2) == 0})
		acked := 0
		for range 10 {
			db := open(t, d, "_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
			exec(t, db, `CREATE TABLE IF NOT EXISTS entry (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT`)
			if n := number(t, db, `SELECT count(*) FROM entry`); n < acked || n > acked+1 {
				t.Fatalf("%d entries after a cut, %d were acknowledged", n, acked)
			}
			acked = number(t, db, `SELECT count(*) FROM entry`)
			for range r.IntN(20) {
				exec(t, db, `INSERT INTO entry (body) VALUES (randomblob(700))`)
				acked++
			}
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(`INSERT INTO entry (body) VALUES (randomblob(5000))`); err != nil {
				t.Fatal(err)
			}
			after := d.Cut(r)
			if err := tx.Commit(); err == nil {
				t.Fatal("committed without power")
			}
			db.Close()
			d.Close()
			d = after
		}
		d.Close()
	}
}

// TestFailedSync: a sync fails, the program stops and is started again without
// a power cut. It then still reads, in the "-wal", what will never be on the
// disk, and what it commits behind that is gone with the next power cut.
// Only a checkpoint before the first commit writes it anew.
func TestFailedSync(t *testing.T) {
	const params = "_journal_mode=WAL&_synchronous=EXTRA&_txlock=immediate"
	for _, tt := range []struct {
		first string
		lose  bool
	}{
		{`SELECT 0, 0, 0`, true},
		{`PRAGMA wal_checkpoint(TRUNCATE)`, false},
	} {
		lost := 0
		for nth := range 40 {
			d := disk.New(disk.Options{})
			db := open(t, d, params)
			exec(t, db, `PRAGMA wal_autocheckpoint = 8`)
			exec(t, db, `CREATE TABLE entry (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT`)
			d.Break(disk.Fault{Calls: disk.CallSync, Nth: nth + 1, Failure: disk.IO})
			var err error
			for i := 0; err == nil && i < 100; i++ { // a failed checkpoint is SQLite's secret
				_, err = db.Exec(`INSERT INTO entry (body) VALUES (randomblob(300))`)
			}
			killed := d.Clone()
			db.Close()
			d.Close()

			db = open(t, killed, params)
			var busy, frames, done int
			if err := db.QueryRow(tt.first).Scan(&busy, &frames, &done); err != nil || busy != 0 {
				t.Fatalf("%s: %d, %v", tt.first, busy, err)
			}
			exec(t, db, `INSERT INTO entry (body) VALUES (randomblob(300))`)
			s := disk.State{Disk: killed.After(nil), Acked: number(t, db, `SELECT count(*) FROM entry`)}
			if err := check(s); err != nil {
				lost++
			}
			db.Close()
			killed.Close()
			s.Disk.Close()
		}
		if (lost > 0) != tt.lose {
			t.Errorf("%s first: %d of 40 restarts lost a commit, want any: %v", tt.first, lost, tt.lose)
		}
	}
}
