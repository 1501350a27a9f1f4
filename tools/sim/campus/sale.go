package campus

import (
	"context"
	"errors"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/rules"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/upstream/client"
)

// sell sells for a card, as a cashier does: who has a PIN asked types it or goes
// away, and a card that fell silent is put back or is gone.
func (m *machine) sell(ctx context.Context, p *plastic) {
	c, d := m.campus, m.campus.dice
	info, err := purse.Open(p.lay(), c.works.Profile)
	if err != nil {
		return
	}
	p.maybeTear(4)
	sale := kiosk.Sale{
		Ref: kiosk.NewRef(), Card: info, Merchant: virtual.Pick(d, c.merchants), Operator: "cashier",
		Amount: d.Amount(60 * yuan), PIN: d.OneIn(3), Alone: d.OneIn(7),
	}
	sold, err := m.seller.Sell(ctx, p, sale)
	if errors.Is(err, rules.ErrPIN) {
		if d.OneIn(2) {
			m.seller.Drop(ctx)
			c.note("%s: %s has no PIN for %s", m.name, p.name(), sale.Amount)
			return
		}
		sale.PIN = true
		sold, err = m.seller.Sell(ctx, p, sale)
	}
	c.note("%s: %s pays %s: online %t, %v", m.name, p.name(), sale.Amount, sold.Online, err)
	m.coverSale(sold, err)
	c.maySettle(sold.Before)
	if errors.Is(err, kiosk.ErrSaleInDoubt) && d.OneIn(2) {
		m.putBack(ctx, p, info)
	}
}

// putBack has the card laid down again after it fell silent.
func (m *machine) putBack(ctx context.Context, p *plastic, info purse.Info) {
	p.maybeTear(4)
	ended, err := m.seller.SettleOpen(ctx, p.lay(), info)
	m.campus.note("%s: %s is back: %d ended, %v", m.name, p.name(), len(ended), err)
	m.campus.maySettle(ended)
}

func (c *Campus) maySettle(ended []kiosk.Settled) {
	for _, s := range ended {
		if s.Kind == journal.SaleIntent {
			c.cover(branchSettledHere)
		}
	}
}

func (m *machine) coverSale(sold kiosk.Sold, err error) {
	c := m.campus
	var no *client.Refusal
	switch {
	case err == nil && sold.Online:
		c.cover(branchSoldOnline)
	case err == nil:
		c.cover(branchSoldAlone)
	case errors.Is(err, rules.ErrHot):
		c.cover(branchHotRefused)
	case errors.As(err, &no):
		c.cover(branchDeclined)
	case errors.Is(err, kiosk.ErrPaidBefore):
		c.cover(branchPaidBefore)
	case errors.Is(err, kiosk.ErrNotGenuine):
		c.cover(branchNotGenuine)
	}
}

// allowance is what a virtual card may spend while the upstream does not
// answer, once in a day. Its issuer leaves alone what only the physical card may
// spend.
func (c *Campus) allowance(h *holder) money.Fen { return min(20*yuan, max(0, h.opening-c.reserve)) }

// sellCode sells for a virtual card: the upstream holds the money under the
// number of the next entry, or the terminal decides alone.
func (m *machine) sellCode(ctx context.Context, h *holder) {
	c, d := m.campus, m.campus.dice
	epoch, seq, err := m.book.Next(ctx)
	if err != nil {
		return
	}
	e := journal.Entry{
		Kind: journal.CodeSale, Ref: kiosk.NewRef(), Account: h.account, Merchant: virtual.Pick(d, c.merchants),
		Operator: "cashier", Amount: d.Amount(40 * yuan),
	}
	a, err := m.client.Authorize(ctx, client.AuthorizeRequest{
		Epoch: epoch, Seq: seq, Attempt: e.Ref, Account: h.account, Merchant: e.Merchant, Amount: e.Amount,
		Virtual: true,
	})
	switch {
	case refused(err), err == nil && !a.Approved:
		c.cover(branchDeclined)
		c.note("%s: code of %s for %s is declined: %v, %v", m.name, h.account, e.Amount, a.Reason, err)
		return
	case err != nil && (e.Amount > c.allowance(h) || h.codeDay == c.world.Now.YearDay()):
		return // it stays in the dark, and nothing is sold
	case err != nil:
		h.codeDay = c.world.Now.YearDay()
		h.dark += e.Amount
	case d.OneIn(8):
		return // the holder has changed their mind: the next entry lets the money go
	}
	h.sold[m.station.ID] += e.Amount
	written, err2 := m.append(ctx, e)
	c.note("%s: code of %s pays %s: online %t, %v", m.name, h.account, e.Amount, err == nil, err2)
	if err2 == nil {
		m.sales = append(m.sales, written)
	}
}

// refund gives back what was sold for a code here, in parts or whole.
func (m *machine) refund(ctx context.Context) {
	if len(m.sales) == 0 {
		return
	}
	c := m.campus
	sale := virtual.Pick(c.dice, m.sales)
	left := sale.Amount - c.refunded[sale.Position()]
	if left == 0 {
		return
	}
	e := journal.Entry{
		Kind: journal.Refund, Ref: kiosk.NewRef(), Account: sale.Account, Merchant: sale.Merchant, Operator: "cashier",
		Amount: c.dice.Amount(left), Origin: sale.Position(),
	}
	_, err := m.append(ctx, e)
	c.note("%s: %s given back of %s: %v", m.name, e.Amount, sale.Position(), err)
	c.refunded[sale.Position()] += e.Amount // whatever the journal says: nobody gives back more than was paid
}

// see has a healthy machine look at a card once more, which settles all that
// only the card can tell.
func (m *machine) see(ctx context.Context, h *holder) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		m.campus.wrong("%s cannot use %s", h.account, m.name)
		return
	}
	ended, err := m.loader.SettleOpen(ctx, v.card, v.info)
	if err != nil {
		m.campus.wrong("%s cannot settle %s: %v", m.name, v.card.name(), err)
	}
	m.campus.maySettle(ended)
	m.elsewhere(ctx, v)
	v.load(ctx)
	if err := m.loader.Sight(ctx, v.card, v.card.no); err != nil {
		m.campus.wrong("%s cannot read the counters of %s: %v", m.name, v.card.name(), err)
	}
}

// elsewhere has the card say what became of what other terminals could not
// finish.
func (m *machine) elsewhere(ctx context.Context, v *visit) {
	claims, err := m.client.Claims(ctx, v.card.no)
	if err != nil {
		return
	}
	wrote, err := m.loader.Witness(ctx, v.card, claims)
	if wrote {
		m.campus.cover(branchWitness)
	}
	m.campus.note("%s: %s is asked about %d claims: %v", m.name, v.card.name(), len(claims), err)
}
