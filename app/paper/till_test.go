package paper_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/tender"
	"quancun/kiosk/till"
	lab "quancun/lab/printer"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/sim"
)

// Sell sells for every code, as its journal says.
func (w *world) Sell(ctx context.Context, _ string, s tender.Sale) (tender.Sold, error) {
	e := codeSale(s.Ref)
	e.Amount = s.Amount
	e, err := w.book.Append(ctx, e)
	return tender.Sold{Ref: s.Ref, Entry: e.Seq, Online: true}, err
}

// counter is a till at which nobody signs in, and whose clerk prints.
type counter struct {
	*world
	inputs chan till.Input
	views  chan till.View
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{world: newWorld(t), inputs: make(chan till.Input), views: make(chan till.View, 1024)}
	c.clerk.Told = make(chan till.Printer, 1)
	feeds, err := feed.Open(t.Context(), filepath.Join(t.TempDir(), "feeds.db"))
	c.ok(err)
	log := slog.New(slog.DiscardHandler)
	s := &till.Session{
		Desk: &till.Desk{
			Device: sim.NewSlot(), Cards: &kiosk.Seller{Settler: kiosk.Settler{Profile: profile.Default()}, Log: log}, Book: c.book, Profile: profile.Default(),
			Plan:  till.Plan{Merchant: "canteen", Operator: till.Operator{No: "7"}},
			Ways:  []till.Way{{Kind: till.ByCode, Takes: func(string) bool { return true }, Seller: c.world}},
			Clock: kiosk.NewClock(time.Now, ledger.Uptime), Log: log,
		},
		Terms: kiosk.NewTerms("T01", pboc.TerminalNo{1}), Feeds: feeds, Cards: make(chan reader.State),
		Inputs: c.inputs, Health: make(chan kiosk.Health), Printer: c.clerk.Told,
		Show: func(v till.View) { c.clerk.See(v); c.views <- v }, Log: log,
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the till ended with %v", err)
		}
	})
	c.t.Cleanup(func() { stop(); running.Wait(); c.ok(feeds.Close()) })
	c.run()
	return c
}

// sees waits until the till shows what is wanted.
func (c *counter) sees(what string, wanted func(till.View) bool) till.View {
	c.t.Helper()
	end := time.After(time.Minute)
	for {
		select {
		case v := <-c.views:
			if wanted(v) {
				return v
			}
		case <-end:
			c.t.Fatalf("the till has not shown %s", what)
		}
	}
}

// sellsFor sells to the next in the queue.
func (c *counter) sellsFor(amount money.Fen) {
	c.t.Helper()
	c.inputs <- till.Input{Event: till.Priced, Amount: amount}
	c.inputs <- till.Input{Event: till.Scanned, Code: amount.String()}
	c.sees("the sale", func(v till.View) bool { return v.Step == till.Sold && v.Sale.Amount == amount })
}

// lacks waits until the page says what the printer lacks and how many receipts wait.
func (c *counter) lacks(word dialog.Word, waiting int) {
	c.t.Helper()
	want := till.Printer{Lacks: word, Waiting: waiting}
	c.sees(string(word), func(v till.View) bool { return v.Printer == want })
}

// TestCashierLearns: the roll ends before a receipt, and the page of the sale says
// so, and how many receipts wait, while the till goes on selling; the cover is open;
// the roll is near its end. With paper in, all is printed and the word goes away,
// without anybody's doing.
func TestCashierLearns(t *testing.T) {
	c := newCounter(t)
	c.sees("a price to key", func(v till.View) bool { return v.Step == till.Ready })
	c.sellsFor(8 * money.Yuan)
	c.printed(1)
	c.ok(c.there.Set(lab.State{Paper: "out"}))
	c.lacks(aftersale.PrinterOut, 0) // before the next sale
	c.sellsFor(9 * money.Yuan)
	c.lacks(aftersale.PrinterOut, 1)
	c.sellsFor(10 * money.Yuan)
	c.lacks(aftersale.PrinterOut, 2)
	c.ok(c.there.Set(lab.State{Paper: "out", Cover: true}))
	c.lacks(aftersale.PrinterCover, 2)
	c.ok(c.there.Set(lab.State{Paper: "low"}))
	c.lacks(aftersale.PrinterLow, 0)
	c.ok(c.there.Set(lab.State{Paper: "ok"}))
	c.lacks("", 0)
	all := c.printed(3)
	c.has(all[1], "￥9.00")
	c.has(all[2], "￥10.00")
	sales := 0
	entries, err := c.book.Since(t.Context(), 1, 100)
	c.ok(err)
	for _, e := range entries {
		if e.Kind == journal.CodeSale {
			sales++
		}
	}
	if len(all) != 3 || sales != 3 {
		t.Errorf("%d receipts of %d sales, want 3 of 3", len(all), sales)
	}
}
