package cash

import (
	"context"
	"fmt"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
)

// x writes an X report.
func (c Config) x(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	if err := c.mustBeOpen(ctx); err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, working); err != nil {
		return dialog.Report{}, err
	}
	r, err := c.Drawer.X(context.WithoutCancel(ctx), actOf(t))
	if err != nil {
		return dialog.Report{}, named(err)
	}
	report := dialog.Report{No: fmt.Sprintf("X%d", r.X), Facts: sold(r), Print: true}
	if r.Counted {
		report.Facts = append(report.Facts, drawer(r)...)
	} else {
		report.Facts = append(report.Facts, dialog.Said(fShould, afterCount))
	}
	report.Facts = append(report.Facts, seen(r)...)
	return report, nil
}

// close ends the shift: it has the drawer counted, unless it was, and makes the Z.
// A power cut in the middle leaves a count that need not be made again, or a
// shift that is closed.
func (c Config) close(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	s, err := c.Drawer.State(ctx)
	switch {
	case err != nil:
		return dialog.Report{}, named(err)
	case !s.Open:
		return dialog.Report{}, dialog.Refuse(notOpen, shift.ErrClosed)
	}
	a := actOf(t)
	if s.By != a.By.No && !a.By.Role.May(staff.CloseOther) {
		if a, err = c.other(ctx, t, s); err != nil {
			return dialog.Report{}, err
		}
	}
	if s.MustCount() {
		if _, err := c.count(ctx, t); err != nil {
			return dialog.Report{}, err
		}
	}
	if err := t.Confirm(ctx, sureClose, opened(s)...); err != nil {
		return dialog.Report{}, err
	}
	if err := t.Work(ctx, working); err != nil {
		return dialog.Report{}, err
	}
	r, err := c.Drawer.Z(context.WithoutCancel(ctx), a)
	if err != nil {
		return dialog.Report{}, named(err)
	}
	z := zReport(r, a.Ref)
	z.Print = true
	return z, nil
}

// other has somebody release that a shift is closed that a colleague has opened,
// who has gone.
func (c Config) other(ctx context.Context, t *office.Talk, s shift.State) (shift.Act, error) {
	if err := t.Confirm(ctx, sureOther, opened(s)...); err != nil {
		return shift.Act{}, err
	}
	a := shift.Act{Ref: kiosk.NewRef(), By: t.Member()}
	r, err := t.SecondFor(ctx, staff.CloseOther, a.Ref)
	a.Release = r
	return a, err
}

// zReport is what is shown of a Z. Its paper is made from its entry, so that it
// has the code that proves it.
func zReport(r journal.Report, ref string) dialog.Report {
	facts := append(sold(r), drawer(r)...)
	facts = append(facts, seen(r)...)
	if r.Released != "" {
		facts = append(facts, dialog.Text(fReleased, r.Released))
	}
	return dialog.Report{Title: Z, No: fmt.Sprintf("Z%d", r.Z), Ref: ref, Facts: facts, Next: handOver}
}

// pastMax is how many Z reports there are to choose from: a week of three shifts.
const pastMax = 21

// past shows a Z report of earlier, which can be printed again.
func (c Config) past(ctx context.Context, t *office.Talk) (dialog.Report, error) {
	zs, err := c.Drawer.Past(ctx, pastMax)
	if err != nil {
		return dialog.Report{}, named(err)
	}
	if len(zs) == 0 {
		return dialog.Report{}, dialog.Refuse(noPast, nil)
	}
	var options []dialog.Option
	var reports []journal.Report
	for _, e := range zs {
		r, err := e.Report()
		if err != nil {
			return dialog.Report{}, err
		}
		reports = append(reports, r)
		options = append(options, dialog.Option{
			Text: fmt.Sprintf("Z%d  %s", r.Z, e.At.In(beijing.Zone).Format("2006-01-02 15:04")),
		})
	}
	i, err := t.Choose(ctx, whichPast, options)
	if err != nil {
		return dialog.Report{}, err
	}
	z := zReport(reports[i], zs[i].Ref)
	z.Facts = append(z.Facts, dialog.Moment(fClosed, zs[i].At), dialog.Text(fBy, zs[i].Operator))
	z.Next = ""
	return z, nil
}

// opened says whose shift it is, and since when.
func opened(s shift.State) []dialog.Fact {
	return []dialog.Fact{dialog.Moment(fOpened, s.Opened), dialog.Text(fOpenedBy, s.By)}
}

// sold is what was sold, and given back.
func sold(r journal.Report) []dialog.Fact {
	all := []dialog.Fact{
		strong(dialog.Amount(fSold, r.Sold())),
		dialog.Amount(fCard, r.Card.Amount), dialog.Count(fCardCount, r.Card.Count),
		dialog.Amount(fCode, r.Code.Amount), dialog.Count(fCodeCount, r.Code.Count),
		dialog.Amount(fWallet, r.Channel.Amount), dialog.Count(fWalletCount, r.Channel.Count),
		dialog.Amount(fRefunds, r.Refunds.Amount), dialog.Count(fRefundCount, r.Refunds.Count),
	}
	if r.Fees.Count > 0 {
		all = append(all, dialog.Amount(fFees, r.Fees.Amount))
	}
	return all
}

// drawer is what went into the drawer and out of it. It is shown after a count,
// and never before.
func drawer(r journal.Report) []dialog.Fact {
	all := []dialog.Fact{
		dialog.Amount(fBrought, r.Brought), dialog.Amount(fFloat, r.Float),
		dialog.Amount(fCashIn, r.CashIn.Amount), dialog.Amount(fCashOut, r.CashOut.Amount),
	}
	if r.TopUps.Count > 0 {
		all = append(all, dialog.Amount(fTopUps, r.TopUps.Amount))
	}
	if r.PayOuts.Count > 0 {
		all = append(all, dialog.Amount(fPayOuts, r.PayOuts.Amount))
	}
	over, short := dialog.Amount(fOver, r.Over), dialog.Amount(fShort, r.Short)
	over.Strong, short.Strong = r.Over > 0, r.Short > 0
	return append(all, over, short, strong(dialog.Amount(fShould, r.Till)))
}

// seen is what else a report says.
func seen(r journal.Report) []dialog.Fact {
	all := []dialog.Fact{dialog.Count(fNoSales, r.NoSales), dialog.Amount(fPerpetual, r.Perpetual)}
	if r.Suspense != 0 {
		all = append(all, strong(dialog.Amount(fSuspense, r.Suspense)))
	}
	if r.Unsynced > 0 {
		all = append(all, strong(dialog.Count(fUnsynced, r.Unsynced)))
	}
	if r.ClockSteps > 0 {
		all = append(all, dialog.Count(fClock, r.ClockSteps))
	}
	if r.Part {
		all = append(all, dialog.Said(fPart, partly))
	}
	return all
}
