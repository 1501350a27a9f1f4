package back_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"quancun/app/back"
	"quancun/app/printer"
	"quancun/kiosk/dialog"
	lab "quancun/lab/printer"
	"quancun/money"
	"quancun/upstream/client"
)

// TestHoldersPaper prints a report for a holder, and tells what keeps it from being
// printed. It is not kept: who stands there later is somebody else.
func TestHoldersPaper(t *testing.T) {
	there := lab.New(32, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- there.Serve(ctx, l) }()
	defer func() { stop(); <-gone }()
	p := &printer.Printer{Address: "tcp:" + l.Addr().String(), Width: printer.Paper58}
	var stands client.Place // nobody has said where
	from := back.Site{Terminal: "kiosk1", Place: func() client.Place { return stands }}
	paper, err := back.HoldersPaper(p, from, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	slot := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	report := dialog.Report{Title: "network", No: "A1", QR: "proof",
		Facts: []dialog.Fact{dialog.Amount("pay.fact.paid", 10*money.Yuan),
			dialog.Span("bath.fact.slot", slot, slot.Add(30*time.Minute)), dialog.Moment("own.fact.at", slot)}}
	for _, tt := range []struct {
		state lab.State
		why   dialog.Word
	}{
		{lab.State{Paper: "out"}, "unprinted.out"}, {lab.State{Paper: "ok", Cover: true}, "unprinted.cover"},
		{lab.State{Paper: "ok", Offline: true}, "unprinted.offline"}, {lab.State{Paper: "ok", Fault: true}, "unprinted.offline"},
	} {
		if err := there.Set(tt.state); err != nil {
			t.Fatal(err)
		}
		var no *dialog.Refusal
		if err := paper.Print(t.Context(), report); !errors.As(err, &no) || no.Why != tt.why {
			t.Errorf("%+v: %v, want %s", tt.state, err, tt.why)
		}
	}
	if err := there.Set(lab.State{Paper: "ok"}); err != nil {
		t.Fatal(err)
	}
	if err := paper.Print(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	all := there.Receipts()
	if len(all) != 1 || !strings.Contains(all[0].Text, "10.00") || len(all[0].Codes) != 1 || all[0].Codes[0] != "proof" {
		t.Errorf("on paper: %+v", all)
	}
	for _, want := range []string{"2026-11-23 17:00-17:30", "2026-11-23 17:00\n"} { // in full, in Beijing
		if !strings.Contains(all[0].Text, want) {
			t.Errorf("%q is not on paper: %s", want, all[0].Text)
		}
	}
	if !strings.HasPrefix(strings.TrimSpace(all[0].Text), "网费") || !strings.Contains(all[0].Text, "\n终端 kiosk1\n") {
		t.Errorf("of a place that nobody has said: %s", all[0].Text)
	}
	stands = client.Place{ZH: "图书馆一层", EN: "Library, ground floor"} // it is told later, or moved
	if err := paper.Print(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	said := there.Receipts()[1].Text // paper is in Chinese
	if first, _, _ := strings.Cut(strings.TrimSpace(said), "\n"); first != stands.ZH ||
		!strings.Contains(said, "\n终端 kiosk1\n") || strings.Contains(said, "Library") {
		t.Errorf("with its place: %s", said)
	}
	stop()
	<-gone
	gone = make(chan error, 1)
	gone <- nil
	var no *dialog.Refusal
	if err := paper.Print(t.Context(), report); !errors.As(err, &no) || no.Why != "unprinted.away" {
		t.Errorf("without a printer: %v", err)
	}
}
