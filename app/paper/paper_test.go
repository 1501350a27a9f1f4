package paper_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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
	"quancun/kiosk/dialog"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/till"
	lab "quancun/lab/printer"
	"quancun/ledger"
	"quancun/money"
)

// world is a clerk over a real journal and the lab's printer.
type world struct {
	t      *testing.T
	campus ed25519.PublicKey
	book   *ledger.Book
	tray   *printer.Tray
	there  *lab.Printer
	clerk  *paper.Clerk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	w.ok(err)
	campus, campusKey, err := ed25519.GenerateKey(rand.Reader)
	w.ok(err)
	w.campus = campus
	word, err := journal.Certify("T01", public, time.Now(), campusKey)
	w.ok(err)
	w.book, err = ledger.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), ledger.Options{Terminal: "T01", Key: key})
	w.ok(err)
	t.Cleanup(func() { w.ok(w.book.Close()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	w.there = lab.New(int(printer.Paper80), slog.New(slog.DiscardHandler))
	w.tray, err = printer.OpenTray(t.TempDir(), time.Now)
	w.ok(err)
	w.clerk = (&paper.Clerk{
		Book: w.book, Words: printer.Chinese, Issuer: printer.Issuer{Merchant: "第一食堂", Terminal: "T01"},
		Certificate: word,
		Desk: &printer.Desk{
			Printer: &printer.Printer{Address: "tcp:" + l.Addr().String(), Width: printer.Paper80}, Tray: w.tray,
			Marks: printer.Chinese.Marks,
		},
		Every: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}).Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.there.Serve(ctx, l) })
	t.Cleanup(func() { stop(); running.Wait() })
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run has the clerk work until the test ends, or the function is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.clerk.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) append(e journal.Entry) journal.Entry {
	w.t.Helper()
	e, err := w.book.Append(w.t.Context(), e)
	w.ok(err)
	return e
}

// codeSale is a sale that the screen has not shown.
func codeSale(ref string) journal.Entry {
	return journal.Entry{Kind: journal.CodeSale, Ref: ref, Account: "1001", Merchant: "canteen", Amount: 8 * money.Yuan}
}

// sell makes a sale that the screen shows.
func (w *world) sell(ref string) {
	w.t.Helper()
	e := w.append(codeSale(ref))
	v := till.View{
		Step: till.Sold, Sale: till.Result{Ref: ref, Number: e.Seq, Amount: e.Amount, With: till.ByCode},
		Health: kiosk.Health{SchoolZH: "示范大学"},
	}
	w.clerk.See(till.View{Step: till.Present, Sale: v.Sale})
	w.clerk.See(v)
	w.clerk.See(v) // a tick of the clock
}

// printed waits until n receipts are on paper.
func (w *world) printed(n int) []lab.Receipt {
	w.t.Helper()
	for begin := time.Now(); len(w.there.Receipts()) < n; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			w.t.Fatalf("%d receipts after 20 s, want %d", len(w.there.Receipts()), n)
		}
	}
	return w.there.Receipts()
}

// has checks what a receipt says.
func (w *world) has(r lab.Receipt, lines ...string) {
	w.t.Helper()
	for _, l := range lines {
		if !strings.Contains(r.Text, l) {
			w.t.Errorf("receipt lacks %q:\n%s", l, r.Text)
		}
	}
}

// TestClerk prints a receipt of each sale that the screen shows, once, with a
// code that proves it, and what the paper ended for when there is paper.
func TestClerk(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.sell("S1")
	all := w.printed(1)
	w.has(all[0], "示范大学\n第一食堂\n", "￥8.00")
	if r, err := journal.OpenReceipt(all[0].Codes[0], w.campus); err != nil || r.Ref != "S1" || r.Amount != 8*money.Yuan {
		t.Errorf("its code says %+v, %v", r, err)
	}
	w.ok(w.there.Set(lab.State{Paper: "out"}))
	w.sell("S2")
	for begin := time.Now(); len(w.tray.Unprinted()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("nothing is kept")
		}
	}
	w.ok(w.there.Set(lab.State{Paper: "ok"}))
	if all = w.printed(2); len(all) != 2 {
		t.Errorf("%d receipts, want 2", len(all))
	}
}

// TestLost makes receipts up that were lost between the journal and the tray:
// not those from before there was a printer, and each once.
func TestLost(t *testing.T) {
	w := newWorld(t)
	w.append(codeSale("S0"))
	stop := w.run()
	w.sell("S1")
	w.printed(1)
	stop() // a power cut: what is written down now is on no screen
	w.append(journal.Entry{
		Kind: journal.SaleIntent, Ref: "not", Card: "00002026000100012345", Merchant: "canteen", Amount: money.Yuan,
		Purse: new(journal.Purse),
	})
	w.append(journal.Entry{Kind: journal.SaleEnd, Ref: "not", Outcome: journal.NotWritten})
	w.append(codeSale("S2"))
	stop = w.run()
	w.has(w.printed(2)[1], "虚拟卡码", "￥8.00", "示范大学")
	stop()
	w.run()
	w.sell("S3")
	if all := w.printed(3); len(all) != 3 {
		t.Errorf("%d receipts, want 3", len(all))
	}
}

// TestAgain prints receipts of refunds, and copies, which are marked and counted.
func TestAgain(t *testing.T) {
	w := newWorld(t)
	reports := &kept{}
	w.clerk.Reports = reports
	sale := w.append(codeSale("S1"))
	note, err := json.Marshal(map[string]string{"sale": "S1"})
	w.ok(err)
	w.append(journal.Entry{
		Kind: journal.Refund, Ref: "R1", Account: "1001", Merchant: "canteen", Amount: 3 * money.Yuan,
		Origin: sale.Position(), Details: note,
	})
	w.ok(w.clerk.Print(t.Context(), dialog.Report{Ref: "R1"}))
	w.has(w.printed(1)[0], "退款", "￥3.00", "虚拟卡码", fmt.Sprintf("T01-%d", sale.Seq))
	w.ok(w.clerk.Print(t.Context(), dialog.Report{Title: "a list"}))
	if len(reports.all) != 1 || reports.all[0].Title != "a list" {
		t.Errorf("reports were %+v", reports.all)
	}
	for n := 1; n <= 2; n++ {
		if got, err := w.clerk.Copy(t.Context(), "R1"); err != nil || got != n {
			t.Errorf("copy %d, %v, want %d", got, err, n)
		}
		w.has(w.printed(1 + n)[n], fmt.Sprintf("副本 %d", n))
	}
	if got, err := w.clerk.Copy(t.Context(), "S1"); err != nil || got != 0 {
		t.Errorf("one that the tray has not: copy %d, %v", got, err)
	}
	w.has(w.printed(4)[3], "补打", "消费小票")
	w.ok(w.there.Set(lab.State{Paper: "out"}))
	for ref, want := range map[string]dialog.Word{"S1": aftersale.PrinterOut, "none": aftersale.NoReceipt} {
		var no *dialog.Refusal
		if _, err := w.clerk.Copy(t.Context(), ref); !errors.As(err, &no) || no.Why != want {
			t.Errorf("copy of %s: %v, want %s", ref, err, want)
		}
	}
	if state, n := w.clerk.Printer(t.Context()); state != aftersale.PrinterOut || n != 0 {
		t.Errorf("printer is %s, %d wait", state, n)
	}
	w.ok(w.there.Set(lab.State{Paper: "low"}))
	if state, _ := w.clerk.Printer(t.Context()); state != aftersale.PrinterLow {
		t.Errorf("printer is %s", state)
	}
}

// TestReport prints a Z from its entry, which the code on it proves. Printed again
// it is a copy.
func TestReport(t *testing.T) {
	w := newWorld(t)
	w.append(journal.Entry{Kind: journal.ShiftOpened, Ref: "O1", Operator: "c7", Amount: 200 * money.Yuan})
	w.append(codeSale("S1"))
	tally := journal.NewTally("T01")
	page, err := w.book.Since(t.Context(), 1, 100)
	w.ok(err)
	for _, e := range page {
		w.ok(tally.Add(e))
	}
	w.report(tally, journal.ShiftClosed, "Z1")
	z := dialog.Report{Ref: "Z1"}
	w.ok(w.clerk.Print(t.Context(), z))
	w.has(w.printed(1)[0], "Z1", "￥200.00", "8.00", "c7")
	if codes := w.there.Receipts()[0].Codes; len(codes) != 1 || !strings.HasPrefix(codes[0], journal.ReceiptPrefix) {
		t.Errorf("it is proven by %q", codes)
	}
	w.ok(w.clerk.Print(t.Context(), z))
	w.has(w.printed(2)[1], "副本 1", "Z1")
}

// report writes a report of what was tallied down.
func (w *world) report(tally *journal.Tally, k journal.Kind, ref string) {
	w.t.Helper()
	r := tally.Report(k)
	details, err := json.Marshal(r)
	w.ok(err)
	e := w.append(journal.Entry{
		Kind: k, Ref: ref, Operator: "c7", Amount: r.Till, Origin: tally.Last(), Details: details,
	})
	w.ok(tally.Add(e))
}

// TestLostReport: a Z that was lost between the journal and the tray is made up. An X is
// not: whoever wants one takes it again, and its entry says what should be in the drawer,
// which nobody is to know before they have counted.
func TestLostReport(t *testing.T) {
	w := newWorld(t)
	tally := journal.NewTally("T01")
	add := func(e journal.Entry) { w.ok(tally.Add(w.append(e))) }
	add(journal.Entry{Kind: journal.ShiftOpened, Ref: "O1", Operator: "c7", Amount: 200 * money.Yuan})
	stop := w.run()
	w.ok(w.clerk.Desk.Tray.Keep(printer.Slip{ID: "before"})) // there has been a printer
	w.printed(1)
	stop()
	w.report(tally, journal.ShiftReport, "X1")
	w.report(tally, journal.ShiftClosed, "Z1")
	w.run()
	w.has(w.printed(2)[1], "Z1", "￥200.00")
	if _, err := w.clerk.Desk.Tray.Get("X1"); !errors.Is(err, printer.ErrNoSlip) {
		t.Errorf("the X was made up: %v", err)
	}
}

// kept takes every report.
type kept struct{ all []dialog.Report }

func (k *kept) Print(_ context.Context, r dialog.Report) error {
	k.all = append(k.all, r)
	return nil
}
