package wal_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"quancun/lab/disk"
	"quancun/ledger/wal"
)

// written is a disk with a database in whose "-wal" are n transactions of a row
// each, that nobody has open. Before them it was used and begun anew.
func written(t testing.TB, n int) *disk.Disk {
	t.Helper()
	return writtenOn(t, disk.Options{PowersafeOverwrite: true}, 0, n)
}

// writtenOn is [written] on a disk of another kind, and after a longer first use, of
// which much is left behind the n transactions.
func writtenOn(t testing.TB, o disk.Options, before, n int) *disk.Disk {
	t.Helper()
	live := disk.New(o)
	defer live.Close()
	db, err := sql.Open("sqlite3", live.DSN("/t.db")+"&_synchronous=FULL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) {
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`PRAGMA page_size = 512`)
	exec(`VACUUM`)
	exec(`PRAGMA journal_mode = WAL`)
	exec(`CREATE TABLE row (n INTEGER PRIMARY KEY, text TEXT)`)
	exec(`CREATE TABLE sum (n INTEGER)`)
	exec(`INSERT INTO sum VALUES (0)`)
	for i := range before {
		exec(`INSERT INTO row VALUES (?, ?)`, 1000+i, fmt.Sprintf("%0100d", 1000+i))
	}
	exec(`PRAGMA wal_checkpoint(RESTART)`)
	for i := range n {
		exec(`BEGIN`)
		exec(`INSERT INTO row VALUES (?, ?)`, i+1, fmt.Sprintf("%0100d", i+1))
		exec(`UPDATE sum SET n = n + 1`)
		exec(`COMMIT`)
	}
	return live.Clone()
}

// rows are the numbers that can be read in a database, once its "-wal" is another.
func rows(t testing.TB, d *disk.Disk, content []byte) (all []int) {
	t.Helper()
	c := d.Clone()
	defer c.Close()
	if err := c.WriteFile("/t.db-wal", content); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", c.DSN("/t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, order := range []string{"", " DESC"} {
		list, err := db.QueryContext(t.Context(), `SELECT n, text FROM row ORDER BY n`+order)
		if err != nil {
			continue // as far as it can be read
		}
		for list.Next() {
			var n int
			var text string
			if err := list.Scan(&n, &text); err == nil && text == fmt.Sprintf("%0100d", n) && !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
		list.Close()
	}
	return all
}

// TestDamaged flips a bit in every few bytes. SQLite then drops transactions, and
// that is noticed unless it could have been a power cut: in the last transaction,
// or where the one before it ends. Mended, all come back but what is on the one
// page that is damaged, or what only that page refers to.
func TestDamaged(t *testing.T) {
	const n = 12
	d := written(t, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil || wal.Damaged(whole) {
		t.Fatalf("what is whole is damaged, %v", err)
	}
	if got := rows(t, d, whole); len(got) != n {
		t.Fatalf("%d rows, want %d", len(got), n)
	}
	if got := rows(t, d, wal.Mend(whole)); len(got) != n {
		t.Errorf("what is whole is mended to %v", got)
	}
	noticed, mended := 0, 0
	for at := 0; at < len(whole); at += 29 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << (at % 8)
		left := rows(t, d, damaged)
		if !wal.Damaged(damaged) || !lost(t, d, damaged) {
			if len(left) < n-2 {
				t.Errorf("byte %d of %d: only %v are left, and nobody has noticed", at, len(whole), left)
			}
			continue
		}
		noticed++
		if len(rows(t, d, wal.Mend(damaged))) >= n-4 {
			mended++
		}
	}
	if flips := len(whole)/29 + 1; noticed < flips*9/10 || mended < noticed*98/100 {
		t.Errorf("of %d flips %d were noticed, and %d mended", flips, noticed, mended)
	}
}

// lost asks whether a "-wal" holds what the database lacks.
func lost(t testing.TB, d *disk.Disk, content []byte) bool {
	t.Helper()
	base, err := d.ReadFile("/t.db")
	if err != nil {
		t.Fatal(err)
	}
	is, err := wal.Lost(content, bytes.NewReader(base))
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// TestNewBeginning: what is in the database does no harm in a "-wal" that is begun
// anew and whose new header came in part; before it is there, it does.
func TestNewBeginning(t *testing.T) {
	const n = 6
	d := written(t, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	begun := bytes.Clone(whole)
	begun[15]++ // the number of its runs
	if !wal.Damaged(begun) || !lost(t, d, begun) || lost(t, d, whole) {
		t.Error("not in the database, and no loss")
	}
	db, err := sql.Open("sqlite3", d.DSN("/t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		t.Fatal(err)
	}
	if lost(t, d, begun) {
		t.Error("in the database, and a loss")
	}
	older := bytes.Clone(whole)
	older[32+6*(24+512)+24+100] ^= 1 // the transactions before it are shown, and not the database
	if !wal.Damaged(older) || !lost(t, d, older) {
		t.Error("an older page is shown, and no loss")
	}
}

// TestPageNumber has each frame's page become another, the one that there is not
// among them. What is behind it comes back all the same, unless that page alone
// leads there.
func TestPageNumber(t *testing.T) {
	const n = 8
	d := written(t, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	frames, back := 0, 0
	for at := 32; at < len(whole)*2/3; at += 24 + 512 {
		damaged := bytes.Clone(whole)
		clear(damaged[at : at+4])
		frames++
		if !wal.Damaged(damaged) || !lost(t, d, damaged) {
			t.Errorf("frame at %d: nobody has noticed", at)
		}
		if slices.Contains(rows(t, d, wal.Mend(damaged)), n) {
			back++
		}
	}
	if back < frames*4/5 {
		t.Errorf("of %d frames %d were mended", frames, back)
	}
}

// TestHeader flips every bit of the header. SQLite then shows none of what is
// there; mended, all of it comes back.
func TestHeader(t *testing.T) {
	const n = 4
	d := written(t, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * 32 {
		damaged := bytes.Clone(whole)
		damaged[bit/8] ^= 1 << (bit % 8)
		if left := rows(t, d, damaged); len(left) != 0 {
			t.Fatalf("byte %d: %v are left, and the header is damaged", bit/8, left)
		}
		if !wal.Damaged(damaged) || !lost(t, d, damaged) {
			t.Errorf("byte %d, bit %d: nobody has noticed", bit/8, bit%8)
		}
		mended := wal.Mend(damaged)
		if got := rows(t, d, mended); len(got) != n || wal.Damaged(mended) {
			t.Errorf("byte %d, bit %d: mended to %v", bit/8, bit%8, got)
		}
	}
	gone := bytes.Clone(whole)
	clear(gone[:512]) // the first sector, and with it the first frame's beginning
	if !wal.Damaged(gone) || len(rows(t, d, wal.Mend(gone))) < n-1 {
		t.Error("the first sector is gone, and nobody has noticed, or it is not mended")
	}
}

// turned is a "-wal" whose checksums are added up in the other order, as machines
// write it that have their bytes the other way round. SQLite reads either.
func turned(whole []byte) []byte {
	all := bytes.Clone(whole)
	all[3] ^= 1
	var a, b uint32
	add := func(words []byte) {
		for ; len(words) > 0; words = words[8:] {
			a += binary.BigEndian.Uint32(words) + b
			b += binary.BigEndian.Uint32(words[4:]) + a
		}
	}
	put := func(to []byte) {
		binary.BigEndian.PutUint32(to, a)
		binary.BigEndian.PutUint32(to[4:], b)
	}
	add(all[:24])
	put(all[24:])
	for at := 32; at < len(all); at += 24 + 512 {
		add(all[at : at+8])
		add(all[at+24 : at+24+512])
		put(all[at+16:])
	}
	return all
}

// TestOtherOrder does it with the checksums of another kind of machine.
func TestOtherOrder(t *testing.T) {
	const n = 5
	d := written(t, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	other := turned(whole)
	if got := rows(t, d, other); len(got) != n {
		t.Fatalf("SQLite reads %v", got)
	}
	if wal.Damaged(other) || lost(t, d, other) {
		t.Error("what is whole is damaged")
	}
	for _, at := range []int{3, 9, 32 + 24 + 512 + 16} {
		damaged := bytes.Clone(other)
		damaged[at] ^= 1
		if !wal.Damaged(damaged) || !lost(t, d, damaged) || len(rows(t, d, wal.Mend(damaged))) != n {
			t.Errorf("byte %d: nobody has noticed, or it is not mended", at)
		}
	}
}

// TestOlderRun: what an earlier run has left behind the end is neither lost nor
// given back; it is older than what the database has.
func TestOlderRun(t *testing.T) {
	const before, n = 30, 4
	d := writtenOn(t, disk.Options{PowersafeOverwrite: true}, before, n)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	if salt := whole[16:24]; bytes.Equal(whole[len(whole)-512-24+8:][:8], salt) {
		t.Fatal("nothing is left of the earlier run")
	}
	if wal.Damaged(whole) || lost(t, d, whole) {
		t.Error("what is whole is damaged")
	}
	if got := rows(t, d, wal.Mend(whole)); len(got) != before+n {
		t.Errorf("mended to %d rows, want %d", len(got), before+n)
	}
	damaged := bytes.Clone(whole)
	damaged[32+16] ^= 1 // the checksum of the first frame
	if !wal.Damaged(damaged) || !lost(t, d, damaged) {
		t.Error("nobody has noticed")
	}
	if got := rows(t, d, wal.Mend(damaged)); len(got) != before+n {
		t.Errorf("mended to %d rows, want %d", len(got), before+n)
	}
}

// TestPowerCut: what a power cut leaves of the last transaction is no damage. Where
// sectors may be torn, each transaction ends with its last frame again and again, up
// to where a sector begins.
func TestPowerCut(t *testing.T) {
	for name, o := range map[string]disk.Options{"Safe": {PowersafeOverwrite: true}, "Sectors": {Sector: 4096}} {
		t.Run(name, func(t *testing.T) { cutLast(t, o) })
	}
}

func cutLast(t *testing.T, o disk.Options) {
	t.Helper()
	d := writtenOn(t, o, 0, 5)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	const frame = 24 + 512
	four, repeated := 32, 0 // where the fourth transaction ends, for the first time
	for at, ends, last := 32, 0, []byte(nil); at < len(whole); at += frame {
		page := whole[at : at+4]
		switch end := !bytes.Equal(whole[at+4:at+8], make([]byte, 4)); {
		case end && bytes.Equal(page, last):
			repeated++
		case end:
			if ends++; ends == 4 {
				four = at + frame
			}
			last = page
		default:
			last = nil
		}
	}
	if (repeated > 0) != (o.Sector > 0) {
		t.Fatalf("%d frames are there again", repeated)
	}
	for at := four; at < len(whole); at += 7 {
		torn := bytes.Clone(whole)
		clear(torn[at:min(at+100, len(torn))])
		for name, content := range map[string][]byte{"torn": torn, "cut": whole[:at]} {
			if wal.Damaged(content) {
				t.Errorf("%s at %d: damaged", name, at)
			}
		}
	}
}

// TestPowerCutTwice cuts the power while a long transaction is written, and again while
// the next one is, in its place. What is left of the long one ends behind what is left of
// the short one, and neither was ever on the disk.
func TestPowerCutTwice(t *testing.T) {
	const n = 3
	first := written(t, n)
	defer first.Close()
	long := torn(t, first, longQuery)
	second := first.Clone()
	defer second.Close()
	if err := second.WriteFile("/t.db-wal", long); err != nil {
		t.Fatal(err)
	}
	both := torn(t, second, `INSERT INTO row VALUES (50, 'x')`)
	if len(both) != len(long) {
		t.Fatalf("nothing is left of the first: %d bytes of %d", len(both), len(long))
	}
	if got := rows(t, second, both); len(got) != n {
		t.Errorf("%d rows, want %d", len(got), n)
	}
	if wal.Damaged(both) {
		t.Error("two power cuts in a row are damage")
	}
}

const longQuery = `
	WITH RECURSIVE more (n) AS (VALUES (101) UNION ALL SELECT n + 1 FROM more WHERE n < 400)
	INSERT INTO row SELECT n, hex(zeroblob(50)) FROM more`

// TestHeaderInTwoSectors cuts the power while a transaction is written, of which the header of
// a frame lies in two sectors: the first keeps the end of another run's transaction, and only
// the second, with the salt, comes onto the disk.
func TestHeaderInTwoSectors(t *testing.T) {
	d := written(t, 3)
	defer d.Close()
	content := torn(t, d, longQuery)
	const at = 32 + 41*(24+512)
	if (at+8)%512 != 0 || len(content) < at+2*(24+512) {
		t.Fatalf("frame 41 is not what it was, of %d bytes", len(content))
	}
	copy(content[at:], []byte{0, 0, 0, 38, 0, 0, 0, 38})
	if wal.Damaged(content) {
		t.Error("a power cut is damage")
	}
}

// torn returns what the "-wal" of a disk is after one transaction more, of whose first
// page a bit is wrong, and whose end is there.
func torn(t *testing.T, d *disk.Disk, query string) []byte {
	t.Helper()
	live := d.Clone()
	defer live.Close()
	db, err := sql.Open("sqlite3", live.DSN("/t.db")+"&_synchronous=FULL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before, err := live.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	content, err := live.ReadFile("/t.db-wal")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for at < len(before) && content[at] == before[at] {
		at++
	}
	content[at+100] ^= 1
	return content
}

// FuzzMend reads what SQLite has not written.
func FuzzMend(f *testing.F) {
	d := written(f, 3)
	defer d.Close()
	whole, err := d.ReadFile("/t.db-wal")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-600])
	f.Add([]byte("nonsense"))
	f.Fuzz(func(t *testing.T, content []byte) {
		wal.Damaged(content)
		if _, err := wal.Lost(content, bytes.NewReader(nil)); err != nil {
			t.Error(err)
		}
		mended := wal.Mend(content)
		if wal.Damaged(mended) && !bytes.Equal(mended, content) {
			t.Error("mended, and damaged")
		}
	})
}
