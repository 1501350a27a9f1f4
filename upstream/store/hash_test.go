package store_test

import (
	"strings"
	"testing"

	"quancun/upstream/store/pgtest"
)

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
		"entries.order_no || 'x'", "entries.place || 'x'", "entries.at_ms + 1", "entries.lines + 1",
		"postings.account || 'x'", "postings.amount_fen * 2", "postings.balance_fen + 1",
		"loads.terminal || 'x'", "loads.amount_fen + 1", "loads.order_no || 'x'", "loads.created_ms + 1",
		"loads.claim || 'x'", "loads.evidence || 'x'", "loads.settled_ms + 1",
		"load_offers.load_id || 'x'", "load_offers.balance + 1", "load_offers.counter + 1", "load_offers.key_version + 1",
		"load_offers.algorithm + 1", "purse_moves.amount_fen + 1", "purse_moves.balance_fen + 1",
		"purse_moves.place || 'x'", "purse_moves.at_ms + 1",
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
