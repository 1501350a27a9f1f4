package cash

import "quancun/kiosk/office"

// The tasks.
const (
	Open   office.Word = "shift.open"
	In     office.Word = "cash.in"
	Out    office.Word = "cash.out"
	Drop   office.Word = "cash.drop"
	NoSale office.Word = "cash.nosale"
	Count  office.Word = "shift.count"
	X      office.Word = "shift.x"
	Close  office.Word = "shift.close"
	Past   office.Word = "shift.past"
)

// Z is the title of the report that ends a shift.
const Z office.Word = "shift.z"

// Questions.
const (
	askFloat   office.Word = "shift.float.ask"
	sureOpen   office.Word = "shift.open.sure"
	askIn      office.Word = "cash.in.ask"
	sureIn     office.Word = "cash.in.sure"
	askOut     office.Word = "cash.out.ask"
	sureOut    office.Word = "cash.out.sure"
	askDrop    office.Word = "cash.drop.ask"
	sureDrop   office.Word = "cash.drop.sure"
	askWhy     office.Word = "cash.why"
	sureCount  office.Word = "shift.count.sure" // the drawer is unlocked
	askPieces  office.Word = "shift.pieces"
	sureSum    office.Word = "shift.sum.sure"
	askDiffers office.Word = "shift.differs"
	countAgain office.Word = "shift.again"
	sureClose  office.Word = "shift.close.sure"
	sureOther  office.Word = "shift.other.sure" // somebody else has opened it
	whichPast  office.Word = "shift.past.which"
	working    office.Word = "shift.work"
)

// reason is why something is done with the drawer. What the journal has of it
// never changes.
type reason struct {
	word office.Word
	kept string
}

// Reasons.
const (
	forChange   office.Word = "cash.why.change"
	forSwap     office.Word = "cash.why.swap" // large pieces for small ones
	forBank     office.Word = "cash.why.bank"
	forExpense  office.Word = "cash.why.expense"
	forError    office.Word = "cash.why.error" // puts right what was done wrong
	forLook     office.Word = "cash.why.look"
	forOther    office.Word = "cash.why.other"
	wrongChange office.Word = "shift.why.change"
	wrongPiece  office.Word = "shift.why.piece"
	notFound    office.Word = "shift.why.unknown"
)

var (
	whyIn = []reason{
		{forChange, "change"}, {forError, "error"}, {forOther, "other"},
	}
	whyOut = []reason{
		{forSwap, "swap"}, {forExpense, "expense"}, {forBank, "bank"}, {forError, "error"}, {forOther, "other"},
	}
	whyNoSale = []reason{
		{forSwap, "swap"}, {forLook, "look"}, {forError, "error"}, {forOther, "other"},
	}
	whyDiffers = []reason{
		{wrongChange, "wrong change"}, {wrongPiece, "bad piece"}, {notFound, "unknown"}, {forOther, "other"},
	}
)

// Why not.
const (
	alreadyOpen office.Word = "shift.already"
	notOpen     office.Word = "shift.none"
	notCounted  office.Word = "shift.uncounted"
	notAmount   office.Word = "cash.notamount"
	notThere    office.Word = "cash.short" // the drawer does not hold as much
	noKick      office.Word = "cash.nokick"
	noPast      office.Word = "shift.past.none"
)

// What to do now.
const (
	closeIt  office.Word = "next.drawer" // close the drawer
	byKey    office.Word = "next.key"    // open it with the key
	handOver office.Word = "next.handover"
)

// Facts.
const (
	fAmount      office.Word = "fact.amount"
	fWhy         office.Word = "fact.why"
	fBy          office.Word = "fact.by"
	fReleased    office.Word = "fact.second"
	fSecond      office.Word = "fact.signed"
	fOpened      office.Word = "fact.opened"
	fOpenedBy    office.Word = "fact.openedby"
	fClosed      office.Word = "fact.closed"
	fCounted     office.Word = "fact.counted"
	fShould      office.Word = "fact.should" // be in the drawer
	fDifference  office.Word = "fact.difference"
	fOver        office.Word = "fact.over"
	fShort       office.Word = "fact.short"
	fSold        office.Word = "fact.sold"
	fCard        office.Word = "fact.sold.card"
	fCardCount   office.Word = "fact.count.card"
	fCode        office.Word = "fact.sold.code"
	fCodeCount   office.Word = "fact.count.code"
	fWallet      office.Word = "fact.sold.wallet"
	fWalletCount office.Word = "fact.count.wallet"
	fRefunds     office.Word = "fact.refunds"
	fRefundCount office.Word = "fact.count.refunds"
	fFees        office.Word = "fact.fees"
	fBrought     office.Word = "fact.brought"
	fFloat       office.Word = "fact.float"
	fCashIn      office.Word = "fact.cashin"
	fCashOut     office.Word = "fact.cashout"
	fTopUps      office.Word = "fact.topups"
	fPayOuts     office.Word = "fact.payouts"
	fNoSales     office.Word = "fact.nosales"
	fPerpetual   office.Word = "fact.perpetual"
	fSuspense    office.Word = "fact.suspense"
	fUnsynced    office.Word = "fact.unsynced"
	fClock       office.Word = "fact.clock"
	fPart        office.Word = "fact.part"
)

// Values.
const (
	none       office.Word = "shift.nodifference"
	afterCount office.Word = "shift.aftercount" // is shown when it was counted
	partly     office.Word = "shift.part"       // the journal was renewed
)
