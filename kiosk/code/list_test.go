package code

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	flow "quancun/kiosk/till"
	"quancun/ledger"
	"quancun/paycode"
	"quancun/pboc"
	"quancun/reader/profile"
	"quancun/reader/sim"
)

// window is a till with its face, which takes codes.
type window struct {
	*till
	inputs chan flow.Input
	health chan kiosk.Health
	views  chan flow.View
	seen   flow.View // last
}

func (c *till) openWindow() *window {
	w := &window{
		till: c, inputs: make(chan flow.Input), health: make(chan kiosk.Health), views: make(chan flow.View, 4096),
	}
	now := c.w.now
	clock := kiosk.NewClock(func() time.Time { return now }, ledger.Uptime)
	session := &flow.Session{
		Desk: &flow.Desk{
			Device: sim.NewSlot(), Cards: &kiosk.Seller{Settler: kiosk.Settler{Profile: profile.Default()}}, Book: c.book,
			Ways: []flow.Way{{Kind: flow.ByCode, Takes: paycode.Ours, Seller: c.Seller}},
			Plan: flow.Plan{Merchant: merchant, Operator: flow.Operator{No: "c7"}}, Profile: profile.Default(),
			Clock: clock, Log: c.Log,
		},
		Terms: kiosk.NewTerms(c.id, pboc.TerminalNo{1}), Feeds: c.Feeds.(kiosk.Feeds), Inputs: w.inputs, Health: w.health,
		Show: func(v flow.View) { w.views <- v }, Log: c.Log,
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.w.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { session.Run(ctx) }) //nolint:errcheck // ends by cancel
	c.w.t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// see waits for a view that is as it has to be.
func (w *window) see(what string, is func(flow.View) bool) {
	w.w.t.Helper()
	late := time.After(time.Minute)
	for !is(w.seen) {
		select {
		case w.seen = <-w.views:
		case <-late:
			w.w.t.Fatalf("%s: the till shows step %d, fault %d, ways %+v", what, w.seen.Step, w.seen.Fault, w.seen.Ways)
		}
	}
}

// codes waits until the list of ways to pay says of codes why they are not taken.
func (w *window) codes(why flow.Reason) {
	w.w.t.Helper()
	w.see("codes", func(v flow.View) bool { return len(v.Ways) > 1 && v.Ways[1].Why == why })
}

// shows waits for a step.
func (w *window) shows(s flow.Step) {
	w.w.t.Helper()
	w.see("step", func(v flow.View) bool { return v.Step == s })
}

// TestListOfDayGone: a till whose older journal of today is damaged says in the list of
// ways to pay why no code will do in the dark, before anybody shows one; who does hears
// the same; and a code is there again with the upstream.
func TestListOfDayGone(t *testing.T) {
	w := newWorld(t)
	c := w.till("C01")
	c.away = true
	c.sells("s1", w.phone.show(), 30*yuan)
	c.push()
	old := strings.TrimSuffix(c.path, ".db") + "." + c.book.Epoch().String() + ".db"
	w.ok(c.book.NewEpoch(t.Context(), journal.ReasonForked, journal.Head{}))
	w.ok(os.WriteFile(old, []byte("damaged"), 0o600))
	face := c.openWindow()
	dark := kiosk.Health{Terminal: c.id, Reader: true, Since: w.now}
	face.shows(flow.Ready)
	face.health <- dark
	face.codes(flow.PastGone)
	face.inputs <- flow.Input{Event: flow.Priced, Amount: yuan}
	face.shows(flow.Present)
	face.codes(flow.PastGone)
	face.inputs <- flow.Input{Event: flow.Scanned, Code: w.phone.show()}
	face.shows(flow.Declined)
	if face.seen.Fault != kiosk.CodePast {
		t.Errorf("refused with %d, want %d", face.seen.Fault, kiosk.CodePast)
	}
	face.inputs <- flow.Input{Event: flow.Priced, Amount: yuan}
	face.shows(flow.Present)
	face.codes(flow.PastGone)
	c.push()
	up := dark
	up.Upstream, up.Since = true, time.Time{}
	c.away = false
	face.health <- up
	face.codes(flow.NoReason)
	face.inputs <- flow.Input{Event: flow.Scanned, Code: w.phone.show()}
	face.shows(flow.Sold)
}
