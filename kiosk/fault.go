package kiosk

import (
	"context"
	"errors"

	"quancun/kiosk/dialog"
	"quancun/kiosk/rules"
	"quancun/kiosk/service"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Code is what a person reads out on the telephone, such as E-2103. Codes are
// printed on receipts and in the manual, so they are never reused.
type Code int

// The codes. Their words, in every language, are in assets/lang.
const (
	CodeInternal Code = 1000 // report it: the program is wrong
	CodeJournal  Code = 1001 // the journal cannot be written
	CodeFull     Code = 1002 // the disk is full
	CodeClock    Code = 1003 // the clock is wrong
	CodeOffline  Code = 1101 // the upstream cannot be reached
	CodeTerminal Code = 1102 // the upstream does not know this terminal
	CodeNoReader Code = 2001 // no card reader
	CodeNoSAM    Code = 2002 // the SAM does not do its part

	CodeForeignCard  Code = 2101 // not a campus card
	CodeNotEnabled   Code = 2102 // a campus card that was never issued
	CodeExpired      Code = 2103
	CodeNotStarted   Code = 2104
	CodeHot          Code = 2105 // reported lost
	CodeUnknownCard  Code = 2106 // not known upstream
	CodeRetired      Code = 2107 // replaced by another card
	CodeCardSilent   Code = 2108 // it did not answer, or was lifted
	CodeCardRefused  Code = 2109 // it answered no
	CodeNotGenuine   Code = 2110 // MAC1 is wrong
	CodeCardAhead    Code = 2111 // it holds more than was ever loaded
	CodeKept         Code = 2112 // reported lost, and its owner is being told that it lies here
	CodePINLocked    Code = 2201 // upstream
	CodeCardPIN      Code = 2202 // the card's own PIN is another one
	CodeCardPINLock  Code = 2203 // the card's own PIN is locked
	CodeSessionOver  Code = 2204
	CodeNotStaff     Code = 2301 // not a card of the staff
	CodeStaffLocked  Code = 2302 // PIN of a member of the staff
	CodeStaffAway    Code = 2303 // upstream is away, and the last sign-in too long ago
	CodeForbidden    Code = 2304 // the role does not do this
	CodeAmount       Code = 3001 // out of range
	CodeCap          Code = 3002 // the balance would exceed its cap
	CodeNoChannel    Code = 3003 // the payment service refused the order
	CodeConflict     Code = 3004 // the order number exists with other content
	CodeLoadRefused  Code = 3101 // on the account; the card was not written
	CodeLoadDoubt    Code = 3102 // on the account; the card has to be seen again
	CodeLoadNoAnswer Code = 3103 // on the account; the upstream was away before the card was written
	CodeUnclear      Code = 3201 // a vendor has answered, and nobody knows what it means
	CodeSilent       Code = 3202 // a look-up was not answered, by a vendor or on the way there
	CodeUnread       Code = 3203 // none of a room's meters was read
	CodeBaths        Code = 3204 // the baths could not be looked up
	CodePurseShort   Code = 4001 // the purse holds less than the price
	CodeNotEnough    Code = 4002 // the account has less than the price
	CodeAlone        Code = 4003 // more than may be sold while the upstream is away
	CodePaidBefore   Code = 4004 // an earlier sale of this card turned out to be paid
	CodeOldList      Code = 4005 // the list of what was lost is too old to sell while the upstream is away
	CodePast         Code = 4006 // nobody can tell what was sold earlier today, and the upstream is away
	CodeSaleDoubt    Code = 4101 // nobody knows whether the card has paid
	CodeSaleForged   Code = 4102 // the card says that it has paid, and could not prove itself
	CodePayDoubt     Code = 4103 // nobody knows whether a code has paid
	CodePayOffline   Code = 4201 // this way of paying needs the upstream
	CodePayForeign   Code = 4202 // code of another school or service
	CodePayInvalid   Code = 4203 // code is not whole, or not genuine
	CodePayExpired   Code = 4204 // code has expired
	CodePayEarly     Code = 4205 // code is from the future
	CodePaySpent     Code = 4206 // code was used before
	CodePayRevoked   Code = 4207 // phone or account was reported lost
	CodePayAllowance Code = 4208 // more than this code may pay while the upstream is away
	CodePayPIN       Code = 4209 // above the daily limit a code does not do
	CodePayRefused   Code = 4210 // the payer, or the payer's bank, has said no
	CodePayClosed    Code = 4211 // the upstream has not sent what this way of paying needs
	CodePayReturned  Code = 4212 // paid too late, and given back
)

// Codes lists every code, for the tests that look for its words.
var Codes = []Code{
	CodeInternal, CodeJournal, CodeFull, CodeClock, CodeOffline, CodeTerminal, CodeNoReader, CodeNoSAM,
	CodeForeignCard, CodeNotEnabled, CodeExpired, CodeNotStarted, CodeHot, CodeUnknownCard, CodeRetired,
	CodeCardSilent, CodeCardRefused, CodeNotGenuine, CodeCardAhead, CodeKept,
	CodePINLocked, CodeCardPIN, CodeCardPINLock, CodeSessionOver,
	CodeNotStaff, CodeStaffLocked, CodeStaffAway, CodeForbidden,
	CodeAmount, CodeCap, CodeNoChannel, CodeConflict, CodeLoadRefused, CodeLoadDoubt, CodeLoadNoAnswer,
	CodeUnclear, CodeSilent, CodeUnread, CodeBaths,
	CodePurseShort, CodeNotEnough, CodeAlone, CodePaidBefore, CodeOldList, CodePast, CodeSaleDoubt, CodeSaleForged,
	CodePayDoubt,
	CodePayOffline, CodePayForeign, CodePayInvalid, CodePayExpired, CodePayEarly, CodePaySpent, CodePayRevoked,
	CodePayAllowance, CodePayPIN, CodePayRefused, CodePayClosed, CodePayReturned,
}

// Doubt reports whether c says that nobody knows what has become of somebody's
// money. It is then never shown as refused.
func (c Code) Doubt() bool { return c == CodeSaleDoubt || c == CodeSaleForged || c == CodePayDoubt }

// reasons says which code a refusal of the upstream has.
var reasons = map[client.Reason]Code{
	client.CardIsUnknown:    CodeUnknownCard,
	client.CardIsHot:        CodeHot,
	client.CardIsRetired:    CodeRetired,
	client.PINLocked:        CodePINLocked,
	client.ChallengeSpent:   CodeSessionOver,
	client.SessionOver:      CodeSessionOver,
	client.AmountOutOfRange: CodeAmount,
	client.BalanceCap:       CodeCap,
	client.OrderConflict:    CodeConflict,
	client.ChannelRefused:   CodeNoChannel,
	client.MAC1Wrong:        CodeNotGenuine,
	client.NothingToLoad:    CodeLoadRefused,
	client.LoadDone:         CodeLoadRefused,
	client.LoadConflict:     CodeLoadRefused,
	client.CardAhead:        CodeCardAhead,
	client.TerminalUnknown:  CodeTerminal,
	client.NotEnough:        CodeNotEnough,
	client.AccountUnknown:   CodeUnknownCard,
	client.AttemptConflict:  CodeConflict,
	client.NotSaid:          CodeUnclear,
}

// causes says which code an error has, the most telling first.
var causes = []struct {
	err  error
	code Code
}{
	{ledger.ErrFailed, CodeJournal}, // a full disk may be why, and a restart is needed all the same
	{ledger.ErrFull, CodeFull},
	{ledger.ErrTampered, CodeJournal},
	{ledger.ErrUnsafe, CodeJournal},
	{ledger.ErrConflict, CodeConflict},
	{ErrSaleInDoubt, CodeSaleDoubt},
	{ErrNotGenuine, CodeSaleForged},
	{ErrPaidBefore, CodePaidBefore},
	{ErrInDoubt, CodeLoadDoubt},
	{ErrKept, CodeKept},
	{rules.ErrHot, CodeHot},
	{rules.ErrPurse, CodePurseShort},
	{rules.ErrSale, CodeAlone},
	{rules.ErrDay, CodeAlone},
	{rules.ErrHour, CodeAlone},
	{rules.ErrList, CodeOldList},
	{rules.ErrKeys, CodeOldList},
	{rules.ErrPast, CodePast},
	{rules.ErrQueue, CodeAlone},
	{tender.ErrUnknown, CodePayDoubt},
	{tender.ErrOffline, CodePayOffline},
	{tender.ErrForeign, CodePayForeign},
	{tender.ErrInvalid, CodePayInvalid},
	{tender.ErrExpired, CodePayExpired},
	{tender.ErrEarly, CodePayEarly},
	{tender.ErrSpent, CodePaySpent},
	{tender.ErrRevoked, CodePayRevoked},
	{tender.ErrAllowance, CodePayAllowance},
	{tender.ErrPIN, CodePayPIN},
	{tender.ErrNotEnough, CodeNotEnough},
	{tender.ErrClosed, CodePayClosed},
	{tender.ErrReturned, CodePayReturned},
	{tender.ErrRefused, CodePayRefused},
	{ErrNoSAM, CodeNoSAM},
	{ErrCardPINLock, CodeCardPINLock},
	{ErrCardPIN, CodeCardPIN},
	{service.ErrSilent, CodeSilent},
	{service.ErrUnread, CodeUnread},
	{service.ErrBaths, CodeBaths},
	{ErrNoAnswer, CodeOffline},
	{ErrCardGone, CodeCardSilent},
	{purse.ErrForeign, CodeForeignCard},
	{purse.ErrLocked, CodeHot},
	{purse.ErrNotEnabled, CodeNotEnabled},
	{purse.ErrNotStarted, CodeNotStarted},
	{purse.ErrExpired, CodeExpired},
	{purse.ErrZeroMAC, CodeNotGenuine},
	{errForged, CodeNotGenuine},
	{apdu.ErrNoAnswer, CodeCardSilent},
	{context.DeadlineExceeded, CodeOffline},
}

// Explain returns the code of an error that came from the upstream, the card
// or the journal. It is the one place where errors become codes; what it does
// not know is CodeInternal, and its caller logs the error whole.
func Explain(err error) Code {
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		if code, ok := reasons[no.Reason]; ok {
			return code
		}
		return CodeInternal
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if apdu.Answered(err) {
		return CodeCardRefused
	}
	return CodeInternal
}

// HowEnded returns how a script has ended that returned err, and why not: by its
// code, or in words of its own. What is for somebody to look after although it has
// words, such as an answer that nobody understands, or none, has a code beside them.
func HowEnded(err error) (how dialog.Outcome, code Code, why dialog.Word) {
	switch {
	case err == nil:
		return dialog.Done, 0, ""
	case errors.Is(err, tender.ErrUnknown), Explain(err).Doubt():
		how = dialog.Unknown
	default:
		how = dialog.Refused
	}
	if r := (*dialog.Refusal)(nil); errors.As(err, &r) {
		return how, beside(err), r.Why
	}
	return how, Explain(err), ""
}

// beside returns the code that a refusal has beside its words; 0: none. Without it
// nobody could say on the telephone which of the machines in the middle is silent.
func beside(err error) Code {
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		if no.Reason == client.NotSaid {
			return CodeUnclear
		}
		return 0
	}
	for _, silent := range []error{service.ErrSilent, service.ErrUnread, service.ErrBaths, ErrNoAnswer} {
		if errors.Is(err, silent) {
			return Explain(err)
		}
	}
	return 0
}
