package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store"
)

const (
	yuan    = money.Yuan
	cardNo  = "00002026000100012345"
	holder  = store.Account("holder/1001")
	opening = 100 * yuan
)

// newBooks returns books with a terminal, a holder and a card, and their path.
func newBooks(t testing.TB) (*store.Books, string) {
	t.Helper()
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "books.db")
	b, err := store.Open(ctx, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err1 := b.AddTerminal(ctx, store.Terminal{ID: "K01"})
	err2 := b.AddHolder(ctx, store.Holder{Account: holder, Name: "张三", Number: "1001"}, store.PIN{}, opening)
	err3 := b.AddCard(ctx, store.Card{No: cardNo, Account: holder, Status: store.CardActive, Mirror: 30 * yuan})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return b, path
}

func order(no string, amount money.Fen) store.Order {
	return store.Order{
		No: no, Terminal: "K01", CardNo: cardNo, Account: holder, Amount: amount,
		Created: time.Now(), Expires: time.Now().Add(time.Minute),
	}
}

func create(t testing.TB, b *store.Books, no string) {
	t.Helper()
	if _, err := b.CreateOrder(t.Context(), order(no, 20*yuan), 1000*yuan); err != nil {
		t.Fatal(err)
	}
}

// addLoad writes down a load of 10 yuan, offered at a counter.
func addLoad(t testing.TB, b *store.Books, id string, counter uint16) {
	t.Helper()
	err := b.WithCard(t.Context(), cardNo, func(c store.CardTx) error {
		return errors.Join(
			c.AddLoad(store.Load{ID: id, Terminal: "K01", Amount: 10 * yuan}),
			c.AddOffer(store.Offer{LoadID: id, Counter: counter, Stamp: pboc.Stamp{byte(counter) + 1}}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, b *store.Books) {
	t.Helper()
	if broken, err := b.Verify(t.Context()); err != nil || broken != nil {
		t.Errorf("Verify = %q, %v; want the books whole", broken, err)
	}
}

var allStates = []store.OrderState{
	store.OrderCreated, store.OrderWaiting, store.OrderChecking,
	store.OrderPaid, store.OrderClosed, store.OrderReturned,
}

// ratchet is where an order may go, as the design has it. Columns are states
// to go to, rows are states to come from, and "." means never.
const ratchet = `
	          created  waiting  checking  paid  closed  returned
	created   .        yes      yes       yes   yes     yes
	waiting   .        .        yes       yes   yes     yes
	checking  .        .        .         yes   yes     yes
	paid      .        .        .         .     .       .
	closed    .        .        yes       yes   .       yes
	returned  .        .        .         .     .       .
`

// TestRatchet holds the table against the code, and against the schema behind
// the code's back.
func TestRatchet(t *testing.T) {
	b, path := newBooks(t)
	raw := attack(t, path)
	lines := strings.Split(strings.TrimSpace(ratchet), "\n")
	for i, from := range allStates {
		cells := strings.Fields(lines[i+1])
		for j, to := range allStates {
			want := cells[j+1] == "yes"
			if got := from.CanBecome(to); got != want {
				t.Errorf("from %d to %d: %t, want %t", from, to, got, want)
			}
			if from == to {
				continue
			}
			no := fmt.Sprintf("R%d%d", from, to)
			create(t, b, no)
			reach(t, b, no, from)
			if !want {
				_, err := raw.Exec(`UPDATE orders SET state = ?, paid_ms = iif(?1 = 4, 1, NULL) WHERE order_no = ?`, to, no)
				if err == nil || !strings.Contains(err.Error(), "forward") {
					t.Errorf("schema, from %d to %d: %v, want it refused", from, to, err)
				}
			}
			_, err := b.Advance(t.Context(), no, store.OrderStep{To: to, PaidAt: paidAt(to)})
			if (err == nil) != want || !want && !errors.Is(err, store.ErrBackward) {
				t.Errorf("Advance from %d to %d = %v, want it done: %t", from, to, err, want)
			}
		}
	}
	check(t, b)
}

// reach moves a new order to a state.
func reach(t testing.TB, b *store.Books, no string, to store.OrderState) {
	t.Helper()
	if to == store.OrderCreated {
		return
	}
	if _, err := b.Advance(t.Context(), no, store.OrderStep{To: to, PaidAt: paidAt(to)}); err != nil {
		t.Fatal(err)
	}
}

func paidAt(s store.OrderState) time.Time {
	if s == store.OrderPaid {
		return time.Now()
	}
	return time.Time{}
}

// TestCreditOnce has many hear of one payment at once.
func TestCreditOnce(t *testing.T) {
	b, _ := newBooks(t)
	create(t, b, "O1")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			o, err := b.Advance(t.Context(), "O1", store.OrderStep{To: store.OrderPaid, PaidAt: time.Now()})
			if err != nil || o.Balance != opening+20*yuan {
				t.Errorf("Advance = %+v, %v", o, err)
			}
		})
	}
	wg.Wait()
	if got, err := b.Balance(t.Context(), holder); err != nil || got != opening+20*yuan {
		t.Errorf("balance %s, %v; want %s", got, err, opening+20*yuan)
	}
	check(t, b)
}

// attack opens the file behind the store's back.
func attack(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=1&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestAttack attacks the books from behind, with SQL. The schema refuses all
// of it, and the books stay whole.
func TestAttack(t *testing.T) {
	b, path := newBooks(t)
	create(t, b, "O1")
	create(t, b, "O2")
	reach(t, b, "O1", store.OrderPaid)
	const load1, load2 = "00000000000000000000000000000001", "00000000000000000000000000000002"
	addLoad(t, b, load1, 7)
	addLoad(t, b, load2, 8)
	if err := b.WithCard(t.Context(), cardNo, func(c store.CardTx) error {
		return c.Settle(load1, store.LoadWritten, "TAC")
	}); err != nil {
		t.Fatal(err)
	}
	raw := attack(t, path)
	for _, tt := range []struct{ sql, want string }{
		{`UPDATE entries SET at_ms = 0`, "never changed"},
		{`DELETE FROM entries`, "never deleted"},
		{`UPDATE postings SET amount_fen = amount_fen * 2`, "never changed"},
		{`DELETE FROM postings`, "never deleted"},
		{`INSERT INTO entries (kind, order_no, place, at_ms, lines) VALUES (1, 'O1', '', 0, 2)`, "UNIQUE"},
		{`INSERT INTO entries (kind, order_no, place, at_ms, lines) VALUES (1, NULL, '', 0, 2)`, "CHECK"},
		{`INSERT INTO entries (kind, order_no, place, at_ms, lines) VALUES (1, 'O9', '', 0, 2)`, "FOREIGN KEY"},
		{`INSERT INTO entries (kind, place, at_ms, lines) VALUES (5, '', 0, 1)`, "CHECK"},
		{`INSERT INTO postings SELECT 1, 'channel/alipay', 5, balance_fen + 5 FROM accounts
			WHERE account = 'channel/alipay'`, "complete"},
		{`INSERT INTO entries (id, kind, place, at_ms, lines) VALUES (99, 5, '', 0, 2);
			INSERT INTO postings SELECT 99, account, 5, balance_fen + 5 FROM accounts`, "sum to zero"},
		{`INSERT INTO entries (id, kind, place, at_ms, lines) VALUES (99, 5, '', 0, 2);
			INSERT INTO postings SELECT 99, account, 5, balance_fen FROM accounts`, "follow the balance"},
		{`UPDATE orders SET amount_fen = 1`, "keeps its content"},
		{`UPDATE orders SET account = 'holder/1002'`, "keeps its content"},
		{`UPDATE orders SET state = 2, paid_ms = NULL WHERE order_no = 'O1'`, "forward"},
		{`UPDATE orders SET state = 4 WHERE order_no = 'O2'`, "CHECK"}, // paid without a time
		{`UPDATE orders SET amount_fen = 12.5`, "cannot store REAL"},
		{`DELETE FROM orders`, "never deleted"},
		{`UPDATE loads SET amount_fen = 1`, "keeps its content"},
		{`UPDATE loads SET state = 3 WHERE state = 2`, "forward"},
		{`DELETE FROM loads`, "never deleted"},
		{`UPDATE load_offers SET counter = 1`, "never changed"},
		{`DELETE FROM load_offers`, "never deleted"},
		{`INSERT INTO load_offers SELECT 99, load_id, card_no, 0, 9, 0, 0, random, mac1, terminal_no,
			x'00000000000000' FROM load_offers LIMIT 1`, "only grow"},
		{`UPDATE purse_moves SET amount_fen = 1`, "never changed"},
		{`DELETE FROM purse_moves`, "never deleted"},
		{`INSERT INTO purse_moves (card_no, kind, load_id, amount_fen, balance_fen, place, at_ms)
			VALUES ('` + cardNo + `', 2, '` + load1 + `', 1, 0, '', 0)`, "UNIQUE"},
		{`INSERT INTO purse_moves (card_no, kind, amount_fen, balance_fen, place, at_ms)
			VALUES ('` + cardNo + `', 2, 1, 0, '', 0)`, "CHECK"},
		{`DELETE FROM alarms`, ""},
		{`UPDATE holders SET pin_wrong = 6`, "CHECK"},
		{`DELETE FROM cards`, "FOREIGN KEY"},
	} {
		err := inTx(t.Context(), raw, tt.sql)
		if tt.want == "" {
			continue // there is none to delete
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.sql, err, tt.want)
		}
	}
	check(t, b)
}

// inTx runs an attack in one transaction, as an attacker's tool would.
func inTx(ctx context.Context, db *sql.DB, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// TestVerify takes a guard away and breaks what it guarded: Verify must tell
// of both.
func TestVerify(t *testing.T) {
	for _, tt := range []struct{ name, sql, want string }{
		{"Balance", `UPDATE accounts SET balance_fen = balance_fen + 1 WHERE account = 'holder/1001'`, "M2: balance"},
		{"Mirror", `UPDATE cards SET mirror_fen = mirror_fen - 1`, "M2: mirror"},
		{"Posting", `DROP TRIGGER postings_are_never_changed;
			UPDATE postings SET amount_fen = amount_fen + 1 WHERE account = 'holder/1001'`, "M1: entry"},
		{"Guard", `DROP TRIGGER postings_are_never_changed`, "schema: missing or changed: trigger postings_are"},
		{"Incomplete", `INSERT INTO entries (kind, place, at_ms, lines) VALUES (5, '', 0, 2)`, "M1: entry"},
		{"PaidUncredited", `UPDATE orders SET state = 4, paid_ms = 1`, "M5: paid order"},
		{"Returned", `DROP TRIGGER orders_move_forward;
			UPDATE orders SET state = 6, paid_ms = NULL WHERE order_no = 'O2'`, "M5: paid order"},
		{"Written", `UPDATE loads SET state = 2, settled_ms = 1`, "M2: load"},
		{"Ours", `CREATE TABLE theirs (x INTEGER)`, "schema: not ours: table theirs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, path := newBooks(t)
			create(t, b, "O1")
			create(t, b, "O2")
			reach(t, b, "O2", store.OrderPaid)
			addLoad(t, b, "00000000000000000000000000000001", 7)
			check(t, b)
			if _, err := attack(t, path).Exec(tt.sql); err != nil {
				t.Fatal(err)
			}
			broken, err := b.Verify(t.Context())
			if err != nil || !strings.Contains(strings.Join(broken, "\n"), tt.want) {
				t.Errorf("Verify = %q, %v; want it to tell of %q", broken, err, tt.want)
			}
		})
	}
}

func TestOpenAgain(t *testing.T) {
	b, path := newBooks(t)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	create(t, b, "O1")
	again, err := store.Open(t.Context(), path, nil) // a tool beside the server
	if err != nil {
		t.Fatal(err)
	}
	if o, err := again.Order(t.Context(), "O1"); err != nil || o.Amount != 20*yuan {
		t.Errorf("Order = %+v, %v", o, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := attack(t, path).Exec(`PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open of a newer file = %v, want it refused", err)
	}
}

func TestTerminalNumbers(t *testing.T) {
	b, _ := newBooks(t)
	ctx := t.Context()
	for i := range 11 {
		no, err := b.AddTerminal(ctx, store.Terminal{ID: fmt.Sprintf("T%d", i)})
		if want := fmt.Sprintf("%012d", i+2); err != nil || no.String() != want {
			t.Errorf("AddTerminal = %s, %v; want %s", no, err, want)
		}
	}
	again, err := b.AddTerminal(ctx, store.Terminal{ID: "T3", No: pboc.TerminalNo{9}})
	if err != nil || again.String() != "000000000005" {
		t.Errorf("AddTerminal again = %s, %v; want it to keep its number", again, err)
	}
	if _, err := b.AddTerminal(ctx, store.Terminal{ID: "T99", No: again}); err == nil {
		t.Error("two terminals have one number")
	}
	if err := b.RevokeTerminal(ctx, "nobody"); !errors.Is(err, store.ErrNone) {
		t.Errorf("RevokeTerminal of nobody = %v", err)
	}
}

func TestHolderTwice(t *testing.T) {
	b, _ := newBooks(t)
	err := b.AddHolder(t.Context(), store.Holder{Account: holder, Name: "李四", Number: "1002"}, store.PIN{}, yuan)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("AddHolder again = %v, want %v", err, store.ErrConflict)
	}
	check(t, b)
}

func TestHasten(t *testing.T) {
	b, _ := newBooks(t)
	ctx := t.Context()
	create(t, b, "O1")
	create(t, b, "O2")
	reach(t, b, "O2", store.OrderPaid)
	for _, no := range []string{"O1", "O2"} {
		if err := b.Hasten(ctx, no); err != nil {
			t.Fatal(err)
		}
	}
	due, _, err := b.DueOrders(ctx, time.Now().Add(time.Second), 10)
	if err != nil || len(due) != 1 || due[0].No != "O1" {
		t.Errorf("DueOrders = %+v, %v; want O1 alone", due, err)
	}
	if err := b.Hasten(ctx, "O3"); !errors.Is(err, store.ErrNone) {
		t.Errorf("Hasten of nothing = %v, want %v", err, store.ErrNone)
	}
}
