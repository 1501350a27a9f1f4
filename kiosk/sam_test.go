package kiosk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	flow "quancun/kiosk/till"
	"quancun/reader"
	"quancun/reader/pcsc"
	"quancun/reader/pcsctest"
	"quancun/reader/readertest"
	"quancun/reader/sam"
)

// TestSAMIsSeen: a till whose SAM is pulled says so before a card is laid down, whatever
// page it shows, and takes cards again as soon as it is back.
func TestSAMIsSeen(t *testing.T) {
	pcsctest.Need(t)
	service, err := pcsctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(); err != nil {
			t.Error(err)
		}
	})
	_, tills := newShop(t, "T01")
	c := tills[0]
	pull := readertest.Insert(t, service.Addr(1), c.sam)
	w := c.openWindow(c.inSlot(service.Reader(1)))
	w.pays(flow.NoReason)
	pull()
	w.pays(flow.NoSAM)
	w.price(lunch)
	w.see(flow.Present)
	readertest.Insert(t, service.Addr(1), c.sam)
	w.pays(flow.NoReason)
	w.layCard()
	w.see(flow.Sold)
}

// inSlot has the SAM in a slot of a reader, which the till watches.
func (c *till) inSlot(name string) func(*flow.Session) {
	t := c.world.t
	o := pcsc.Options{Reader: name, Timeout: 5 * time.Second}
	module, slot, states := &sam.Slot{Device: pcsc.New(o), Terminal: c.number}, pcsc.New(o), make(chan reader.State)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { reader.Watch(ctx, slot, states, c.log) }) //nolint:errcheck // ends by cancel
	t.Cleanup(func() {
		cancel()
		running.Wait()
		c.world.ok(slot.Close())
		c.world.ok(module.Close())
	})
	return func(s *flow.Session) {
		c.seller.SAM = module
		s.SAM = states
	}
}

// pays waits until the till says that a card pays, or why it does not.
func (w *window) pays(why flow.Reason) {
	w.world.t.Helper()
	late := time.After(60 * time.Second)
	for len(w.current.Ways) == 0 || w.current.Ways[0].Why != why {
		select {
		case w.current = <-w.views:
		case <-late:
			w.world.t.Fatalf("the till shows %+v, want reason %d", w.current.Ways, why)
		}
	}
}
