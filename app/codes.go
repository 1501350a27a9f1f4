package app

import (
	"context"
	"time"

	"quancun/kiosk/code"
	"quancun/kiosk/gossip"
	"quancun/kiosk/till"
	"quancun/paycode"
)

// GossipConfig says how tills on one network tell each other which codes they
// have taken.
type GossipConfig struct {
	Listen string   `toml:"listen"` // UDP: a multicast group's address, or this machine's own; none if empty
	Peers  []string `toml:"peers"`  // the neighbours' addresses, if it is no group
}

// takeCodes returns the way of paying by a virtual card's code.
func (t *terminal) takeCodes(j joined) till.Way {
	s := &code.Seller{
		Book: t.book, Upstream: t.client, Push: t.pusher, Feeds: t.feeds, Rules: j.terms.Rules, Now: t.clock.Now,
		Budget: time.Duration(t.config.Till.BudgetMS) * time.Millisecond, Log: t.log,
	}
	if c := t.config.Gossip; c.Listen != "" {
		who := t.renewer.Papers
		circle := gossip.New(gossip.Config{
			Key: t.renewer.Keys.Journal, Paper: who.JournalCertificate, Campus: who.CampusKey,
			Now: t.clock.Now, Log: t.log,
		})
		s.Neighbours = circle
		t.beside = append(t.beside, func(ctx context.Context) error { return circle.Keep(ctx, c.Listen, c.Peers) })
	}
	return till.Way{Kind: till.ByCode, Takes: paycode.Ours, Seller: s}
}
