package ingest_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"quancun/journal"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
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

// invented moves 1 yuan on, in whole books, by an entry of a kind that has a place in
// a journal and is of a claim.
func invented(kind, place, claim string, from, to store.Account) string {
	return `INSERT INTO entries (kind, place, at_ms, debit, credit, amount_fen, debit_balance_fen, credit_balance_fen,
			debit_before, credit_before, journal, seq, part, claim_id)
		SELECT ` + kind + `, '', 0, d.account, c.account, 100, d.balance_fen - 100, c.balance_fen + 100,
			d.last_entry, c.last_entry, ` + place + `, ` + claim + `
		FROM accounts d, accounts c WHERE d.account = '` + string(from) + `' AND c.account = '` + string(to) + `';
		UPDATE accounts SET last_entry = (SELECT max(id) FROM entries),
			balance_fen = balance_fen + CASE account WHEN '` + string(to) + `' THEN 100 ELSE -100 END
		WHERE account IN ('` + string(from) + `', '` + string(to) + `')`
}

// otherPayer has somebody else pay for a sale, as the guards would not allow.
const otherPayer = `
	UPDATE entries SET debit = 'holder/1002' WHERE seq = 5 AND debit = 'holder/1001'`

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
		"Intent":    {`UPDATE intents SET ref = 'other' WHERE ref = 'torn'`, "has none"},
		"Announced": {`DELETE FROM intents WHERE ref = 'open'`, "neither open nor ended: C01 open"},
		"Freed":     {`UPDATE holds SET state = 4, closed_ms = 1 WHERE attempt = 'open'`, "is not bound to it: C01 open"},
		"Unmoved":   {`DELETE FROM purse_moves WHERE proven`, "moves the purse by 0.00"},
		"Payer":     {otherPayer, "posts 0.00 to holder, and not -1.00"},
		"Purchase":  {invented("4", "NULL, NULL, NULL", "NULL", payee, "holder/1002"), "M4: entry is of none"},
		"Refund":    {invented("3", "NULL, NULL, NULL", "NULL", payee, "holder/1002"), "M4: entry is of none"},
		"Cash":      {invented("9", "NULL, NULL, NULL", "NULL", payee, "holder/1002"), "M4: entry is of none"},
		"Later": {invented("4", "(SELECT max(journal) FROM journal_entries), 99, 0", "NULL", "holder/1002", payee),
			"M4: entry is of none"},
		"Part": {invented("4", "(SELECT max(journal) FROM journal_entries), 2, 1", "NULL", "holder/1002", payee),
			"M4: entry is of none"},
		"NoClaim":    {invented("8", "NULL, NULL, NULL", "99999", payee, "holder/1002"), "I10: entry is of no claim"},
		"OtherClaim": {invented("8", "NULL, NULL, NULL", "(SELECT max(id) FROM claims)", payee, "holder/1001"), "I10: merchant"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				a := w.holder("1001", 100*yuan)
				w.holder("1002", 100*yuan)
				p, other, c2 := w.card(1, a, 50*yuan), w.card(2, a, 50*yuan), w.till("C01")
				c2.approved(c2.ask(p, "s0", yuan), 100*yuan)
				c2.sellByCode("1001", "s0", yuan)
				q := c2.ask(p, "s1", yuan)
				c2.approved(q, 100*yuan-yuan)
				c2.sellByCode("1001", "s1", yuan)
				c2.sell(other, "s2", yuan)
				in := c2.intend(p, "torn", 3*yuan)
				p.debit(in)
				c2.doubt(in)
				c2.write(journal.Entry{Kind: journal.Started})
				c2.authorize(c2.ask(other, "open", yuan))
				c2.intend(other, "open", yuan)
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

// TestVerifyByAnotherKey: campus.pem was lost, and another was made in its place. What the
// campus had signed before is not broken by that; the terminals' own word stands for it.
func TestVerifyByAnotherKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.till("C01")
		for range 2 {
			c.write(journal.Entry{Kind: journal.Started})
			c.push()
		}
		next, err := keys.OpenSoftware(filepath.Join(t.TempDir(), "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		in := ingest.New(w.books, next, ingest.Policy{})
		if broken, err := in.Verify(t.Context()); err != nil || len(broken) > 0 {
			t.Errorf("found %q, %v; want nothing", broken, err)
		}
		w.attack(`UPDATE journals SET journal_key = head_hash`)
		if broken, err := in.Verify(t.Context()); err != nil || len(broken) < 2 {
			t.Errorf("found %q, %v; want what nobody has signed", broken, err)
		}
	})
}
