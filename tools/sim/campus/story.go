package campus

import (
	"context"
	"errors"
	"time"

	"quancun/ledger"
	"quancun/tools/sim/virtual"
)

// act is something that somebody does at a machine, or that happens to it.
type act struct {
	weight int
	do     func(context.Context, *Campus, *machine)
}

// acts are what a day is made of, the more often the more they weigh.
var acts = []act{
	{20, func(ctx context.Context, c *Campus, m *machine) { m.sell(ctx, virtual.Pick(c.dice, c.cards)) }},
	{9, func(ctx context.Context, c *Campus, m *machine) { m.visit(ctx, virtual.Pick(c.dice, c.holders)) }},
	{6, func(ctx context.Context, c *Campus, m *machine) { m.sellCode(ctx, virtual.Pick(c.dice, c.holders)) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { m.refund(ctx) }},
	{4, func(ctx context.Context, c *Campus, m *machine) { m.cash(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { m.count(ctx) }},
	{1, func(ctx context.Context, c *Campus, m *machine) { m.fee(ctx) }},
	{7, func(ctx context.Context, c *Campus, m *machine) { m.bill(ctx, virtual.Pick(c.dice, c.holders)) }},
	{9, func(ctx context.Context, c *Campus, m *machine) { m.bathe(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { m.carry(ctx) }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.lose(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { c.office.decide(ctx) }},
	{3, func(ctx context.Context, c *Campus, m *machine) { m.counter(ctx) }},
	{8, func(ctx context.Context, c *Campus, m *machine) { c.pay() }},
	{4, func(ctx context.Context, c *Campus, m *machine) { m.sellWallet(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { c.agree() }},
	{2, func(ctx context.Context, c *Campus, m *machine) { c.morning(ctx) }},
	{5, func(ctx context.Context, c *Campus, m *machine) { c.office.attend(ctx) }},
	{16, func(ctx context.Context, c *Campus, m *machine) { m.round(ctx) }},
	{12, func(ctx context.Context, c *Campus, m *machine) { c.report(ctx) }},
	{2, func(ctx context.Context, c *Campus, m *machine) { c.attack(ctx) }},
}

// live lets days pass. An act is never broken off by ctx, which is of the real
// clock: the programs get one that does not end, and that no query of theirs has
// to be watched for.
func (c *Campus) live(ctx context.Context, days int) error {
	for range days {
		for range c.busy {
			if c.broken != nil || ctx.Err() != nil {
				return ctx.Err()
			}
			c.acts++
			c.world.Pass(time.Duration(c.dice.IntN(int(20 * time.Minute))))
			c.step(context.WithoutCancel(ctx))
		}
		for range 16 {
			c.world.Pass(30 * time.Minute)
			c.baths.Live()
		}
		c.office.keepBackup(ctx)
	}
	return ctx.Err()
}

// step is one act at one machine, which a fault may hit in the middle.
func (c *Campus) step(ctx context.Context) {
	c.baths.Live()
	m := virtual.Pick(c.dice, c.machines)
	c.acting = m
	if c.office.down() {
		c.office.start(ctx)
	}
	if !m.on() {
		m.restart(ctx)
	} else if c.dice.OneIn(3) {
		c.fault(ctx, m)
	}
	if c.lying && m.on() && c.dice.OneIn(10) {
		m.lie()
	}
	if !m.on() || c.broken != nil {
		return
	}
	if c.baths.Complained { // whoever is asked brings the logs
		c.baths.Complained = false
		m.carry(ctx)
	}
	after := c.strike(m)
	total := 0
	for _, a := range acts {
		total += a.weight
	}
	n := c.dice.IntN(total)
	for _, a := range acts {
		if n -= a.weight; n < 0 {
			a.do(ctx, c, m)
			break
		}
	}
	after(ctx)
	c.office.dieIfDying()
	c.inspect(ctx)
}

// inspect has auditors look at the upstream's books and at the journal of the
// machine whose act it was.
func (c *Campus) inspect(ctx context.Context) {
	if c.broken != nil {
		return
	}
	if !c.office.down() {
		broken, err := c.office.auditor.Look(ctx)
		c.found("upstream", broken, err)
		for _, h := range c.holders {
			c.judgeSpending(h)
		}
		c.judgeLosses()
	}
	m := c.acting
	if !m.on() {
		return
	}
	broken, err := m.auditor.Look(ctx)
	c.found(m.name, broken, err)
	epoch := m.auditor.Epoch()
	if m.suspect {
		m.suspect, m.forked[epoch] = false, true
	}
	if c.office.down() || m.forked[epoch] {
		return
	}
	if up, known := c.office.auditor.Head(epoch); known {
		broken, err = m.auditor.Compare(ctx, up, c.restored)
		c.found(m.name, broken, err)
	}
}

func (c *Campus) found(where string, broken []string, err error) {
	if err != nil && !errors.Is(err, ledger.ErrFailed) {
		c.wrong("%s cannot be looked at: %v", where, err)
	}
	for _, b := range broken {
		c.wrong("%s: %s", where, b)
	}
}

// end mends everything, lets it come to rest, and judges.
func (c *Campus) end(ctx context.Context) error {
	c.heal(ctx)
	if c.broken == nil {
		c.settle(ctx)
	}
	if c.broken != nil {
		return nil
	}
	return c.judge(ctx)
}
