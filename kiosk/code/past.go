package code

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"quancun/journal"
	"quancun/kiosk/tender"
	"quancun/kiosk/today"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/paycode"
)

// past is what the journal says of codes that were taken: today's, and before
// midnight those that could still be shown again. It is read from the journal
// alone, and again after each start.
type past struct {
	read  today.Reader
	codes map[paycode.Use]int64 // by which entry
	taken map[string][]taken    // by account
	gap   bool                  // an older journal has a part of that, and cannot be read
	log   *slog.Logger
}

// taken is a code that was taken.
type taken struct {
	code   paycode.Use
	amount money.Fen
	alone  bool // in the dark
	when   today.Mark
}

// spending is what an account has spent with codes today at this terminal.
type spending struct {
	all   money.Fen
	alone money.Fen // of that, in the dark
	count int
}

func (p *past) Begin(gap error) {
	if p.gap = gap != nil; p.gap {
		p.log.Error("cannot read which codes were taken in an older epoch", "err", gap)
	}
	p.codes, p.taken = map[paycode.Use]int64{}, map[string][]taken{}
}

func (p *past) Add(e journal.Entry, at today.Mark) {
	if e.Kind != journal.CodeSale {
		return
	}
	var said paycode.Taken
	if json.Unmarshal(e.Details, &said) != nil {
		return
	}
	c, err := paycode.Parse(said.Code)
	if err != nil {
		return // a sale of an earlier program
	}
	if _, is := p.codes[c.Use()]; is {
		return
	}
	p.codes[c.Use()] = e.Seq
	p.taken[e.Account] = append(p.taken[e.Account], taken{c.Use(), e.Amount, !said.Approved, at})
}

func (p *past) Forget(since time.Time) {
	today.Forget(p.taken, func(t taken) bool {
		old := p.read.When(t.when).Before(since)
		if old {
			delete(p.codes, t.code)
		}
		return old
	})
}

// spent returns what an account has spent today, as far as the journal was read. What
// is dated after now is today's.
func (p *past) spent(account string, d today.Day) (sum spending) {
	for _, t := range p.taken[account] {
		if p.read.When(t.when).Before(d.Begins()) {
			continue
		}
		sum.all, sum.count = sum.all+t.amount, sum.count+1
		if t.alone {
			sum.alone += t.amount
		}
	}
	return sum
}

// keyRing is the feed "keys", read.
type keyRing struct {
	version uint64
	keys    paycode.Keys
}

// read returns the keys of the newest version that is here. With a feed that
// cannot be read the terminal goes by none: it may be the one that names a lost
// phone.
func (k *keyRing) read(ctx context.Context, feeds Feeds) (paycode.Keys, error) {
	version := feeds.Status(feed.Keys).Version
	if version == 0 {
		return paycode.Keys{}, fmt.Errorf("%w: no keys have come down yet", tender.ErrClosed)
	}
	if version == k.version {
		return k.keys, nil
	}
	content, err := feeds.Content(ctx, feed.Keys)
	if err != nil {
		return paycode.Keys{}, fmt.Errorf("%w: read keys: %w", tender.ErrClosed, err)
	}
	keys, err := paycode.ParseKeys(content)
	if err != nil {
		return paycode.Keys{}, fmt.Errorf("%w: read keys: %w", tender.ErrClosed, err)
	}
	k.version, k.keys = version, keys
	return keys, nil
}
