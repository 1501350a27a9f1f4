package aftersale

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/refund"
	"quancun/ledger"
	"quancun/reader/purse"
)

const (
	lastMax   = 6   // sales to choose among
	lookBack  = 200 // entries in which they are looked for
	numberMax = 600 // characters of a receipt's code
)

// choose asks which of the last entries that pass it is, or for its number or
// code, and returns its reference.
func (c *Config) choose(ctx context.Context, t *office.Talk, what dialog.Word, pass func(journal.Entry) bool,
) (string, error) {
	last, err := c.last(ctx, pass)
	if err != nil {
		return "", err
	}
	options := []dialog.Option{{Word: byNumber}}
	for _, e := range last {
		line, err := c.line(ctx, e)
		if err != nil {
			return "", err
		}
		options = append(options, dialog.Option{Text: line})
	}
	i, err := t.Choose(ctx, what, options)
	switch {
	case err != nil:
		return "", err
	case i > 0:
		return last[i-1].Ref, nil
	}
	text, err := t.Text(ctx, saleNumber, numberMax)
	if err != nil {
		return "", err
	}
	ref, err := c.find(ctx, t, text)
	return strings.TrimPrefix(ref, channel.IntentPrefix), err // what was asked for is found by what came of it
}

// last returns the newest entries that pass, the newest first.
func (c *Config) last(ctx context.Context, pass func(journal.Entry) bool) ([]journal.Entry, error) {
	page, err := c.Book.Recent(ctx, lookBack)
	if err != nil {
		return nil, err
	}
	var all []journal.Entry
	for _, e := range page {
		if len(all) < lastMax && pass(e) {
			all = append(all, e)
		}
	}
	return all, nil
}

// isSale reports whether an entry says that a sale was paid.
func isSale(e journal.Entry) bool {
	return e.Kind == journal.CodeSale || e.Kind == journal.ChannelSale ||
		e.Kind == journal.SaleEnd && e.Outcome.Happened()
}

// hasReceipt reports whether a receipt is printed of an entry.
func hasReceipt(e journal.Entry) bool { return isSale(e) || e.Kind == journal.Refund }

// begun returns when what an entry ends was begun, which is when its payer paid: a keeper
// may have settled it hours later.
func (c *Config) begun(ctx context.Context, e journal.Entry) (time.Time, error) {
	first := e.Ref
	if e.Kind == journal.ChannelSale {
		first = channel.IntentPrefix + e.Ref
	}
	item, err := c.Book.Get(ctx, first)
	if errors.Is(err, ledger.ErrNotFound) { // it was lost with a damaged journal
		return e.At, nil
	}
	return item.First.At, err
}

// line is an entry in one line that reads the same in every language.
func (c *Config) line(ctx context.Context, e journal.Entry) (string, error) {
	at, err := c.begun(ctx, e)
	sign := ""
	if e.Kind == journal.Refund {
		sign = "-"
	}
	s := fmt.Sprintf("%s  %s¥%s  %s", at.In(beijing.Zone).Format("15:04:05"), sign, e.Amount, c.number(e))
	if e.Card != "" {
		s += "  " + cardOf(e)
	}
	return s, err
}

// number is an entry's number as its receipt has it.
func (c *Config) number(e journal.Entry) string { return fmt.Sprintf("%s-%d", c.Terminal, e.Seq) }

// cardOf is the masked number of the card that an entry is about.
func cardOf(e journal.Entry) string {
	no, err := purse.ParseCardNo(e.Card)
	if err != nil {
		return ""
	}
	return no.String()
}

// find returns the reference that a text stands for: the code of a receipt, the
// number of one, or an order number as wallets show it.
func (c *Config) find(ctx context.Context, t *office.Talk, text string) (string, error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, journal.ReceiptPrefix) {
		return c.read(text)
	}
	terminal, no, named := strings.Cut(text, "-")
	if !named {
		no = text
	}
	seq, err := strconv.ParseInt(no, 10, 64)
	switch {
	case err != nil:
		return strings.ToLower(text), nil
	case named && !strings.EqualFold(terminal, c.Terminal):
		return "", dialog.Refuse(elsewhere, nil)
	}
	all, restored, err := c.numbered(ctx, seq)
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "", dialog.Refuse(noSale, nil)
	case !restored:
		return all[0].Ref, nil
	}
	options := make([]dialog.Option, 0, len(all)+1)
	for _, e := range all {
		line, err := c.line(ctx, e)
		if err != nil {
			return "", err
		}
		options = append(options, dialog.Option{Text: line, When: dialog.Day("", e.At)})
	}
	i, err := t.Choose(ctx, whichNumber, append(options, dialog.Option{Word: olderSale}))
	if err == nil && i == len(all) {
		err = dialog.Refuse(before, nil)
	}
	if err != nil {
		return "", err
	}
	return all[i].Ref, nil
}

// numbered returns what has a number in this journal, and whether the till was
// restored: then numbers have begun anew, so that there may be one more that was
// carried over, and one that was not.
func (c *Config) numbered(ctx context.Context, seq int64) (all []journal.Entry, restored bool, err error) {
	e, err := c.at(ctx, seq)
	if e.Ref != "" && e.Kind != journal.Carried {
		all = append(all, e)
	}
	if err == nil {
		e, err = c.at(ctx, 1)
	}
	restored = e.Kind == journal.EpochOpened
	for n := int64(2); restored && err == nil; n++ { // what was carried over comes right after
		if e, err = c.at(ctx, n); e.Kind != journal.Carried {
			break
		}
		if e, err = e.Inner(); e.Seq == seq && e.Ref != "" {
			all = append(all, e)
		}
	}
	return all, restored, err
}

// at returns the entry of this journal at a number, and none if there is none.
func (c *Config) at(ctx context.Context, seq int64) (journal.Entry, error) {
	page, err := c.Book.Since(ctx, seq, 1)
	if err != nil || len(page) == 0 || page[0].Seq != seq {
		return journal.Entry{}, err
	}
	return page[0], nil
}

// read returns the reference in the code of a receipt.
func (c *Config) read(code string) (string, error) {
	r, err := journal.OpenReceipt(code, c.Campus())
	switch {
	case errors.Is(err, journal.ErrMalformed):
		return "", dialog.Refuse(noCode, err)
	case err != nil:
		return "", dialog.Refuse(notGenuine, err)
	case r.Terminal != c.Terminal:
		return "", dialog.Refuse(elsewhere, nil)
	}
	return r.Ref, nil
}

// look returns how the sale of a reference stands, with the time at which it was begun, or
// why it cannot be given back.
func (c *Config) look(ctx context.Context, ref string) (refund.Standing, error) {
	s, err := c.Refunds.Look(ctx, ref)
	if err == nil || errors.Is(err, refund.ErrBefore) {
		at, err2 := c.begun(ctx, s.Sale)
		s.Sale.At, err = at, errors.Join(err, err2)
	}
	return s, named(err)
}

// facts are what there is to say about a sale.
func (c *Config) facts(s refund.Standing) []dialog.Fact {
	amount := dialog.Amount(fAmount, s.Sale.Amount)
	amount.Strong = true
	all := []dialog.Fact{
		amount, dialog.Moment(fTime, s.Sale.At), dialog.Text(fNumber, c.number(s.Sale)),
		dialog.Said(fMeans, means[s.Source]),
	}
	if card := cardOf(s.Sale); card != "" {
		all = append(all, dialog.Text(fCard, card))
	}
	if s.Given > 0 {
		all = append(all, dialog.Amount(fGiven, s.Given), dialog.Amount(fLeft, s.Left))
	}
	return all
}

// names are the words for what stops a refund.
var names = []struct {
	err  error
	word dialog.Word
}{
	{refund.ErrNotFound, noSale},
	{refund.ErrOpen, stillOpen},
	{refund.ErrBefore, before},
	{refund.ErrRelease, needsSecond},
	{refund.ErrVoid, partVoid},
	{ledger.ErrRefund, tooMuch},
}

// named gives an error of a refund its word, if it has one.
func named(err error) error {
	if much := (*refund.TooMuchError)(nil); errors.As(err, &much) {
		return dialog.Refuse(tooMuch, err)
	}
	for _, n := range names {
		if errors.Is(err, n.err) {
			return dialog.Refuse(n.word, err)
		}
	}
	return err
}
