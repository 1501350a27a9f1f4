package kiosk

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/rules"
	"quancun/ledger/feed"
	"quancun/upstream/client"
)

// Keeper brings to an end what nobody stands at the terminal for any more:
// orders that were begun and left, by a person or by a power cut; loads and
// sales in doubt that another terminal has settled. And it greets the upstream,
// tells who has to know what that has said, and says what the machine can do
// now.
//
// It never decides by the clock. An order ends when the upstream says what
// became of it, a load or a sale when there is evidence.
type Keeper struct {
	Upstream Upstream
	Outbox   Outbox
	Push     Pusher
	Pull     Puller
	Feeds    Feeds
	Clock    Clock
	Terms    *Terms
	InHand   *InHand
	Version  string        // of this program
	Health   chan<- Health // to the Session
	Every    time.Duration // between rounds
	Log      *slog.Logger

	// Others, if not nil, says how the services stand that others give. It is asked
	// in each round in which the upstream has answered.
	Others func(ctx context.Context) []Standing

	// Ended, if not nil, hears of each sale in doubt that another terminal has
	// settled.
	Ended func(sale journal.Entry, o journal.Outcome)

	health   Health // as told last
	settings uint64 // version of the settings that are in force
}

// doubtEvery is how many rounds pass between two questions about what is in
// doubt. Only another terminal can have news, but the card may be there already,
// and a cashier here may be waiting to know.
const doubtEvery = 4

// Run keeps until ctx ends, and returns ctx's error.
func (k *Keeper) Run(ctx context.Context) error {
	for round := 0; ; round++ {
		k.Round(ctx, round%doubtEvery == 0)
		sleep(ctx, k.Every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Round looks once, and ends what can be ended; doubts says whether to ask about
// what is in doubt, too. Run calls it again and again; a simulation calls it in
// a time of its own.
func (k *Keeper) Round(ctx context.Context, doubts bool) {
	k.health.Terminal = k.Terms.Terminal()
	k.look(ctx)
	if !k.health.Upstream {
		return
	}
	k.endOrders(ctx)
	if doubts {
		k.endDoubts(ctx)
	}
}

// look asks the upstream and the disk how they are, and tells the Session.
func (k *Keeper) look(ctx context.Context) {
	h := k.health
	h.Fault = 0
	welcome, err := k.greet(ctx)
	switch {
	case err == nil:
		k.heard(ctx, welcome, !h.Upstream)
		h.Upstream, h.Since = true, time.Time{}
		h.SchoolZH, h.SchoolEN = welcome.SchoolZH, welcome.SchoolEN
		if k.Others != nil {
			h.Others = k.Others(ctx)
		}
	case refused(err):
		h.Upstream, h.Fault = false, CodeTerminal
	case h.Upstream || h.Since.IsZero():
		h.Upstream, h.Since = false, k.Clock.Now().In(beijing.Zone)
		k.Log.Warn("upstream is away", "err", err)
	}
	if err := k.Outbox.Room(ctx); err != nil {
		h.Fault = Explain(err)
		k.Log.Error("journal takes no more", "err", err)
	}
	k.readSettings(ctx)
	h.Queue = k.queue(ctx)
	h.HotlistAge = k.Feeds.Status(feed.Hotlist).Age(k.Clock.Now()).Truncate(time.Hour)
	if reflect.DeepEqual(h, k.health) {
		return
	}
	k.health = h
	select {
	case k.Health <- h:
	case <-ctx.Done():
	}
}

func (k *Keeper) greet(ctx context.Context) (client.Welcome, error) {
	h := client.Hello{Version: k.Version, Feeds: map[string]uint64{}}
	var err error
	if h.Journal, err = k.Outbox.Head(ctx); err != nil && ctx.Err() == nil {
		h.Journal, h.Fault = journal.Head{}, err.Error() // somebody has to come, and the upstream can call
	}
	if w, err := k.Outbox.Waiting(ctx); err == nil && w.Acked.Epoch == h.Journal.Epoch {
		h.Acked = w.Acked.Seq
	}
	for _, name := range feed.Names {
		h.Feeds[name] = k.Feeds.Status(name).Version
	}
	return k.Upstream.Hello(ctx, h)
}

// heard passes on what the upstream has said; back says that it was away.
func (k *Keeper) heard(ctx context.Context, w client.Welcome, back bool) {
	k.Terms.set(w)
	k.Clock.set(w.Drift)
	k.Outbox.Synced(w.Time)
	k.Push.Heard(w.Journal, back)
	k.Pull.Heard(ctx, w.Feeds, k.Clock.Now())
}

// settings is the feed of the school's rules.
const settings = "settings"

// readSettings puts new rules into force. Those that cannot be read leave the
// old ones there.
func (k *Keeper) readSettings(ctx context.Context) {
	version := k.Feeds.Status(settings).Version
	if version == 0 || version == k.settings {
		return
	}
	content, err := k.Feeds.Content(ctx, settings)
	if err != nil {
		k.Log.Error("settings not read", "version", version, "err", err)
		return
	}
	k.settings = version
	r, err := rules.Parse(content)
	if err != nil {
		k.Log.Error("settings not taken", "version", version, "err", err)
		return
	}
	k.Terms.setRules(r)
}

// queue is what the upstream has not been told. A journal that does not say
// is out of order, and Room says so.
func (k *Keeper) queue(ctx context.Context) Queue {
	w, err := k.Outbox.Waiting(ctx)
	if err != nil {
		return k.health.Queue
	}
	q := Queue{Count: w.Count, Amount: w.Amount, Hour: w.Hour, Failing: !k.Push.Health().Failing.IsZero()}
	if w.Count > 0 {
		q.Since = w.Since.In(beijing.Zone)
	}
	return q
}

// endOrders cancels orders that nobody waits for and writes down what came of
// them. One that was paid after all is credited upstream; its holder sees it
// at the next visit.
func (k *Keeper) endOrders(ctx context.Context) {
	for _, intent := range k.open(ctx, journal.TopUpIntent) {
		if ctx.Err() != nil {
			return
		}
		if err := k.endOrder(ctx, intent.Ref); err != nil {
			k.Log.Warn("order stays open", "order", intent.Ref, "err", err)
		}
	}
}

func (k *Keeper) endOrder(ctx context.Context, no string) error {
	order, err := k.Upstream.CancelTopUp(ctx, no)
	outcome, _, _ := orderEnd(order.State)
	refusal := (*client.Refusal)(nil)
	if errors.As(err, &refusal) && refusal.Reason == client.OrderUnknown && !shown(ctx, k.Outbox, no) {
		outcome, err = journal.Refused, nil // the request to make it was lost
	}
	if err != nil || outcome == 0 {
		return err // asked again in the next round
	}
	k.Log.Info("left order ended", "order", no, "outcome", outcome)
	_, err = k.Outbox.Append(ctx, journal.Entry{Kind: journal.TopUpEnd, Ref: no, Outcome: outcome})
	return err
}

// endDoubts asks whether the upstream knows what became of the loads and sales
// that this terminal has in doubt: another terminal has met the card.
func (k *Keeper) endDoubts(ctx context.Context) {
	intents := make(map[string]journal.Entry)
	var refs []string
	for _, intent := range k.open(ctx, journal.LoadIntent, journal.SaleIntent) {
		intents[intent.Ref] = intent
		refs = append(refs, intent.Ref)
	}
	for part := range slices.Chunk(refs, client.SettlementsMax) {
		outcomes, err := k.Upstream.Settlements(ctx, part)
		if err != nil {
			k.Log.Warn("doubts stay", "count", len(refs), "err", err)
			return
		}
		for ref, outcome := range outcomes {
			k.endDoubt(ctx, intents[ref], outcome)
		}
	}
}

func (k *Keeper) endDoubt(ctx context.Context, intent journal.Entry, o journal.Outcome) {
	_, err := k.Outbox.Append(ctx, journal.Entry{
		Kind: endOf(intent.Kind), Ref: intent.Ref, Outcome: o, Details: word{by: "upstream"}.details(),
	})
	if err != nil {
		k.Log.Warn("doubt stays", "ref", intent.Ref, "err", err)
		return
	}
	if k.Ended != nil && intent.Kind == journal.SaleIntent {
		k.Ended(intent, o)
	}
}

// open returns the open intents of some kinds that are not in hand.
func (k *Keeper) open(ctx context.Context, kinds ...journal.Kind) (all []journal.Entry) {
	open, err := k.Outbox.OpenItems(ctx)
	if err != nil && ctx.Err() == nil {
		k.Log.Error("open items not read", "err", err)
	}
	for _, intent := range open {
		if slices.Contains(kinds, intent.Kind) && !k.InHand.Has(intent.Ref) {
			all = append(all, intent)
		}
	}
	return all
}
