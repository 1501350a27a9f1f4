package payment

import (
	"context"

	"quancun/upstream/server/due"
)

// askMax is how many calls to the channel one payment takes at most at a time, so
// that another upstream on the same books leaves it alone.
const askMax = 3

// work is what the desk has to see to: payments and refunds that are due.
func (d *Desk) work() due.Work[item] {
	return due.Work[item]{
		What: "payments by code", List: d.dues, Name: item.key,
		Take: func(ctx context.Context, x item) (bool, error) {
			return d.take(ctx, x, d.now().Add(askMax*d.pace.Call))
		},
		Ask: d.askAbout, Now: d.now, Log: d.log,
	}
}

// Run asks about what is due until ctx ends, waits for the questions that are
// under way, and returns ctx's error. Calls that wait for a payment then end too.
func (d *Desk) Run(ctx context.Context) error { return d.clerk.Run(ctx) }

// Attend asks once about each payment that is due, one after the other. It is
// for who has no time to let Run take its own, such as a simulation.
func (d *Desk) Attend(ctx context.Context) error { return d.clerk.Attend(ctx) }

func (d *Desk) askAbout(ctx context.Context, x item) error {
	if x.refund != "" {
		_, err := d.giveBack(ctx, x.no, x.refund)
		return err
	}
	return d.ask(ctx, x.no)
}
