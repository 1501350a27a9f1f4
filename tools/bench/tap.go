package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/kiosk"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/upstream/keys"
)

const taps = 100 // measured sales of a kind; each takes half a second, with its replay

// tapBench is a till on what a load is measured on: a card on a real pcscd.
type tapBench struct {
	*loadBench
	till *benchTill
}

// measureTap measures a sale from the moment the card is there until its end is
// durable in the journal, in the dark and with the upstream's word, against
// nothing but the exchange of the same APDUs with the same card, turn by turn.
func measureTap(ctx context.Context, dir string) (all []figure, err error) {
	b, err := newTapBench(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, kind := range []struct {
		name  string
		alone bool
	}{{"tap.offline", true}, {"tap.online", false}} {
		found, err := b.measure(ctx, kind.name, kind.alone)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (b *tapBench) measure(ctx context.Context, name string, alone bool) ([]figure, error) {
	var whole, bare []time.Duration
	apdus := 0
	for i := range taps + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		commands, err := b.sell(ctx, alone)
		took := time.Since(start)
		if err != nil {
			return nil, err
		}
		start = time.Now()
		if err := b.replay(commands); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if i > 0 { // the first pays for connections
			whole, bare = append(whole, took), append(bare, time.Since(start))
		}
		apdus = len(commands)
	}
	const aimMiddle, aimLast = "1.15", "1.30"
	var all []figure
	for _, f := range []struct {
		name, aim string
		share     float64
	}{{".p50", aimMiddle, 0.50}, {".p99", aimLast, 0.99}} {
		w, r := quantile(whole, f.share), quantile(bare, f.share)
		all = append(all, figure{
			Name: name + f.name, Value: w.Seconds() / r.Seconds(), RatioTo: "the same APDUs, bare",
			Note: fmt.Sprintf("%d APDUs at %d ms; whole %v, bare %v, of %d; aim %s", apdus, apduDelay,
				w.Round(100*time.Microsecond), r.Round(100*time.Microsecond), taps, f.aim),
		})
	}
	return all, nil
}

// quantile returns what the given share of d is not above.
func quantile(d []time.Duration, share float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[int(share*float64(len(d)-1))]
}

func newTapBench(ctx context.Context, dir string) (_ *tapBench, err error) {
	l, _, err := newLoadBench(ctx, dir)
	if err != nil {
		return nil, err
	}
	b := &tapBench{loadBench: l}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if err := publishRules(ctx, b.stack); err != nil {
		return nil, err
	}
	secrets, err := keys.ReadSecrets(b.stack.File("upstream/keys.json"))
	if err != nil {
		return nil, err
	}
	b.till = &benchTill{who: b.who, client: b.client, book: b.book, profile: b.profile}
	return b, b.till.start(ctx, b.stack.File("bench-feeds.db"), secrets)
}

func (b *tapBench) close() error {
	var err error
	if b.till != nil {
		err = b.till.stop()
	}
	return errors.Join(err, b.loadBench.close())
}

// sell sells for a fen to the card that lies there, and returns the commands
// that it took.
func (b *tapBench) sell(ctx context.Context, alone bool) ([][]byte, error) {
	connected, err := b.device.Connect()
	if err != nil {
		return nil, err
	}
	defer connected.Close()
	card := &recorder{Card: connected}
	info, err := purse.Open(card, b.profile)
	if err != nil {
		return nil, err
	}
	sold, err := b.till.seller.Sell(ctx, card, kiosk.Sale{
		Ref: kiosk.NewRef(), Card: info, Merchant: "m1", Operator: "bench", Amount: money.Fen(1), Alone: alone,
	})
	if err == nil && sold.Online == alone {
		err = fmt.Errorf("sold with the upstream's word: %t", sold.Online)
	}
	return card.commands, err
}
