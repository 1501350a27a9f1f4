package clearing_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// sell is a sale, or with less than zero a refund, that a terminal says was
// made at a time in Beijing. "" is now.
func (w *world) sell(merchant string, amount money.Fen, made string) {
	w.t.Helper()
	var when time.Time
	if made != "" {
		when = at(made)
	}
	w.must(w.books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		account := clearing.MerchantAccount(merchant)
		held, err := w.books.LockAccounts(w.t.Context(), tx, []store.Account{holder, account})
		if err != nil {
			return err
		}
		from, to := holder, account
		if amount < 0 { // given back
			from, to = to, from
		}
		_, err = w.books.PostAll(w.t.Context(), tx, held, []store.Entry{{
			Kind: store.KindPurchase, Place: merchant, Made: when, Debit: from, Credit: to, Amount: max(amount, -amount),
		}})
		return err
	}))
}

// settled returns what days came to, as "merchant day lines(late) owed by".
func (w *world) settled() string {
	w.t.Helper()
	all, err := w.house.Settlements(w.t.Context(), "2026-01-01")
	w.must(err)
	var b strings.Builder
	for _, s := range all {
		by := "open"
		if !s.Settled.IsZero() {
			by = "paid by " + s.By
		}
		fmt.Fprintf(&b, "%s %s %d(%d) %s-%s=%s %s\n",
			s.Merchant, s.Day, s.Lines, s.Late, s.Sales, s.Refunds, s.Owed, by)
	}
	return strings.TrimSpace(b.String())
}

func (w *world) closeDays(through channel.Day, want int) {
	w.t.Helper()
	if n, err := w.house.CloseDays(w.t.Context(), through); err != nil || n != want {
		w.t.Errorf("CloseDays(%s) = %d, %v; want %d", through, n, err, want)
	}
}

// wants compares a text with another whose lines may be indented.
func wants(t *testing.T, got, want string) {
	t.Helper()
	var lines []string
	for l := range strings.Lines(strings.TrimSpace(want)) {
		lines = append(lines, strings.TrimSpace(l))
	}
	if want := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestSettlement follows two merchants through their days: a sale that comes
// late is in the next open day and marked, and a closed day never changes.
func TestSettlement(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.sell("canteen", -2*yuan, "")
		w.sell("shop", 5*yuan, "2026-02-27 12:00:00") // its terminal was without network
		w.set("2026-03-02 00:00:03")
		w.sell("canteen", 1*yuan, "2026-03-01 23:59:59") // before the day is closed: not late
		w.sell("canteen", 7*yuan, "")
		if _, err := w.house.CloseDays(t.Context(), "2026-03-02"); !errors.Is(err, clearing.ErrNotOver) {
			t.Errorf("a day that is not over: %v, want ErrNotOver", err)
		}
		w.closeDays("2026-03-01", 2)
		w.closeDays("2026-03-01", 0)
		first := `
			shop 2026-02-27 1(0) 5.00-0.00=5.00 open
			canteen 2026-03-01 3(0) 11.00-2.00=9.00 open`
		wants(t, w.settled(), first)

		w.set("2026-03-02 18:00:00")
		w.sell("canteen", 3*yuan, "2026-03-01 18:00:00") // late
		w.sell("shop", 4*yuan, "2026-02-26 18:00:00")    // from before everything
		w.sell("shop", 1*yuan, "1970-01-01 00:00:00")    // a flat battery: today's
		w.sell("shop", 2*yuan, "2027-01-01 00:00:00")    // and a mad clock
		w.set("2026-03-03 09:00:00")
		w.closeDays("2026-03-02", 2)
		wants(t, w.settled(), first+`
			canteen 2026-03-02 2(1) 10.00-0.00=10.00 open
			shop 2026-03-02 3(1) 7.00-0.00=7.00 open`)
		w.sell("canteen", 1*yuan, "2026-02-28 18:00:00") // nothing is sold on the 3rd: late by itself
		w.set("2026-03-04 09:00:00")
		w.sell("canteen", 6*yuan, "")
		w.closeDays("2026-03-03", 1)
		w.closeDays("2026-03-03", 0)
		wants(t, w.settled(), first+`
			canteen 2026-03-02 2(1) 10.00-0.00=10.00 open
			shop 2026-03-02 3(1) 7.00-0.00=7.00 open
			canteen 2026-03-03 1(1) 1.00-0.00=1.00 open`)
		w.whole()
	})
}

// TestPay pays a merchant: each day once, whoever asks and how often.
func TestPay(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.sell("shop", 1*yuan, "")
		w.sell("shop", -3*yuan, "")
		w.set("2026-03-02 12:00:00")
		w.sell("canteen", 5*yuan, "")
		w.sell("shop", 2*yuan, "")
		w.set("2026-03-03 12:00:00")
		w.sell("canteen", 1*yuan, "")
		w.closeDays("2026-03-02", 4)
		no := 0
		pay := func(merchant string, through channel.Day, amount money.Fen, days int) {
			t.Helper()
			no++
			p, err := w.house.Pay(t.Context(), merchant, clearing.Transfer{
				No: fmt.Sprint("T", no), Through: through, Amount: amount, By: "王敏",
			})
			if err != nil || p.Amount != amount || p.Days != days || (p.Entry != 0) != (amount > 0) {
				t.Errorf("Pay(%s, %s) = %+v, %v; want %s for %d days", merchant, through, p, err, amount, days)
			}
			w.whole()
		}
		if _, err := w.house.Pay(t.Context(), "shop", clearing.Transfer{Through: day, By: "王敏"}); !errors.Is(err, clearing.ErrOwes) {
			t.Errorf("a merchant that owes: %v, want ErrOwes", err)
		}
		if _, err := w.house.Pay(t.Context(), "canteen", clearing.Transfer{Through: day, By: " "}); !errors.Is(err, clearing.ErrUnsigned) {
			t.Errorf("by nobody: %v, want ErrUnsigned", err)
		}
		unnumbered := clearing.Transfer{Through: day, Amount: 10 * yuan, No: " ", By: "王敏"}
		if _, err := w.house.Pay(t.Context(), "canteen", unnumbered); !errors.Is(err, clearing.ErrNoTransfer) {
			t.Errorf("without the bank's number: %v, want ErrNoTransfer", err)
		}
		pay("canteen", "2026-03-01", 10*yuan, 1)
		pay("canteen", "2026-03-01", 0, 0)
		pay("canteen", "2026-03-09", 5*yuan, 1) // the 3rd is not closed
		pay("canteen", "2026-03-09", 0, 0)
		pay("shop", "2026-03-02", 0, 2) // one yuan less three, and two more
		pay("nobody", "2026-03-02", 0, 0)
		wants(t, w.settled(), `
			canteen 2026-03-01 1(0) 10.00-0.00=10.00 paid by 王敏
			shop 2026-03-01 2(0) 1.00-3.00=-2.00 paid by 王敏
			canteen 2026-03-02 1(0) 5.00-0.00=5.00 paid by 王敏
			shop 2026-03-02 1(0) 2.00-0.00=2.00 paid by 王敏`)
		if got, err := w.books.Balance(t.Context(), clearing.MerchantAccount("canteen")); err != nil || got != 1*yuan {
			t.Errorf("still owed %s, %v; want the yuan of the open day", got, err)
		}
	})
}

// TestPayWhatWasTransferred has a day closed between the list that somebody has paid from and
// the word that it is paid: what the bank has not paid stays owed.
func TestPayWhatWasTransferred(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.sell("canteen", 10*yuan, "")
		w.set("2026-03-02 12:00:00")
		w.closeDays("2026-03-01", 1) // 10.00 are listed, and transferred
		w.sell("canteen", 5*yuan, "")
		w.set("2026-03-03 03:00:00")
		w.closeDays("2026-03-02", 1)
		paid := clearing.Transfer{No: "T", Through: "2026-03-02", Amount: 10 * yuan, By: "王敏"}
		if p, err := w.house.Pay(t.Context(), "canteen", paid); !errors.Is(err, clearing.ErrOtherAmount) {
			t.Errorf("Pay = %+v, %v; 10.00 were transferred", p, err)
		}
		nothing := clearing.Transfer{Through: "2026-03-02", By: "王敏", Carry: true}
		if p, err := w.house.Pay(t.Context(), "canteen", nothing); !errors.Is(err, clearing.ErrOtherAmount) {
			t.Errorf("Pay = %+v, %v; nothing was transferred", p, err)
		}
		owes := func(want money.Fen) {
			t.Helper()
			got, err := w.books.Balance(t.Context(), clearing.MerchantAccount("canteen"))
			if err != nil || got != want {
				t.Errorf("owed %s, %v; want %s", got, err, want)
			}
		}
		owes(15 * yuan)
		paid.Through = "2026-03-01"        // the last day of the list
		for n, days := range []int{1, 0} { // and again, as when its answer was lost
			if p, err := w.house.Pay(t.Context(), "canteen", paid); err != nil || p.Days != days || p.Entry == 0 {
				t.Errorf("Pay, the %d. time = %+v, %v; want %d days", n+1, p, err, days)
			}
			owes(5 * yuan)
		}
		w.whole()
	})
}

// TestTransferOfBefore enters transfers into books that are a copy from before they were made:
// one that is the unpaid days', one that is more and one that is less. In the end merchants
// have had what they sold, and no transfer is booked twice.
func TestTransferOfBefore(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		for _, merchant := range []string{"canteen", "shop", "kiosk"} {
			w.sell(merchant, 10*yuan, "")
		}
		w.set("2026-03-02 12:00:00")
		w.closeDays("2026-03-01", 3)
		enter := func(merchant, no string, amount money.Fen, want clearing.PaidOut) {
			t.Helper()
			paid := clearing.Transfer{No: no, Through: "2026-03-01", Amount: amount, By: "王敏"}
			if want.Carried != 0 {
				if p, err := w.house.Pay(t.Context(), merchant, paid); !errors.Is(err, clearing.ErrOtherAmount) {
					t.Errorf("Pay %s = %+v, %v; want ErrOtherAmount", no, p, err)
				}
			}
			paid.Carry = true
			p, err := w.house.Pay(t.Context(), merchant, paid)
			if want.Entry = p.Entry; err != nil || p != want {
				t.Errorf("Pay %s = %+v, %v; want %+v", no, p, err, want)
			}
			for range 2 {
				if p, err := w.house.Pay(t.Context(), merchant, paid); err != nil || !p.Known || p.Entry != want.Entry {
					t.Errorf("Pay %s again = %+v, %v; want entry %d", no, p, err, want.Entry)
				}
				paid.Carry = false
			}
			paid.Amount++
			if p, err := w.house.Pay(t.Context(), merchant, paid); !errors.Is(err, clearing.ErrOtherAmount) {
				t.Errorf("another amount under %s = %+v, %v; want ErrOtherAmount", no, p, err)
			}
			w.whole()
		}
		enter("canteen", "T1", 10*yuan, clearing.PaidOut{Amount: 10 * yuan, Days: 1})
		enter("shop", "T1", 12*yuan, clearing.PaidOut{Amount: 10 * yuan, Days: 1, Carried: 2 * yuan}) // of its own
		enter("shop", "T2", 1*yuan, clearing.PaidOut{Carried: 1 * yuan})                              // none is unpaid
		enter("kiosk", "T3", 7*yuan, clearing.PaidOut{Amount: 10 * yuan, Days: 1, Carried: -3 * yuan})

		unheard := clearing.Transfer{No: "T1", Through: day, Amount: yuan, By: "王敏", Carry: true}
		if p, err := w.house.Pay(t.Context(), "stall", unheard); !errors.Is(err, clearing.ErrNew) {
			t.Errorf("Pay to a merchant that nobody has heard of = %+v, %v; want ErrNew", p, err)
		}
		unheard.New = true
		p, err := w.house.Pay(t.Context(), "stall", unheard)
		if want := (clearing.PaidOut{Carried: yuan}); err != nil || p != want {
			t.Errorf("Pay to a new merchant = %+v, %v; want %+v", p, err, want)
		}
		w.sell("stall", yuan, "")
		w.sell("shop", 5*yuan, "") // what was lost with the books comes late
		w.set("2026-03-03 12:00:00")
		w.closeDays("2026-03-02", 3)
		wants(t, w.settled(), `
			canteen 2026-03-01 1(0) 10.00-0.00=10.00 paid by 王敏
			kiosk 2026-03-01 1(0) 10.00-0.00=10.00 paid by 王敏
			shop 2026-03-01 1(0) 10.00-0.00=10.00 paid by 王敏
			kiosk 2026-03-02 1(0) 3.00-0.00=3.00 open
			shop 2026-03-02 3(0) 5.00-3.00=2.00 open
			stall 2026-03-02 2(0) 1.00-1.00=0.00 open`)
		for merchant, amount := range map[string]money.Fen{"shop": 2 * yuan, "kiosk": 3 * yuan} {
			_, err := w.house.Pay(t.Context(), merchant, clearing.Transfer{
				No: "T9", Through: "2026-03-02", Amount: amount, By: "王敏",
			})
			w.must(err)
		}
		w.whole()
		for merchant, sold := range map[string]money.Fen{"canteen": 10 * yuan, "shop": 15 * yuan, "kiosk": 10 * yuan, "stall": yuan} {
			if got, err := w.books.Balance(t.Context(), clearing.MerchantAccount(merchant)); err != nil || got != 0 {
				t.Errorf("%s has sold %s and is owed %s, %v; want nothing", merchant, sold, got, err)
			}
		}
		if got, err := w.books.Balance(t.Context(), clearing.Bank); err != nil || got != 36*yuan {
			t.Errorf("the bank has paid %s, %v; want 36.00", got, err)
		}
	})
}

// TestIdentity holds the identity against a day with everything in it.
func TestIdentity(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		w.set("2026-03-01 12:00:00")
		w.paid(20 * yuan)
		w.sell("canteen", 10*yuan, "")
		w.set("2026-03-02 12:00:00")
		w.closeDays("2026-03-01", 1)
		_, err := w.house.Pay(t.Context(), "canteen", clearing.Transfer{No: "T", Through: day, Amount: 10 * yuan, By: "王敏"})
		w.must(err)
		w.sell("canteen", 3*yuan, "")
		if _, err := w.house.SaveStatement(t.Context(), source, channel.Statement{Day: day}); err != nil {
			t.Fatal(err)
		}
		_, err = w.house.Compare(t.Context(), source, day)
		w.must(err)
		all, err := w.house.Exceptions(t.Context(), false) // the top-up is not in that statement
		w.must(err)
		_, err = w.house.WriteOff(t.Context(), all[0].ID, two("x"))
		w.must(err)

		i, err := w.house.Identity(t.Context())
		w.must(err)
		want := clearing.Identity{
			Deposits: 120 * yuan, // 100 brought along, 20 topped up
			Payouts:  10 * yuan,
			Spends:   0,
			Float:    110 * yuan,
		}
		if i.Deposits != want.Deposits || i.Payouts != want.Payouts || i.Spends != want.Spends ||
			i.Float != want.Float || i.Gap() != 0 || i.Odd != nil {
			t.Errorf("identity %+v, want %+v", i, want)
		}
		for _, k := range i.Kinds {
			want := map[string]money.Fen{
				"holder": 107 * yuan, "merchant": 3 * yuan, "bank": 10 * yuan, "opening": -100 * yuan,
				"channel": 0, "over-short": -20 * yuan,
			}[k.Name]
			if k.Balance != want {
				t.Errorf("%s comes to %s, want %s", k.Name, k.Balance, want)
			}
		}
	})
}

// TestVerify breaks each promise behind the program's back: it is named.
func TestVerify(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"Statement", `UPDATE statements SET paid_fen = paid_fen + 1`, "C1: statement is not its lines: channel/alipay"},
		{"Line", `DELETE FROM statement_lines WHERE line = 1`, "C1: statement"},
		{"Movement", `UPDATE movements SET amount_fen = -1`, "C2: movement is not its posting: channel/alipay"},
		{"Exception", `UPDATE exceptions SET closed_ms = 1, closing_entry = NULL, evidence = ''`, "C3: exception was closed"},
		{"Closing", `UPDATE exceptions SET closing_entry = 999 WHERE closing_entry > 0`, "C3: exception was closed"},
		{"Correction", `UPDATE differences SET gap_fen = gap_fen + 1`, "C4: correction"},
		{"Day", `UPDATE settlements SET lines = lines + 1`, "C5: closed day is not its lines: merchant/canteen 2026-03-01"},
		{"Paid", `UPDATE settlements SET owed_fen = owed_fen + 1, sales_fen = sales_fen + 1`, "C6: paid days"},
		{"Owed", `DELETE FROM settlement_lines`, "C7: merchant is not owed"},
		{"Transfer", `UPDATE transfers SET amount_fen = amount_fen + 1`, "C8: transfer is not its entries: merchant/canteen T"},
		{"Unsigned", `DELETE FROM corrections`, "C9: correction was signed by nobody"},
		{"Unpaid", `DELETE FROM transfers; UPDATE settlements SET settled_ms = NULL, entry_id = NULL, settled_by = ''`,
			"C10: entry pays no merchant's days"},
		{"Balance", `UPDATE accounts SET balance_fen = balance_fen + 1 WHERE account = 'holder/1001'`, "I20: deposits"},
		{"Odd", `INSERT INTO accounts (account) VALUES ('somewhere/else')`, "I20: account of no kind: somewhere/else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/books.db"
			w := newWorld(t, path)
			w.sell("canteen", 10*yuan, "")
			w.paid(20 * yuan)
			w.lateMoney()
			w.once(0)
			all, err := w.house.Exceptions(t.Context(), false)
			w.must(err)
			_, err = w.house.WriteOff(t.Context(), all[0].ID, two("x"))
			w.must(err)
			_, err = w.house.Pay(t.Context(), "canteen", clearing.Transfer{No: "T", Through: day, Amount: 10 * yuan, By: "王敏"})
			w.must(err)
			w.whole()
			behind(t, path, tt.text)
			broken, err := w.house.Verify(t.Context())
			if err != nil || !strings.Contains(strings.Join(broken, "\n"), tt.want) {
				t.Errorf("Verify = %q, %v; want it to tell of %q", broken, err, tt.want)
			}
		})
	}
}

// behind does what the guards do not allow.
func behind(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	var guards []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		guards = append(guards, name)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range guards {
		if _, err := db.Exec(`DROP TRIGGER ` + name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(`PRAGMA foreign_keys = OFF`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
}
