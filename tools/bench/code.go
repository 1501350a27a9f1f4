package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"quancun/journal"
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
	now    parts // of the sale that is being made
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
		note := fmt.Sprintf("scan to durable in the journal, p50 of %d (%s); aim %v",
			codeSales, where(took, 0.50), codeAim)
		all = append(all,
			figure{way.name, milliseconds(quantileOf(took, 0.50).whole), "ms", "", note},
			figure{way.name + ".p99", milliseconds(quantileOf(took, 0.99).whole), "ms", "",
				fmt.Sprintf("the same, p99 (%s)", where(took, 0.99))})
	}
	return all, nil
}

// sales sells a fen each time, and lets the upstream have it between two.
func (b *codeBench) sales(ctx context.Context, alone bool) (took []parts, err error) {
	raw, err := newRawDisk(b.up.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	for i := range codeSales + 1 {
		c, _, err := b.phone.Code()
		if err != nil {
			return nil, err
		}
		sale := tender.Sale{Ref: kiosk.NewRef(), Merchant: "m1", Operator: "c7", Amount: 1, PIN: true, Alone: alone}
		text := c.Text()
		b.now = parts{}
		start := time.Now()
		sold, err := b.seller.Sell(ctx, text, sale)
		b.now.whole = time.Since(start)
		if err != nil {
			return nil, err
		}
		if sold.Online == alone {
			return nil, fmt.Errorf("sale %d was made with online %t", i, sold.Online)
		}
		if i > 0 { // the first pays for the connection
			took = append(took, b.now)
		}
		if _, err := b.push.Step(ctx); err != nil {
			return nil, err
		}
		start = time.Now()
		if err := raw.write(); err != nil {
			return nil, err
		}
		if i > 0 {
			took[i-1].bare = time.Since(start)
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
		Book: timedBook{b.book, &b.now}, Upstream: timedUpstream{b.client, &b.now}, Push: b.push,
		Feeds: b.feeds, Rules: func() limits.Rules { return r },
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
	u, err := kiosk.FeedSource(b.client).Pull(ctx, "keys", 0, time.Time{})
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

// parts is how long a sale took, which part of it was waiting for others, and how
// long the bare disk took for a page right after it: on a machine that has much to
// do at the moment, that is what the slowest sales are about.
type parts struct {
	whole, upstream, disk, bare time.Duration
}

// String says where the time went; what is left of it is the terminal's own.
func (p parts) String() string {
	own := p.whole - p.upstream - p.disk
	return fmt.Sprintf("%.1f upstream + %.1f disk + %.1f own",
		milliseconds(p.upstream), milliseconds(p.disk), milliseconds(own))
}

// quantileOf returns the sale that the given share of all is not slower than.
func quantileOf(all []parts, share float64) parts {
	all = slices.SortedFunc(slices.Values(all), func(a, b parts) int { return int(a.whole - b.whole) })
	return all[int(share*float64(len(all)-1))]
}

// where says where the time of the sale at a share went, and how slow the machine
// was meanwhile.
func where(all []parts, share float64) string {
	var bare []time.Duration
	for _, p := range all {
		bare = append(bare, p.bare)
	}
	return fmt.Sprintf("%v; a bare page on this disk takes %.1f", quantileOf(all, share),
		milliseconds(quantile(bare, share)))
}

// timedUpstream and timedBook add to parts what they take.
type timedUpstream struct {
	code.Authorizer
	now *parts
}

func (u timedUpstream) Authorize(ctx context.Context, q client.AuthorizeRequest) (client.Approval, error) {
	start := time.Now()
	defer func() { u.now.upstream += time.Since(start) }()
	return u.Authorizer.Authorize(ctx, q)
}

type timedBook struct {
	code.Book
	now *parts
}

func (b timedBook) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	start := time.Now()
	defer func() { b.now.disk += time.Since(start) }()
	return b.Book.Append(ctx, e)
}
