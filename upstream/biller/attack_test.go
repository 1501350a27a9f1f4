package biller_test

import (
	"strings"
	"testing"

	"quancun/upstream/biller"
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
		err := w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), a.sql)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), a.want) {
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
		w.must(w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), s.sql)
			return err
		}))
		broken, err := biller.Verify(t.Context(), w.books)
		if err != nil || !strings.Contains(strings.Join(broken, "\n"), s.want) {
			t.Errorf("%s: %q, %v; want %q", s.sql, broken, err, s.want)
		}
	}
}
