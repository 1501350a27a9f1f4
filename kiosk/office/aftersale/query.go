package aftersale

import (
	"context"
	"errors"
	"slices"
	"strings"

	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/refund"
	"quancun/kiosk/tender"
	"quancun/ledger"
)

// query says what became of a payment.
func (c *Config) query(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	open, err := c.open(ctx)
	if err != nil {
		return dialog.Report{}, err
	}
	isOpen := func(e journal.Entry) bool {
		return slices.ContainsFunc(open, func(o journal.Entry) bool { return o.Position() == e.Position() })
	}
	ref, err := c.choose(ctx, t, whichQuery, func(e journal.Entry) bool { return isSale(e) || isOpen(e) })
	if err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, workQuery); err != nil {
		return dialog.Report{}, err
	}
	return c.became(ctx, ref)
}

// open returns what nobody knows the end of: sales, and refunds by wallets.
func (c *Config) open(ctx context.Context) (all []journal.Entry, err error) {
	items, err := c.Book.OpenItems(ctx)
	for _, e := range items {
		if e.Kind == journal.SaleIntent || e.Kind == journal.PaymentIntent || e.Kind == journal.ReturnIntent {
			all = append(all, e)
		}
	}
	return all, err
}

// became says how what a reference names stands, which is a sale or the intent
// of one.
func (c *Config) became(ctx context.Context, ref string) (dialog.Report, error) {
	item, err := c.Book.Get(ctx, ref)
	if errors.Is(err, ledger.ErrNotFound) && !strings.HasPrefix(ref, channel.IntentPrefix) {
		// The order number in a wallet is that of a sale which may not have come about.
		item, err = c.Book.Get(ctx, channel.IntentPrefix+ref)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = dialog.Refuse(noSale, err)
	}
	if err != nil {
		return dialog.Report{}, err
	}
	switch e := item.First; {
	case e.Kind == journal.PaymentIntent:
		return c.askWallet(ctx, e)
	case e.Kind == journal.ReturnIntent && item.Open():
		return c.stands(e, stateReturn, nextWait), nil
	case e.Kind == journal.ReturnIntent && item.End.Outcome.Happened(), e.Kind == journal.Refund:
		return c.stands(e, stateBack, ""), nil
	case e.Kind == journal.ReturnIntent:
		return c.stands(e, stateNotBack, ""), nil
	case e.Kind == journal.SaleIntent && item.Open():
		return c.stands(e, stateCard, nextCard), nil
	case e.Kind == journal.SaleIntent && !item.End.Outcome.Happened():
		return c.stands(e, stateNotPaid, nextAgain), nil
	}
	return c.paid(ctx, ref)
}

// stands says how an intent stands.
func (c *Config) stands(e journal.Entry, state, next dialog.Word) dialog.Report {
	said := dialog.Said(fState, state)
	said.Strong = true
	facts := []dialog.Fact{
		said, dialog.Amount(fAmount, e.Amount), dialog.Moment(fTime, e.At), dialog.Text(fNumber, c.number(e)),
	}
	if card := cardOf(e); card != "" {
		facts = append(facts, dialog.Text(fCard, card))
	}
	return dialog.Report{Facts: facts, Next: next}
}

// paid says how a sale stands that was paid.
func (c *Config) paid(ctx context.Context, ref string) (dialog.Report, error) {
	s, err := c.look(ctx, ref)
	if err != nil && !errors.Is(err, refund.ErrBefore) {
		return dialog.Report{}, err
	}
	said := dialog.Said(fState, statePaid)
	if said.Strong = true; s.Given > 0 && s.Left == 0 {
		said.Word = stateAllBack
	}
	return dialog.Report{Facts: append([]dialog.Fact{said}, c.facts(s)...)}, nil
}

// askWallet says what became of a sale that a wallet pays, of which this till
// knows or has to ask.
func (c *Config) askWallet(ctx context.Context, intent journal.Entry) (dialog.Report, error) {
	if c.Wallet == nil {
		return c.stands(intent, stateOpen, nextWait), nil
	}
	ref := strings.TrimPrefix(intent.Ref, channel.IntentPrefix)
	_, err := c.Wallet.Query(ctx, ref)
	switch {
	case err == nil:
		r, err := c.paid(ctx, ref)
		r.Next = nextHand
		return r, err
	case errors.Is(err, tender.ErrUnknown):
		return c.stands(intent, stateOpen, nextWait), err
	case errors.Is(err, tender.ErrReturned):
		return c.stands(intent, stateAllBack, nextAgain), nil
	case errors.Is(err, tender.ErrRefused), errors.Is(err, tender.ErrInvalid):
		return c.stands(intent, stateNotPaid, nextAgain), nil
	}
	return dialog.Report{}, err
}
