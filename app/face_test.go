package app

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quancun/reader/pinpad"
	"quancun/reader/scanner"
)

// TestWedge has a scanner type a wallet's code, and then a person an amount, at a
// window that is busy now and then.
func TestWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pressed []rune
		var scans []scanner.Scan
		ui := make(chan func(), 10)
		w := &wedge{scans: func(s scanner.Scan) { scans = append(scans, s) }, do: func(f func()) { ui <- f }}
		take := func(text string) {
			for _, r := range text {
				w.take(r, func(r rune) { pressed = append(pressed, r) })
			}
		}
		// idles is a time for which the window takes what comes to it.
		idles := func(d time.Duration) {
			for end := time.After(d); ; {
				select {
				case f := <-ui:
					f()
				case <-end:
					return
				}
			}
		}
		const code = "281234567890123456"
		take(code[:1])
		time.Sleep(time.Second) // busy
		take(code[1:] + "\n")
		idles(time.Second)
		take("7")
		idles(10 * time.Millisecond)
		if len(pressed) > 0 {
			t.Error("a key is passed on before anybody can know whose it is")
		}
		idles(100 * time.Millisecond)
		if string(pressed) != "7" {
			t.Errorf("pressed %q before Enter", string(pressed))
		}
		take("\n")
		if string(pressed) != "7\n" || len(scans) != 1 || scans[0].Text != code || scans[0].Kind != scanner.Alipay {
			t.Errorf("pressed %q, scanned %+v; want 7 and Enter, and Alipay's code", string(pressed), scans)
		}
	})
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
