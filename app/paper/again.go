package paper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/app/printer"
	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office/aftersale"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/paycode"
)

// slip makes a receipt from the journal alone. It says less than the one that is
// made while the customer stands there: not whose card it was, and no balance.
func (c *Clerk) slip(ctx context.Context, ref string) (printer.Slip, error) {
	item, err := c.Book.Get(ctx, ref)
	if err != nil {
		return printer.Slip{}, err
	}
	if item.End.Kind.Sums() {
		return c.report(ctx, item.End)
	}
	var known bool
	s := printer.Sale{Entry: item.End, Lines: linesOf(item)}
	if s.Paid, known = paidBy(item); !known {
		return printer.Slip{}, fmt.Errorf("%w: nothing was paid by %q", printer.ErrNoSlip, ref)
	}
	switch item.First.Kind {
	case journal.SaleIntent:
		s.Offline = !tender.DetailsOf(item.First.Details).Approved
	case journal.CodeSale:
		var taken paycode.Taken
		s.Offline = json.Unmarshal(item.First.Details, &taken) == nil && !taken.Approved
	case journal.Refund:
		if s.Paid, err = c.original(ctx, item.End); err != nil {
			return printer.Slip{}, err
		}
		s.Original = fmt.Sprintf("%s-%d", c.Issuer.Terminal, item.End.Origin.Seq)
	}
	return c.proven(ctx, s)
}

// linesOf is what was sold, as far as keys have said it.
func linesOf(i ledger.Item) (all []printer.Line) {
	for _, x := range tender.DetailsOf(i.First.Details).Items {
		l := printer.Line{Name: x.Name, Amount: x.Price}
		if x.Count > 1 {
			l.Name = fmt.Sprintf("%s × %d", x.Name, x.Count)
		}
		all = append(all, l)
	}
	return all
}

// paidBy returns by which means, if it was paid, or is a refund.
func paidBy(i ledger.Item) (printer.Means, bool) {
	switch i.First.Kind {
	case journal.SaleIntent:
		return printer.ByCard, !i.Open() && i.End.Outcome.Happened()
	case journal.CodeSale:
		return printer.ByCode, true
	case journal.ChannelSale:
		return printer.ByChannel, true
	case journal.Refund:
		return 0, true
	}
	return 0, false
}

// original returns what the sale that a refund is of was paid with.
func (c *Clerk) original(ctx context.Context, refund journal.Entry) (printer.Means, error) {
	var note channel.Note
	if err := json.Unmarshal(refund.Details, &note); err != nil || note.Sale == "" {
		return 0, fmt.Errorf("refund %q names no sale (%v)", refund.Ref, err)
	}
	item, err := c.Book.Get(ctx, note.Sale)
	if err != nil {
		return 0, err
	}
	means, _ := paidBy(item)
	return means, nil
}

// proven makes a receipt with the code that proves it.
func (c *Clerk) proven(ctx context.Context, s printer.Sale) (printer.Slip, error) {
	var err error
	if s.Proof, err = c.proof(ctx, s.Entry.Ref); err != nil {
		return printer.Slip{}, err
	}
	return c.issuer().Sale(c.Words, s), nil
}

// report makes the paper of an X or a Z report.
func (c *Clerk) report(ctx context.Context, e journal.Entry) (printer.Slip, error) {
	r, err := e.Report()
	if err != nil {
		return printer.Slip{}, err
	}
	proof, err := c.proof(ctx, e.Ref)
	if err != nil {
		return printer.Slip{}, err
	}
	return c.issuer().Report(c.Words, e, r, proof), nil
}

// proof is the code that proves an entry; "" where the terminal has no key.
func (c *Clerk) proof(ctx context.Context, ref string) (string, error) {
	signed, err := c.Book.Receipt(ctx, ref, c.Certificate)
	switch {
	case errors.Is(err, ledger.ErrNoKey):
		return "", nil
	case err != nil:
		return "", err
	}
	return signed.Text(), nil
}

func (c *Clerk) issuer() printer.Issuer {
	issuer := c.Issuer
	if school := c.school.Load(); school != nil {
		issuer.School = *school
	}
	return issuer
}

// lost are the newest sales and refunds that have no receipt: the program ended
// between the journal and the tray, or it turned out later that they were paid.
// What is older than all receipts is from before there was a printer.
func (c *Clerk) lost(ctx context.Context) (refs []string, err error) {
	begins := c.Desk.Tray.Begins()
	if begins.IsZero() {
		return nil, nil
	}
	page, err := c.Book.Recent(ctx, lostMax)
	for _, e := range page {
		if _, none := c.Desk.Tray.Get(e.Ref); none == nil || e.At.Before(begins) || time.Since(e.At) > lostWithin {
			continue
		}
		ends := e.Kind == journal.SaleEnd && e.Outcome.Happened()
		alone := e.Kind == journal.CodeSale || e.Kind == journal.ChannelSale || e.Kind == journal.Refund ||
			e.Kind == journal.ShiftClosed
		if ends || alone {
			refs = append(refs, e.Ref)
		}
	}
	slices.Reverse(refs) // the oldest first
	return refs, err
}

// How far back receipts are missed: the tray never falls far behind.
const (
	lostMax    = 60 // entries
	lostWithin = 24 * time.Hour
)

// makeUp puts receipts into the tray that were lost.
func (c *Clerk) makeUp(ctx context.Context, refs []string) {
	for _, ref := range refs {
		s, err := c.slip(ctx, ref)
		if err == nil {
			err = c.Desk.Tray.Keep(s)
		}
		if err != nil && ctx.Err() == nil {
			c.Log.Error("lost receipt not made", "ref", ref, "err", err)
			continue
		}
		c.Log.Info("lost receipt made from the journal", "ref", ref)
	}
}

// Print prints the receipt of a report's own entry, and leaves every other report
// to Reports.
func (c *Clerk) Print(ctx context.Context, r dialog.Report) error {
	if r.Ref == "" {
		return c.Reports.Print(ctx, r)
	}
	if k, err := c.Desk.Tray.Get(r.Ref); err == nil && k.Printed {
		_, err := c.Desk.Copy(ctx, r.Ref)
		return err
	}
	s, err := c.slip(ctx, r.Ref)
	if err != nil {
		return err
	}
	return c.Desk.Print(ctx, s)
}

// Printer says how the printer is, and how many receipts wait for it.
func (c *Clerk) Printer(ctx context.Context) (state dialog.Word, waiting int) {
	waiting = len(c.Desk.Tray.Unprinted())
	s, err := c.Desk.Printer.Status(ctx)
	switch {
	case err != nil:
		return aftersale.PrinterAway, waiting
	case s.Err() != nil:
		return wordOf(s.Err()), waiting
	case s.Paper == printer.PaperLow:
		return aftersale.PrinterLow, waiting
	}
	return aftersale.PrinterReady, waiting
}

// PrintWaiting prints what waits, and returns how many that were.
func (c *Clerk) PrintWaiting(ctx context.Context) (int, error) {
	n, err := c.Desk.PrintKept(ctx)
	return n, worded(err)
}

// Copy prints a receipt once more, as [aftersale.Receipts] has it. One that the
// tray has forgotten is made from the journal, and marked as perhaps printed
// before.
func (c *Clerk) Copy(ctx context.Context, ref string) (int, error) {
	if _, err := c.Desk.Tray.Get(ref); errors.Is(err, printer.ErrNoSlip) {
		s, err := c.slip(ctx, ref)
		if err == nil {
			err = c.Desk.Tray.KeepUnsure(s)
		}
		if err != nil {
			return 0, worded(err)
		}
	}
	n, err := c.Desk.Copy(ctx, ref)
	return n, worded(err)
}

// troubles are the staff's words for what keeps a receipt from being printed, the
// most telling first.
var troubles = []struct {
	err  error
	word dialog.Word
}{
	{printer.ErrUnsure, aftersale.PrinterUnsure},
	{printer.ErrPaper, aftersale.PrinterOut},
	{printer.ErrCover, aftersale.PrinterCover},
	{printer.ErrOffline, aftersale.PrinterFault},
	{printer.ErrAway, aftersale.PrinterAway},
	{printer.ErrNoSlip, aftersale.NoReceipt},
	{ledger.ErrNotFound, aftersale.NoReceipt},
}

func wordOf(err error) dialog.Word {
	for _, t := range troubles {
		if errors.Is(err, t.err) {
			return t.word
		}
	}
	return ""
}

func worded(err error) error {
	if word := wordOf(err); word != "" {
		return dialog.Refuse(word, err)
	}
	return err
}
