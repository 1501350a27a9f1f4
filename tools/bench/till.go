package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/kiosk"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/reader/profile"
	"quancun/reader/sim"
	"quancun/tools/stack"
	"quancun/upstream/client"
	"quancun/upstream/keys"
)

// tapBudget is how long a sale waits for the upstream.
const tapBudget = 300 * time.Millisecond

// rules let a few cards buy all day, in the dark too.
const rules = `{
	"offline_day_count_max": 1000000, "offline_day_max_fen": 100000000, "offline_hour_max_fen": 100000000,
	"daily_limit_fen": 100000000
}`

func publishRules(ctx context.Context, s *stack.Stack) error {
	file := s.File("rules.json")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		return err
	}
	_, err := s.Campusd(ctx, "feed", "publish", "settings", "--file", file)
	return err
}

// benchTill is a till without a window: a SAM, the feeds, and a journal that
// goes upstream beside the sales. Its maker owns client and book.
type benchTill struct {
	who     *client.Provisioning
	client  *client.Client
	book    *ledger.Book
	profile *profile.Profile

	feeds  *feed.Feeds
	seller *kiosk.Seller
	beside *errgroup.Group
	cancel context.CancelFunc
}

// start starts what goes on beside the sales, and waits until the till may sell.
func (t *benchTill) start(ctx context.Context, feeds string, secrets *keys.Secrets) (err error) {
	if t.feeds, err = feed.Open(ctx, feeds); err != nil {
		return err
	}
	log, clock := slog.New(slog.DiscardHandler), kiosk.NewClock(time.Now, ledger.Uptime)
	terms := kiosk.NewTerms(t.who.Terminal, t.who.TerminalNo)
	pusher := push.New(push.Options{Book: t.book, Upstream: t.client, Campus: t.who.CampusKey, Log: log})
	puller := feed.NewPuller(t.feeds, kiosk.FeedSource(t.client), log)
	t.seller = &kiosk.Seller{
		Settler: kiosk.Settler{
			Book: t.book, Issuer: t.client, Profile: t.profile, Terminal: t.who.TerminalNo,
			SAM: sim.NewSAM(t.who.TerminalNo, secrets.Purchase, 1),
		},
		Upstream: t.client, Push: pusher, Feeds: t.feeds, Terms: terms, Clock: clock, Budget: tapBudget, Log: log,
	}
	health := make(chan kiosk.Health)
	keeper := &kiosk.Keeper{
		Upstream: t.client, Outbox: t.book, Push: pusher, Pull: puller, Feeds: t.feeds, Clock: clock, Terms: terms,
		InHand: new(kiosk.InHand), Version: "bench", Health: health, Every: time.Second, Log: log,
	}
	beside, cancel := context.WithCancel(ctx)
	t.cancel, t.beside = cancel, new(errgroup.Group)
	t.beside.Go(func() error { return pusher.Run(beside) })
	t.beside.Go(func() error { return puller.Run(beside) })
	t.beside.Go(func() error { return keeper.Run(beside) })
	t.beside.Go(func() error { // nobody looks at a screen
		for {
			select {
			case <-health:
			case <-beside.Done():
				return beside.Err()
			}
		}
	})
	return t.ready(ctx, terms)
}

// ready waits until the terminal has the lists and the rules, and the upstream
// the journal.
func (t *benchTill) ready(ctx context.Context, terms *kiosk.Terms) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		head, err1 := t.book.Head(ctx)
		acked, err2 := t.book.Acked(ctx)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		checked := !t.feeds.Status(feed.Hotlist).Checked.IsZero()
		if checked && terms.Rules().DayCount == 1_000_000 && acked.Seq == head.Seq {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("the till has not heard of its rules")
		}
	}
}

func (t *benchTill) stop() error {
	var errs []error
	if t.beside != nil {
		t.cancel()
		if err := t.beside.Wait(); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if t.feeds != nil {
		errs = append(errs, t.feeds.Close())
	}
	return errors.Join(errs...)
}
