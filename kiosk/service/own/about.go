package own

import (
	"context"
	"errors"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
)

const (
	askAbout   dialog.Word = "own.ask.about"
	askPhone   dialog.Word = "own.ask.phone"
	askCheck   dialog.Word = "own.ask.check"
	showLimits dialog.Word = "own.limits"
	bindPhone  dialog.Word = "own.phone"
	noPhones   dialog.Word = "own.no.phones"
	noPhone    dialog.Word = "own.no.phone" // for this account
	scanIt     dialog.Word = "own.scan.it"

	factDaily    dialog.Word = "own.fact.daily"
	factSpent    dialog.Word = "own.fact.spent"
	factLeft     dialog.Word = "own.fact.left"
	factOwn      dialog.Word = "own.fact.own"
	factPurse    dialog.Word = "own.fact.purse"
	factCap      dialog.Word = "own.fact.cap"
	factReserve  dialog.Word = "own.fact.reserve"
	factCode     dialog.Word = "own.fact.code"
	factCodeDay  dialog.Word = "own.fact.code.day"
	factPhone    dialog.Word = "own.fact.phone"
	factPhoneDay dialog.Word = "own.fact.phone.since"
	factUntil    dialog.Word = "own.fact.until"
	factName     dialog.Word = "own.fact.name"
	factNumber   dialog.Word = "own.fact.number"
	ofSchool     dialog.Word = "own.of.school"
	ofHolder     dialog.Word = "own.of.holder"
	limitHow     dialog.Word = "own.limit.how"

	agrees    dialog.Word = "own.agrees"
	differs   dialog.Word = "own.differs"
	noting    dialog.Word = "own.noting"
	checked   dialog.Word = "own.checked"
	changePIN dialog.Word = "own.change.pin"
	toCentre  dialog.Word = "own.to.centre"
)

// about shows limits, binds a phone, or has the card compared.
func (d *Desk) about(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	i, err := v.Choose(ctx, askAbout, []dialog.Option{{Word: showLimits}, {Word: bindPhone}, {Word: Check}})
	if err != nil {
		return dialog.Report{}, err
	}
	return []func(context.Context, *service.Visit) (dialog.Report, error){d.limits, d.phone, d.check}[i](ctx, v)
}

// limits shows what the holder may spend. They are changed at the card centre.
func (d *Desk) limits(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	l, err := d.Upstream.Limits(ctx, v.Session)
	if err != nil {
		return dialog.Report{}, err
	}
	whose := ofSchool
	if l.Own {
		whose = ofHolder
	}
	facts := []dialog.Fact{
		strong(dialog.Amount(factDaily, l.Daily)), dialog.Said(factOwn, whose), dialog.Amount(factSpent, l.Spent),
		dialog.Amount(factLeft, max(l.Daily-l.Spent, 0)), dialog.Amount(factPurse, l.Purse),
		dialog.Amount(factCap, l.Balance),
	}
	if l.CardReserve > 0 {
		facts = append(facts, dialog.Amount(factReserve, l.CardReserve))
	}
	if l.Phones {
		facts = append(facts, dialog.Amount(factCode, l.Code), dialog.Amount(factCodeDay, l.CodeDay))
	}
	if !l.Until.IsZero() {
		facts = append(facts, dialog.Moment(factUntil, l.Until))
	}
	return dialog.Report{Title: showLimits, Facts: append(facts, phoneOf(l)...), Next: limitHow, Told: true}, nil
}

// phoneOf says which phone is the holder's virtual card, if one is.
func phoneOf(l holder.Limits) []dialog.Fact {
	if l.PhoneSince.IsZero() {
		return nil
	}
	return []dialog.Fact{dialog.Text(factPhone, l.Phone), dialog.Moment(factPhoneDay, l.PhoneSince)}
}

// phone shows a code by which a phone becomes the holder's virtual card. The phone
// before is none any more as soon as the new one has used it, and not earlier.
func (d *Desk) phone(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	l, err := d.Upstream.Limits(ctx, v.Session)
	if err != nil {
		return dialog.Report{}, err
	}
	if !l.Phones {
		return dialog.Report{}, dialog.Refuse(noPhones, nil)
	}
	if err := v.Confirm(ctx, askPhone, phoneOf(l)...); err != nil {
		return dialog.Report{}, err
	}
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	i, err := d.Upstream.Invite(ctx, v.Session)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.AccountUnknown {
		return dialog.Report{}, dialog.Refuse(noPhone, err)
	}
	if err != nil {
		return dialog.Report{}, err
	}
	return dialog.Report{
		Title: bindPhone, QR: i.Text, Facts: []dialog.Fact{dialog.Moment(factUntil, i.Expires)}, Next: scanIt,
		Told: true, // it is bound when the phone has scanned it
	}, nil
}

// check has a holder compare the card with what is registered (核对卡面信息), and
// tells who still has the initial PIN to change it.
func (d *Desk) check(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	c, err := d.Upstream.CardCheck(ctx, v.Session)
	if err != nil {
		return dialog.Report{}, err
	}
	facts := []dialog.Fact{strong(dialog.Text(factName, c.Name)), strong(dialog.Text(factNumber, c.Number))}
	i, err := v.Choose(ctx, askCheck, []dialog.Option{{Word: agrees}, {Word: differs}}, facts...)
	if err != nil {
		return dialog.Report{}, err
	}
	if err := v.Work(ctx, noting); err != nil {
		return dialog.Report{}, err
	}
	if err := d.Upstream.CheckCard(ctx, v.Session, i == 0); err != nil {
		return dialog.Report{}, err
	}
	next := checked
	switch {
	case i != 0:
		next = toCentre
	case c.InitialPIN:
		next = changePIN
	}
	return dialog.Report{Facts: facts, Next: next}, nil
}
