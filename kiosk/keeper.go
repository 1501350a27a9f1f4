package kiosk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"quancun/journal"
	"quancun/upstream/client"
)

// Keeper brings to an end what nobody stands at the terminal for any more:
// orders that were begun and left, by a person or by a power cut; reports that
// the upstream has not taken yet; loads in doubt that another terminal has
// settled. And it says what the machine can do now.
//
// It never decides by the clock. An order ends when the upstream says what
// became of it, a load when there is evidence.
type Keeper struct {
	Upstream Upstream
	Outbox   Outbox
	Clock    Clock
	Terms    *Terms
	InHand   *InHand
	Hello    client.Hello
	Health   chan<- Health // to the Session
	Every    time.Duration // between rounds
	Log      *slog.Logger

	health Health          // as told last
	read   int64           // entries that have been looked at for reports
	due    []journal.Entry // whose report the upstream has not taken
}

// doubtEvery is how many rounds pass between two questions about a load in
// doubt: only another terminal can have news, so there is no hurry.
const doubtEvery = 20

// Run keeps until ctx ends, and returns ctx's error.
func (k *Keeper) Run(ctx context.Context) error {
	k.health.Terminal = k.Terms.Terminal()
	for round := 0; ; round++ {
		k.look(ctx)
		if k.health.Upstream {
			k.endOrders(ctx)
			k.report(ctx)
		}
		if k.health.Upstream && round%doubtEvery == 0 {
			k.endDoubts(ctx)
		}
		sleep(ctx, k.Every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// look asks the upstream and the disk how they are, and tells the Session.
func (k *Keeper) look(ctx context.Context) {
	h := k.health
	h.Fault = 0
	welcome, err := k.Upstream.Hello(ctx, k.Hello)
	switch {
	case err == nil:
		k.Terms.set(welcome)
		k.Clock.set(welcome.Drift)
		h.Upstream, h.Since = true, time.Time{}
		h.SchoolZH, h.SchoolEN = welcome.SchoolZH, welcome.SchoolEN
	case refused(err):
		h.Upstream, h.Fault = false, CodeTerminal
	case h.Upstream || h.Since.IsZero():
		h.Upstream, h.Since = false, k.Clock.Now().In(Beijing)
		k.Log.Warn("upstream is away", "err", err)
	}
	if err := k.Outbox.Room(ctx); err != nil {
		h.Fault = Explain(err)
		k.Log.Error("journal takes no more", "err", err)
	}
	if h == k.health {
		return
	}
	k.health = h
	select {
	case k.Health <- h:
	case <-ctx.Done():
	}
}

// endOrders cancels orders that nobody waits for and writes down what came of
// them. One that was paid after all is credited upstream; its holder sees it
// at the next visit.
func (k *Keeper) endOrders(ctx context.Context) {
	k.each(ctx, journal.TopUpIntent, func(intent journal.Entry) error {
		order, err := k.Upstream.CancelTopUp(ctx, intent.Ref)
		outcome, _, _ := orderEnd(order.State)
		no := (*client.Refusal)(nil)
		forgotten := errors.As(err, &no) && no.Reason == client.OrderUnknown
		if forgotten && !k.InHand.Offered(intent.Ref) {
			outcome, err = journal.Refused, nil // the request to make it was lost
		}
		if err != nil || outcome == 0 {
			return err // asked again in the next round
		}
		k.Log.Info("left order ended", "order", intent.Ref, "outcome", outcome)
		_, err = k.Outbox.Append(ctx, journal.Entry{Kind: journal.TopUpEnd, Ref: intent.Ref, Outcome: outcome})
		return err
	})
}

// endDoubts asks whether another terminal has met the card of a load that this
// one has in doubt.
func (k *Keeper) endDoubts(ctx context.Context) {
	k.each(ctx, journal.LoadIntent, func(intent journal.Entry) error {
		report, _ := reportOf(intent)
		status, err := k.Upstream.ReportLoad(ctx, report)
		if err != nil || status.Outcome == client.LoadDoubt {
			return err
		}
		_, err = k.Outbox.Append(ctx, journal.Entry{
			Kind: journal.LoadEnd, Ref: intent.Ref, Outcome: journal.Elsewhere,
			Details: details(proof{Evidence: fmt.Sprintf("upstream %d", status.Outcome)}),
		})
		return err
	})
}

// each calls f for the open intents of a kind that are not in hand. One that
// cannot be ended now does not hold up the others.
func (k *Keeper) each(ctx context.Context, kind journal.Kind, f func(journal.Entry) error) {
	open, err := k.Outbox.OpenItems(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		k.Log.Error("open items not read", "err", err)
		return
	}
	for _, intent := range open {
		if intent.Kind != kind || k.InHand.Has(intent.Ref) || ctx.Err() != nil {
			continue
		}
		if err := f(intent); err != nil {
			k.Log.Warn("open item stays open", "ref", intent.Ref, "kind", intent.Kind, "err", err)
		}
	}
}

// reportLimit is how many entries are looked at in one round; the rest follow in the
// next ones.
const reportLimit = 50

// report tells the upstream what it has not taken yet. A refusal is an answer:
// the upstream has it on its own list from then on.
func (k *Keeper) report(ctx context.Context) {
	fresh, err := k.Outbox.Since(ctx, k.read+1, reportLimit)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		k.Log.Error("journal not read", "err", err)
		return
	}
	for _, e := range fresh {
		k.read = e.Seq
		if e.Kind == journal.LoadEnd || e.Kind == journal.LoadDoubt {
			k.due = append(k.due, e)
		}
	}
	k.due = slices.DeleteFunc(k.due, func(e journal.Entry) bool { return k.reported(ctx, e) })
}

// reported tells the upstream of an entry, and returns whether it has it now.
func (k *Keeper) reported(ctx context.Context, e journal.Entry) bool {
	report, ok := reportOf(e)
	if !ok {
		return true
	}
	_, err := k.Upstream.ReportLoad(ctx, report)
	if err != nil && !refused(err) {
		k.Log.Warn("report not taken", "entry", e.Seq, "err", err)
		return false
	}
	if err != nil {
		k.Log.Error("report refused", "entry", e.Seq, "err", err)
	}
	return true
}
