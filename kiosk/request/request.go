// Package request is how a holder asks upstream for something at a terminal: that a
// bill is paid, a bath reserved, a card reported lost.
//
// Upstream does it, under the reference that the terminal has written down before it
// asked, and the end is written down when upstream has said what became of it. In
// between nobody knows, whatever happens, and [Keeper] goes on from the journal
// alone: no clock decides.
//
// It refuses to know what is asked for. Each service brings an [Ask] for that.
package request

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/money"
)

// Book is the part of the journal that is written and read here. [ledger.Book] is
// one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
	OpenItems(ctx context.Context) ([]journal.Entry, error)
}

// InHand keeps the [Keeper] off what is being asked for at this moment. The kiosk's
// own is one.
type InHand interface {
	Take(ref string)
	Drop(ref string)
	Has(ref string) bool
}

// Request is what is asked for.
type Request struct {
	Ref     string
	Service string // as docs/JOURNAL.md has it
	Account string // whose it is; "" only if there is a card, of which nobody knows that
	Card    string
	Amount  money.Fen // that upstream is asked to take, or 0
	What    any       // in the service's own words: all that is needed to ask about it later

	// Came is what the end says besides, in the service's own words: what upstream needs
	// to do it again if it has lost it. It is called when the end is known; nil for nothing.
	Came func() any
}

// Desk writes requests down. It is safe for concurrent use.
type Desk struct {
	Book   Book
	InHand InHand
	Log    *slog.Logger
}

// Do writes r down, asks for it, and writes down what came of it.
//
// ask returns what it has come to: [journal.Done], [journal.NotDone], with an error
// that says why if upstream has said so, or 0 with what went wrong: nobody knows. Do
// returns the same. Its error is then a [tender.ErrUnknown]; where the journal does
// not take the announcement, nothing is asked and nothing has happened. Where it
// does not take the end, the [Keeper] writes that later.
func (d *Desk) Do(ctx context.Context, r Request, ask func(context.Context) (journal.Outcome, error),
) (journal.Outcome, error) {
	intent, err := r.entry()
	if err != nil {
		return journal.NotDone, err
	}
	d.InHand.Take(r.Ref)
	defer d.InHand.Drop(r.Ref)
	if _, err := d.Book.Append(ctx, intent); err != nil {
		return journal.NotDone, err
	}
	outcome, err := ask(ctx) // from here on upstream may do it
	if outcome == 0 {
		return 0, errors.Join(tender.ErrUnknown, err)
	}
	d.End(ctx, r, outcome)
	return outcome, err
}

// End writes down what has become of a request that Do left open.
func (d *Desk) End(ctx context.Context, r Request, o journal.Outcome) {
	var came any
	if r.Came != nil {
		came = r.Came()
	}
	what, err := json.Marshal(came)
	if came == nil {
		what = nil
	}
	err = errors.Join(err, end(ctx, d.Book, journal.Entry{Ref: r.Ref, Outcome: o},
		journal.Request{Service: r.Service, What: what}))
	if err != nil {
		d.Log.Error("end of a request not written", "ref", r.Ref, "outcome", o.String(), "err", err)
	}
}

func (r Request) entry() (journal.Entry, error) {
	what, err := json.Marshal(r.What)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("write request down: %w", err)
	}
	details, err := json.Marshal(journal.Request{Service: r.Service, What: what})
	return journal.Entry{
		Kind: journal.RequestIntent, Ref: r.Ref, Account: r.Account, Card: r.Card, Amount: r.Amount, Details: details,
	}, err
}

// end is written even while the program ends: what upstream has done has happened.
func end(ctx context.Context, b Book, e journal.Entry, r journal.Request) (err error) {
	e.Kind = journal.RequestEnd
	if e.Details, err = json.Marshal(r); err != nil {
		return err
	}
	_, err = b.Append(context.WithoutCancel(ctx), e)
	return err
}

// Ask says what has become of a request that was written down: [journal.Done],
// [journal.NotDone], or 0 while nobody knows, with an error if nobody could be
// asked. NotDone also means that it will not be done any more, even if the request
// is still on its way.
type Ask func(ctx context.Context, intent journal.Entry) (journal.Outcome, error)

// Keeper brings requests to an end that nobody stands at the terminal for any more.
type Keeper struct {
	Book   Book
	InHand InHand
	Asks   map[string]Ask // by service
	Every  time.Duration  // between rounds
	Log    *slog.Logger
}

// Run keeps until ctx ends, and returns ctx's error.
func (k *Keeper) Run(ctx context.Context) error {
	again := time.NewTicker(k.Every)
	defer again.Stop()
	for {
		k.Round(ctx)
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Round looks once, and ends what can be ended.
func (k *Keeper) Round(ctx context.Context) {
	open, err := k.Book.OpenItems(ctx)
	if err != nil && ctx.Err() == nil {
		k.Log.Error("open items not read", "err", err)
	}
	for _, intent := range open {
		if intent.Kind != journal.RequestIntent || k.InHand.Has(intent.Ref) {
			continue
		}
		if err := k.settle(ctx, intent); err != nil && ctx.Err() == nil {
			k.Log.Warn("request is still open", "ref", intent.Ref, "err", err)
		}
	}
}

func (k *Keeper) settle(ctx context.Context, intent journal.Entry) error {
	r, err := intent.Request()
	if err != nil {
		return err
	}
	ask := k.Asks[r.Service]
	if ask == nil {
		return fmt.Errorf("request: nobody here asks about %q", r.Service)
	}
	outcome, err := ask(ctx, intent)
	if outcome == 0 {
		return err
	}
	k.Log.Info("left request ended", "ref", intent.Ref, "service", r.Service, "outcome", outcome.String())
	return end(ctx, k.Book, journal.Entry{Ref: intent.Ref, Outcome: outcome}, r)
}
