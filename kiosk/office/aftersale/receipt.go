package aftersale

import (
	"context"
	"errors"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
)

// copy prints a receipt once more.
func (c *Config) copy(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	ref, err := c.choose(ctx, t, whichCopy, hasReceipt)
	if err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, workPrinter); err != nil {
		return dialog.Report{}, err
	}
	n, err := c.Receipts.Copy(ctx, ref)
	unsure := isUnsure(err)
	if err != nil && !unsure {
		return dialog.Report{}, err
	}
	var facts []dialog.Fact
	if n > 0 {
		facts = append(facts, dialog.Count(fCopyNo, int64(n)))
	}
	if unsure {
		facts = append(facts, dialog.Said(fPrinter, PrinterUnsure))
	}
	return dialog.Report{Facts: facts}, nil
}

// isUnsure reports whether something may be on paper that the printer has not
// confirmed.
func isUnsure(err error) bool {
	var no *dialog.Refusal
	return errors.As(err, &no) && no.Why == PrinterUnsure
}

// printer says how the printer is, and prints what waits for it.
func (c *Config) printer(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	if err := t.Work(ctx, workPrinter); err != nil {
		return dialog.Report{}, err
	}
	state, waiting := c.Receipts.Printer(ctx)
	facts := []dialog.Fact{dialog.Said(fPrinter, state), dialog.Count(fWaiting, int64(waiting))}
	facts[0].Strong = true
	if waiting == 0 {
		return dialog.Report{Facts: facts}, nil
	}
	what, err := t.Choose(ctx, askPrinter, []dialog.Option{{Word: printIt}, {Word: seenPrinter}}, facts...)
	if err != nil || what == 1 {
		return dialog.Report{Facts: facts}, err
	}
	if err := t.Work(ctx, workPrinter); err != nil {
		return dialog.Report{}, err
	}
	n, err := c.Receipts.PrintWaiting(ctx)
	if n == 0 && err != nil {
		return dialog.Report{}, err
	}
	state, waiting = c.Receipts.Printer(ctx)
	return dialog.Report{Facts: []dialog.Fact{
		dialog.Count(fPrinted, int64(n)), dialog.Said(fPrinter, state), dialog.Count(fWaiting, int64(waiting)),
	}}, nil
}
