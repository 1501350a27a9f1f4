package bath

import (
	"context"
	"fmt"

	"quancun/money"
	"quancun/upstream/bath"
	"quancun/water"
)

// Demo adds two made-up baths: one whose codes are of a stall, with slots of half an
// hour in the evening, and one that is open round the clock, whose codes are of the
// whole hall.
func Demo(ctx context.Context, d *bath.Desk) error {
	for _, b := range []struct {
		hall   bath.Hall
		stalls uint16
		open   []water.Time
	}{
		{bath.Hall{No: 1, Name: "龙山浴室", Merchant: "bath-1"}, 6,
			[]water.Time{{From: 11 * 60, To: 13 * 60}, {From: 16 * 60, To: 22 * 60}}},
		{bath.Hall{No: 2, Name: "菱湖浴室", Merchant: "bath-2", Whole: true}, 12, []water.Time{{To: 24 * 60}}},
	} {
		b.hall.Cap, b.hall.Cancel = 5*money.Yuan, 10
		b.hall.Tariff = water.Tariff{PerLitre: 4, PulsesPerLitre: 300}
		if err := d.AddHall(ctx, b.hall); err != nil {
			return fmt.Errorf("demonstration's bath: %w", err)
		}
		for n := range b.stalls {
			if err := d.SetStall(ctx, b.hall.No, bath.Stall{No: n + 1}); err != nil {
				return err
			}
		}
		for _, t := range b.open {
			if _, err := d.AddSlots(ctx, b.hall.No, t, 30); err != nil {
				return err
			}
		}
	}
	return nil
}
