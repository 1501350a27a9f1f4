package sim_test

import (
	"testing"
	"time"

	"quancun/reader"
	"quancun/reader/readertest"
	"quancun/reader/sim"
)

func TestSlot(t *testing.T) {
	for name, empty := range map[string]bool{"ErrorTears": false, "EmptyTears": true} {
		t.Run(name, func(t *testing.T) {
			readertest.Run(t, func(t *testing.T) readertest.Bench {
				slot := sim.NewSlot()
				slot.Timeout = 2 * time.Second
				slot.EmptyTears = empty
				return readertest.Bench{
					Device:  slot,
					Timeout: slot.Timeout,
					Lay: func(_ *testing.T, c *sim.Card) func() {
						slot.Lay(c)
						return slot.Take
					},
				}
			})
		})
	}
}

// TestSlotBusy: a machine that has no time for a card that answers does not make it
// silent. Here all that the card is given is over before it has begun.
func TestSlotBusy(t *testing.T) {
	slot := sim.NewSlot()
	defer slot.Close()
	slot.Timeout = time.Nanosecond
	slot.Lay(newCard(t))
	card, err := slot.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	for range 100 {
		if _, err := card.Transmit([]byte{0x00, 0x84, 0, 0, 4}); err != nil {
			t.Fatalf("a card that answers: %v", err)
		}
	}
}

func TestSlotPlug(t *testing.T) {
	slot := sim.NewSlot()
	defer slot.Close()
	slot.Lay(newCard(t))
	var last reader.State
	for i, step := range []struct {
		do   func()
		want reader.State
	}{
		{func() {}, reader.State{Connected: true, Card: true, Insertions: 1}},
		{func() { slot.Plug(false) }, reader.State{}},
		{func() { slot.Lay(newCard(t)); slot.Plug(true) }, reader.State{Connected: true, Insertions: 1}},
		{func() { slot.Lay(newCard(t)) }, reader.State{Connected: true, Card: true, Insertions: 2}},
		{func() { slot.Lay(newCard(t)) }, reader.State{Connected: true, Card: true, Insertions: 3}},
		{slot.Take, reader.State{Connected: true, Insertions: 3}},
	} {
		step.do()
		now, err := slot.Wait(t.Context(), last)
		if err != nil || now != step.want {
			t.Errorf("step %d: %+v, %v; want %+v", i, now, err, step.want)
		}
		last = now
	}
}
