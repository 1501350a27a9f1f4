package aftersale

import (
	"context"
	"errors"

	"quancun/kiosk/office"
)

// copy prints a receipt once more.
func (c *Config) copy(ctx context.Context, t *office.Talk) (office.Report, error) {
	ref, err := c.choose(ctx, t, whichCopy, hasReceipt)
	if err != nil {
		return office.Report{}, err
	}
	if err := t.Work(ctx, workPrinter); err != nil {
		return office.Report{}, err
	}
	n, err := c.Receipts.Copy(ctx, ref)
	unsure := isUnsure(err)
	if err != nil && !unsure {
		return office.Report{}, err
	}
	var facts []office.Fact
	if n > 0 {
		facts = append(facts, office.Count(fCopyNo, int64(n)))
	}
	if unsure {
		facts = append(facts, office.Said(fPrinter, PrinterUnsure))
	}
	return office.Report{Facts: facts}, nil
}

// isUnsure reports whether something may be on paper that the printer has not
// confirmed.
func isUnsure(err error) bool {
	var no *office.Refusal
	return errors.As(err, &no) && no.Why == PrinterUnsure
}

// printer says how the printer is, and prints what waits for it.
func (c *Config) printer(ctx context.Context, t *office.Talk) (office.Report, error) {
	if err := t.Work(ctx, workPrinter); err != nil {
		return office.Report{}, err
	}
	state, waiting := c.Receipts.Printer(ctx)
	facts := []office.Fact{office.Said(fPrinter, state), office.Count(fWaiting, int64(waiting))}
	facts[0].Strong = true
	if waiting == 0 {
		return office.Report{Facts: facts}, nil
	}
	what, err := t.Choose(ctx, askPrinter, []office.Option{{Word: printIt}, {Word: seenPrinter}}, facts...)
	if err != nil || what == 1 {
		return office.Report{Facts: facts}, err
	}
	if err := t.Work(ctx, workPrinter); err != nil {
		return office.Report{}, err
	}
	n, err := c.Receipts.PrintWaiting(ctx)
	if n == 0 && err != nil {
		return office.Report{}, err
	}
	state, waiting = c.Receipts.Printer(ctx)
	return office.Report{Facts: []office.Fact{
		office.Count(fPrinted, int64(n)), office.Said(fPrinter, state), office.Count(fWaiting, int64(waiting)),
	}}, nil
}
