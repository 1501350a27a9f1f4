package cash

import (
	"context"
	"fmt"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/office"
	"quancun/kiosk/shift"
	"quancun/kiosk/staff"
)

// x writes an X report.
func (c Config) x(ctx context.Context, t *office.Talk) (office.Report, error) {
	if err := c.mustBeOpen(ctx); err != nil {
		return office.Report{}, err
	}
	if err := t.Work(ctx, working); err != nil {
		return office.Report{}, err
	}
	r, err := c.Drawer.X(context.WithoutCancel(ctx), actOf(t))
	if err != nil {
		return office.Report{}, named(err)
	}
	report := office.Report{No: fmt.Sprintf("X%d", r.X), Facts: sold(r), Print: true}
	if r.Counted {
		report.Facts = append(report.Facts, drawer(r)...)
	} else {
		report.Facts = append(report.Facts, office.Said(fShould, afterCount))
	}
	report.Facts = append(report.Facts, seen(r)...)
	return report, nil
}

// close ends the shift: it has the drawer counted, unless it was, and makes the Z.
// A power cut in the middle leaves a count that need not be made again, or a
// shift that is closed.
func (c Config) close(ctx context.Context, t *office.Talk) (office.Report, error) {
	s, err := c.Drawer.State(ctx)
	switch {
	case err != nil:
		return office.Report{}, named(err)
	case !s.Open:
		return office.Report{}, office.Refuse(notOpen, shift.ErrClosed)
	}
	a := actOf(t)
	if s.By != a.By.No && !a.By.Role.May(staff.CloseOther) {
		if a, err = c.other(ctx, t, s); err != nil {
			return office.Report{}, err
		}
	}
	if s.MustCount() {
		if _, err := c.count(ctx, t); err != nil {
			return office.Report{}, err
		}
	}
	if err := t.Confirm(ctx, sureClose, opened(s)...); err != nil {
		return office.Report{}, err
	}
	if err := t.Work(ctx, working); err != nil {
		return office.Report{}, err
	}
	r, err := c.Drawer.Z(context.WithoutCancel(ctx), a)
	if err != nil {
		return office.Report{}, named(err)
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
func zReport(r journal.Report, ref string) office.Report {
	facts := append(sold(r), drawer(r)...)
	facts = append(facts, seen(r)...)
	if r.Released != "" {
		facts = append(facts, office.Text(fReleased, r.Released))
	}
	return office.Report{Title: Z, No: fmt.Sprintf("Z%d", r.Z), Ref: ref, Facts: facts, Next: handOver}
}

// pastMax is how many Z reports there are to choose from: a week of three shifts.
const pastMax = 21

// past shows a Z report of earlier, which can be printed again.
func (c Config) past(ctx context.Context, t *office.Talk) (office.Report, error) {
	zs, err := c.Drawer.Past(ctx, pastMax)
	if err != nil {
		return office.Report{}, named(err)
	}
	if len(zs) == 0 {
		return office.Report{}, office.Refuse(noPast, nil)
	}
	var options []office.Option
	var reports []journal.Report
	for _, e := range zs {
		r, err := e.Report()
		if err != nil {
			return office.Report{}, err
		}
		reports = append(reports, r)
		options = append(options, office.Option{
			Text: fmt.Sprintf("Z%d  %s", r.Z, e.At.In(kiosk.Beijing).Format("2006-01-02 15:04")),
		})
	}
	i, err := t.Choose(ctx, whichPast, options)
	if err != nil {
		return office.Report{}, err
	}
	z := zReport(reports[i], zs[i].Ref)
	z.Facts = append(z.Facts, office.Moment(fClosed, zs[i].At), office.Text(fBy, zs[i].Operator))
	z.Next = ""
	return z, nil
}

// opened says whose shift it is, and since when.
func opened(s shift.State) []office.Fact {
	return []office.Fact{office.Moment(fOpened, s.Opened), office.Text(fOpenedBy, s.By)}
}

// sold is what was sold, and given back.
func sold(r journal.Report) []office.Fact {
	all := []office.Fact{
		strong(office.Amount(fSold, r.Sold())),
		office.Amount(fCard, r.Card.Amount), office.Count(fCardCount, r.Card.Count),
		office.Amount(fCode, r.Code.Amount), office.Count(fCodeCount, r.Code.Count),
		office.Amount(fWallet, r.Channel.Amount), office.Count(fWalletCount, r.Channel.Count),
		office.Amount(fRefunds, r.Refunds.Amount), office.Count(fRefundCount, r.Refunds.Count),
	}
	if r.Fees.Count > 0 {
		all = append(all, office.Amount(fFees, r.Fees.Amount))
	}
	return all
}

// drawer is what went into the drawer and out of it. It is shown after a count,
// and never before.
func drawer(r journal.Report) []office.Fact {
	all := []office.Fact{
		office.Amount(fBrought, r.Brought), office.Amount(fFloat, r.Float),
		office.Amount(fCashIn, r.CashIn.Amount), office.Amount(fCashOut, r.CashOut.Amount),
	}
	if r.TopUps.Count > 0 {
		all = append(all, office.Amount(fTopUps, r.TopUps.Amount))
	}
	if r.PayOuts.Count > 0 {
		all = append(all, office.Amount(fPayOuts, r.PayOuts.Amount))
	}
	over, short := office.Amount(fOver, r.Over), office.Amount(fShort, r.Short)
	over.Strong, short.Strong = r.Over > 0, r.Short > 0
	return append(all, over, short, strong(office.Amount(fShould, r.Till)))
}

// seen is what else a report says.
func seen(r journal.Report) []office.Fact {
	all := []office.Fact{office.Count(fNoSales, r.NoSales), office.Amount(fPerpetual, r.Perpetual)}
	if r.Suspense != 0 {
		all = append(all, strong(office.Amount(fSuspense, r.Suspense)))
	}
	if r.Unsynced > 0 {
		all = append(all, strong(office.Count(fUnsynced, r.Unsynced)))
	}
	if r.ClockSteps > 0 {
		all = append(all, office.Count(fClock, r.ClockSteps))
	}
	if r.Part {
		all = append(all, office.Said(fPart, partly))
	}
	return all
}
