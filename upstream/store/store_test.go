package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/upstream/store"
)

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

// TestRatchet holds the table against the code, and in SQLite against the
// schema behind the code's back.
func TestRatchet(t *testing.T) { onBoth(t, testRatchet) }

func testRatchet(t *testing.T, p place) {
	b := newBooks(t, p)
	raw := p.attack(t)
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
			if !want && !p.postgres() {
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
func TestCreditOnce(t *testing.T) { onBoth(t, testCreditOnce) }

func testCreditOnce(t *testing.T, p place) {
	b := newBooks(t, p)
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

func TestTerminalNumbers(t *testing.T) { onBoth(t, testTerminalNumbers) }

func testTerminalNumbers(t *testing.T, p place) {
	b := newBooks(t, p)
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

func TestHolderTwice(t *testing.T) { onBoth(t, testHolderTwice) }

func testHolderTwice(t *testing.T, p place) {
	b := newBooks(t, p)
	err := b.AddHolder(t.Context(), store.Holder{Account: holder, Name: "李四", Number: "1002"}, store.PIN{}, yuan)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("AddHolder again = %v, want %v", err, store.ErrConflict)
	}
	check(t, b)
}

func TestHasten(t *testing.T) { onBoth(t, testHasten) }

func testHasten(t *testing.T, p place) {
	b := newBooks(t, p)
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

// TestDatabaseClock asks the database what time it is: the machine's own clock, of
// which a PostgreSQL on another machine would tell if it is wrong, says nothing there.
func TestDatabaseClock(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		b := open(t, p, func() time.Time { return time.Unix(0, 0) })
		before := time.Now().Add(-time.Second)
		if at, err := b.Clock(t.Context()); err != nil || at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("Clock = %v, %v; want about %v", at, err, before)
		}
	})
}
