package kiosk_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"quancun/app/back"
	"quancun/app/printer"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	lab "quancun/lab/printer"
	"quancun/upstream/client"
	"quancun/upstream/place"
)

// newPrinting is a world whose kiosk has the lab's printer. paper may stand before it.
func newPrinting(t *testing.T, paper func(dialog.Paper) dialog.Paper) (*world, *lab.Printer) {
	t.Helper()
	w := newCampus(t)
	there := lab.New(32, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	ctx, stop := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() { gone <- there.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-gone })
	from := back.Site{Terminal: "K01", Place: func() client.Place { return w.terms.Place() }}
	real, err := back.HoldersPaper(
		&printer.Printer{Address: "tcp:" + l.Addr().String(), Width: printer.Paper58}, from, time.Now)
	w.ok(err)
	w.paper = real
	if paper != nil {
		w.paper = paper(real)
	}
	w.post = w.newPost("K01", 0)
	w.ok(place.Set(t.Context(), w.books, "K01", place.Place{ZH: "图书馆一层", EN: "Library, ground floor"}))
	w.startTerminal()
	t.Cleanup(func() { w.crash() })
	return w, there
}

// press has the receipt of the page of v printed.
func (w *world) press(v kiosk.View) {
	w.input <- kiosk.Input{Dialog: dialog.Input{No: v.Dialog.No, Event: dialog.PrintIt}}
}

// shows waits for a view.
func (w *world) shows(what string, is func(kiosk.View) bool) kiosk.View {
	w.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case w.current = <-w.views:
			if is(w.current) {
				return w.current
			}
		case <-deadline:
			w.t.Fatalf("nobody is shown %s, but %+v", what, w.current)
		}
	}
}

// printed presses the key, and returns what came of it.
func (w *world) printed(v kiosk.View) dialog.View {
	w.t.Helper()
	w.press(v)
	w.shows("that it prints", func(v kiosk.View) bool { return v.Dialog.Printed == dialog.Printing })
	return w.shows("whether it is on paper", func(v kiosk.View) bool { return v.Dialog.Printed != dialog.Printing }).Dialog
}

// TestReceiptPrinted: the receipt of a top-up comes on paper with its code and with the
// place at which the upstream says that the machine stands, and what
// keeps it from that is said in the words of every report.
func TestReceiptPrinted(t *testing.T) {
	t.Parallel()
	w, there := newPrinting(t, nil)
	p := w.topUp()
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Done: func(v kiosk.View) {
		if d := v.Dialog; !d.CanPrint || d.Printed != dialog.NotPrinted {
			t.Errorf("at Done %+v", d)
		}
		for _, tt := range []struct {
			state lab.State
			why   dialog.Word
		}{
			{lab.State{Paper: "out"}, "unprinted.out"}, {lab.State{Paper: "ok", Cover: true}, "unprinted.cover"},
			{lab.State{Paper: "ok", Lines: 4}, "unprinted.unsure"}, // it falls silent in the middle
		} {
			w.ok(there.Set(tt.state))
			if d := w.printed(v); d.Printed != dialog.NotYet || d.NoPaper != tt.why {
				t.Errorf("%+v: printed %d, %q", tt.state, d.Printed, d.NoPaper)
			}
		}
		w.ok(there.Set(lab.State{Paper: "ok"})) // it goes on where it was
		if d := w.printed(v); d.Printed != dialog.Printed || d.NoPaper != "" {
			t.Errorf("pressed again: printed %d, %q", d.Printed, d.NoPaper)
		}
		if left := time.Until(w.current.Ends); left < 30*time.Second {
			t.Errorf("there are %v to read it", left)
		}
		w.input <- kiosk.Input{Event: kiosk.Leave}
	}}
	p.visit(nil)
	v, ok := p.saw(kiosk.Done)
	if !ok {
		t.Fatalf("walked %v", p.walk)
	}
	all := there.Receipts()
	if len(all) != 2 {
		t.Fatalf("on paper: %+v", all)
	}
	for _, r := range all { // the one that was stopped, and the one after it
		if !strings.Contains(r.Text, "充值凭证") || !strings.Contains(r.Text, "20.00") ||
			!strings.Contains(r.Text, "50.00") || !strings.Contains(r.Text, "图书馆一层\n") ||
			!strings.Contains(r.Text, "终端 K01\n") || len(r.Codes) != 1 ||
			r.Codes[0] != v.Receipt.Proof {
			t.Errorf("on paper: %+v", r)
		}
	}
	w.agree()
}

// TestReceiptOfAccount: money that is on the account and not yet on the card has its
// receipt, which does not say that it is on the card.
func TestReceiptOfAccount(t *testing.T) {
	t.Parallel()
	w, there := newPrinting(t, nil)
	p := w.topUp()
	p.keeps = true
	p.instead = map[kiosk.Step]func(kiosk.View){
		kiosk.Pay: func(v kiosk.View) { w.slot.Take(); p.pay(v) },
		kiosk.OnAccount: func(v kiosk.View) {
			if d := w.printed(v); d.Printed != dialog.Printed {
				t.Errorf("printed %d, %q", d.Printed, d.NoPaper)
			}
			w.input <- kiosk.Input{Event: kiosk.Leave}
		},
	}
	p.visit(nil)
	all := there.Receipts()
	if len(all) != 1 || !strings.Contains(all[0].Text, "20.00") || strings.Contains(all[0].Text, "写入卡片") ||
		!strings.Contains(all[0].Text, "还没写到卡上") || len(all[0].Codes) != 1 {
		t.Fatalf("walked %v, on paper: %+v", p.walk, all)
	}
	r, err := journal.OpenReceipt(all[0].Codes[0], w.campus)
	if err != nil || r.Kind != journal.TopUpEnd || r.Amount != 20*yuan {
		t.Errorf("the paper proves %+v, %v", r, err)
	}
}

// slowPaper is a printer that waits for go before each report.
type slowPaper struct {
	dialog.Paper
	goOn chan struct{}
}

func (p slowPaper) Print(ctx context.Context, r dialog.Report) error {
	select {
	case <-p.goOn:
		return p.Paper.Print(ctx, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestCardTakenWhilePrinting: whoever waits for paper with the card in the hand is told
// how that ended.
func TestCardTakenWhilePrinting(t *testing.T) {
	t.Parallel()
	slow := slowPaper{goOn: make(chan struct{})}
	w, there := newPrinting(t, func(p dialog.Paper) dialog.Paper { slow.Paper = p; return slow })
	w.ok(there.Set(lab.State{Paper: "out"}))
	p := w.topUp()
	p.instead = map[kiosk.Step]func(kiosk.View){kiosk.Done: func(v kiosk.View) {
		w.press(v)
		w.press(v) // a finger that bounces
		w.slot.Take()
		w.shows("that it prints", func(v kiosk.View) bool {
			return v.Step == kiosk.Done && v.CardAway && v.Dialog.Printed == dialog.Printing
		})
		slow.goOn <- struct{}{}
		v = w.shows("why not", func(v kiosk.View) bool { return v.Dialog.Printed != dialog.Printing })
		if v.Step != kiosk.Done || v.Dialog.NoPaper != "unprinted.out" {
			t.Errorf("step %d, %q", v.Step, v.Dialog.NoPaper)
		}
		select {
		case slow.goOn <- struct{}{}:
			t.Error("it is printed once more")
		default:
		}
		w.input <- kiosk.Input{Event: kiosk.Leave}
	}}
	p.visit(nil)
}

// TestLeftWhilePrinting: the paper of who has gone keeps nobody from their card, and is
// nothing that the next person is told of.
func TestLeftWhilePrinting(t *testing.T) {
	t.Parallel()
	slow := slowPaper{goOn: make(chan struct{})}
	w, there := newPrinting(t, func(p dialog.Paper) dialog.Paper { slow.Paper = p; return slow })
	first := w.topUp()
	first.instead = map[kiosk.Step]func(kiosk.View){kiosk.Done: func(v kiosk.View) {
		w.press(v)
		w.input <- kiosk.Input{Event: kiosk.Leave}
	}}
	first.visit(nil)
	next := w.topUp()
	next.instead = map[kiosk.Step]func(kiosk.View){kiosk.Done: func(v kiosk.View) {
		slow.goOn <- struct{}{} // the paper of the first
		w.press(v)
		w.shows("that it prints", func(v kiosk.View) bool { return v.Dialog.Printed == dialog.Printing })
		if all := there.Receipts(); len(all) > 1 {
			t.Errorf("on paper: %+v", all)
		}
		w.slot.Take()
		w.shows("that the card is away", func(v kiosk.View) bool {
			return v.CardAway && v.Dialog.Printed == dialog.Printing // the first's end is not said
		})
		slow.goOn <- struct{}{}
		w.shows("that it is printed", func(v kiosk.View) bool { return v.Dialog.Printed == dialog.Printed })
		w.input <- kiosk.Input{Event: kiosk.Leave}
	}}
	next.visit(nil)
	one, ok := first.saw(kiosk.Done)
	two, ok2 := next.saw(kiosk.Done)
	all := there.Receipts()
	if !ok || !ok2 || len(all) != 2 || all[0].Codes[0] != one.Receipt.Proof || all[1].Codes[0] != two.Receipt.Proof {
		t.Errorf("walked %v and %v, on paper: %+v", first.walk, next.walk, all)
	}
}

// TestReceiptWithoutPrinter: a machine that has none offers no paper.
func TestReceiptWithoutPrinter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.topUp().visit(nil)
	if v, ok := p.saw(kiosk.Done); !ok || v.Dialog.CanPrint || v.Receipt.Proof == "" {
		t.Errorf("walked %v, shown %+v", p.walk, v.Dialog)
	}
}
