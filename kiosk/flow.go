// Package kiosk is what happens at the terminal, in order, for every service
// of its faces. It joins the card, the journal and the upstream, which do not
// know each other, and it refuses to know how anything looks: it shows a
// [View] and takes an [Input].
//
// A flow is a table (flow.go): the steps, the events, and what leads where.
// [Session] owns it: one goroutine holds the card, performs what a step asks
// for, and writes down before and after each act. Three outcomes are kept
// apart all the way: done, refused, and unknown; unknown is never shown as
// failed.
//
// Section numbers refer to the project's design: rules of money (2), protocols
// (3) and invariants (5).
package kiosk

import "time"

// Step is where a person stands at the terminal. Every step has one screen, a
// timeout, a way out, and an owner for the money that is open in it: see
// [Step.Rule]. The numbers appear in logs and screenshots: never renumbered, and 7 never
// given again.
type Step int

// The steps, in the order in which a top-up walks through them.
const (
	Home       Step = 1  // attract screen with the services
	Present    Step = 2  // lay down your card
	Reading    Step = 3  // card is being read
	EnterPIN   Step = 4  // six digits
	SigningIn  Step = 5  // upstream and card check the PIN
	Account    Step = 6  // balance, what is open, what can be done
	CardLog    Step = 8  // the card's own log
	Amount     Step = 9  // how much to top up
	OtherSum   Step = 10 // the same, by keypad
	Ordering   Step = 11 // upstream makes the order
	Pay        Step = 12 // QR code with a countdown
	Cancelling Step = 13 // asking whether the order was paid after all
	Unpaid     Step = 14 // order closed, nothing was charged
	Checking   Step = 15 // nobody knows yet whether it was paid
	Replace    Step = 16 // paid; the same card has to come back
	Rereading  Step = 17 // is it the same card?
	ReenterPIN Step = 18 // the card forgot the PIN when it left
	Unlocking  Step = 19 // the card checks it again
	Loading    Step = 20 // card is being written: do not remove
	Doubt      Step = 21 // card left while it was being written
	Settling   Step = 22 // card is back and is asked what it did
	Done       Step = 23 // purse and account are level
	OnAccount  Step = 24 // money is on the account, not on the card
	Fault      Step = 25 // what went wrong, its code, and what to do
	TakeCard   Step = 26 // please take your card
	OutOfOrder Step = 27 // the machine takes nobody's money now
	CardOnly   Step = 28 // upstream is away: what the card itself says

	// A service, whose questions are its own: see package service.
	Serving Step = 29 // it asks
	AtWork  Step = 30 // it works: nobody stops it
	Served  Step = 31 // what came of it
)

// Event is something that happened at the terminal. 3 is never given again.
type Event int

// The events. Those up to Leave come from the person, the rest from the card,
// the upstream, the clock and the machine itself.
const (
	ChoseTopUp    Event = 1 // tile or button
	ChoseAccount  Event = 2
	ChoseCardLog  Event = 4
	ChoseLevel    Event = 5 // bring the card level with the account
	ChoseOther    Event = 6 // another amount
	Typed         Event = 7 // a PIN was typed
	TypedAmount   Event = 8 // an amount was chosen or typed
	Back          Event = 9
	Leave         Event = 10 // cancel, finish, close
	CardIn        Event = 11
	CardOut       Event = 12
	CardRead      Event = 13 // a card of ours, and usable
	SignedIn      Event = 14 // to the account page
	SignedInTopUp Event = 15 // to the amounts
	PINWrong      Event = 16
	Ordered       Event = 17
	Paid          Event = 18 // and credited upstream
	Closed        Event = 19 // order can not be paid any more
	NotKnown      Event = 20 // the outcome of the order
	Failed        Event = 21 // refused, or not possible now; the fault says why
	Loaded        Event = 22
	Level         Event = 23 // nothing to load
	NeedPIN       Event = 24
	NotLoaded     Event = 25 // certainly not written, and not to be tried again now
	CardGone      Event = 26 // certainly not written, the card is away
	Silent        Event = 27 // the card said nothing to the write
	OtherCard     Event = 28 // not the one that this is about
	Timeout       Event = 29
	Broken        Event = 30 // the machine must not take money
	Mended        Event = 31
	SignedInLevel Event = 32 // to bringing the purse level at once
	Offline       Event = 33 // the card is readable, the upstream is not

	SignedInService Event = 34 // to the service that was chosen
	Answered        Event = 35 // the person has answered the service
	Asked           Event = 36 // the service asks
	Ended           Event = 37 // the service has ended, or what it waited for has
	WentBack        Event = 38 // the service was left, and somebody is signed in
	WentAway        Event = 39 // and nobody is

	ChoseService     Event = 41 // one that wants a sign-in; from the person, as the next
	ChoseOpenService Event = 42 // one that wants none

	StaffCard Event = 44 // it is one of the staff's, who are served at another face

	WentOnTopUp   Event = 45 // what came first has ended, and the person came to top up
	WentOnService Event = 46 // likewise, for another service
)

// steps is the whole flow: what each event leads to from each step. A pair
// that is missing cannot happen there, or does not matter when it does.
var steps = map[Step]map[Event]Step{
	Home: {ChoseTopUp: Present, ChoseAccount: Present, ChoseService: Present, ChoseOpenService: AtWork,
		CardIn: Reading, Broken: OutOfOrder},
	Present: {CardIn: Reading, Leave: Home, Timeout: Home, Broken: OutOfOrder},
	Reading: {CardRead: EnterPIN, Offline: CardOnly, StaffCard: Home, Failed: Fault, CardOut: Home,
		Timeout: Fault},
	CardOnly: {Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	EnterPIN: {Typed: SigningIn, Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	SigningIn: {SignedIn: Account, SignedInTopUp: Amount, SignedInLevel: Loading, SignedInService: AtWork,
		PINWrong: EnterPIN, Failed: Fault, CardOut: Home, Timeout: Fault},
	Account: {ChoseTopUp: Amount, ChoseCardLog: CardLog, ChoseLevel: Loading,
		ChoseService: AtWork, Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	CardLog: {Back: Account, Leave: TakeCard, CardOut: Home, Timeout: TakeCard, Failed: Fault},
	Amount: {TypedAmount: Ordering, ChoseOther: OtherSum, Back: Account, Leave: TakeCard,
		CardOut: Home, Timeout: TakeCard},
	OtherSum: {TypedAmount: Ordering, Back: Amount, Leave: TakeCard, CardOut: Home, Timeout: TakeCard},

	// Nothing leads out of a service's work but the service. What came of it is
	// also read by who has the card in the hand already.
	Serving: {Answered: AtWork, Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	AtWork:  {Asked: Serving, Ended: Served, WentBack: Account, WentAway: TakeCard},
	Served: {Ended: Served, Back: Account, WentOnTopUp: Amount, WentOnService: AtWork, Leave: TakeCard,
		Timeout: TakeCard},

	// From here on an order may exist: nothing leads out of these steps but an
	// answer about it. A card that leaves changes nothing.
	Ordering:   {Ordered: Pay, Paid: Loading, Closed: Unpaid, Failed: Fault, NotKnown: Cancelling, Timeout: Cancelling},
	Pay:        {Paid: Loading, Closed: Unpaid, NotKnown: Cancelling, Leave: Cancelling, Timeout: Cancelling},
	Cancelling: {Paid: Loading, Closed: Unpaid, NotKnown: Checking, Timeout: Checking},
	Unpaid:     {Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	Checking:   {Paid: Loading, Closed: Unpaid, Leave: TakeCard, Timeout: TakeCard},

	// The money is on the account. What follows brings the card level with it.
	Replace: {CardIn: Rereading, Leave: OnAccount, Timeout: OnAccount},
	Rereading: {CardRead: ReenterPIN, SignedIn: Loading, OtherCard: Replace, CardOut: Replace,
		Failed: Replace, Timeout: OnAccount},
	ReenterPIN: {Typed: Unlocking, CardOut: Replace, Leave: OnAccount, Timeout: OnAccount},
	Unlocking:  {SignedIn: Loading, PINWrong: ReenterPIN, Failed: OnAccount, CardOut: Replace, Timeout: OnAccount},
	Loading: {Loaded: Done, Level: Done, NeedPIN: ReenterPIN, NotLoaded: OnAccount,
		CardGone: Replace, OtherCard: Replace, Silent: Doubt},
	Doubt: {CardIn: Settling, Leave: OnAccount, Timeout: OnAccount},
	Settling: {Loaded: Done, NeedPIN: ReenterPIN, NotLoaded: OnAccount, CardGone: Doubt,
		OtherCard: Doubt, Silent: Doubt},

	Done:       {ChoseAccount: Account, Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	OnAccount:  {Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	Fault:      {Leave: TakeCard, CardOut: Home, Timeout: TakeCard},
	TakeCard:   {CardOut: Home, Timeout: Home},
	OutOfOrder: {Mended: Home},
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

// Owner says in whose hands money is while a person stands at a step.
type Owner int

// The owners.
const (
	Nobody    Owner = 1 // nothing is on its way
	Order     Owner = 2 // an order may be paid; the upstream watches it to its end
	InAccount Owner = 3 // credited; the card is behind and will be brought level
	InCard    Owner = 4 // the card is being written; the journal has the intent
)

// Rule is what a step owes the person who stands at it.
type Rule struct {
	// Timeout ends the step by the event of that name. For a step without that
	// event it bounds the work of the terminal itself, which ends by itself
	// within it: see loadMax.
	Timeout time.Duration
	// Warns says that the person is asked before the timeout, and may have more
	// time.
	Warns bool
	// Holds is who has the money in this step.
	Holds Owner
}

// warnBefore is how long before its end a step asks whether more time is
// wanted: at least 20 s, WCAG 2.2 success criterion 2.2.1.
const warnBefore = 20 * time.Second

var stepRules = map[Step]Rule{
	Home:       {Holds: Nobody}, // nobody stands here
	OutOfOrder: {Holds: Nobody},
	Present:    {45 * time.Second, true, Nobody},
	Reading:    {15 * time.Second, false, Nobody},
	CardOnly:   {60 * time.Second, true, Nobody},
	EnterPIN:   {60 * time.Second, true, Nobody},
	SigningIn:  {30 * time.Second, false, Nobody},
	Account:    {75 * time.Second, true, Nobody},
	CardLog:    {75 * time.Second, true, Nobody},
	Amount:     {60 * time.Second, true, Nobody},
	OtherSum:   {60 * time.Second, true, Nobody},
	Serving:    {75 * time.Second, true, Nobody},
	AtWork:     {workMax, false, Order},
	Served:     {60 * time.Second, true, Nobody},
	Ordering:   {25 * time.Second, false, Order},
	Pay:        {120 * time.Second, false, Order}, // the policy's pay time, where there is one
	Cancelling: {25 * time.Second, false, Order},
	Checking:   {75 * time.Second, true, Order},
	Unpaid:     {30 * time.Second, false, Nobody},
	Replace:    {90 * time.Second, true, InAccount},
	Rereading:  {15 * time.Second, false, InAccount},
	ReenterPIN: {60 * time.Second, true, InAccount},
	Unlocking:  {30 * time.Second, false, InAccount},
	Loading:    {loadMax, false, InCard},
	Doubt:      {120 * time.Second, true, InCard},
	Settling:   {loadMax, false, InCard},
	Done:       {30 * time.Second, false, Nobody},
	OnAccount:  {45 * time.Second, false, Nobody},
	Fault:      {45 * time.Second, false, Nobody},
	TakeCard:   {30 * time.Second, false, Nobody},
}

// unhurried is how many times longer a step waits for a person who has asked for it.
// WCAG 2.2.1 lets a limit be put off ten times, which [MoreTime] does; who reads or
// moves slowly should not have to.
const unhurried = 3

// waits reports whether s waits for the person, and not for the machine, nor for an
// order that ends by itself.
func (s Step) waits() bool {
	_, leaves := s.Next(Leave)
	return (leaves || s == TakeCard) && s != Pay
}

// loadMax bounds the work of one load: five APDUs of at most three seconds
// and two calls of at most ten.
const loadMax = 40 * time.Second

// workMax is how long the work of a service may take: a few calls of the upstream,
// of which each has its deadline.
const workMax = 60 * time.Second

// Rule returns what s owes the person.
func (s Step) Rule() Rule { return stepRules[s] }

// Held reports whether money is on its way in s, so that the machine may
// neither restart nor go out of service.
func (s Step) Held() bool { return s.Rule().Holds != Nobody }
