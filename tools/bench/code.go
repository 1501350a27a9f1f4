package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/code"
	limits "quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/lab/wallet"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/paycode"
	"quancun/upstream/client"
)

const (
	codeSales = 200                   // measured, of each kind
	codeAim   = 50 * time.Millisecond // from the scanner's last byte until the sale is on the disk
)

// codeBench is a till that takes codes, a phone that shows them, and the upstream
// behind mutual TLS.
type codeBench struct {
	up     *upstreamBench
	client *client.Client
	book   *ledger.Book
	feeds  *feed.Feeds
	push   *push.Pusher
	phone  *wallet.Phone
	seller *code.Seller
}

// measureCode measures a sale to a virtual card from the scanner's last byte until
// it is durable in the journal: with the upstream's word, and without it.
func measureCode(ctx context.Context, dir string) (_ []figure, err error) {
	b, err := newCodeBench(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var all []figure
	for _, way := range []struct {
		name  string
		alone bool
	}{{"code.approval", false}, {"code.approval.dark", true}} {
		took, err := b.sales(ctx, way.alone)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		note := fmt.Sprintf("scan to durable in the journal, p50 of %d; aim %v", codeSales, codeAim)
		all = append(all,
			figure{way.name, milliseconds(median(took)), "ms", "", note},
			figure{way.name + ".p99", milliseconds(quantile(took, 0.99)), "ms", "", "the same, p99"})
	}
	return all, nil
}

// sales sells a fen each time, and lets the upstream have it between two.
func (b *codeBench) sales(ctx context.Context, alone bool) (took []time.Duration, err error) {
	for i := range codeSales + 1 {
		c, _, err := b.phone.Code()
		if err != nil {
			return nil, err
		}
		sale := tender.Sale{Ref: kiosk.NewRef(), Merchant: "m1", Operator: "c7", Amount: 1, PIN: true, Alone: alone}
		text := c.Text()
		start := time.Now()
		sold, err := b.seller.Sell(ctx, text, sale)
		if err != nil {
			return nil, err
		}
		if sold.Online == alone {
			return nil, fmt.Errorf("sale %d was made with online %t", i, sold.Online)
		}
		if i > 0 { // the first pays for the connection
			took = append(took, time.Since(start))
		}
		if _, err := b.push.Step(ctx); err != nil {
			return nil, err
		}
	}
	return took, nil
}

func newCodeBench(ctx context.Context, dir string) (b *codeBench, err error) {
	b = &codeBench{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.up, err = newUpstream(ctx, dir, ""); err != nil {
		return b, err
	}
	if err := b.bind(ctx, holderNo(1)); err != nil {
		return b, err
	}
	b.client = b.up.dial("")
	b.book, err = ledger.Open(ctx, filepath.Join(b.up.dir, "codes.db"), ledger.Options{
		Terminal: benchTerminal, Key: b.up.keys.Journal, Version: "bench",
	})
	if err != nil {
		return b, err
	}
	log := slog.New(slog.DiscardHandler)
	b.push = push.New(push.Options{Book: b.book, Upstream: b.client, Campus: b.up.who.CampusKey, Log: log})
	if _, err := b.push.Step(ctx); err != nil {
		return b, err
	}
	if err := b.keys(ctx); err != nil {
		return b, err
	}
	r := limits.Default()
	r.DayCount = 4 * codeSales
	b.seller = &code.Seller{
		Book: b.book, Upstream: b.client, Push: b.push, Feeds: b.feeds, Rules: func() limits.Rules { return r },
		Now: time.Now, Budget: time.Second, Log: log,
	}
	return b, nil
}

// bind gives an account a phone.
func (b *codeBench) bind(ctx context.Context, account string) error {
	out, err := b.up.stack.Campusd(ctx, "phone", "invite", account, "--address", b.up.stack.UpstreamAddr)
	if err != nil {
		return err
	}
	b.phone, err = wallet.Bind(ctx, b.up.stack.File("phones"), string(ticketText.Find(out)), paycode.Ed25519)
	return err
}

// keys fetches what a terminal has to know about codes.
func (b *codeBench) keys(ctx context.Context) (err error) {
	if b.feeds, err = feed.Open(ctx, filepath.Join(b.up.dir, "feeds.db")); err != nil {
		return err
	}
	u, err := kiosk.FeedSource(b.client).Pull(ctx, "keys", 0)
	if err != nil {
		return err
	}
	return b.feeds.Apply(ctx, u)
}

func (b *codeBench) close() (err error) {
	if b.feeds != nil {
		err = errors.Join(err, b.feeds.Close())
	}
	if b.book != nil {
		err = errors.Join(err, b.book.Close())
	}
	if b.client != nil {
		b.client.Close()
	}
	if b.up != nil {
		err = errors.Join(err, b.up.close())
	}
	return err
}
