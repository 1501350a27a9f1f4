package auditor_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/tools/sim/auditor"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
)

const hold = `INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen,
	virtual, placed_ms) VALUES ('K01', x'0102030405060708', `

// TestOffice changes books behind the back of the program, and of the guards in
// the schema, and checks that the auditor sees it at the next look: one who never
// cries has seen nothing.
func TestOffice(t *testing.T) {
	for _, tt := range []struct{ name, change, want string }{
		{"Nothing", ``, ""},
		{"Account", `UPDATE accounts SET balance_fen = balance_fen + 1 WHERE account = 'holder/1001'`, "by its entries"},
		{"Appears", `INSERT INTO accounts (account, balance_fen) VALUES ('merchant/M1', 5)`, "by its entries"},
		{"Unfollowed", `INSERT INTO entries (kind, place, at_ms, debit, credit, amount_fen, debit_balance_fen,
			credit_balance_fen, debit_before, credit_before)
			VALUES (4, '', 1, 'holder/1001', 'opening/balances', 5, 9994, -9995, 1, 1)`, "its postings with"},
		{"Mirror", `UPDATE cards SET mirror_fen = mirror_fen - 1`, "mirror"},
		{"TooMuchHeld", `INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen,
			virtual, placed_ms) VALUES ('K01', x'0102030405060708', 1, 'a', 'holder/1001', '', 'M1', 9001, 1, 1)`,
			"must leave"},
		{"HeldUnderOneNumber", hold + `1, 'a', 'holder/1001', '', 'M1', 6000, 0, 1); ` +
			hold + `1, 'b', 'holder/1001', '', 'M1', 7000, 0, 1)`, ""},
		{"HeldUnderTwo", hold + `1, 'a', 'holder/1001', '', 'M1', 6000, 0, 1); ` +
			hold + `2, 'b', 'holder/1001', '', 'M1', 7000, 0, 1)`, "must leave"},
		{"HeldTooLong", `INSERT INTO journals (terminal, epoch, opened_ms, head_seq, head_hash, note)
			VALUES ('K01', x'0102030405060708', 1, 7, zeroblob(32), x'00');
			INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, placed_ms)
			VALUES ('K01', x'0102030405060708', 7, 'a', 'holder/1001', '', 'M1', 1, 0, 1)`, "stands under 7"},
		{"ShowerOfNobody", `INSERT INTO entries (kind, place, at_ms, debit, credit, amount_fen, debit_balance_fen,
			credit_balance_fen, debit_before, credit_before)
			VALUES (17, '', 1, 'holder/1001', 'opening/balances', 5, 9995, -9995, 1, 1)`, "1 showers were paid with 0.05"},
		{"ShowerPaid", places + bath + `(1, 3, 2, 9))`, "has paid 0.09 of 60.00, by <nil>"},
		{"ShowerHeldForAnother", places + bath + `(1, 4, 1, 0))`, "holds money in state 4"},
		{"ShowersAboveAll", places + `DROP INDEX a_stall_is_reserved_once; DROP INDEX a_holder_reserves_a_slot_once;` +
			bath + `(1, 1, 1, 0)); ` + bath + `(2, 1, 1, 0))`, "must leave"},
		{"PlaceTwice", places + `DROP INDEX a_stall_is_reserved_once; DROP INDEX a_holder_reserves_a_slot_once;` +
			bath + `(1, 1, 1, 0)); ` + bath + `(2, 1, 1, 0))`, "2 have the same place"},
		{"FeedGoesBack", `UPDATE feeds SET version = 0 WHERE name = 'hotlist'`, "feed hotlist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "books.db")
			books := openBooks(t, path)
			office := auditor.NewOffice(books, 10*money.Yuan)
			if broken, err := office.Look(t.Context()); err != nil || len(broken) > 0 {
				t.Fatalf("first look: %q, %v", broken, err)
			}
			change(t, path, tt.change)
			broken, err := office.Look(t.Context())
			if err != nil || !strings.Contains(strings.Join(broken, "\n"), tt.want) || (len(broken) > 0) != (tt.want != "") {
				t.Errorf("Look = %q, %v; want something about %q", broken, err, tt.want)
			}
		})
	}
}

// TestLostBaths has two reservations come back that restored books had lost, to where
// another was made meanwhile.
func TestLostBaths(t *testing.T) {
	told := `INSERT INTO exceptions (kind, ref, owner, next_step, detail, opened_ms)
		VALUES ('bath place given twice', '1/1/1/1/2', 'bath', 's', 'd', 1);`
	for _, tt := range []struct {
		name, change, want string
	}{
		{"Told", told + bath + `(1, 1, 1, 0), (2, 1, 1, 0))`, ""},
		{"NobodyTold", bath + `(1, 1, 1, 0), (2, 1, 1, 0))`, "people know of 0"},
		{"NotLost", told + strings.Replace(told, "1/2'", "1/4'", 1) + bath + `(1, 1, 1, 0), (2, 1, 1, 0), (4, 1, 1, 0))`,
			"of whom 1 had it before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "books.db")
			office := auditor.NewOffice(openBooks(t, path), 0)
			office.Lost = map[string]bool{"R2": true, "R3": true}
			drop := `DROP INDEX a_stall_is_reserved_once; DROP INDEX a_holder_reserves_a_slot_once;`
			change(t, path, places+drop+strings.ReplaceAll(tt.change, "6000", "60"))
			broken, err := office.Look(t.Context())
			if err != nil || !strings.Contains(strings.Join(broken, "\n"), tt.want) || (len(broken) > 0) != (tt.want != "") {
				t.Errorf("Look = %q, %v; want something about %q", broken, err, tt.want)
			}
		})
	}
}

// places is a bath with a slot, and bath how a place in it is reserved, for all that
// somebody has: what follows are its number, its state, that of its hold, and what it has
// paid.
const (
	places = `INSERT INTO bath_halls (hall, name, merchant, whole, cap_fen, litre_fen, litre_pulses, cancel_min)
		VALUES (1, 'H', 'M1', 0, 6000, 1, 1, 0); INSERT INTO bath_slots (hall, slot, from_min, to_min) VALUES (1, 1, 0, 60);`
	bath = `PRAGMA ignore_check_constraints = 1;
		INSERT INTO bath_reservations (ref, terminal, account, hall, stall, day, slot, n, cap_fen, litre_fen,
			litre_pulses, from_ms, to_ms, cancel_ms, made_ms, moved_ms, state, hold, captured_fen)
		SELECT 'R' || column1, 'K01', 'holder/1001', 1, 1, 1, 1, column1, 6000, 1, 1, 1, 2, 1, 1, 1, column2, column3, column4
		FROM (VALUES `
)

// openBooks makes books with a holder of 100 yuan who has a card, and a hotlist
// that has changed.
func openBooks(t *testing.T, path string) *store.Books {
	t.Helper()
	ctx := t.Context()
	books, err := booktest.Open(ctx, path, func() time.Time { return time.UnixMilli(1) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := books.Close(); err != nil {
			t.Error(err)
		}
	})
	holder := store.HolderAccount("1001")
	_, err = books.AddTerminal(ctx, store.Terminal{ID: "K01"})
	err = errors.Join(err,
		books.AddHolder(ctx, store.Holder{Account: holder, Number: "1001"}, store.PIN{}, 100*money.Yuan),
		books.AddCard(ctx, store.Card{No: "00000000000000000001", Account: holder, Status: store.CardActive}),
		books.SetCardStatus(ctx, "00000000000000000001", store.CardHot))
	if err != nil {
		t.Fatal(err)
	}
	return books
}

// change runs statements on a file whose guards are taken away first, with the
// driver that the store brings.
func change(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	guards := drops(t.Context(), t, db)
	for _, s := range append(guards, statements) {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// drops returns the statements that drop all triggers.
func drops(ctx context.Context, t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(ctx, `SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var drop string
		if err := rows.Scan(&drop); err != nil {
			t.Fatal(err)
		}
		all = append(all, drop)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
