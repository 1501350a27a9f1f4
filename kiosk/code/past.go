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

// beijing is the zone of the business day. It has had no daylight saving since
// 1991, so it needs no zone file.
var beijing = time.FixedZone("CST", 8*60*60)

// midnight returns the beginning of the business day of t.
func midnight(t time.Time) time.Time {
	y, m, d := t.In(beijing).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, beijing)
}

// past is what the journal says of codes that were taken: today's, and before
// midnight those that could still be shown again. It is read from the journal
// alone, and again after each start.
type past struct {
	day   time.Time // its midnight; zero before anything was read
	next  int64     // entry to go on from
	epoch journal.Epoch
	line  today.Timeline
	codes map[paycode.Use]int64 // by which entry
	taken map[string][]taken    // by account
	gap   bool                  // an older journal has a part of that, and cannot be read
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

// moment is now, as well as the upstream's time is known, and by how much the machine's
// clock, which dates the journal, is ahead of it.
type moment struct {
	now   time.Time
	ahead time.Duration
}

// midnight returns the beginning of the business day, by the machine's clock.
func (m moment) midnight() time.Time { return midnight(m.now).Add(m.ahead) }

// pastMargin is how long before midnight codes still count: longer than one can
// be shown, and than two clocks are apart.
const pastMargin = 10 * time.Minute

// pastPage is how many entries are read at once.
const pastPage = 500

// read brings the past up to the journal's head. A clock that has been set is in the
// journal before anything is sold by it.
func (p *past) read(ctx context.Context, book Book, m moment, log *slog.Logger) error {
	epoch, next, err := book.Next(ctx)
	if err != nil {
		return err
	}
	another := !p.day.Equal(midnight(m.now))
	if p.day.IsZero() || p.epoch != epoch || another && p.gap {
		if err := p.begin(ctx, book, m, journal.Head{Epoch: epoch, Seq: next - 1}, log); err != nil {
			return err
		}
	}
	for p.next < next {
		page, err := book.Since(ctx, p.next, pastPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			p.add(e)
		}
		p.next = page[len(page)-1].Seq + 1
	}
	if another {
		p.forget(m)
	}
	return nil
}

// begin finds where a day begins in the journal. The machine's own clock has
// written it, which may be off and may have been set: a page more is read.
func (p *past) begin(ctx context.Context, book Book, m moment, head journal.Head, log *slog.Logger) error {
	from, since := int64(1), m.midnight().Add(-pastMargin)
	for at := head.Seq - pastPage; at > 0; at -= pastPage {
		page, err := book.Since(ctx, at, 1)
		if err != nil {
			return err
		}
		if len(page) > 0 && page[0].At.Before(since) && page[0].Clock != journal.ClockUnsure {
			from = max(at-pastPage, 1)
			break
		}
	}
	*p = past{
		day: midnight(m.now), next: from, epoch: head.Epoch,
		codes: map[paycode.Use]int64{}, taken: map[string][]taken{},
	}
	if from > 1 {
		return nil
	}
	older, err := book.Before(ctx, since) // in which an older epoch may have the beginning
	if ctx.Err() != nil {
		p.day = time.Time{} // it is read again
		return ctx.Err()
	}
	if p.gap = err != nil; p.gap {
		log.Error("cannot read which codes were taken in an older epoch", "err", err)
	}
	for _, e := range older {
		p.add(e)
	}
	return nil
}

// forget lets go of what can be neither shown again nor counted: a day more is kept.
func (p *past) forget(m moment) {
	p.day = midnight(m.now)
	since := m.midnight().Add(-24 * time.Hour)
	today.Forget(p.taken, func(t taken) bool {
		old := p.line.When(t.when).Before(since)
		if old {
			delete(p.codes, t.code)
		}
		return old
	})
}

// add counts an entry. What a new epoch has carried over of an older one counts once,
// whichever of them it is read in.
func (p *past) add(e journal.Entry) {
	when := p.line.Add(e)
	e, err := e.Inner()
	if err != nil {
		return
	}
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
	p.taken[e.Account] = append(p.taken[e.Account], taken{c.Use(), e.Amount, !said.Approved, when})
}

// spent returns what an account has spent today, as far as the journal was read. What
// is dated after now is today's.
func (p *past) spent(account string, m moment) (sum spending) {
	for _, t := range p.taken[account] {
		if p.line.When(t.when).Before(m.midnight()) {
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
