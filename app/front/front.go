// Package front puts a kiosk's services together: what a holder can have done there
// besides topping up. Each is a package of its own under kiosk/service, which knows
// nothing of the others; here they get the parts that they work with.
package front

import (
	"context"
	"log/slog"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/service/bath"
	"quancun/kiosk/service/electricity"
	"quancun/kiosk/service/lost"
	"quancun/kiosk/service/network"
	"quancun/kiosk/service/own"
	"quancun/kiosk/service/pay"
	"quancun/ledger"
	"quancun/upstream/client"
	upbath "quancun/upstream/client/bath"
	"quancun/upstream/client/bill"
	"quancun/upstream/client/holder"
	upstream "quancun/upstream/client/lost"
)

// Parts are the terminal's, which owns them.
type Parts struct {
	Desk   *kiosk.Desk // some have something to do with cards there, too
	Book   *ledger.Book
	Client *client.Client
	InHand *kiosk.InHand
	Beside func(run func(ctx context.Context) error) // keeps something running beside
	Now    func() time.Time
	Log    *slog.Logger
}

// sets are the services, in the order in which they are offered. Whoever has made
// another adds it here, and what its requests are asked after by.
var sets = []func(p Parts, r *request.Desk, asks map[string]request.Ask) []service.Service{
	bills, baths, losses, owns,
}

// keepEvery is the pause between two looks at what was left open.
const keepEvery = 15 * time.Second

// New returns the services of a kiosk that is made of p, and has the keeper of their
// requests run beside it.
func New(p Parts) (all []service.Service) {
	r := &request.Desk{Book: p.Book, InHand: p.InHand, Log: p.Log}
	asks := map[string]request.Ask{}
	for _, set := range sets {
		all = append(all, set(p, r, asks)...)
	}
	p.Beside((&request.Keeper{Book: p.Book, InHand: p.InHand, Asks: asks, Every: keepEvery, Log: p.Log}).Run)
	return all
}

// lostPause is how long what was asked for is waited with, if its answer was lost,
// before it is asked after: the way there may be back by then.
const lostPause = 2 * time.Second

// bills are the network fee and electricity.
func bills(p Parts, r *request.Desk, asks map[string]request.Ask) []service.Service {
	upstream := bill.New(p.Client)
	asks[pay.Service] = pay.Ask(upstream)
	d := &pay.Desk{
		Upstream: upstream, Requests: r, Pause: lostPause, Log: p.Log, Proof: p.own().Proof(client.MovementBill),
	}
	return []service.Service{network.Service(upstream, d), electricity.Service(upstream, d, p.Now)}
}

// baths is a place in a bath.
func baths(p Parts, r *request.Desk, asks map[string]request.Ask) []service.Service {
	d := &bath.Desk{Upstream: upbath.New(p.Client), Requests: r, Now: p.Now, Pause: lostPause, Log: p.Log}
	for _, name := range bath.Services {
		asks[name] = d.Ask
	}
	return []service.Service{d.Service()}
}

// losses are cards that were lost, and that were found again.
func losses(p Parts, r *request.Desk, asks map[string]request.Ask) []service.Service {
	d := &lost.Desk{Upstream: upstream.New(p.Client), Requests: r, Now: p.Now}
	asks[journal.Loss], asks[lost.Found] = d.Ask, d.AskFound
	p.Desk.Found = d.Found
	return []service.Service{d.Service()}
}

// owns are what a holder sees of what is theirs. Who has a new card is led to compare
// it first.
func owns(p Parts, _ *request.Desk, _ map[string]request.Ask) []service.Service {
	d := p.own()
	p.Desk.First = d.First
	return d.Services()
}

func (p Parts) own() *own.Desk {
	return &own.Desk{Upstream: holder.New(p.Client), Unsent: unsent(p.Book), Now: p.Now}
}

// unsentMax is how many entries are looked through for what is a holder's: what a busy
// till writes in an hour or two.
const unsentMax = 1000

// unsent returns what is in a journal and not upstream yet, of more than that the newest.
func unsent(b *ledger.Book) func(ctx context.Context) ([]journal.Entry, error) {
	return func(ctx context.Context) ([]journal.Entry, error) {
		acked, err := b.Acked(ctx)
		if err != nil {
			return nil, err
		}
		head, err := b.Head(ctx)
		if err != nil {
			return nil, err
		}
		return b.Since(ctx, max(acked.Seq, head.Seq-unsentMax)+1, unsentMax) // the newest are sent last
	}
}
