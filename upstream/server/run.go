package server

import (
	"context"

	"quancun/upstream/server/due"
	"quancun/upstream/store"
)

// askMax is how many calls to the channel one order takes at most at a time, so
// that another upstream on the same books leaves it alone.
const askMax = 3

// work is what the engine has to see to: orders that are due.
func (e *engine) work() due.Work[store.Order] {
	return due.Work[store.Order]{
		What: "top-up orders",
		List: e.books.DueOrders,
		Name: func(o store.Order) string { return o.No },
		Take: func(ctx context.Context, o store.Order) (bool, error) {
			return e.books.TakeDue(ctx, o, e.now().Add(askMax*e.pace.Call))
		},
		Ask: func(ctx context.Context, o store.Order) error { return e.ask(ctx, o.No) },
		Now: e.now, Log: e.log,
	}
}
