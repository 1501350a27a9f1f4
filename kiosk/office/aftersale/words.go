package aftersale

import (
	"quancun/kiosk/dialog"
	"quancun/kiosk/refund"
)

// The tasks.
const (
	Refund  dialog.Word = "refund"
	Void    dialog.Word = "void"
	Query   dialog.Word = "query"
	Copy    dialog.Word = "copy"
	Printer dialog.Word = "printer"
)

// How the printer is. Those but the first two keep it from printing.
const (
	PrinterReady  dialog.Word = "printer.ready"
	PrinterLow    dialog.Word = "printer.low"   // the roll is near its end
	PrinterOut    dialog.Word = "printer.out"   // of paper
	PrinterCover  dialog.Word = "printer.cover" // it is open
	PrinterFault  dialog.Word = "printer.fault"
	PrinterAway   dialog.Word = "printer.away"
	PrinterUnsure dialog.Word = "printer.unsure" // it fell silent in the middle
	NoReceipt     dialog.Word = "copy.none"      // there is nothing of which one could be made
)

// Questions.
const (
	whichSale   dialog.Word = "sale.which"
	byNumber    dialog.Word = "sale.bynumber"
	saleNumber  dialog.Word = "sale.number"
	whichNumber dialog.Word = "sale.restored" // has the number, which may have been given twice
	olderSale   dialog.Word = "sale.older"    // none of those that have the number
	howMuch     dialog.Word = "refund.howmuch"
	allOfIt     dialog.Word = "refund.all"
	partOfIt    dialog.Word = "refund.part"
	amountBack  dialog.Word = "refund.amount"
	whyBack     dialog.Word = "refund.why"
	sureRefund  dialog.Word = "refund.sure"
	whyVoid     dialog.Word = "void.why"
	sureVoid    dialog.Word = "void.sure"
	whichQuery  dialog.Word = "query.which"
	whichCopy   dialog.Word = "copy.which"
	askPrinter  dialog.Word = "printer.what"
	printIt     dialog.Word = "printer.print"
	seenPrinter dialog.Word = "printer.seen"
)

// Why a sale is given back. What the journal has of it is the last part.
const (
	whyGoods dialog.Word = "refund.why.goods"
	wrongSum dialog.Word = "refund.why.price"
	paidTwo  dialog.Word = "refund.why.twice"
	changed  dialog.Word = "refund.why.mind"
	whyOther dialog.Word = "refund.why.other"
)

// reasons are the choices, with what the journal keeps of each: never changed.
var reasons = []struct {
	word dialog.Word
	kept string
}{
	{wrongSum, "price"}, {paidTwo, "twice"}, {whyGoods, "goods"}, {changed, "mind"}, {whyOther, "other"},
}

// What is being done.
const (
	workRefund  dialog.Word = "refund.work"
	workQuery   dialog.Word = "query.work"
	workPrinter dialog.Word = "printer.work"
)

// Facts.
const (
	fAmount   dialog.Word = "fact.amount"
	fTime     dialog.Word = "fact.time"
	fNumber   dialog.Word = "fact.number"
	fMeans    dialog.Word = "fact.means"
	fCard     dialog.Word = "fact.card"
	fGiven    dialog.Word = "fact.given"
	fLeft     dialog.Word = "fact.left"
	fBack     dialog.Word = "fact.back"
	fWhy      dialog.Word = "fact.why"
	fSource   dialog.Word = "fact.source"
	fOriginal dialog.Word = "fact.original"
	fSecond   dialog.Word = "fact.second"
	fState    dialog.Word = "fact.state"
	fCopyNo   dialog.Word = "fact.copy"
	fPrinter  dialog.Word = "fact.printer"
	fWaiting  dialog.Word = "fact.waiting"
	fPrinted  dialog.Word = "fact.printed"
)

// Where the money comes from, and goes back to.
const (
	meansCard   dialog.Word = "means.card"
	meansCode   dialog.Word = "means.code"
	meansWallet dialog.Word = "means.wallet"
	toCard      dialog.Word = "refund.to.card"
	toAccount   dialog.Word = "refund.to.account"
	toWallet    dialog.Word = "refund.to.wallet"
)

var means = map[refund.Source]dialog.Word{
	refund.FromCard: meansCard, refund.FromAccount: meansCode, refund.FromChannel: meansWallet,
}

var goesTo = map[refund.Source]dialog.Word{
	refund.FromCard: toCard, refund.FromAccount: toAccount, refund.FromChannel: toWallet,
}

// How a payment stands.
const (
	statePaid    dialog.Word = "state.paid"
	stateNotPaid dialog.Word = "state.notpaid"
	stateOpen    dialog.Word = "state.open"    // nobody knows yet
	stateCard    dialog.Word = "state.card"    // nobody knows yet, and the card has to be seen
	stateAllBack dialog.Word = "state.allback" // it was paid, and all of it was given back
	stateReturn  dialog.Word = "state.return"  // a refund that the wallet is being asked for
	stateBack    dialog.Word = "state.back"    // a refund that was made
	stateNotBack dialog.Word = "state.notback" // a refund that was not
)

// What to do now.
const (
	nextHand  dialog.Word = "next.hand"  // over what was paid
	nextAgain dialog.Word = "next.again" // it can be paid again
	nextWait  dialog.Word = "next.wait"  // and ask again
	nextCard  dialog.Word = "next.card"  // have the card laid down
)

// Why not. Nothing has happened.
const (
	noSale      dialog.Word = "sale.none"
	noCode      dialog.Word = "sale.nocode"
	notGenuine  dialog.Word = "sale.forged"
	elsewhere   dialog.Word = "sale.elsewhere"
	stillOpen   dialog.Word = "sale.open"
	before      dialog.Word = "sale.before"
	nothingLeft dialog.Word = "refund.nothing"
	tooMuch     dialog.Word = "refund.toomuch"
	needsSecond dialog.Word = "refund.second"
	noWallet    dialog.Word = "refund.nowallet"
	walletNo    dialog.Word = "refund.walletno"
	noLast      dialog.Word = "void.none"
	lateVoid    dialog.Word = "void.late"
	partVoid    dialog.Word = "void.part"
)

// refundOpen says that nobody knows yet whether a wallet has given it back.
const refundOpen dialog.Word = "refund.open"
