package ledger

import (
	"flag"
	"os"
	"testing"
	"testing/fstest"
	"time"
)

const time24 = 24 * time.Hour

var makeV1 = flag.Bool("make-v1", false, "write testdata/v1.db, which is done once for each version")

// TestMakeV1 made testdata/v1.db when version 1 was the newest. It is kept so
// that everybody can see what is in that file.
func TestMakeV1(t *testing.T) {
	if !*makeV1 {
		t.Skip("the file is there, and is never made again")
	}
	ctx := t.Context()
	data, err := migrations.ReadFile("migrations/0001_journal.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(v1File); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	db, err := openStore(ctx, v1File, fstest.MapFS{"migrations/0001_journal.sql": {Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := epochOf(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	full := func(e Entry) Entry { e.Card, e.Amount = "1001", 2000; return e }
	var last tail
	for i, e := range []Entry{
		{Kind: Started, Details: []byte(`{"version":"0.1","epoch":"` + epoch.String() + `","boot":""}`)},
		topUp("T1"), full(end(TopUpEnd, "T1", Paid)), load("L1"), full(end(LoadEnd, "L1", Written)), load("L2"),
	} {
		e.Seq, e.At = int64(i+1), noon.Add(time.Duration(i)*time.Second)
		data, err := encode(e, last.hash)
		if err != nil {
			t.Fatal(err)
		}
		last = tail{e.Seq, hashOf(data), e.At}
		if _, err := db.ExecContext(ctx, `INSERT INTO journal VALUES (?, ?, ?)`, e.Seq, data, last.hash[:]); err != nil {
			t.Fatal(err)
		}
		project := `UPDATE item SET end_seq = ?1 WHERE ref = ?2 AND ?3 > 0 AND ?4 IS NOT NULL`
		if e.Kind.isIntent() {
			project = `INSERT INTO item (intent_seq, ref, kind, card) VALUES (?, ?, ?, ?)`
		}
		if _, err := db.ExecContext(ctx, project, e.Seq, e.Ref, int(e.Kind), e.Card); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
