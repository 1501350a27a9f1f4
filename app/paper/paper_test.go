package paper_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/app/paper"
	"quancun/app/printer"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/till"
	lab "quancun/lab/printer"
	"quancun/ledger"
	"quancun/money"
)

// TestClerk prints a receipt of each sale that the screen shows, once, with a
// code that proves it, and what the paper ended for when there is paper.
func TestClerk(t *testing.T) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	campus, campusKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	word, err := journal.Certify("T01", public, time.Now(), campusKey)
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{Terminal: "T01", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there := lab.New(int(printer.Paper80), slog.New(slog.DiscardHandler))
	tray, err := printer.OpenTray(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := paper.New(paper.Clerk{
		Book: book, Words: printer.Chinese, Issuer: printer.Issuer{Merchant: "第一食堂", Terminal: "T01"}, Certificate: word,
		Desk: &printer.Desk{
			Printer: &printer.Printer{Address: "tcp:" + l.Addr().String(), Width: printer.Paper80}, Tray: tray,
		},
		Every: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = there.Serve(ctx, l) })
	running.Go(func() { _ = c.Run(ctx) })
	defer func() { stop(); running.Wait() }()

	sell := func(ref string) {
		e, err := book.Append(t.Context(), journal.Entry{
			Kind: journal.CodeSale, Ref: ref, Account: "1001", Merchant: "canteen", Amount: 8 * money.Yuan,
		})
		if err != nil {
			t.Fatal(err)
		}
		v := till.View{
			Step: till.Sold, Sale: till.Result{Ref: ref, Number: e.Seq, Amount: e.Amount, With: till.ByCode},
			Health: kiosk.Health{SchoolZH: "示范大学"},
		}
		c.See(till.View{Step: till.Present, Sale: v.Sale})
		c.See(v)
		c.See(v) // a tick of the clock
	}
	wait := func(n int) []lab.Receipt {
		t.Helper()
		for begin := time.Now(); len(there.Receipts()) < n; time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("%d receipts after 20 s, want %d", len(there.Receipts()), n)
			}
		}
		return there.Receipts()
	}
	sell("S1")
	all := wait(1)
	if !strings.Contains(all[0].Text, "示范大学\n第一食堂\n") || !strings.Contains(all[0].Text, "￥8.00") {
		t.Errorf("receipt\n%s", all[0].Text)
	}
	if r, err := journal.OpenReceipt(all[0].Codes[0], campus); err != nil || r.Ref != "S1" || r.Amount != 8*money.Yuan {
		t.Errorf("its code says %+v, %v", r, err)
	}
	if err := there.Set(lab.State{Paper: "out"}); err != nil {
		t.Fatal(err)
	}
	sell("S2")
	for begin := time.Now(); len(tray.Unprinted()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("nothing is kept")
		}
	}
	if err := there.Set(lab.State{Paper: "ok"}); err != nil {
		t.Fatal(err)
	}
	if all = wait(2); len(all) != 2 {
		t.Errorf("%d receipts, want 2", len(all))
	}
}
