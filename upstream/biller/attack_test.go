package biller_test

import (
	"strings"
	"testing"

	"quancun/upstream/biller"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

// TestAttack attacks bills in a file from behind, with SQL. The schema refuses all
// of it.
func TestAttack(t *testing.T) {
	w := newWorld(t, t.TempDir()+"/books.db")
	w.order("N1", 10*yuan)
	w.order("N2", 10*yuan)
	for name, a := range map[string]struct{ sql, want string }{
		"Content":  {`UPDATE bills SET amount_fen = 1`, "keeps its content"},
		"Backward": {`UPDATE bills SET state = 1, entry_id = NULL WHERE order_no = 'N1'`, "moves forward only"},
		"Delete":   {`DELETE FROM bills`, "never deleted"},
		"BeginsPaid": {`INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms,
			deadline_ms, state, sent_ms, entry_id) SELECT 'N3', terminal, account, biller, target, title, amount_fen,
			created_ms, deadline_ms, 4, 1, 1 FROM bills WHERE order_no = 'N1'`, "begins unpaid"},
		"OthersEntry": {`UPDATE bills SET entry_id = (SELECT entry_id FROM bills WHERE order_no = 'N2')
			WHERE order_no = 'N1'`, "moves forward only"},
		"TooMuch": {`INSERT INTO bill_refunds VALUES ('N1', 'R1', 1001, 1, 'r', 'a', 'b', 1)`, "more would be given back"},
		"OneName": {`INSERT INTO bill_refunds VALUES ('N1', 'R1', 1000, 1, 'r', 'a', 'a', 1)`, "constraint"},
	} {
		if err := w.exec(a.sql); err == nil || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: %v, want %q", name, err, a.want)
		}
	}
	w.want("N1", biller.Paid, moneys{30 * yuan, 0, 20 * yuan, 20 * yuan})
}

// TestVerify breaks each promise where no guard is, and is told of it.
func TestVerify(t *testing.T) {
	w := newWorld(t, t.TempDir()+"/books.db")
	w.order("N1", 10*yuan)
	w.restart(mute{w.network})
	w.server.Close()
	w.order("N2", 10*yuan)
	for _, s := range []struct{ sql, want string }{
		{`UPDATE bills SET next_ms = NULL WHERE order_no = 'N2'`, "nobody will see to it: N2"},
		{`UPDATE bills SET state = 2, sent_ms = 1 WHERE order_no = 'N2'`, "nobody will see to it: N2"},
		{`UPDATE bills SET state = 6 WHERE order_no = 'N2'`, "not in the inbox: N2"},
	} {
		w.must(w.exec(s.sql))
		broken, err := biller.Verify(t.Context(), w.books)
		if err != nil || !strings.Contains(strings.Join(broken, "\n"), s.want) {
			t.Errorf("%s: %q, %v; want %q", s.sql, broken, err, s.want)
		}
	}
}

// TestAttackPostgres attacks bills in PostgreSQL from behind, as campusd's own role,
// which owns the tables. Rights and constraints refuse it.
func TestAttackPostgres(t *testing.T) {
	w := newWorld(t, pgtest.New(t).DSN)
	w.order("N1", 10*yuan)
	w.order("N2", 10*yuan)
	w.must(w.desk.Refund(t.Context(), biller.Refund{
		OrderNo: "N2", No: "R1", Amount: yuan, Reason: "r", ByOne: "a", ByTwo: "b",
	}))
	const like = ` SELECT 'N3', terminal, account, biller, target, title, amount_fen, created_ms, deadline_ms,`
	const bills = `INSERT INTO bills (order_no, terminal, account, biller, target, title, amount_fen, created_ms,
		deadline_ms, state, sent_ms, entry_id)` + like
	for name, a := range map[string]struct{ sql, want string }{
		"Content":      {`UPDATE bills SET amount_fen = 1`, "permission denied"},
		"SomebodyElse": {`UPDATE bills SET account = 'biller/network'`, "permission denied"},
		"OtherRoom":    {`UPDATE bills SET target = 'x'`, "permission denied"},
		"Delete":       {`DELETE FROM bills`, "permission denied"},
		"Empty":        {`TRUNCATE bills CASCADE`, "permission denied"},
		"Backward":     {`UPDATE bills SET state = 1 WHERE order_no = 'N1'`, "check constraint"},
		"NoEntry":      {`UPDATE bills SET entry_id = NULL WHERE order_no = 'N1'`, "check constraint"},
		"NoSuchState":  {`UPDATE bills SET state = 7, entry_id = NULL WHERE order_no = 'N1'`, "check constraint"},
		"OthersEntry": {`UPDATE bills SET entry_id = (SELECT entry_id FROM bills WHERE order_no = 'N2')
			WHERE order_no = 'N1'`, "unique constraint"},
		"NoSuchEntry":  {`UPDATE bills SET entry_id = 999999 WHERE order_no = 'N1'`, "foreign key"},
		"BeginsPaid":   {bills + ` 4, 1, NULL FROM bills WHERE order_no = 'N1'`, "check constraint"},
		"SentAtNoTime": {bills + ` 2, NULL, NULL FROM bills WHERE order_no = 'N1'`, "check constraint"},
		"OneName":      {`INSERT INTO bill_refunds VALUES ('N1', 'R1', 1000, 1, 'r', 'a', 'a', 1)`, "check constraint"},
		"NoReason":     {`INSERT INTO bill_refunds VALUES ('N1', 'R1', 1000, 1, '', 'a', 'b', 1)`, "check constraint"},
		"OneEntryTwice": {`INSERT INTO bill_refunds SELECT 'N1', 'R1', 1, entry_id, 'r', 'a', 'b', 1
			FROM bill_refunds`, "unique constraint"},
		"Smaller":      {`UPDATE bill_refunds SET amount_fen = 1`, "permission denied"},
		"NotGivenBack": {`DELETE FROM bill_refunds`, "permission denied"},
	} {
		if err := w.exec(a.sql); err == nil || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: %v, want %q", name, err, a.want)
		}
	}
	w.want("N1", biller.Paid, moneys{31 * yuan, 0, 19 * yuan, 20 * yuan})
}

// TestVerifyPostgres does what nothing refuses there, and is told of it.
func TestVerifyPostgres(t *testing.T) {
	w := newWorld(t, pgtest.New(t).DSN)
	w.order("N1", 10*yuan)
	w.order("N2", 10*yuan)
	for _, s := range []struct{ sql, want string }{
		{`INSERT INTO bill_refunds SELECT 'N1', 'R1', 1001, entry_id, 'r', 'a', 'b', 1 FROM bills
			WHERE order_no = 'N1'`, "more is given back than a bill was paid: N1"},
		{`SELECT 1`, "refund of a bill is not its entry: N1 R1"},
		{`UPDATE bills SET state = 5, entry_id = NULL WHERE order_no = 'N2'`, "entry pays no bill"},
		{`UPDATE bills SET state = 2, next_ms = NULL WHERE order_no = 'N2'`, "nobody will see to it: N2"},
		{`UPDATE bills SET state = 4, entry_id = (SELECT max(id) + 0 FROM entries WHERE kind <> 16)
			WHERE order_no = 'N2'`, "not paid by one entry of its own: N2"},
	} {
		w.must(w.exec(s.sql))
		broken, err := biller.Verify(t.Context(), w.books)
		if err != nil || !strings.Contains(strings.Join(broken, "\n"), s.want) {
			t.Errorf("%s: %q, %v; want %q", s.sql, broken, err, s.want)
		}
	}
}

func (w *world) exec(text string) error {
	return w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), text)
		return err
	})
}
