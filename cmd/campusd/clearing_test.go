package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	lab "quancun/lab/alipay"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/hot"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	"quancun/upstream/store/sqldb"
)

// onBooks does something to the books as the server would.
func (s *site) onBooks(do func(b *store.Books) error) {
	s.t.Helper()
	b, err := booktest.Open(s.t.Context(), s.path("data/books.db"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(do(b), b.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// topUp orders, and pays at the gateway. It is booked only if heard is set.
func (s *site) topUp(no string, amount money.Fen, heard bool) {
	s.t.Helper()
	ctx, demo := s.t.Context(), s.card("level")
	ch, err := openAlipay(s.path("campusd.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.onBooks(func(b *store.Books) error {
		_, err1 := b.CreateOrder(ctx, store.Order{
			No: no, Terminal: "K01", CardNo: demo.CardNo, Account: store.HolderAccount(demo.HolderNo), Amount: amount,
			Created: time.Now(), Expires: time.Now().Add(time.Minute),
		}, 1_000_000*money.Yuan)
		_, err2 := ch.Precreate(ctx, channel.Order{No: no, Amount: amount, Subject: "校园卡充值", Life: 2 * time.Minute})
		_, err3 := s.gateway.Pay(no, 0)
		if err := errors.Join(err1, err2, err3); err != nil || !heard {
			return err
		}
		t, err := ch.Query(ctx, no)
		if err == nil {
			_, err = b.Advance(ctx, no, store.OrderStep{To: store.OrderPaid, TradeNo: t.TradeNo, PaidAt: t.PaidAt})
		}
		return err
	})
}

// today is the day of the first payment at the gateway.
func (s *site) today() string {
	all := s.gateway.Trades()
	return string(channel.DayOf(all[len(all)-1].PaidAt))
}

// check runs a command whose output has to match.
func (s *site) check(want string, args ...string) {
	s.t.Helper()
	if out := s.must(args...); !regexp.MustCompile(want).MatchString(out) {
		s.t.Errorf("campusd %q says\n%s\nwant %s", args, out, want)
	}
}

// TestReconcile is a morning: the bill, the inbox, and each way to close a
// line of it.
func TestReconcile(t *testing.T) {
	s := newSite(t)
	config := s.path("campusd.toml")
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		_, err := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
		return err
	})
	s.topUp("A1", 20*money.Yuan, true)
	for _, no := range []string{"A2", "A3", "A4"} {
		s.topUp(no, 10*money.Yuan, false)
	}
	day := s.today()
	s.check("every day that is over is reconciled", "reconcile", "--config", config)
	_, err := s.campusd("reconcile", "--config", config, "--day", day)
	if err == nil {
		t.Errorf("a day that is not over is reconciled")
	}
	s.ahead.Store(int64(34 * time.Hour)) // past nine of tomorrow
	for _, opened := range []string{"new.*3 opened", "known.*0 opened"} {
		s.check("4 lines .*"+opened+".*0 closed", "reconcile", "--config", config, "--day", day)
	}
	s.check(`#1  payment only theirs  10\.00  A2  open for .*operator(?s:.*)next: assign 10\.00 of order A2 to holder/2026000101`,
		"exceptions", "list")
	s.check("the inbox is empty", "exceptions", "list", "--owner", "nobody")
	s.check("closed by entry", "exceptions", "assign", "1", "--to", "2026000101", "--reason", "r", "--by", "a")
	s.check("closed by entry", "exceptions", "write-off", "2", "--reason", "r", "--by", "a", "--and", "b")
	s.check("given back", "exceptions", "return", "3", "--reason", "r", "--by", "a", "--config", config)
	s.check(`(?s)#1 .*closed after.*by entry \d+: r \(a\).*#2 .*by entry \d+: r \(a and b\).*#3 .*next: nothing`,
		"exceptions", "list", "--all")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"exceptions"}, "usage"},
		{[]string{"exceptions", "forget", "1"}, "usage"},
		{[]string{"exceptions", "assign", "x"}, "usage"},
		{[]string{"exceptions", "assign", "3", "--to", "1", "--reason", "r", "--by", "a"}, "no account"},
		{[]string{"exceptions", "assign", "3", "--to", "2026000101", "--reason", "r", "--by", "a"}, "given back"},
		{[]string{"exceptions", "write-off", "3", "--reason", "r", "--by", "a", "--and", "a"}, "another name"},
		{[]string{"exceptions", "explain", "9", "--entry", "1", "--reason", "r", "--by", "a"}, "no such line"},
		{[]string{"exceptions", "return", "3", "--reason", "r", "--by", "a"}, "--config is missing"},
		{[]string{"exceptions", "return", "1", "--reason", "r", "--by", "a", "--config", config}, "closed already"},
		{[]string{"reconcile", "--day", "yesterday", "--config", config}, "not a day"},
		{[]string{"reconcile", "--biller", "network"}, "belong together"},
		{[]string{"reconcile"}, "--config is missing"},
	} {
		if out, err := s.campusd(tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("campusd %q = %q, %v; want %q", tt.args, out, err, tt.want)
		}
	}
	s.check("the books are whole", "verify")
	s.check(`(?s)= float.*holder +12 .*reconciled with Alipay: `+day+`\ninbox: 1 open, 10\.00`, "report")
}

// TestServeReconciles lets serve find a day that it has missed.
func TestServeReconciles(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		_, err := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
		return err
	})
	s.ahead.Store(-int64(48 * time.Hour)) // its bill is there, whatever the time of day
	s.topUp("A1", 20*money.Yuan, true)
	s.topUp("A2", 10*money.Yuan, false)
	s.ahead.Store(0)
	if _, err := s.gateway.Arm(lab.Fault{Method: "query", Kind: lab.HTTP500, Standing: true}); err != nil {
		t.Fatal(err) // with answers, the order might be paid here before its bill is read
	}
	s.serve()
	list := func() string { return s.must("exceptions", "list", "--all") } // the last that becomes of a day
	for end := time.Now().Add(30 * time.Second); !strings.Contains(list(), "A2"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within 30 s: %s", s.must("report"))
		}
	}
	s.check("reconciled with Alipay: "+s.today(), "report")
	s.check("#1  payment only theirs  10.00  A2", "exceptions", "list", "--all")
	s.check("the books are whole", "verify")
}

// TestBillBroken tells of a bill that cannot be read, and keeps nothing of it.
func TestBillBroken(t *testing.T) {
	s := newSite(t)
	config := s.path("campusd.toml")
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		_, err := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"})
		return err
	})
	s.topUp("A1", 20*money.Yuan, true)
	s.ahead.Store(int64(34 * time.Hour))
	for _, kind := range []lab.Kind{lab.Truncated, lab.BadTotals, lab.HTTP500} {
		if _, err := s.gateway.Arm(lab.Fault{Method: "bill.file", Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if out, err := s.campusd("reconcile", "--config", config, "--day", s.today()); err == nil {
			t.Errorf("with a bill that is %s: %q", kind, out)
		}
	}
	s.check("reconciled with Alipay: never", "report")
}

// TestReconcileBiller imports records in both forms.
func TestReconcileBiller(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.write("r.csv", "order_no,record_no,kind,refund_no,amount_fen,fee_fen,at\n"+
		"N1,88,payment,,2000,0,2026-03-01T08:00:00+08:00\ntotal,1,,,2000,,2026-03-01\n")
	s.write("r.json", `{"day": "2026-03-01", "records": [{"order_no": "N1", "record_no": "88", "kind": "payment",
		"amount_fen": 2000, "at": "2026-03-01T08:00:00+08:00"}]}`)
	s.write("half.csv", "order_no,record_no,kind,refund_no,amount_fen,fee_fen,at\n")
	s.check(`biller/network 2026-03-01: 1 lines \(new\).*1 opened`, "reconcile", "--biller", "network", "--file", s.path("r.csv"))
	s.check(`1 lines \(known\).*0 opened`, "reconcile", "--biller", "network", "--file", s.path("r.json"))
	s.check("biller/network has sold 20.00 under N1", "exceptions", "list")
	for _, args := range [][]string{
		{"--biller", "network", "--file", s.path("half.csv")}, {"--biller", "../x", "--file", s.path("r.csv")},
		{"--biller", "network", "--file", s.path("none.csv")},
		{"--biller", "network", "--file", s.path("r.csv"), "--day", "2026-03-01"},
	} {
		if out, err := s.campusd(append([]string{"reconcile"}, args...)...); err == nil {
			t.Errorf("reconcile %q = %q", args, out)
		}
	}
}

// TestSettle closes a merchant's day and pays for it, once.
func TestSettle(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	yesterday := channel.DayOf(time.Now()).Add(-1)
	s.onBooks(func(b *store.Books) error {
		ctx, holder, merchant := t.Context(), store.HolderAccount("2026000101"), clearing.MerchantAccount("canteen")
		return b.Write(ctx, func(tx *sqldb.Tx) error {
			held, err := b.LockAccounts(ctx, tx, []store.Account{holder, merchant})
			if err != nil {
				return err
			}
			_, err = b.PostAll(ctx, tx, held, []store.Entry{{
				Kind: store.KindPurchase, Place: "canteen", Made: yesterday.Start().Add(12 * time.Hour),
				Debit: holder, Credit: merchant, Amount: 800,
			}})
			return err
		})
	})
	if out, err := s.campusd("settle", "close", "--day", string(yesterday.Add(2))); err == nil {
		t.Errorf("a day in the future is closed: %s", out)
	}
	s.onBooks(func(b *store.Books) error { // as if it had been off since
		return b.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO business_days VALUES (?, 0, '')`, yesterday.Add(-8))
			return err
		})
	})
	s.check("LOOK AT THE CLOCK", "report")
	for _, args := range [][]string{nil, {"--day", string(yesterday)}, {"--by", "王敏"}} {
		if out, err := s.campusd(append([]string{"settle", "close"}, args...)...); err == nil {
			t.Errorf("closed by a clock that nobody has looked at, with %q: %s", args, out)
		}
	}
	s.check("1 days of merchants are closed", "settle", "close", "--day", string(yesterday), "--by", "王敏")
	s.check("the last day that is over: "+string(yesterday), "report")
	s.check("0 days of merchants are closed", "settle", "close", "--day", string(yesterday))
	s.check(fmt.Sprintf(`%s +canteen +8\.00 +0\.00 +8\.00 +1 +0 +no`, yesterday), "settle", "list")
	s.check("closed days unpaid: 8.00", "report")
	if out, err := s.campusd("settle", "pay", "canteen", "--amount", "8.00"); err == nil {
		t.Errorf("paid by nobody: %s", out)
	}
	pay := []string{"settle", "pay", "canteen", "--day", string(yesterday), "--by", "王敏"}
	for _, other := range []string{"", "7.99"} {
		if out, err := s.campusd(append(pay, "--transfer", "B1", "--amount", other)...); err == nil {
			t.Errorf("paid, with %q transferred: %s", other, out)
		}
	}
	pay = append(pay, "--amount", "8.00")
	if out, err := s.campusd(pay...); err == nil {
		t.Errorf("paid by a transfer without its number: %s", out)
	}
	pay = append(pay, "--transfer", "B1")
	s.check(`canteen is paid 8\.00 for 1 days`, pay...)
	s.check("transfer B1 to canteen is booked already", pay...)
	s.check("nothing to pay to canteen", "settle", "pay", "canteen", "--amount", "0", "--by", "王敏")
	s.check("2.00 was transferred: the next day that is closed makes up for the 2.00 between", "settle", "pay", "canteen", "--amount", "2.00", "--transfer", "B2", "--by", "王敏",
		"--carry")
	s.check(`by 王敏`, "settle", "list")
	// All is well but for the sale itself, which no till has said.
	const alone = "M4: entry is of none in a journal: "
	if out, err := s.campusd("verify"); err == nil || !strings.HasPrefix(out, alone) || strings.Count(out, "\n") != 1 {
		t.Errorf("verify = %q, %v; want %q alone", out, err, alone)
	}

	if out, err := s.campusd("settle", "list"); err != nil || strings.Contains(out, "restored") {
		t.Errorf("settle list = %q, %v; want no word of a copy", out, err)
	}
	s.onBooks(func(b *store.Books) error {
		_, err := b.Alarm(t.Context(), store.Alarm{Kind: store.AlarmRestored, Ref: "K01"})
		return err
	})
	s.check("Before anybody is paid, enter what the bank has paid since the copy", "settle", "list")
}

// TestVerifyTells has verify name what is broken, and end with an error.
func TestVerifyTells(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		return b.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO accounts (account) VALUES ('somewhere/else')`)
			return err
		})
	})
	out, err := s.campusd("verify")
	if err == nil || !strings.Contains(out, "I20: account of no kind: somewhere/else") {
		t.Errorf("verify = %q, %v; want the break named", out, err)
	}
	if _, err := s.campusd("report"); err == nil {
		t.Error("report says nothing of an account of no kind")
	}
	if _, err := os.Stat(s.path("data/books.db")); err != nil {
		t.Error(err)
	}
}

// TestBear: the commands for what the school bears, and for a drawer, are reached and say
// what is wrong.
func TestBear(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	s.onBooks(func(b *store.Books) error {
		return b.Write(t.Context(), func(tx *sqldb.Tx) error {
			return b.Except(t.Context(), tx, []store.Exception{{
				Kind: hot.Kind, Ref: "C01/1", Owner: "card centre", Detail: "lost", NextStep: "ask", Epoch: make([]byte, 8),
			}})
		})
	})
	for _, c := range []struct {
		args []string
		want error
	}{
		{[]string{"--reason", "盗刷", "--by", "王敏"}, clearing.ErrUnsigned},
		{[]string{"--reason", "盗刷", "--by", "王敏", "--and", "刘强"}, clearing.ErrNotThat}, // no such sale
	} {
		if _, err := s.campusd(append([]string{"exceptions", "bear", "1"}, c.args...)...); !errors.Is(err, c.want) {
			t.Errorf("exceptions bear %q: %v, want %v", c.args, err, c.want)
		}
	}
	count := append([]string{"exceptions", "count", "1", "--amount", "1.00"}, "--reason", "清点", "--by", "王敏", "--and", "刘强")
	if _, err := s.campusd(count...); !errors.Is(err, clearing.ErrNotThat) { // it is no drawer
		t.Errorf("exceptions count: %v", err)
	}
}
