package campus

import (
	"context"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
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
	lost := m.knowsHot(p)
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
	m.judgeSale(p, sold, err, lost)
	c.maySettle(sold.Before)
	if errors.Is(err, kiosk.ErrSaleInDoubt) && d.OneIn(3) {
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

// judgeSale checks that nobody has sold for a card who knows that it was lost.
func (m *machine) judgeSale(p *plastic, sold kiosk.Sold, err error, knew bool) {
	switch {
	case err != nil:
	case knew && !sold.Online: // otherwise it was found again, and only the upstream knows
		m.campus.wrong("%s has sold for %s, and had it on its list", m.name, p.name())
	case p.stopped && sold.Online:
		m.campus.wrong("%s was let sell for %s, which was reported lost", m.name, p.name())
	case p.stopped:
		m.campus.cover(branchLostSold)
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

// sellWallet sells for the code of a wallet, which its channel collects for.
func (m *machine) sellWallet(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	sale := tender.Sale{
		Ref: kiosk.NewRef(), Merchant: virtual.Pick(d, c.merchants), Operator: "cashier", Amount: d.Amount(40 * yuan),
	}
	c.wallets = append(c.wallets, sale.Ref)
	_, err := m.wallet.Sell(ctx, "2800000000000000000", sale)
	c.note("%s: wallet pays %s: %s, %v", m.name, sale.Amount, sale.Ref, err)
	switch {
	case errors.Is(err, tender.ErrUnknown):
		c.cover(branchWalletUnknown)
	case err != nil:
		c.cover(branchWalletRefused)
	default:
		c.cover(branchWalletPaid)
	}
	if item, err2 := m.book.Get(ctx, sale.Ref); err == nil && err2 == nil {
		m.sales = append(m.sales, item.First)
		if d.OneIn(8) {
			m.refundOf(ctx, item.First)
		}
	}
}

// agree has the payer of a wallet agree after all, who may be too late.
func (c *Campus) agree() {
	if len(c.wallets) == 0 {
		return
	}
	no := virtual.Pick(c.dice, c.wallets[max(0, len(c.wallets)-2):])
	if late := c.payments.Closed(no); !late || !c.healed && c.dice.OneIn(3) {
		c.note("wallet agrees to %s: %t", no, c.payments.Pay(no))
	}
}

// giveBack has the channel give back part of what a wallet has paid.
func (m *machine) giveBack(ctx context.Context, sale journal.Entry, amount money.Fen) error {
	_, err := m.refunder.Refund(ctx, channel.Refund{
		Ref: kiosk.NewRef(), Sale: sale, Amount: amount, Operator: "cashier",
	})
	if err == nil {
		m.campus.cover(branchWalletReturned)
	}
	return err
}

// asker is an upstream that answers somebody who waits no time at all.
type asker struct{ channel.Upstream }

// CancelCodePayment implements [channel.Upstream].
func (a asker) CancelCodePayment(ctx context.Context, q client.CodeRequest) (client.CodePayment, error) {
	return a.Upstream.CancelCodePayment(context.WithoutCancel(ctx), q)
}

// wallets makes the programs that sell to wallets and give back.
func (m *machine) wallets(p *programs, book channel.Book) {
	up, hand := asker{m.client}, new(kiosk.InHand)
	p.wallet = &channel.Seller{
		Book: book, Upstream: up, InHand: hand, Log: m.campus.log,
		Patience: channel.Patience{Pay: 1, Cancel: 1, Retry: 1},
	}
	p.refunder = &channel.Refunder{Book: book, Upstream: up, InHand: hand, Log: m.campus.log}
	p.left = &channel.Keeper{Book: book, Upstream: up, InHand: hand, Log: m.campus.log}
}

// refund gives back what was sold for a code here, in parts or whole.
func (m *machine) refund(ctx context.Context) {
	if len(m.sales) > 0 {
		m.refundOf(ctx, virtual.Pick(m.campus.dice, m.sales))
	}
}

func (m *machine) refundOf(ctx context.Context, sale journal.Entry) {
	c := m.campus
	left := sale.Amount - c.refunded[sale.Position()]
	if left == 0 {
		return
	}
	e := journal.Entry{
		Kind: journal.Refund, Ref: kiosk.NewRef(), Account: sale.Account, Merchant: sale.Merchant, Operator: "cashier",
		Amount: c.dice.Amount(left), Origin: sale.Position(),
	}
	var err error
	if sale.Kind == journal.ChannelSale {
		err = m.giveBack(ctx, sale, e.Amount)
	} else {
		_, err = m.append(ctx, e)
	}
	c.note("%s: %s given back of %s: %v", m.name, e.Amount, sale.Position(), err)
	c.refunded[sale.Position()] += e.Amount // whatever the journal says: nobody gives back more than was paid
}

// cash is what happens to a drawer: the hands first or the books first, as
// people do it, and the books always before the next customer.
func (m *machine) cash(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	h := virtual.Pick(d, c.holders)
	e := journal.Entry{Ref: c.ref("cash"), Operator: "clerk"}
	in := money.Fen(0)
	switch d.IntN(5) {
	case 0:
		e.Kind, e.Amount = journal.CashIn, d.Amount(200*yuan)
		in = e.Amount
	case 1:
		e.Kind, e.Amount = journal.CashOut, d.Amount(m.drawer)
		in = -e.Amount
	case 2, 3:
		e.Kind, e.Account, e.Amount = journal.CashTopUp, h.account, d.Amount(100*yuan)
		in = e.Amount
	default:
		e.Kind, e.Account, e.Amount = journal.PayOut, h.account, d.Amount(min(m.drawer, 20*yuan))
		in = -e.Amount
		h.clerks += e.Amount
	}
	if e.Amount == 0 {
		return
	}
	m.settleCash(ctx, e, in)
}

// settleCash books e, and moves the cash once that is done. A clerk whose
// journal fails does nothing until it is up again, and then looks.
func (m *machine) settleCash(ctx context.Context, e journal.Entry, in money.Fen) {
	_, err := m.append(ctx, e)
	m.campus.note("%s: %s %s %s: %v", m.name, e.Kind, e.Ref, e.Amount, err)
	if err == nil {
		m.drawer += in
		return
	}
	m.later = append(m.later, cashLater{e, in})
}

// cashLater is a movement of cash that waits for the journal.
type cashLater struct {
	entry journal.Entry
	in    money.Fen
}

// resume does what the clerk was about to do when the journal failed: the same
// under the same name, which is harmless if it was done.
func (m *machine) resume(ctx context.Context) {
	later := m.later
	m.later = nil
	for _, l := range later {
		m.settleCash(ctx, l.entry, l.in)
	}
}

// count counts the drawer at the end of a shift.
func (m *machine) count(ctx context.Context) {
	e := journal.Entry{Kind: journal.Counted, Ref: m.campus.ref("count"), Operator: "clerk", Amount: m.drawer}
	_, err := m.append(ctx, e)
	m.campus.note("%s: counted %s: %v", m.name, m.drawer, err)
}

// fee takes a fee from an account, such as that of a new card.
func (m *machine) fee(ctx context.Context) {
	h := virtual.Pick(m.campus.dice, m.campus.holders)
	h.clerks += 10 * yuan
	_, err := m.append(ctx, journal.Entry{
		Kind: journal.Fee, Ref: m.campus.ref("fee"), Account: h.account, Amount: 10 * yuan, Operator: "clerk",
	})
	m.campus.note("%s: fee of %s: %v", m.name, h.account, err)
}

// counter has a clerk do something for a holder: written down, asked for, and
// written down how it came out. What was not heard of is left open.
func (m *machine) counter(ctx context.Context) {
	c, d := m.campus, m.campus.dice
	if m.client.StaffSession(works.Clerk) == nil {
		pin := [6]byte([]byte(works.PIN))
		if _, err := m.client.SignInStaff(ctx, works.ClerkCard, &pin); err != nil {
			c.note("%s: the clerk signs in: %v", m.name, err)
			return
		}
	}
	a := centre.Act{
		Ref: c.ref("act"), Kind: virtual.Pick(d, []centre.Kind{centre.Limited, centre.Unlocked}),
		Account: virtual.Pick(d, c.holders).account, Document: centre.IDCard,
	}
	if a.Kind == centre.Limited {
		a.Limit = d.Amount(200 * yuan)
	}
	_, err := m.append(ctx, journal.Entry{
		Kind: journal.CentreIntent, Ref: a.Ref, Account: a.Account, Operator: works.Clerk,
		Details: fmt.Appendf(nil, `{"act":%d,"document":1}`, a.Kind),
	})
	if err != nil {
		c.note("%s: act %s is not written down: %v", m.name, a.Ref, err)
		return
	}
	var no *centre.Refusal
	_, err = centre.New(m.client).Do(ctx, works.Clerk, a, nil)
	c.note("%s: act %s, %d for %s: %v", m.name, a.Ref, a.Kind, a.Account, err)
	switch {
	case err == nil:
		m.endAct(ctx, a.Ref, journal.Done)
	case errors.As(err, &no):
		m.client.EndStaffSession(works.Clerk) // it is over, or the clerk is asked why
		m.endAct(ctx, a.Ref, journal.NotDone)
	}
}

func (m *machine) endAct(ctx context.Context, ref string, o journal.Outcome) {
	_, err := m.append(ctx, journal.Entry{Kind: journal.CentreEnd, Ref: ref, Operator: works.Clerk, Outcome: o})
	m.campus.note("%s: act %s is %s: %v", m.name, ref, o, err)
}

// endActs ends the acts that were left open: the upstream says whether they were
// done, and never does them afterwards.
func (m *machine) endActs(ctx context.Context) {
	open, err := m.book.OpenItems(ctx)
	if err != nil {
		m.campus.note("%s: read what is open: %v", m.name, err)
		return
	}
	for _, e := range open {
		if e.Kind != journal.CentreIntent {
			continue
		}
		_, was, err := centre.New(m.client).Close(ctx, e.Ref)
		if err != nil {
			m.campus.note("%s: close act %s: %v", m.name, e.Ref, err)
			return
		}
		m.campus.cover(map[bool]Branch{true: branchActHeard, false: branchActLost}[was])
		m.endAct(ctx, e.Ref, map[bool]journal.Outcome{true: journal.Done, false: journal.NotDone}[was])
	}
}
