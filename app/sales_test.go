package app_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
	"quancun/ledger"
)

// TestSalesAndShifts writes both tables of a journal that a terminal has open.
func TestSalesAndShifts(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "journal.db")
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC) // noon
	book, err := ledger.Open(ctx, path, ledger.Options{Terminal: "K01", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	drawer := shift.New(book, "K01", shift.Rules{})
	by := staff.Member{No: "c7", Role: staff.Cashier}
	act := func(ref string) shift.Act { return shift.Act{Ref: ref, By: by} }
	sell := func(ref string) {
		t.Helper()
		_, err := book.Append(ctx, journal.Entry{
			Kind: journal.CodeSale, Ref: ref, Account: "2026", Merchant: "m1", Amount: 1250, Operator: "c7",
			Details: []byte(`{"items":[{"name":"鱼","n":1,"fen":1250}]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := drawer.Open(ctx, act("o"), 0); err != nil {
		t.Fatal(err)
	}
	sell("s1")
	now = now.AddDate(0, 0, 1)
	sell("s2")
	if _, err := drawer.X(ctx, act("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := drawer.Z(ctx, act("z")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"sales", path}, "2026-03-02,1,12.50,0,0.00,12.50\r\n2026-03-03,1,12.50,0,0.00,12.50\r\n"},
		{[]string{"sales", "-by", "hour", "-until", "2026-03-02", path}, "\r\n2026-03-02 12:00,1,12.50,0,0.00,12.50\r\n"},
		{[]string{"sales", "-by", "item", "-from", "2026-03-03", path}, "\r\n鱼,1,12.50,0,0.00,12.50\r\n"},
		{[]string{"sales", "-by", "meal", "-meal", "lunch=10:30-13:30", path}, "\r\nlunch,2,25.00,0,0.00,25.00\r\n"},
		{[]string{"shifts", path}, "\r\nX1,2026-03-03 12:00:00,c7,0.00,0.00,"},
		{[]string{"shifts", path}, "\r\nZ1,2026-03-03 12:00:00,c7,0.00,0.00,"},
	} {
		out, code := runApp(t, append([]string{"ledger"}, tt.args...)...)
		if code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%v: exit %d, %q, want %q", tt.args, code, out, tt.want)
		}
	}
	for _, args := range [][]string{
		{"-by", "year"}, {"-meal", "lunch"}, {"-meal", "lunch=1-2"}, {"-from", "today"}, {"-until", "2026"},
	} {
		out, code := runApp(t, append(append([]string{"ledger", "sales"}, args...), path)...)
		if code != 2 {
			t.Errorf("%v: exit %d, %q, want 2", args, code, out)
		}
	}
}
