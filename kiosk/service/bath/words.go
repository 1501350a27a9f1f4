package bath

import (
	"context"
	"errors"
	"fmt"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
)

// Name is the service's.
const Name dialog.Word = "bath"

// What is asked and being done.
const (
	looking       dialog.Word = "bath.looking"
	askWhat       dialog.Word = "bath.what"
	reserve       dialog.Word = "bath.reserve"
	mine          dialog.Word = "bath.mine"
	askHall       dialog.Word = "bath.hall"
	askDay        dialog.Word = "bath.day"
	today         dialog.Word = "bath.today"
	tomorrow      dialog.Word = "bath.tomorrow"
	afterTomorrow dialog.Word = "bath.after"
	askSlot       dialog.Word = "bath.slot"
	askStall      dialog.Word = "bath.stall"
	assigned      dialog.Word = "bath.assigned"
	sure          dialog.Word = "bath.sure"
	reserving     dialog.Word = "bath.reserving"

	askWhich   dialog.Word = "bath.which"
	askDeed    dialog.Word = "bath.deed"
	show       dialog.Word = "bath.show"
	cancel     dialog.Word = "bath.cancel"
	cancelSure dialog.Word = "bath.cancel.sure"
	cancelling dialog.Word = "bath.cancelling"
	settle     dialog.Word = "bath.settle"
	askStub    dialog.Word = "bath.stub"
	settling   dialog.Word = "bath.settling"
)

// Why something cannot be chosen, or has to be answered again.
const (
	full      dialog.Word = "bath.full"
	closed    dialog.Word = "bath.closed"
	taken     dialog.Word = "bath.taken"
	allFull   dialog.Word = "bath.full.all"
	wrongStub dialog.Word = "bath.stub.wrong"
)

// What is told.
const (
	factHall     dialog.Word = "bath.fact.hall"
	factStalls   dialog.Word = "bath.fact.stalls"
	factStall    dialog.Word = "bath.fact.stall"
	anyStall     dialog.Word = "bath.any.stall"
	factDay      dialog.Word = "bath.fact.day"
	factSlot     dialog.Word = "bath.fact.slot"
	factHeld     dialog.Word = "bath.fact.held"
	factLitre    dialog.Word = "bath.fact.litre"
	factCancel   dialog.Word = "bath.fact.cancel"
	factRule     dialog.Word = "bath.fact.rule"
	rule         dialog.Word = "bath.rule"
	cancelRule   dialog.Word = "bath.cancel.rule"
	factNoShows  dialog.Word = "bath.fact.noshows" // so many
	factDays     dialog.Word = "bath.fact.days"    // in so many days
	factCode     dialog.Word = "bath.fact.code"
	factOpens    dialog.Word = "bath.fact.opens"
	factState    dialog.Word = "bath.fact.state"
	factPaid     dialog.Word = "bath.fact.paid"
	factWater    dialog.Word = "bath.fact.water"
	factReleased dialog.Word = "bath.fact.released"
	factTries    dialog.Word = "bath.fact.tries"
	factUntil    dialog.Word = "bath.fact.until"
	factNeeded   dialog.Word = "bath.fact.needed"
	factKept     dialog.Word = "bath.fact.kept"

	isReserved  dialog.Word = "bath.is.reserved"
	isCancelled dialog.Word = "bath.is.cancelled"
	isUsed      dialog.Word = "bath.is.used"
	isNotUsed   dialog.Word = "bath.is.unused"
	isUnknown   dialog.Word = "bath.is.unknown"

	reserved    dialog.Word = "bath.reserved"
	cancelled   dialog.Word = "bath.cancelled"
	settled     dialog.Word = "bath.settled"
	nextUse     dialog.Word = "bath.next.use"
	nextSettled dialog.Word = "bath.next.settled"
	nextFree    dialog.Word = "bath.next.free"
	lookLater   dialog.Word = "bath.next.later"
)

// Why not.
const (
	away      dialog.Word = "bath.away" // and nothing has happened
	noHalls   dialog.Word = "bath.none"
	noSlots   dialog.Word = "bath.no.slots"
	gone      dialog.Word = "bath.gone" // hall or slot, since they were shown
	fullNow   dialog.Word = "bath.full.now"
	yours     dialog.Word = "bath.yours"
	many      dialog.Word = "bath.many"
	givenUp   dialog.Word = "bath.given.up"
	noShows   dialog.Word = "bath.noshows"
	notEnough dialog.Word = "bath.not.enough"
	forCard   dialog.Word = "bath.for.card" // it would be enough, and only the card may spend it
	never     dialog.Word = "bath.never"    // it has not arrived, and never will
	neverOwn  dialog.Word = "bath.never.own"
	tooLate   dialog.Word = "bath.too.late"
	over      dialog.Word = "bath.over"
	locked    dialog.Word = "bath.stub.locked"

	unsure    dialog.Word = "bath.unsure" // being checked
	unsureOwn dialog.Word = "bath.unsure.own"
)

func isRefused(err error) bool {
	return errors.As(err, new(*bath.Refusal)) || errors.As(err, new(*client.Refusal))
}

// nothing returns an error of a look: nothing has happened.
func nothing(err error) error {
	if isRefused(err) {
		return refusal(err)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return dialog.Refuse(away, fmt.Errorf("%w: %w", service.ErrBaths, err))
}

// refusal returns the upstream's "no" in words. Those of the session have a code, and
// those that a program that is right never gets are one too.
func refusal(err error) error {
	no := (*bath.Refusal)(nil)
	if !errors.As(err, &no) {
		return err
	}
	switch no.Reason {
	case bath.HallUnknown, bath.HallClosed, bath.SlotUnknown, bath.SlotOver, bath.TooFar:
		return dialog.Refuse(gone, err)
	case bath.SlotFull:
		return dialog.Refuse(fullNow, err)
	case bath.AlreadyYours:
		return dialog.Refuse(yours, err)
	case bath.TooMany:
		return dialog.Refuse(many, err)
	case bath.GivenUp:
		return dialog.Refuse(givenUp, err)
	case bath.NoShows:
		return dialog.Refuse(noShows, err)
	case bath.NotEnough:
		if no.Kept > 0 {
			return dialog.Refuse(forCard, err)
		}
		return dialog.Refuse(notEnough, err)
	case bath.TooLate:
		return dialog.Refuse(tooLate, err)
	case bath.Over, bath.AccountEnded:
		return dialog.Refuse(over, err)
	case bath.StubWrong, bath.StubLocked:
		return dialog.Refuse(locked, err)
	}
	return err
}

// refusedReport is what there is to say besides why not.
func refusedReport(err error) (r dialog.Report) {
	no := (*bath.Refusal)(nil)
	if !errors.As(err, &no) {
		return r
	}
	switch no.Reason {
	case bath.NoShows:
		r.Facts = []dialog.Fact{dialog.Moment(factUntil, no.Until.In(beijing.Zone))}
	case bath.NotEnough:
		r.Facts = []dialog.Fact{dialog.Amount(factNeeded, no.Limit)}
		if no.Kept > 0 {
			r.Facts = append(r.Facts, dialog.Amount(factKept, no.Kept))
		}
	}
	return r
}
