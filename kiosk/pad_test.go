package kiosk_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	flow "quancun/kiosk/till"
	"quancun/reader/evdev"
	"quancun/reader/pinpad"
)

// keypad is the pad on the customer's side: a pipe that speaks as the kernel does.
type keypad struct {
	t    *testing.T
	path string
	pipe *os.File
}

// plug plugs the pad in, ready before it has its name.
func (k *keypad) plug() {
	k.t.Helper()
	made := k.path + ".new"
	out, err := exec.Command("mkfifo", made).CombinedOutput()
	if err != nil {
		k.t.Fatalf("mkfifo: %v: %s", err, out)
	}
	if k.pipe, err = os.OpenFile(made, os.O_RDWR, 0); err == nil {
		err = os.Rename(made, k.path)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// pull pulls it out.
func (k *keypad) pull() {
	k.t.Helper()
	if err := errors.Join(os.Remove(k.path), k.pipe.Close()); err != nil {
		k.t.Fatal(err)
	}
}

// codes are those of the keys of a keypad without a keyboard, as the kernel numbers
// them.
var codes = map[rune]uint16{
	'0': 82, '1': 79, '2': 80, '3': 81, '4': 75, '5': 76, '6': 77, '7': 71, '8': 72, '9': 73, '\n': 96, '-': 74,
}

// press presses keys, each of which is let go again.
func (k *keypad) press(keys string) {
	k.t.Helper()
	for _, key := range keys {
		down := evdev.Event{Kind: evdev.Key, Code: codes[key], Value: 1}
		for _, e := range []evdev.Event{down, {}, {Kind: evdev.Key, Code: codes[key]}, {}} {
			if _, err := k.pipe.Write(e.Bytes()); err != nil {
				k.t.Fatal(err)
			}
		}
	}
}

// await waits for a view of the step in which the pad is so.
func (w *window) await(what string, step flow.Step, so func(flow.View) bool) flow.View {
	w.world.t.Helper()
	late := time.After(60 * time.Second)
	for w.current.Step != step || !so(w.current) {
		select {
		case w.current = <-w.views:
		case <-late:
			w.world.t.Fatalf("%s: the till shows step %d, pad %+v", what, w.current.Step, w.current.Pad)
		}
	}
	return w.current
}

// TestTillPad sells above the daily limit to a card whose holder types the PIN on a
// pad of their own: wrong first, then half of it, amid which the pad is unplugged, and
// then, plugged in again, the whole.
func TestTillPad(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	world.limit(10 * yuan)
	k := &keypad{t: t, path: filepath.Join(t.TempDir(), "pad")}
	k.plug()
	keys := make(chan pinpad.Event)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { pinpad.Pad{Device: k.path, Log: tills[0].log}.Run(ctx, keys) }) //nolint:errcheck // ends by cancel
	t.Cleanup(func() { cancel(); running.Wait(); k.pipe.Close() })
	w := tills[0].openWindow(func(s *flow.Session) { s.Pad, s.PadOrPanel = keys, true })

	w.price(lunch)
	w.layCard()
	w.await("a sale above the limit", flow.EnterPIN, func(v flow.View) bool { return v.Pad.There })
	w.typePIN(pin) // the cashier's keys type nothing
	k.press("000000\n")
	if v := w.await("another PIN", flow.EnterPIN, func(v flow.View) bool { return v.PIN.Wrong }); v.PIN.TriesLeft != 4 {
		t.Errorf("after one wrong PIN: %+v", v.PIN)
	}
	k.press(pin[:3])
	w.await("half a PIN", flow.EnterPIN, func(v flow.View) bool { return v.Pad.Dots == 3 })
	k.pull()
	w.await("unplugged", flow.EnterPIN, func(v flow.View) bool { return v.Pad.Lost && v.Pad.Panel && v.Pad.Dots == 0 })
	k.plug()
	w.await("plugged in", flow.EnterPIN, func(v flow.View) bool { return v.Pad.Lost && v.Pad.There })
	k.press(pin + "\n")
	if v := w.see(flow.Sold, flow.Declined); v.Step != flow.Sold || v.Pad.Set {
		t.Errorf("after the PIN: step %d, fault %d, pad %+v", v.Step, v.Fault, v.Pad)
	}
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}

// TestTillPadCancels: who does not want to type a PIN is charged nothing, and can still
// pay.
func TestTillPadCancels(t *testing.T) {
	t.Parallel()
	world, tills := newShop(t, "T01")
	world.limit(10 * yuan)
	keys := make(chan pinpad.Event)
	w := tills[0].openWindow(func(s *flow.Session) { s.Pad = keys })
	keys <- pinpad.Event{Kind: pinpad.There}
	w.price(lunch)
	w.layCard()
	w.see(flow.EnterPIN)
	keys <- pinpad.Event{Kind: pinpad.Digit, Digit: '1'}
	keys <- pinpad.Event{Kind: pinpad.Cancel}
	w.see(flow.Ready)
	w.price(lunch)
	w.see(flow.EnterPIN)
	for _, digit := range pin {
		keys <- pinpad.Event{Kind: pinpad.Digit, Digit: byte(digit)}
	}
	keys <- pinpad.Event{Kind: pinpad.Enter}
	w.see(flow.Sold)
	world.told(w.post)
	if n := world.balanced(w.till); n != 1 {
		t.Errorf("%d lunches paid, want 1", n)
	}
}
