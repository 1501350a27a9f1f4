package kiosk

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
	CodePINLocked    Code = 2201 // upstream
	CodeCardPIN      Code = 2202 // the card's own PIN is another one
	CodeCardPINLock  Code = 2203 // the card's own PIN is locked
	CodeSessionOver  Code = 2204
	CodeAmount       Code = 3001 // out of range
	CodeCap          Code = 3002 // the balance would exceed its cap
	CodeNoChannel    Code = 3003 // the payment service refused the order
	CodeConflict     Code = 3004 // the order number exists with other content
	CodeLoadRefused  Code = 3101 // on the account; the card was not written
	CodeLoadDoubt    Code = 3102 // on the account; the card has to be seen again
	CodeLoadNoAnswer Code = 3103 // on the account; the upstream was away before the card was written
)

// Codes lists every code, for the tests that look for its words.
var Codes = []Code{
	CodeInternal, CodeJournal, CodeFull, CodeClock, CodeOffline, CodeTerminal, CodeNoReader,
	CodeForeignCard, CodeNotEnabled, CodeExpired, CodeNotStarted, CodeHot, CodeUnknownCard, CodeRetired,
	CodeCardSilent, CodeCardRefused, CodeNotGenuine, CodeCardAhead,
	CodePINLocked, CodeCardPIN, CodeCardPINLock, CodeSessionOver,
	CodeAmount, CodeCap, CodeNoChannel, CodeConflict, CodeLoadRefused, CodeLoadDoubt, CodeLoadNoAnswer,
}
