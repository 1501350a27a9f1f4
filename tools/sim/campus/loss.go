package campus

import (
	"context"
	"errors"
	"slices"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/kiosk/service"
	losses "quancun/kiosk/service/lost"
	"quancun/ledger/feed"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client/lost"
	"quancun/upstream/store"
)

// loss is a report that a holder has made, or tried to.
type loss struct {
	card *plastic // nil: of somebody else, or with a wrong PIN
	at   time.Time
}

// losing is somebody at the kiosk who has lost a card. It sees what the kiosk's script
// sees of the upstream.
type losing struct {
	*machine
	*lost.Desk
	holder *holder
	wrong  int    // tries with a wrong number or PIN, before the right one
	asked  string // the number
	right  bool   // so was what was typed last
	leave  func()
	after  func()
}

// lossPace lets nobody wait: what is not answered at once is left to the keeper.
var lossPace = losses.Pace{Try: 24 * time.Hour, Tell: 1, Look: 24 * time.Hour}

// lose has a holder report a card lost, while other machines may have no line, and sell.
func (m *machine) lose(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	others := slices.DeleteFunc(slices.Clone(c.machines), func(o *machine) bool { return o == m || !o.on() })
	for _, o := range others {
		was := o.line.dead
		o.line.dead = was || !d.OneIn(3)
		defer func() { o.line.dead = was && o.line.dead }()
	}
	l := &losing{
		machine: m, Desk: lost.New(m.client), holder: virtual.Pick(d, c.holders), after: func() {},
		wrong: virtual.Pick(d, []int{0, 0, 0, 0, 1, 2, 7}),
	}
	if i := slices.IndexFunc(c.cards, func(p *plastic) bool { return p.hot }); i >= 0 && d.OneIn(3) {
		l.holder = c.cards[i].holder // once more
	}
	within, leave := context.WithCancel(ctx)
	defer leave()
	l.leave = leave
	desk := &losses.Desk{Upstream: l, Requests: m.requests, Now: m.watch.Now, Pace: lossPace}
	err := m.serve(within, desk.Service(), service.Holder{}, l.answer)
	l.after()
	c.note("%s: %s has lost the card: %v", m.name, l.holder.account, err)
	others = slices.DeleteFunc(others, func(o *machine) bool {
		return o.feeds.Status(feed.Hotlist).Version == 0 || o.knowsHot(l.holder.card) // it would not sell
	})
	for range min(3, 3*len(others)) {
		if c.acting = others[0]; c.acting.on() {
			c.acting.sell(ctx, l.holder.card)
			c.acting.stopIfFailed(ctx)
		}
	}
}

// answer answers what the kiosk asks.
func (l *losing) answer(_ context.Context, q dialog.Question) dialog.Answer {
	d := l.campus.dice
	switch q.Name {
	case "lost.sure":
		return dialog.Answer{}
	case "lost.number":
		if l.wrong < 0 {
			return left
		}
		l.asked, l.right = l.holder.account, l.wrong == 0
		if !l.right && d.OneIn(8) {
			l.asked = "19990001"
		}
		l.wrong--
		return dialog.Answer{Text: l.asked}
	case "lost.pin":
		p, digits := new(pin.PIN), works.PIN
		if !l.right {
			digits = "000000"
		}
		for _, digit := range []byte(digits) {
			p.Add(digit)
		}
		if l.right {
			l.after = l.disturb()
		}
		return dialog.Answer{PIN: p}
	}
	return left
}

// Report implements [losses.Upstream].
func (l *losing) Report(ctx context.Context, ref, number string, pin *[pin.Length]byte) (lost.Loss, error) {
	c := l.campus
	c.losses[ref] = loss{at: c.world.Now}
	if l.right {
		c.losses[ref] = loss{l.holder.card, c.world.Now}
	}
	ctx = context.WithoutCancel(ctx)
	var was store.Card // at this moment
	if !c.office.down() {
		was, _ = c.office.books.Card(ctx, l.holder.card.no)
	}
	is, err := l.Desk.Report(ctx, ref, number, pin)
	no := (*lost.Refusal)(nil)
	switch {
	case errors.As(err, &no) && no.Reason == lost.Wrong:
		c.cover(branchLossWrong)
	case errors.As(err, &no) && no.Reason == lost.TooOften:
		c.cover(branchLossOften)
	case err == nil:
		l.look(is, was)
	case !refused(err):
		l.leave() // the keeper will know
	}
	return is, err
}

// look holds what a holder is told against what is so.
func (l *losing) look(is lost.Loss, was store.Card) {
	c, p := l.campus, l.holder.card
	c.cover(branchLossTold)
	if is.Again {
		c.cover(branchLossAgain)
	}
	if is.Told < is.Terminals {
		c.cover(branchLossDark)
	}
	if c.restored {
		return
	}
	switch {
	case is.Free.Sub(is.Stopped) != works.LossRisk:
		c.wrong("loss of %s is at risk from %v to %v", p.name(), is.Stopped, is.Free)
	case is.Again != (was.Status == store.CardHot) || !is.Again && is.Told > 0:
		c.wrong("loss of %s was reported before: %t; and %d machines know", p.name(), is.Again, is.Told)
	case is.Told < is.Terminals && c.world.Now.Before(is.Free) && is.AtRisk != max(0, was.Mirror):
		c.wrong("loss of %s is told to put %s at risk, and its mirror is %s", p.name(), is.AtRisk, was.Mirror)
	}
}

// stopped notes that a holder was promised that their card is stopped. If it was found
// again meanwhile, nothing follows from that.
func (c *Campus) stopped(ref string) {
	l, known := c.losses[ref]
	switch {
	case !known:
	case l.card == nil:
		c.wrong("loss %s was reported with a wrong number or PIN, and was taken", ref)
	case !l.card.undone.After(l.at) && !c.restored:
		l.card.stopped, l.card.hot = true, true
	}
}

// judgeLosses checks that every card whose holder was promised so can be used nowhere
// that has a line.
func (c *Campus) judgeLosses() {
	for _, p := range c.cards {
		if p.stopped && !c.office.auditor.Hot(p.no) {
			c.wrong("card %s was reported lost, and can be used", p.name())
		}
	}
}

// judgeHotlist checks that a machine which is level with the upstream knows of every
// card that is stopped.
func (m *machine) judgeHotlist() {
	for _, p := range m.campus.cards {
		if p.stopped && !m.campus.restored && !m.knowsHot(p) {
			m.campus.wrong("%s has the newest hotlist, and does not know of %s", m.name, p.name())
		}
	}
}

// knowsHot reports whether a machine has a card on its list.
func (m *machine) knowsHot(p *plastic) bool {
	no, err := purse.ParseCardNo(p.no)
	if err != nil {
		return false
	}
	_, hot := m.feeds.Hot(feed.Card(no))
	return hot
}

// find has a lost card that somebody lays on the reader told of to its owner.
func (m *machine) find(ctx context.Context, p *plastic) {
	err := m.losses.Found(ctx, p.no)
	m.campus.note("%s: lost card %s is found: %v", m.name, p.name(), err)
	if err == nil {
		m.campus.cover(branchLossFound)
	}
}
