package ingest_test

import (
	"database/sql"
	"strings"
	"testing"

	"quancun/journal"
)

// attack changes the books behind everybody's back, with nothing in the way.
func (w *world) attack(statements ...string) {
	w.t.Helper()
	driver, dsn, before := "sqlite3", "file:"+w.dsn+"?_foreign_keys=0", ""
	if strings.HasPrefix(w.dsn, "postgres") {
		driver, dsn, before = "pgx", shared.Admin, "SET session_replication_role = replica"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if before == "" {
		statements = append(dropTriggers(w.t, db), statements...)
	} else {
		statements = append([]string{before}, statements...)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			w.t.Fatalf("%s: %v", s, err)
		}
	}
}

func dropTriggers(t testing.TB, db *sql.DB) (all []string) {
	t.Helper()
	rows, err := db.Query(`SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestVerify tampers with what is kept, and has it found.
func TestVerify(t *testing.T) {
	for name, c := range map[string]struct{ attack, found string }{
		"Body": {`UPDATE journal_entries SET body = (SELECT body FROM journal_entries WHERE seq = 3) WHERE seq = 2`,
			"bytes are not those"},
		"Dropped":   {`DELETE FROM journal_entries WHERE seq = 2`, "has a gap"},
		"Cut":       {`DELETE FROM journal_entries WHERE seq = (SELECT max(seq) FROM journal_entries)`, "another head"},
		"Swapped":   {`UPDATE journal_entries SET seq = CASE seq WHEN 2 THEN 1002 ELSE 2 END WHERE seq IN (2, 1002)`, "M3"},
		"Head":      {`UPDATE journals SET head_hash = (SELECT hash FROM journal_entries WHERE seq = 1)`, "the head or the frontier"},
		"Frontier":  {`UPDATE journals SET frontier = head_hash`, "the head or the frontier"},
		"Note":      {`UPDATE journals SET note = head_hash`, "is not of these entries"},
		"Key":       {`UPDATE journals SET journal_key = head_hash`, "not signed by the terminal"},
		"Early":     {`UPDATE checkpoints SET note = (SELECT hash FROM journal_entries WHERE seq = 1)`, "the checkpoint over"},
		"Posting":   {`UPDATE entries SET amount_fen = amount_fen + 1 WHERE credit LIKE 'merchant/%'`, "posts"},
		"Unposted":  {`DELETE FROM entries WHERE seq = 2`, "is not posted"},
		"Suspense":  {`UPDATE claims SET amount_fen = amount_fen + 1`, "I10: claim"},
		"Settled":   {`UPDATE claims SET state = 3, settled_ms = 1`, "I10"},
		"Hold":      {`UPDATE holds SET state = 1, closed_ms = NULL WHERE attempt = 's1'`, "number has passed"},
		"HoldBound": {`UPDATE holds SET state = 2, closed_ms = NULL WHERE attempt = 's1'`, "bound to no open sale"},
		"Intent":    {`UPDATE intents SET ref = 'other'`, "has none"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				a := w.holder("1001", 100*yuan)
				p, c2 := w.card(1, a, 50*yuan), w.till("C01")
				c2.approved(c2.ask(p, "s0", yuan), 100*yuan)
				c2.sellByCode("1001", "s0", yuan)
				q := c2.ask(p, "s1", yuan)
				c2.approved(q, 100*yuan-yuan)
				c2.sellByCode("1001", "s1", yuan)
				in := c2.intend(p, "torn", 3*yuan)
				p.debit(in)
				c2.doubt(in)
				c2.write(journal.Entry{Kind: journal.Started})
				c2.push()
				w.sound()
				w.attack(c.attack)
				broken, err := w.in.Verify(t.Context())
				if err != nil || !strings.Contains(strings.Join(broken, "\n"), c.found) {
					t.Errorf("found %q, %v; want %q", broken, err, c.found)
				}
			})
		})
	}
}
