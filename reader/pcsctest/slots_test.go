package pcsctest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/apdu"
	"quancun/reader/pcsc"
	"quancun/reader/pcsctest"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/readertest"
	"quancun/reader/sam"
	"quancun/reader/sim"
)

// TestSAMInSecondSlot sells with a card in the first slot and a SAM in the second,
// pulls the SAM, and goes on when it is back.
func TestSAMInSecondSlot(t *testing.T) {
	pcsctest.Need(t)
	s, err := pcsctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	const patience = 3 * time.Second
	device := pcsc.New(pcsc.Options{Reader: s.Reader(0), Timeout: patience})
	terminal := pboc.TerminalNo{0, 0, 0, 0, 4, 0x17}
	slot := &sam.Slot{Device: pcsc.New(pcsc.Options{Reader: s.Reader(1), Timeout: patience}), Terminal: terminal}
	t.Cleanup(func() {
		if err := errors.Join(slot.Close(), device.Close()); err != nil {
			t.Error(err)
		}
	})
	module := sim.NewSAM(terminal, sim.LabMasters.Purchase, 41)
	pull := readertest.Insert(t, s.Addr(1), module)
	take := readertest.Dial(s.Addr(0))(t, readertest.NewCard(t))
	t.Cleanup(take)

	until(t, device, func(s reader.State) bool { return s.Card })
	card, err := device.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { card.Close() })
	there(t, slot)
	if no := sell(t, card, slot); no != 41 {
		t.Errorf("first sale has number %d, want 41", no)
	}
	pull()
	if _, err := (purse.InitSAM{Amount: 1}).Send(slot); err == nil || apdu.Answered(err) {
		t.Errorf("with the SAM pulled: %v", err)
	}
	readertest.Insert(t, s.Addr(1), module)
	there(t, slot)
	if no := sell(t, card, slot); no != 42 {
		t.Errorf("second sale has number %d, want 42", no)
	}
}

// until waits until a device is in a state.
func until(t *testing.T, d reader.Device, want func(reader.State) bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for last := (reader.State{}); !want(last); {
		now, err := d.Wait(ctx, last)
		if ctx.Err() != nil {
			t.Fatalf("state %+v after %v", last, err)
		}
		last = now
	}
}

// there waits until a SAM answers in its slot, as a till does that asks at each
// sale.
func there(t *testing.T, s *sam.Slot) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := purse.ReadTerminalNo{}.Send(s)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// sell sells for 12 yuan and returns the SAM's number for it.
func sell(t *testing.T, card purse.Card, module purse.Card) uint32 {
	t.Helper()
	info, err := purse.Open(card, profile.Default())
	if err != nil {
		t.Fatal(err)
	}
	no, err := purse.ReadTerminalNo{}.Send(module)
	if err != nil {
		t.Fatal(err)
	}
	at := pboc.Stamp{0x20, 0x26, 0x09, 0x15, 0x08, 0x30, 0x15}
	o, err := purse.InitPurchase{KeyIndex: 1, Amount: 1200, Terminal: no}.Send(card)
	if err != nil {
		t.Fatal(err)
	}
	m, err := purse.InitSAM{Offer: o, Amount: 1200, Type: pboc.TypePurchase, At: at, Factor: info.Factor}.Send(module)
	if err != nil {
		t.Fatal(err)
	}
	d, err := purse.DebitPurchase{TraceNo: m.TraceNo, At: at, MAC1: m.MAC1}.Send(card)
	if err == nil {
		err = purse.CheckMAC2{MAC2: d.MAC2}.Send(module)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.TraceNo
}
