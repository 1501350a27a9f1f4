package works

import (
	"context"
	"time"

	"quancun/bathcode"
	"quancun/money"
	"quancun/upstream/bath"
	"quancun/upstream/store"
	"quancun/water"
)

// BathMerchant is to whom the water of all baths is owed.
const BathMerchant = "bathhouse"

// BathPolicy is what the school has decided about baths. Who does not come twice
// reserves no more: a day is short.
func BathPolicy() bath.Policy {
	p := bath.Usual()
	p.DaysAhead, p.NoShows = 1, 2
	return p
}

// halls are two small ones, so that places run out: one whose codes open one of two
// stalls, and one in which they open whichever is free.
var halls = []bath.Hall{
	{No: 1, Name: "东区浴室", Stalls: []bath.Stall{{No: 1}, {No: 2}}},
	{No: 2, Name: "西区浴室", Whole: true, Stalls: []bath.Stall{{No: 1}}},
}

// Opening times, in minutes after midnight, and how long a slot is. Each day of a story
// begins in one of them.
var opening = []water.Time{{From: 7 * 60, To: 11 * 60}, {From: 17 * 60, To: 21 * 60}}

const slotMinutes = 60

// bathe builds the baths, and makes the setups of their controllers: the same in each
// town.
func (w *Works) bathe(ctx context.Context, books *store.Books) error {
	desk := bath.New(bath.Config{Books: books, Master: w.Baths, Policy: BathPolicy()})
	w.Setups = nil
	for _, h := range halls {
		h.Merchant, h.Cap, h.Cancel = BathMerchant, 3*money.Yuan, 10
		h.Tariff = water.Tariff{PerLitre: 20, PulsesPerLitre: 20}
		if err := desk.AddHall(ctx, h); err != nil {
			return err
		}
		for _, s := range h.Stalls {
			if err := desk.SetStall(ctx, h.No, s); err != nil {
				return err
			}
		}
		for _, t := range opening {
			if _, err := desk.AddSlots(ctx, h.No, t, slotMinutes); err != nil {
				return err
			}
		}
		if err := w.fit(ctx, desk, h); err != nil {
			return err
		}
	}
	return nil
}

// fit makes the setups of a hall's controllers.
func (w *Works) fit(ctx context.Context, desk *bath.Desk, h bath.Hall) error {
	places := []uint16{0}
	if !h.Whole {
		places = []uint16{1, 2}
	}
	for _, stall := range places {
		s, err := desk.Setup(ctx, h.No, stall)
		if err != nil {
			return err
		}
		w.Setups = append(w.Setups, s)
	}
	return nil
}

// Code returns the digits that a reservation's code has.
func (w *Works) Code(s bathcode.Slot, n uint8) string {
	return string(w.Baths.Key(s.Place, s.Day).Code(s, n))
}

// LossRisk is how long a holder bears what is spent with a card that was reported lost.
const LossRisk = 24 * time.Hour
