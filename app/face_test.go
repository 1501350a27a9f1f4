package app

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quancun/reader/pinpad"
	"quancun/reader/scanner"
)

// TestWedge has a scanner type a wallet's code, and then a person an amount.
func TestWedge(t *testing.T) {
	var mu sync.Mutex
	var pressed []rune
	var scans []scanner.Scan
	w := &wedge{scans: func(s scanner.Scan) {
		mu.Lock()
		defer mu.Unlock()
		scans = append(scans, s)
	}}
	pass := func(r rune) {
		mu.Lock()
		defer mu.Unlock()
		pressed = append(pressed, r)
	}
	const code = "281234567890123456"
	for _, r := range code + "\n" {
		w.take(r, pass)
	}
	w.take('7', pass)
	until := time.Now().Add(time.Minute)
	for done := false; !done; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		done = slices.Equal(pressed, []rune{'7'}) || time.Now().After(until)
		mu.Unlock()
	}
	w.take('\n', pass)
	mu.Lock()
	defer mu.Unlock()
	if string(pressed) != "7\n" || len(scans) != 1 || scans[0].Text != code || scans[0].Kind != scanner.Alipay {
		t.Errorf("pressed %q, scanned %+v; want 7 and Enter, and Alipay's code", string(pressed), scans)
	}
}

// TestPadRelay: while another face is shown keys of the PIN pad are forgotten, and a
// till that is shown anew is told whether the pad is there.
func TestPadRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, away := make(chan pinpad.Event), new(atomic.Bool)
		r := newPadRelay(in, away)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.run(ctx) }()
		defer func() { cancel(); <-ended }()
		comes := func(what string, want pinpad.Event) {
			t.Helper()
			synctest.Wait()
			select {
			case got := <-r.out:
				if got != want {
					t.Errorf("%s: kind %d", what, got.Kind)
				}
			default:
				if want != (pinpad.Event{}) {
					t.Errorf("%s: nothing comes", what)
				}
			}
		}
		there, one := pinpad.Event{Kind: pinpad.There}, pinpad.Event{Kind: pinpad.Digit, Digit: '1'}
		r.again()
		comes("before anything is known", pinpad.Event{})
		in <- there
		comes("plugged in", there)
		in <- one
		comes("a key", one)
		away.Store(true)
		in <- pinpad.Event{Kind: pinpad.Away}
		in <- there
		in <- one
		comes("at the kiosk", pinpad.Event{})
		away.Store(false)
		r.again()
		comes("at the till again", there)
		comes("once", pinpad.Event{})
	})
}
