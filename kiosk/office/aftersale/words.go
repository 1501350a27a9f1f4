package aftersale

import (
	"quancun/kiosk/office"
	"quancun/kiosk/refund"
)

// The tasks.
const (
	Refund  office.Word = "refund"
	Void    office.Word = "void"
	Query   office.Word = "query"
	Copy    office.Word = "copy"
	Printer office.Word = "printer"
)

// How the printer is. Those but the first two keep it from printing.
const (
	PrinterReady  office.Word = "printer.ready"
	PrinterLow    office.Word = "printer.low"   // the roll is near its end
	PrinterOut    office.Word = "printer.out"   // of paper
	PrinterCover  office.Word = "printer.cover" // it is open
	PrinterFault  office.Word = "printer.fault"
	PrinterAway   office.Word = "printer.away"
	PrinterUnsure office.Word = "printer.unsure" // it fell silent in the middle
	NoReceipt     office.Word = "copy.none"      // there is nothing of which one could be made
)

// Questions.
const (
	whichSale   office.Word = "sale.which"
	byNumber    office.Word = "sale.bynumber"
	saleNumber  office.Word = "sale.number"
	howMuch     office.Word = "refund.howmuch"
	allOfIt     office.Word = "refund.all"
	partOfIt    office.Word = "refund.part"
	amountBack  office.Word = "refund.amount"
	whyBack     office.Word = "refund.why"
	sureRefund  office.Word = "refund.sure"
	whyVoid     office.Word = "void.why"
	sureVoid    office.Word = "void.sure"
	whichQuery  office.Word = "query.which"
	whichCopy   office.Word = "copy.which"
	askPrinter  office.Word = "printer.what"
	printIt     office.Word = "printer.print"
	seenPrinter office.Word = "printer.seen"
)

// Why a sale is given back. What the journal has of it is the last part.
const (
	whyGoods office.Word = "refund.why.goods"
	wrongSum office.Word = "refund.why.price"
	paidTwo  office.Word = "refund.why.twice"
	changed  office.Word = "refund.why.mind"
	whyOther office.Word = "refund.why.other"
)

// reasons are the choices, with what the journal keeps of each: never changed.
var reasons = []struct {
	word office.Word
	kept string
}{
	{wrongSum, "price"}, {paidTwo, "twice"}, {whyGoods, "goods"}, {changed, "mind"}, {whyOther, "other"},
}

// What is being done.
const (
	workRefund  office.Word = "refund.work"
	workQuery   office.Word = "query.work"
	workPrinter office.Word = "printer.work"
)

// Facts.
const (
	fAmount   office.Word = "fact.amount"
	fTime     office.Word = "fact.time"
	fNumber   office.Word = "fact.number"
	fMeans    office.Word = "fact.means"
	fCard     office.Word = "fact.card"
	fGiven    office.Word = "fact.given"
	fLeft     office.Word = "fact.left"
	fBack     office.Word = "fact.back"
	fWhy      office.Word = "fact.why"
	fSource   office.Word = "fact.source"
	fOriginal office.Word = "fact.original"
	fSecond   office.Word = "fact.second"
	fState    office.Word = "fact.state"
	fCopyNo   office.Word = "fact.copy"
	fPrinter  office.Word = "fact.printer"
	fWaiting  office.Word = "fact.waiting"
	fPrinted  office.Word = "fact.printed"
)

// Where the money comes from, and goes back to.
const (
	meansCard   office.Word = "means.card"
	meansCode   office.Word = "means.code"
	meansWallet office.Word = "means.wallet"
	toCard      office.Word = "refund.to.card"
	toAccount   office.Word = "refund.to.account"
	toWallet    office.Word = "refund.to.wallet"
)

var means = map[refund.Source]office.Word{
	refund.FromCard: meansCard, refund.FromAccount: meansCode, refund.FromChannel: meansWallet,
}

var goesTo = map[refund.Source]office.Word{
	refund.FromCard: toCard, refund.FromAccount: toAccount, refund.FromChannel: toWallet,
}

// How a payment stands.
const (
	statePaid    office.Word = "state.paid"
	stateNotPaid office.Word = "state.notpaid"
	stateOpen    office.Word = "state.open"    // nobody knows yet
	stateCard    office.Word = "state.card"    // nobody knows yet, and the card has to be seen
	stateAllBack office.Word = "state.allback" // it was paid, and all of it was given back
	stateReturn  office.Word = "state.return"  // a refund that the wallet is being asked for
	stateBack    office.Word = "state.back"    // a refund that was made
	stateNotBack office.Word = "state.notback" // a refund that was not
)

// What to do now.
const (
	nextHand  office.Word = "next.hand"  // over what was paid
	nextAgain office.Word = "next.again" // it can be paid again
	nextWait  office.Word = "next.wait"  // and ask again
	nextCard  office.Word = "next.card"  // have the card laid down
)

// Why not. Nothing has happened.
const (
	noSale      office.Word = "sale.none"
	noCode      office.Word = "sale.nocode"
	notGenuine  office.Word = "sale.forged"
	elsewhere   office.Word = "sale.elsewhere"
	stillOpen   office.Word = "sale.open"
	before      office.Word = "sale.before"
	nothingLeft office.Word = "refund.nothing"
	tooMuch     office.Word = "refund.toomuch"
	needsSecond office.Word = "refund.second"
	noWallet    office.Word = "refund.nowallet"
	walletNo    office.Word = "refund.walletno"
	noLast      office.Word = "void.none"
	lateVoid    office.Word = "void.late"
	partVoid    office.Word = "void.part"
)

// refundOpen says that nobody knows yet whether a wallet has given it back.
const refundOpen office.Word = "refund.open"
