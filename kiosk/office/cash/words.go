package cash

import (
	"quancun/kiosk/dialog"
)

// The tasks.
const (
	Open   dialog.Word = "shift.open"
	In     dialog.Word = "cash.in"
	Out    dialog.Word = "cash.out"
	Drop   dialog.Word = "cash.drop"
	NoSale dialog.Word = "cash.nosale"
	Count  dialog.Word = "shift.count"
	X      dialog.Word = "shift.x"
	Close  dialog.Word = "shift.close"
	Past   dialog.Word = "shift.past"
)

// Z is the title of the report that ends a shift.
const Z dialog.Word = "shift.z"

// Questions.
const (
	askFloat   dialog.Word = "shift.float.ask"
	sureOpen   dialog.Word = "shift.open.sure"
	askIn      dialog.Word = "cash.in.ask"
	sureIn     dialog.Word = "cash.in.sure"
	askOut     dialog.Word = "cash.out.ask"
	sureOut    dialog.Word = "cash.out.sure"
	askDrop    dialog.Word = "cash.drop.ask"
	sureDrop   dialog.Word = "cash.drop.sure"
	askWhy     dialog.Word = "cash.why"
	sureCount  dialog.Word = "shift.count.sure" // the drawer is unlocked
	askPieces  dialog.Word = "shift.pieces"
	sureSum    dialog.Word = "shift.sum.sure"
	askDiffers dialog.Word = "shift.differs"
	countAgain dialog.Word = "shift.again"
	sureClose  dialog.Word = "shift.close.sure"
	sureOther  dialog.Word = "shift.other.sure" // somebody else has opened it
	whichPast  dialog.Word = "shift.past.which"
	working    dialog.Word = "shift.work"
)

// reason is why something is done with the drawer. What the journal has of it
// never changes.
type reason struct {
	word dialog.Word
	kept string
}

// Reasons.
const (
	forChange   dialog.Word = "cash.why.change"
	forSwap     dialog.Word = "cash.why.swap" // large pieces for small ones
	forBank     dialog.Word = "cash.why.bank"
	forExpense  dialog.Word = "cash.why.expense"
	forError    dialog.Word = "cash.why.error" // puts right what was done wrong
	forLook     dialog.Word = "cash.why.look"
	forOther    dialog.Word = "cash.why.other"
	wrongChange dialog.Word = "shift.why.change"
	wrongPiece  dialog.Word = "shift.why.piece"
	notFound    dialog.Word = "shift.why.unknown"
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
	alreadyOpen dialog.Word = "shift.already"
	notOpen     dialog.Word = "shift.none"
	notCounted  dialog.Word = "shift.uncounted"
	notAmount   dialog.Word = "cash.notamount"
	notThere    dialog.Word = "cash.short" // the drawer does not hold as much
	noKick      dialog.Word = "cash.nokick"
	noPast      dialog.Word = "shift.past.none"
)

// What to do now.
const (
	closeIt  dialog.Word = "next.drawer" // close the drawer
	byKey    dialog.Word = "next.key"    // open it with the key
	handOver dialog.Word = "next.handover"
)

// Facts.
const (
	fAmount      dialog.Word = "fact.amount"
	fWhy         dialog.Word = "fact.why"
	fBy          dialog.Word = "fact.by"
	fReleased    dialog.Word = "fact.second"
	fSecond      dialog.Word = "fact.signed"
	fOpened      dialog.Word = "fact.opened"
	fOpenedBy    dialog.Word = "fact.openedby"
	fClosed      dialog.Word = "fact.closed"
	fCounted     dialog.Word = "fact.counted"
	fShould      dialog.Word = "fact.should" // be in the drawer
	fDifference  dialog.Word = "fact.difference"
	fOver        dialog.Word = "fact.over"
	fShort       dialog.Word = "fact.short"
	fSold        dialog.Word = "fact.sold"
	fCard        dialog.Word = "fact.sold.card"
	fCardCount   dialog.Word = "fact.count.card"
	fCode        dialog.Word = "fact.sold.code"
	fCodeCount   dialog.Word = "fact.count.code"
	fWallet      dialog.Word = "fact.sold.wallet"
	fWalletCount dialog.Word = "fact.count.wallet"
	fRefunds     dialog.Word = "fact.refunds"
	fRefundCount dialog.Word = "fact.count.refunds"
	fFees        dialog.Word = "fact.fees"
	fBrought     dialog.Word = "fact.brought"
	fFloat       dialog.Word = "fact.float"
	fCashIn      dialog.Word = "fact.cashin"
	fCashOut     dialog.Word = "fact.cashout"
	fTopUps      dialog.Word = "fact.topups"
	fPayOuts     dialog.Word = "fact.payouts"
	fNoSales     dialog.Word = "fact.nosales"
	fPerpetual   dialog.Word = "fact.perpetual"
	fSuspense    dialog.Word = "fact.suspense"
	fUnsynced    dialog.Word = "fact.unsynced"
	fClock       dialog.Word = "fact.clock"
	fPart        dialog.Word = "fact.part"
)

// Values.
const (
	none       dialog.Word = "shift.nodifference"
	afterCount dialog.Word = "shift.aftercount" // is shown when it was counted
	partly     dialog.Word = "shift.part"       // the journal was renewed
)
