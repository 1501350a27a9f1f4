package own

import (
	"context"
	"slices"

	"quancun/journal"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/upstream/client/holder"
)

// Sorts of money that the upstream cannot know of. Nothing is booked from them.
const (
	unsent   holder.Sort = 96 // in this terminal's journal, and not upstream yet
	dark     holder.Sort = 97 // the card has paid at a terminal that has not told yet
	darkRest holder.Sort = 98 // likewise, longer ago than the card's log goes back
)

// inDark returns what the card has paid at terminals that have not told yet, and how
// much that is at most. The purse says how much: what it lacks of what the books say
// it holds. The card's log says where and when, of the last purchases.
func inDark(s holder.Standing, v *service.Visit) (all []holder.Open, sum money.Fen) {
	sum = s.Purse - v.Purse - doubted(s, v.CardNo)
	if sum <= 0 {
		return nil, 0
	}
	rest := sum
	for _, b := range v.Bought {
		as := holder.Purchase{TerminalNo: b.TerminalNo, Stamp: b.Stamp, Amount: b.Amount}
		if slices.Contains(s.Purchases, as) || b.Amount > rest {
			continue // of the latter the books know from before they were kept
		}
		rest -= b.Amount
		o := holder.Open{Sort: dark, Amount: b.Amount, Since: b.At, Place: b.TerminalNo.String()}
		if t := s.Terminals[b.TerminalNo]; t.Where.ZH != "" {
			o.Place, o.Where = t.ID, t.Where
		}
		all = append(all, o)
	}
	if rest > 0 {
		all = append(all, holder.Open{Sort: darkRest, Amount: rest})
	}
	return all, sum
}

// lies is the card of this visit, with the terminals that it has bought at.
func lies(v *service.Visit) holder.Card {
	c := holder.Card{No: v.CardNo}
	for _, b := range v.Bought {
		if !slices.Contains(c.Log, b.TerminalNo) {
			c.Log = append(c.Log, b.TerminalNo)
		}
	}
	return c
}

// doubted is what the card may have paid, and the list of the upstream says so.
func doubted(s holder.Standing, cardNo string) (sum money.Fen) {
	for _, o := range s.Open {
		if o.Sort == holder.PurchaseDoubt && o.CardEnd == cardNo[max(len(cardNo)-4, 0):] {
			sum += o.Amount
		}
	}
	return sum
}

// unsent returns what this terminal has written down for the holder and not told yet.
func (d *Desk) unsent(ctx context.Context, v *service.Visit) (all []holder.Open, err error) {
	if d.Unsent == nil {
		return nil, nil
	}
	entries, err := d.Unsent(ctx)
	for _, e := range entries {
		if e.Account != v.Account.No && e.Card != v.CardNo {
			continue
		}
		for _, p := range e.Postings {
			if p.Account == journal.Holder {
				all = append(all, holder.Open{Sort: unsent, Amount: max(p.Amount, -p.Amount), Since: e.At, Ref: e.Ref})
			}
		}
	}
	return all, err
}
