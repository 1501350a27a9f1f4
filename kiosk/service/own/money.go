package own

import (
	"context"
	"slices"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
)

// Where money is, and what to do about it.
const (
	topUpWaiting  dialog.Word = "own.topup.waiting"
	topUpChecking dialog.Word = "own.topup.checking"
	topUpLate     dialog.Word = "own.topup.late"
	topUpReturned dialog.Word = "own.topup.returned"
	loadDoubt     dialog.Word = "own.load.doubt"
	purchaseDoubt dialog.Word = "own.purchase.doubt"
	sale          dialog.Word = "own.sale"
	billHeld      dialog.Word = "own.bill.held"
	billChecking  dialog.Word = "own.bill.checking"
	bathReserved  dialog.Word = "own.bath.reserved"
	bathUnsettled dialog.Word = "own.bath.unsettled"
	owed          dialog.Word = "own.owed"
	inquiry       dialog.Word = "own.inquiry"
	notLevel      dialog.Word = "own.not.level"
	notSent       dialog.Word = "own.not.sent"
	darkSale      dialog.Word = "own.dark"
	darkBefore    dialog.Word = "own.dark.before"
	otherwise     dialog.Word = "own.otherwise"

	doWait     dialog.Word = "own.do.wait"
	doPay      dialog.Word = "own.do.pay"
	doLevel    dialog.Word = "own.do.level"
	doReturned dialog.Word = "own.do.returned"
	doLay      dialog.Word = "own.do.lay"
	doTill     dialog.Word = "own.do.till"
	doNothing  dialog.Word = "own.do.nothing"
	doBath     dialog.Word = "own.do.bath"
	doStub     dialog.Word = "own.do.stub"
	doTopUp    dialog.Word = "own.do.topup"
	doCentre   dialog.Word = "own.do.centre"
	doPeople   dialog.Word = "own.do.people"
)

// What is said about it.
const (
	askMoney  dialog.Word = "own.ask.money"
	nothing   dialog.Word = "own.nothing"
	factWhy   dialog.Word = "own.fact.why"
	factMoney dialog.Word = "own.fact.amount"
	factSince dialog.Word = "own.fact.since"
	factPlace dialog.Word = "own.fact.place"
	factRef   dialog.Word = "own.fact.ref"

	factTerminal dialog.Word = "own.fact.terminal" // its number, which is all that a card knows of it

	factCard  dialog.Word = "own.fact.card"
	factHeld  dialog.Word = "own.fact.held"
	factDue   dialog.Word = "own.fact.due"
	factHeard dialog.Word = "own.fact.heard"

	factBalance   dialog.Word = "own.fact.balance"
	factAside     dialog.Word = "own.fact.aside"
	factAvailable dialog.Word = "own.fact.available"
	factKept      dialog.Word = "own.fact.kept"      // of it: only the card may spend it
	factSpendable dialog.Word = "own.fact.spendable" // by bills and baths
	factDark      dialog.Word = "own.fact.dark"      // that the card has paid, and no terminal has told

	heldHere  dialog.Word = "own.held.here"  // in the account, kept for this
	heldApart dialog.Word = "own.held.apart" // set aside, out of the balance
	heldThere dialog.Word = "own.held.there" // in the account, and free
	heldNot   dialog.Word = "own.held.not"   // not in the account
	heldPaid  dialog.Word = "own.held.paid"  // paid by the card, and still in the account
	duePeople dialog.Word = "own.due.people"
	dueOver   dialog.Word = "own.due.over"
	dueCard   dialog.Word = "own.due.card" // when the card is laid down
	dueTill   dialog.Word = "own.due.till" // when the till has told
	dueSoon   dialog.Word = "own.due.soon" // when this terminal has told
	dueNone   dialog.Word = "own.due.none"
)

// sort is what there is to say of a sort of open money.
type sort struct {
	why, what dialog.Word
	where     dialog.Word // the money is, meanwhile
	due       dialog.Word // when no time can be promised; "" where nothing is to come
}

var sorts = map[holder.Sort]sort{
	holder.TopUpWaiting:  {topUpWaiting, doPay, heldNot, dueNone},
	holder.TopUpChecking: {topUpChecking, doWait, heldNot, dueNone},
	holder.TopUpLate:     {topUpLate, doLevel, heldThere, ""},
	holder.TopUpReturned: {topUpReturned, doReturned, heldNot, ""},
	holder.LoadDoubt:     {loadDoubt, doLay, heldThere, dueCard},
	holder.PurchaseDoubt: {purchaseDoubt, doLay, heldApart, dueCard},
	holder.Sale:          {sale, doTill, heldHere, dueTill},
	holder.BillHeld:      {billHeld, doWait, heldHere, dueNone},
	holder.BillChecking:  {billChecking, doWait, heldHere, dueNone},
	holder.BathReserved:  {bathReserved, doBath, heldHere, dueNone},
	holder.BathUnsettled: {bathUnsettled, doStub, heldHere, dueNone},
	holder.Owed:          {owed, doTopUp, "", ""},
	holder.Inquiry:       {inquiry, doPeople, "", duePeople},
	level:                {notLevel, doLevel, heldThere, ""},
	unsent:               {notSent, doWait, "", dueSoon},
	dark:                 {darkSale, doNothing, heldPaid, dueTill},
	darkRest:             {darkBefore, doNothing, heldPaid, dueTill},
}

// level is money that is on the account and not on the card yet. The upstream knows
// it of the card that is signed in with, and not of the account.
const level holder.Sort = 99

func sortOf(o holder.Open) sort {
	if s, known := sorts[o.Sort]; known {
		return s
	}
	return sort{otherwise, doCentre, "", dueNone} // of an upstream that is newer
}

// money says where money is that is on its way, by what to know it, until when it
// is decided, and what to do.
func (d *Desk) money(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	if err := v.Work(ctx, looking); err != nil {
		return dialog.Report{}, err
	}
	s, err := d.Upstream.Open(ctx, v.Session, lies(v))
	if err != nil {
		return dialog.Report{}, err
	}
	here, err := d.unsent(ctx, v)
	if err != nil {
		return dialog.Report{}, err
	}
	paid, sum := inDark(s, v)
	sums := sumsOf(s, sum)
	open := slices.Concat(s.Open, here, paid, notOnCard(v.Account))
	if len(open) == 0 {
		return dialog.Report{Facts: sums, Next: nothing}, nil
	}
	var options []dialog.Option
	for _, o := range open {
		options = append(options, dialog.Option{Word: sortOf(o).why, Text: yuan(o.Amount)})
	}
	i, err := v.Choose(ctx, askMoney, options, sums[1:]...)
	if err != nil {
		return dialog.Report{}, err
	}
	return d.explain(open[i]), nil
}

// sumsOf says what an account has, what of it is held or kept, and what is left.
// inDark is what the card has paid and nobody has told: it is shown, and nothing is
// taken off for it.
func sumsOf(s holder.Standing, inDark money.Fen) []dialog.Fact {
	available := s.Balance - s.Held
	sums := []dialog.Fact{
		dialog.Amount(factBalance, s.Balance), dialog.Amount(factAside, s.Held),
		strong(dialog.Amount(factAvailable, available)),
	}
	if s.Kept > 0 {
		sums = append(sums, dialog.Amount(factKept, s.Kept), dialog.Amount(factSpendable, available-s.Kept))
	}
	if inDark > 0 {
		sums = append(sums, dialog.Amount(factDark, inDark))
	}
	return sums
}

// notOnCard is what the card of this visit is behind its account.
func notOnCard(a client.Account) (all []holder.Open) {
	i := slices.IndexFunc(a.Open, func(o client.OpenItem) bool { return o.Kind == client.OpenNotLevel })
	if i >= 0 && a.Open[i].Amount > 0 {
		all = append(all, holder.Open{Sort: level, Amount: a.Open[i].Amount, Since: a.Open[i].Since})
	}
	return all
}

// explain is all that is to be said about one piece of open money.
func (d *Desk) explain(o holder.Open) dialog.Report {
	s := sortOf(o)
	facts := []dialog.Fact{strong(dialog.Amount(factMoney, max(o.Amount, money.Fen(0))))}
	if !o.Since.IsZero() {
		facts = append(facts, dialog.Moment(factSince, o.Since))
	}
	place := factPlace
	switch {
	case o.Sort == dark && o.Where.ZH == "":
		place = factTerminal
	case o.Sort == holder.BillHeld || o.Sort == holder.BillChecking:
		place = factFor // it is an account or a room
	}
	zh, en := o.Where.With(o.Place)
	for _, f := range []dialog.Fact{
		dialog.Named(place, zh, en), dialog.Text(factRef, o.Ref), dialog.Text(factCard, o.CardEnd),
	} {
		if f.Text != "" {
			facts = append(facts, f)
		}
	}
	if s.where != "" {
		facts = append(facts, dialog.Said(factHeld, s.where))
	}
	due, next := d.due(o, s)
	if due != (dialog.Fact{}) {
		facts = append(facts, due)
	}
	if !o.Heard.IsZero() {
		facts = append(facts, dialog.Moment(factHeard, o.Heard))
	}
	return dialog.Report{Title: s.why, Facts: facts, Next: next, Told: true}
}

// due says until when it is decided, and what to do. Who was promised a time that is
// over is sent to people.
func (d *Desk) due(o holder.Open, s sort) (dialog.Fact, dialog.Word) {
	switch {
	case o.People:
		return dialog.Said(factDue, duePeople), doPeople
	case !o.Due.IsZero() && d.Now().After(o.Due):
		return dialog.Said(factDue, dueOver), doCentre
	case !o.Due.IsZero():
		return dialog.Moment(factDue, o.Due), s.what
	case s.due != "":
		return dialog.Said(factDue, s.due), s.what
	}
	return dialog.Fact{}, s.what
}
