package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"quancun/money"
	"quancun/upstream/channel"
)

// Difference is how two sides disagree. Stored: never renamed.
type Difference string

// The differences.
const (
	OnlyOurs      Difference = "only ours"
	OnlyTheirs    Difference = "only theirs"
	AmountDiffers Difference = "amount differs"
	LineTwice     Difference = "line twice"   // their statement has one movement twice
	PaidTwice     Difference = "paid twice"   // two payments of one order there
	BookedTwice   Difference = "booked twice" // two entries for one movement here
)

// Owner is who has to act. Stored: never renamed.
type Owner string

// The owners.
const (
	Operator Owner = "operator"    // who settles with Alipay, billers and merchants
	Clerk    Owner = "card centre" // who can speak with the holder
)

// Step is what its owner has to do next: the key of a text that has the
// parameters of [Finding.Params] in it. Stored: never renamed.
type Step string

// The steps.
const (
	AwaitSale      Step = "await sale"       // a till sold for it, whose journal books it when it comes
	AwaitRefund    Step = "await refund"     // likewise: a till gave it back
	CreditPayment  Step = "credit payment"   // to the holder who ordered, or give it back
	AwaitReturn    Step = "await return"     // it was given back there; a later statement has to show it
	FindPayer      Step = "find payer"       // nobody ordered it here
	ReturnSecond   Step = "return second"    // of two payments for one order
	BookReturn     Step = "book return"      // somebody gave money back there, past our books
	ClaimPayment   Step = "claim payment"    // credited here, and they have not had it
	RepeatReturn   Step = "repeat return"    // given back here, and not there
	CorrectAmount  Step = "correct amount"   // of our entry, or of theirs
	QueryLine      Step = "query line"       // why it is there twice
	ReverseEntry   Step = "reverse entry"    // of two for one movement
	RepeatOrReturn Step = "repeat or return" // paid here, not sold there: order again, or give it back
	ChargeOrCancel Step = "charge or cancel" // sold there, not paid here
)

// rules say who acts and how. The first that fits counts.
var rules = []struct {
	biller     bool
	difference Difference
	kind       channel.Kind
	when       func(o Order) bool
	owner      Owner
	step       Step
}{
	{false, OnlyTheirs, channel.Payment, Order.returned, Operator, AwaitReturn},
	{false, OnlyTheirs, channel.Payment, Order.sold, Operator, AwaitSale},
	{false, OnlyTheirs, channel.Payment, Order.known, Operator, CreditPayment},
	{false, OnlyTheirs, channel.Payment, always, Operator, FindPayer},
	{false, OnlyTheirs, channel.Refund, Order.sold, Operator, AwaitRefund},
	{false, OnlyTheirs, channel.Refund, always, Operator, BookReturn},
	{false, OnlyOurs, channel.Payment, always, Operator, ClaimPayment},
	{false, OnlyOurs, channel.Refund, always, Operator, RepeatReturn},
	{false, AmountDiffers, channel.Payment, always, Operator, CorrectAmount},
	{false, AmountDiffers, channel.Refund, always, Operator, CorrectAmount},
	{false, LineTwice, channel.Payment, always, Operator, QueryLine},
	{false, LineTwice, channel.Refund, always, Operator, QueryLine},
	{false, PaidTwice, channel.Payment, always, Clerk, ReturnSecond},
	{false, BookedTwice, channel.Payment, always, Operator, ReverseEntry},
	{false, BookedTwice, channel.Refund, always, Operator, ReverseEntry},

	{true, OnlyTheirs, channel.Payment, always, Operator, ChargeOrCancel},
	{true, OnlyTheirs, channel.Refund, always, Clerk, BookReturn},
	{true, OnlyOurs, channel.Payment, always, Clerk, RepeatOrReturn},
	{true, OnlyOurs, channel.Refund, always, Operator, RepeatReturn},
	{true, AmountDiffers, channel.Payment, always, Operator, CorrectAmount},
	{true, AmountDiffers, channel.Refund, always, Operator, CorrectAmount},
	{true, LineTwice, channel.Payment, always, Operator, QueryLine},
	{true, LineTwice, channel.Refund, always, Operator, QueryLine},
	{true, PaidTwice, channel.Payment, always, Operator, ChargeOrCancel},
	{true, BookedTwice, channel.Payment, always, Operator, ReverseEntry},
	{true, BookedTwice, channel.Refund, always, Operator, ReverseEntry},
}

func always(Order) bool        { return true }
func (o Order) known() bool    { return o.Account != "" }
func (o Order) returned() bool { return o.Returned }
func (o Order) sold() bool     { return o.Sale }

// Finding is money that does not match, with who has to do what about it.
type Finding struct {
	Difference Difference
	Source     Source
	Order      Order // zero if our books do not know it
	Entry      Entry // ours; zero in OnlyTheirs, LineTwice and PaidTwice
	Line       Line  // theirs; zero in OnlyOurs and BookedTwice

	Owner Owner
	Step  Step
	Twin  int // from 2 on, to tell those that are alike in everything
}

// add completes a finding and adds it to r.
func (r *Result) add(b Books, f Finding) {
	f.Source, f.Order = b.Source, b.Orders[f.About()]
	for _, rule := range rules {
		if rule.biller == f.Source.Biller() && rule.difference == f.Difference && rule.kind == f.Kind() &&
			rule.when(f.Order) {
			f.Owner, f.Step = rule.owner, rule.step
			r.Findings = append(r.Findings, f)
			return
		}
	}
	panic(fmt.Sprintf("reconcile: internal error: nobody owns %s", f.Title()))
}

// tellTwins numbers findings that are alike in everything.
func (r *Result) tellTwins() {
	seen := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		alike := f.Title() + " " + f.Ref()
		if seen[alike]++; seen[alike] > 1 {
			f.Twin = seen[alike]
		}
	}
}

// About names the order, or the trade, that f is about.
func (f Finding) About() string {
	if f.Entry.OrderNo != "" {
		return f.Entry.OrderNo
	}
	return f.Line.About()
}

// Kind says which way the money went.
func (f Finding) Kind() channel.Kind {
	if f.Entry.Kind != 0 {
		return f.Entry.Kind
	}
	return f.Line.Kind
}

// Gap is by how much more has come in by their books than by ours.
func (f Finding) Gap() money.Fen { return f.Line.signed() - f.Entry.signed() }

// Amount is what does not match, more than zero.
func (f Finding) Amount() money.Fen { return max(f.Gap(), -f.Gap()) }

// Title names what kind of finding f is, such as "payment only theirs".
func (f Finding) Title() string { return f.Kind().String() + " " + string(f.Difference) }

// Ref names f for good among those with its title: the same difference found
// again has the same Ref, and no other has it.
func (f Finding) Ref() string {
	parts := []string{string(f.Source), f.About(), cmp.Or(f.Entry.RefundNo, f.Line.RefundNo)}
	if f.Line.OrderNo != "" {
		parts = append(parts, f.Line.TradeNo)
	}
	parts = append(parts, f.Amount().String())
	if f.Twin > 0 {
		parts = append(parts, fmt.Sprint(f.Twin))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " ")
}

// Params are the values in the text of a step, by their names in it.
func (f Finding) Params() map[string]string {
	p := map[string]string{"source": string(f.Source), "order": f.About(), "amount": f.Amount().String()}
	for name, value := range map[string]string{
		"account": f.Order.Account, "trade": f.Line.TradeNo, "entry": f.Entry.ID,
		"refund": f.Line.RefundNo, "day": string(f.Line.Day),
	} {
		if value != "" {
			p[name] = value
		}
	}
	if f.Entry.Amount > 0 {
		p["ours"] = f.Entry.Amount.String()
	}
	if f.Line.Amount > 0 {
		p["theirs"] = f.Line.Amount.String()
	}
	return p
}
