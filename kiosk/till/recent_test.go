package till

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
)

// TestRememberLast: the last sale that a till shows after a start is the one that was made
// last, also where a sale of hours ago has just turned out to be paid.
func TestRememberLast(t *testing.T) {
	now, ctx := time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC), t.Context()
	clock := func() time.Time { return now }
	book, err := ledger.Open(ctx, filepath.Join(t.TempDir(), "j.db"), ledger.Options{Terminal: "T01", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	write := func(e journal.Entry) {
		t.Helper()
		if e.Kind == journal.SaleIntent {
			e.Card, e.Merchant, e.Purse = "62305800000000012345", "canteen", &journal.Purse{Balance: 5000}
			e.Purse.Stamp, e.Purse.TerminalNo = pboc.Stamp{0x20, 0x26, 9, 1}, pboc.TerminalNo{1}
		}
		if _, err := book.Append(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	const early, late = 8 * money.Yuan, 12 * money.Yuan
	write(journal.Entry{Kind: journal.SaleIntent, Ref: "early", Amount: early})
	write(journal.Entry{Kind: journal.SaleIntent.Doubt(), Ref: "early"})
	now = now.Add(3 * time.Hour)
	write(journal.Entry{Kind: journal.SaleIntent, Ref: "late", Amount: late})
	write(journal.Entry{Kind: journal.SaleEnd, Ref: "late", Outcome: journal.Written})
	now = now.Add(time.Minute)
	write(journal.Entry{Kind: journal.SaleEnd, Ref: "early", Outcome: journal.Elsewhere})
	d := &Desk{Book: book, Clock: kiosk.NewClock(clock, ledger.Uptime), Log: slog.New(slog.DiscardHandler)}
	last, err := d.remember(ctx)
	if err != nil || last.Ref != "late" || last.Amount != late || now.Sub(last.At).Round(time.Second) != time.Minute {
		t.Errorf("the last sale is %+v, %v", last, err)
	}
}
