package store_test

import (
	"strings"
	"testing"

	"quancun/upstream/store/pgtest"
)

// journals are a terminal's two epochs, of which one brings the other's entry
// over, and what follows from it.
const journals = `
	INSERT INTO journals (id, terminal, epoch, opened_ms, head_seq, head_hash, note, origin, superseded_by)
		OVERRIDING SYSTEM VALUE VALUES
		(1, 'K01', '\x0101010101010101', 0, 1, sha256(''), 'n', NULL, 2),
		(2, 'K01', '\x0202020202020202', 0, 1, sha256(''), 'n', 1, NULL);
	INSERT INTO journal_entries VALUES (1, 1, sha256(''), '', 0);
	INSERT INTO carried_entries VALUES (1, 1, sha256(''), 2, 1);
	INSERT INTO claims (id, journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen, balance, counter,
		key_version, algorithm, terminal_no, trace_no, stamp, opened_ms) OVERRIDING SYSTEM VALUE VALUES
		(1, 1, 1, 'K01', 40, 'r', '', '', '', 1, 1, 1, 0, 0, '\x000000000000', 0, '\x00000000000000', 0);
	INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, placed_ms)
		VALUES ('K01', '\x0101010101010101', 1, 'a', 'holder/1001', '', '', 1, false, 0);
	INSERT INTO exceptions (kind, ref, detail, owner, next_step, opened_ms, closed_ms, closing_entry)
		SELECT 'k', 'r', '', '', '', 0, 0, min(id) FROM entries;
	UPDATE entries SET made_ms = 1, journal = 1, seq = id, part = 0, claim_id = 1,
		undoes = (SELECT min(id) FROM entries);
	UPDATE purse_moves SET entry_id = (SELECT min(e.id) FROM entries e) + id - (SELECT min(m.id) FROM purse_moves m),
		counter = 1, before_fen = 1`

// TestStateHash changes one thing about money after the other, as nobody but
// PostgreSQL's superuser could: the hash tells, and tells when it is undone.
func TestStateHash(t *testing.T) {
	d := pgtest.New(t)
	b := attacked(t, place{d.DSN, "pgx"})
	raw := place{d.Admin, "pgx"}.attack(t)
	raw.SetMaxOpenConns(1)
	if _, err := raw.Exec(`SET session_replication_role = replica`); err != nil { // lets rows refer to nothing
		t.Fatal(err)
	}
	if _, err := raw.Exec(journals); err != nil {
		t.Fatal(err)
	}
	hash := func() [32]byte {
		sum, err := b.StateHash(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	before := hash()
	for _, change := range []string{
		"accounts.account || 'x'", "accounts.balance_fen + 1",
		"cards.account || 'x'", "cards.uid || 'x'", "cards.status * 2", "cards.mirror_fen + 1",
		"orders.order_no || 'x'", "orders.terminal || 'x'", "orders.card_no || 'x'", "orders.account || 'x'",
		"orders.amount_fen + 1", "orders.created_ms + 1", "orders.expires_ms + 1", "orders.trade_no || 'x'",
		"orders.paid_ms + 1", "orders.late <> true", "orders.mismatch <> true",
		"entries.order_no || 'x'", "entries.place || 'x'", "entries.at_ms + 1",
		"entries.debit || 'x'", "entries.credit || 'x'", "entries.amount_fen * 2", "entries.debit_balance_fen + 1",
		"entries.credit_balance_fen + 1",
		"loads.terminal || 'x'", "loads.amount_fen + 1", "loads.order_no || 'x'", "loads.created_ms + 1",
		"loads.claim || 'x'", "loads.evidence || 'x'", "loads.settled_ms + 1",
		"load_offers.load_id || 'x'", "load_offers.balance + 1", "load_offers.counter + 1", "load_offers.key_version + 1",
		"load_offers.algorithm + 1", "purse_moves.amount_fen + 1", "purse_moves.balance_fen + 1",
		"purse_moves.place || 'x'", "purse_moves.at_ms + 1", "purse_moves.entry_id + 10", "purse_moves.counter + 1",
		"purse_moves.before_fen + 1", "purse_moves.proven <> true",
		"entries.kind + 1", "entries.made_ms + 1", "entries.journal + 1", "entries.seq + 10", "entries.part + 10",
		"entries.claim_id + 1", "entries.undoes + 1",
		"journals.terminal || 'x'", "journals.head_seq + 1", "journals.carrying <> true",
		"journals.origin + 1", "journals.superseded_by + 1",
		"journal_entries.body || '\\x00'", "journal_entries.seq + 1",
		"carried_entries.by_seq + 1",
		"holds.attempt || 'x'", "holds.account || 'x'", "holds.card_no || 'x'", "holds.merchant || 'x'",
		"holds.amount_fen + 1", "holds.virtual <> true", "holds.placed_ms + 1", "holds.state + 1",
		"claims.ref || 'x'", "claims.seq + 1", "claims.card_no || 'x'", "claims.account || 'x'",
		"claims.merchant || 'x'", "claims.amount_fen + 1", "claims.balance + 1", "claims.counter + 1",
		"claims.evidence || 'x'", "claims.proven <> true",
		"exceptions.kind || 'x'", "exceptions.ref || 'x'", "exceptions.account || 'x'", "exceptions.amount_fen + 1",
		"exceptions.opened_ms + 1", "exceptions.closed_ms + 1", "exceptions.closing_entry + 1",
	} {
		table, rest, _ := strings.Cut(change, ".")
		column, _, _ := strings.Cut(rest, " ")
		for _, s := range []string{
			"DROP TABLE IF EXISTS saved; CREATE TEMP TABLE saved AS SELECT * FROM " + table,
			"UPDATE " + table + " SET " + column + " = " + rest,
		} {
			if _, err := raw.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		if hash() == before {
			t.Errorf("the hash does not see %s", change)
		}
		_, err := raw.Exec("DELETE FROM " + table + "; INSERT INTO " + table + " OVERRIDING SYSTEM VALUE SELECT * FROM saved")
		if err != nil {
			t.Fatal(err)
		}
		if hash() != before {
			t.Fatalf("the hash does not see that %s is undone", change)
		}
	}
}
