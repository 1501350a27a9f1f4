// Package till is what happens at a cashier's window, in order: a price, and
// then whatever is presented first, a card on the reader or a code at the
// scanner. It is built as the kiosk's flow is: a table of steps and events
// (flow.go), a [Session] that walks it and owns what the screen shows, and a
// [Desk] that performs what a step asks for and owns the card.
//
// It refuses to know how anything looks, and how money moves: a card is
// [kiosk.Seller]'s, and a code belongs to the [Way] that takes it. Outcomes are
// three all the way: sold, not sold, and "being checked", which is never shown
// as either.
//
// Section numbers refer to the project's design: rules of money (2), protocols
// (3) and invariants (5).
package till

import "time"

// Step is where a sale stands. Every step has one page, a timeout or a reason
// to have none, a way out, and an owner for the money that is open in it: see
// [Step.Rule]. The numbers appear in logs and screenshots: never renumbered.
type Step int

// The steps, in the order in which a sale walks through them.
const (
	Locked       Step = 1  // lay down your staff card
	ReadingStaff Step = 2  // staff card is being read
	StaffPIN     Step = 3  // six digits of the cashier
	SigningIn    Step = 4  // upstream, or this terminal alone, checks them
	Ready        Step = 5  // how much?
	Looking      Step = 6  // a card was laid down without a price: who is it?
	Glance       Step = 7  // it is this one, and holds so much
	Present      Step = 8  // price is set: card or code, please
	Selling      Step = 9  // card is being read and debited: do not remove
	Ask          Step = 10 // same card, same price, a moment ago: once more?
	EnterPIN     Step = 11 // six digits of the holder
	CheckingPIN  Step = 12 // upstream or card check them
	Levelling    Step = 13 // purse is too low and the account is not: it is loaded first
	Doubt        Step = 14 // card left while it was being debited: the same one, please
	Settling     Step = 15 // it is back and is asked what it did
	PaidBefore   Step = 16 // an earlier sale turned out to be paid: is it this one?
	Paying       Step = 17 // a code is being sold to
	Querying     Step = 18 // somebody is asked what became of a payment that nobody knew of
	Sold         Step = 19 // paid
	Declined     Step = 20 // certainly not paid, and why
	Unknown      Step = 21 // being checked: neither hand over nor charge again
	OutOfOrder   Step = 22 // the till takes nobody's money now
	Office       Step = 23 // everything but selling: see package office, which owns it
)

// Event is something that happened at the till.
type Event int

// The events. Those up to Read come from the cashier or the holder, the rest
// from the card, the upstream, the clock and the machine itself.
const (
	Priced    Event = 1 // an amount was keyed, or products were, or one more was scanned
	Typed     Event = 2 // a PIN was typed
	Scanned   Event = 3 // a code came from the scanner
	Confirmed Event = 4 // yes, once more; or: no, the earlier sale is another one
	WasThis   Event = 5 // yes, the earlier sale is this one
	AskAgain  Event = 6 // ask the upstream about a code's payment
	LoadFirst Event = 7 // load the purse from the account, and then sell
	Leave     Event = 8 // back to the price
	Lock      Event = 9 // the cashier goes away, or has been away

	// OpenOffice asks for what else there is to do; who signs in and may not sell
	// is led there.
	OpenOffice Event = 10
	Read       Event = 11 // the oldest news was read

	CardIn     Event = 20
	CardOut    Event = 21
	Retapped   Event = 22 // a card was laid down where it is not asked for
	CardRead   Event = 23
	SignedIn   Event = 24 // a cashier, or the machine without one
	PINRight   Event = 25
	PINWrong   Event = 26
	PINLevel   Event = 27 // right, and the purse has to be loaded before it can pay
	Repeated   Event = 28 // the same as a moment ago
	NeedPIN    Event = 29
	Paid       Event = 30
	NotPaid    Event = 31 // certainly not: the sale begins anew with the card that is there
	Failed     Event = 32 // certainly not; the fault says why
	NotKnown   Event = 33
	Silent     Event = 34 // the card said nothing to the debit
	CardGone   Event = 35 // certainly not debited, and the card is away
	OtherCard  Event = 36 // not the one that this is about
	Leveled    Event = 37 // purse is loaded
	EarlierWas Event = 38 // an earlier sale turned out to be paid
	Timeout    Event = 39
	Broken     Event = 40 // the till must not take money
	Mended     Event = 41
	PINCode    Event = 42 // right, and a code pays
)

// steps is the whole flow: what each event leads to from each step. A pair that
// is missing cannot happen there, or does not matter when it does.
var steps = map[Step]map[Event]Step{
	Locked:       {CardIn: ReadingStaff, SignedIn: Ready, Broken: OutOfOrder},
	ReadingStaff: {CardRead: StaffPIN, Failed: Locked, Timeout: Locked},
	StaffPIN:     {Typed: SigningIn, Leave: Locked, Timeout: Locked},
	SigningIn:    {SignedIn: Ready, OpenOffice: Office, PINWrong: StaffPIN, Failed: Locked, Timeout: Locked},

	Ready: {Priced: Present, CardIn: Looking, OpenOffice: Office, Read: Ready, Lock: Locked, Timeout: Locked,
		Broken: OutOfOrder},
	Looking: {CardRead: Glance, Failed: Declined, Timeout: Declined},
	Glance: {Priced: Present, CardIn: Looking, CardOut: Ready, Leave: Ready, Timeout: Ready, Lock: Locked,
		Broken: OutOfOrder},
	Present: {Priced: Present, CardIn: Selling, Scanned: Paying, Read: Present, Leave: Ready, Timeout: Ready,
		Lock: Locked, Broken: OutOfOrder},

	// From here on a card may be written: nothing but its own word, or its
	// silence, leads out.
	Selling: {Paid: Sold, Repeated: Ask, NeedPIN: EnterPIN, EarlierWas: PaidBefore, Failed: Declined,
		CardGone: Present, Silent: Doubt, NotKnown: Unknown},
	Levelling: {Leveled: Selling, EarlierWas: PaidBefore, Failed: Declined, CardGone: Present, NeedPIN: EnterPIN},
	Doubt:     {CardIn: Settling, Leave: Unknown, Timeout: Unknown},
	Settling: {Paid: Sold, NotPaid: Selling, CardGone: Doubt, OtherCard: Doubt, Silent: Doubt,
		NotKnown: Unknown},

	Ask:      {Confirmed: Present, Leave: Ready, Timeout: Ready},
	EnterPIN: {Typed: CheckingPIN, CardOut: Present, Leave: Ready, Timeout: Ready},
	CheckingPIN: {PINRight: Selling, PINLevel: Levelling, PINCode: Paying, PINWrong: EnterPIN, Failed: Declined,
		CardGone: Present},
	PaidBefore: {WasThis: Sold, Confirmed: Present, Leave: Ready},

	Paying:   {Paid: Sold, NeedPIN: EnterPIN, Failed: Declined, NotKnown: Unknown},
	Querying: {Paid: Sold, Failed: Declined, NotKnown: Unknown},

	Sold: {Priced: Present, CardIn: Selling, Retapped: Looking, Scanned: Paying, Leave: Ready, Timeout: Ready,
		Lock: Locked, Broken: OutOfOrder},
	Declined: {Priced: Present, LoadFirst: EnterPIN, CardIn: Selling, Retapped: Looking, Scanned: Paying,
		Leave: Ready, Timeout: Ready, Lock: Locked},
	Unknown: {CardIn: Settling, AskAgain: Querying, Leave: Ready},

	OutOfOrder: {Mended: Locked},

	// What is done in the office only the office ends.
	Office: {Leave: Ready, Lock: Locked},
}

// Next returns the step after e, and whether e meant anything in s.
//
// Next is a pure function: it reads no clock and touches no device. Whoever
// owns the flow performs what the new step asks for.
func (s Step) Next(e Event) (next Step, ok bool) {
	if next, ok = steps[s][e]; !ok {
		return s, false
	}
	return next, true
}

// Owner says in whose hands money is at a step.
type Owner int

// The owners.
const (
	Nobody   Owner = 1 // nothing is on its way
	Held     Owner = 2 // the upstream may hold the amount until the journal passes the number
	InCard   Owner = 3 // the card is being written; the journal has the intent
	Payment  Owner = 4 // a code's payment; its Way has written it down
	Suspense Owner = 5 // nobody knows; the amount is set aside until there is evidence
)

// Rule is what a step owes those who stand at it.
type Rule struct {
	// Timeout ends the step by the event of that name. For a step without that
	// event it bounds the work of the terminal itself, which ends by itself
	// within it. 0: the step waits, because a person has to say something.
	Timeout time.Duration
	// Holds is who has the money in this step.
	Holds Owner
}

// lockAfter is how long a till that nobody touches stays open. A canteen at
// noon never waits that long, and an afternoon does.
const lockAfter = 10 * time.Minute

// sellMax bounds the work of one sale: some twenty APDUs of at most three
// seconds each, of a card that answers each in the last moment, and the tap's
// budget.
const sellMax = 70 * time.Second

var stepRules = map[Step]Rule{
	Locked:       {Holds: Nobody}, // nobody stands here
	OutOfOrder:   {Holds: Nobody},
	ReadingStaff: {15 * time.Second, Nobody},
	StaffPIN:     {60 * time.Second, Nobody},
	SigningIn:    {30 * time.Second, Nobody},
	Ready:        {lockAfter, Nobody},
	Looking:      {15 * time.Second, Nobody},
	Glance:       {15 * time.Second, Nobody},
	Present:      {90 * time.Second, Nobody},
	Selling:      {sellMax, InCard},
	Levelling:    {40 * time.Second, InCard},
	Doubt:        {120 * time.Second, InCard},
	Settling:     {sellMax, InCard},
	Ask:          {30 * time.Second, Nobody},
	EnterPIN:     {60 * time.Second, Held},
	CheckingPIN:  {30 * time.Second, Held},
	PaidBefore:   {0, Nobody}, // a person has to say
	Paying:       {60 * time.Second, Payment},
	Querying:     {30 * time.Second, Payment},
	Sold:         {20 * time.Second, Nobody},
	Declined:     {30 * time.Second, Nobody},
	Unknown:      {0, Suspense}, // the cashier has to have read it
	Office:       {0, Nobody},   // its pages have times of their own, its tasks owners
}

// Rule returns what s owes.
func (s Step) Rule() Rule { return stepRules[s] }

// Held reports whether money is on its way in s, so that the machine may
// neither restart nor be locked.
func (s Step) Held() bool { return s.Rule().Holds != Nobody }
