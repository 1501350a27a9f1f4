package journal

import "fmt"

// Kind says what an entry tells. The numbers are written to disk and sent
// upstream: add to them, never renumber.
//
// An intent is written before something irreversible is done, its doubt when
// nobody can tell what became of it, its end once the outcome is known. All
// three share one [Entry.Ref]. Every other kind says something that has
// happened and stands by itself.
type Kind uint16

// The kinds. Those below 40 move no money by themselves.
const (
	Started     Kind = 1 // the program started; written by the ledger alone
	EpochOpened Kind = 2 // first entry after a journal was found restored or cloned; ledger alone
	Carried     Kind = 3 // an entry of the epoch before that upstream has not taken, whole; ledger alone

	TopUpIntent Kind = 10 // an order number (充值) is about to be used upstream
	TopUpEnd    Kind = 11 // that order was paid, closed or refused
	TopUpShown  Kind = 12 // that order's code was on the screen: it may be paid

	LoadIntent Kind = 20 // a card is about to be credited (圈存)
	LoadEnd    Kind = 21 // the card was credited, or was not
	LoadDoubt  Kind = 22 // the card has gone and nobody knows

	ClockStep Kind = 30 // the wall clock was set; written by the ledger alone
	Sighting  Kind = 31 // a card's counters and purse, read while nothing was written
	Evidence  Kind = 32 // what a card says of another terminal's open claim

	SaleIntent Kind = 40 // a card is about to be debited (消费)
	SaleEnd    Kind = 41 // the card was debited, or was not
	SaleDoubt  Kind = 42 // the card has gone and nobody knows: the amount is in suspense

	CodeSale    Kind = 45 // a virtual-card code (虚拟卡码) was taken
	ChannelSale Kind = 46 // a payment code of a channel was paid, says upstream
	Refund      Kind = 50 // a sale given back, whole or in part
	CashTopUp   Kind = 60 // cash taken onto an account (现金充值)
	PayOut      Kind = 61 // an account's balance given back in cash
	CashIn      Kind = 62 // cash into the drawer: the float, change
	CashOut     Kind = 63 // cash out of the drawer: a drop to the safe
	Counted     Kind = 64 // the drawer was counted; a difference is posted, never hidden
	Fee         Kind = 70 // a fee taken from an account, such as a replacement's

	ShiftOpened  Kind = 65 // a shift (班次) begins; Amount is the float (备用金) that was put in
	ShiftClosed  Kind = 66 // a shift ends; Details are its Z report, a [Report]
	ShiftReport  Kind = 67 // an X report: what a Z would say now, also a [Report]
	DrawerOpened Kind = 68 // the drawer was opened without a sale
	SignedIn     Kind = 69 // a member of the staff stands at the till
	SignedOut    Kind = 71 // and no longer does

	// What a channel is asked for is announced; what came of it is said by a
	// [ChannelSale] or a [Refund], which moves the money, and then by the end.
	PaymentIntent Kind = 80 // a payer's code is about to be shown to a channel
	PaymentEnd    Kind = 81 // that was paid, or closed, or never asked for
	ReturnIntent  Kind = 82 // a channel is about to be asked to give some of a sale back
	ReturnEnd     Kind = 83 // it has, or never will

	CentreIntent Kind = 90 // a clerk is about to do something for a holder (办理); Details say what
	CentreEnd    Kind = 91 // upstream has done it, or never will

	// A holder's request (申请) moves no money here: what it comes to is upstream's.
	RequestIntent Kind = 92 // a holder is about to ask upstream for something; Details say what
	RequestEnd    Kind = 93 // upstream has done it, or has not
)

// kindFacts is all that is known of a kind.
type kindFacts struct {
	name   string // "" where there is no such kind
	begins Kind   // the intent that it follows; itself for an intent; 0 for what stands alone
	ledger bool   // the ledger alone writes it
}

// kinds has each kind at its number: an entry's kind is asked for so often on its
// way that a map would take as long as the entry's hash.
var kinds = [...]kindFacts{
	Started:     {name: "started", ledger: true},
	EpochOpened: {name: "epoch opened", ledger: true},
	Carried:     {name: "carried", ledger: true},
	TopUpIntent: {name: "top-up intent", begins: TopUpIntent},
	TopUpEnd:    {name: "top-up end", begins: TopUpIntent},
	TopUpShown:  {name: "top-up shown", begins: TopUpIntent},
	LoadIntent:  {name: "load intent", begins: LoadIntent},
	LoadEnd:     {name: "load end", begins: LoadIntent},
	LoadDoubt:   {name: "load doubt", begins: LoadIntent},
	ClockStep:   {name: "clock step", ledger: true},
	Sighting:    {name: "sighting"},
	Evidence:    {name: "evidence"},
	SaleIntent:  {name: "sale intent", begins: SaleIntent},
	SaleEnd:     {name: "sale end", begins: SaleIntent},
	SaleDoubt:   {name: "sale doubt", begins: SaleIntent},
	CodeSale:    {name: "code sale"},
	ChannelSale: {name: "channel sale"},
	Refund:      {name: "refund"},
	CashTopUp:   {name: "cash top-up"},
	PayOut:      {name: "pay-out"},
	CashIn:      {name: "cash in"},
	CashOut:     {name: "cash out"},
	Counted:     {name: "counted"},
	Fee:         {name: "fee"},

	ShiftOpened:  {name: "shift opened"},
	ShiftClosed:  {name: "shift closed"},
	ShiftReport:  {name: "shift report"},
	DrawerOpened: {name: "drawer opened"},
	SignedIn:     {name: "signed in"},
	SignedOut:    {name: "signed out"},

	PaymentIntent: {name: "payment intent", begins: PaymentIntent},
	PaymentEnd:    {name: "payment end", begins: PaymentIntent},
	ReturnIntent:  {name: "return intent", begins: ReturnIntent},
	ReturnEnd:     {name: "return end", begins: ReturnIntent},

	CentreIntent: {name: "centre intent", begins: CentreIntent},
	CentreEnd:    {name: "centre end", begins: CentreIntent},

	RequestIntent: {name: "request intent", begins: RequestIntent},
	RequestEnd:    {name: "request end", begins: RequestIntent},
}

// facts returns what is known of k, which is nothing for a kind of a later program.
func (k Kind) facts() *kindFacts {
	if int(k) < len(kinds) {
		return &kinds[k]
	}
	return &kinds[0]
}

// Kinds returns every kind, in the order of their numbers.
func Kinds() (all []Kind) {
	for k := range Kind(len(kinds)) {
		if k.Known() {
			all = append(all, k)
		}
	}
	return all
}

// String returns the kind in words, for logs and for people who verify.
func (k Kind) String() string {
	if k.Known() {
		return k.facts().name
	}
	return fmt.Sprintf("kind %d", uint16(k))
}

// Known reports whether this program knows k. A later one may have more.
func (k Kind) Known() bool { return k.facts().name != "" }

// Intent returns the kind of intent that k belongs to, k itself for an intent,
// and 0 for a kind that stands alone.
func (k Kind) Intent() Kind { return k.facts().begins }

// IsIntent reports whether k announces something.
func (k Kind) IsIntent() bool { return k != 0 && k.facts().begins == k }

// IsEnd reports whether k says how an intent came out.
func (k Kind) IsEnd() bool {
	return k == TopUpEnd || k == LoadEnd || k == SaleEnd || k == PaymentEnd || k == ReturnEnd ||
		k == CentreEnd || k == RequestEnd
}

// IsDoubt reports whether k says that nobody knows how an intent came out.
func (k Kind) IsDoubt() bool { return k == LoadDoubt || k == SaleDoubt }

// Doubt returns the kind of doubt that an intent may be left in, or 0.
func (k Kind) Doubt() Kind {
	switch k {
	case LoadIntent:
		return LoadDoubt
	case SaleIntent:
		return SaleDoubt
	}
	return 0
}

// Sums reports whether k adds up what was written before it. Its Origin is then
// the last entry that it adds up.
func (k Kind) Sums() bool { return k == ShiftClosed || k == ShiftReport }

// ofStaff reports whether k is about who stands at the till and what they do
// with the drawer, or for a holder. It always says who that is.
func (k Kind) ofStaff() bool {
	return k >= ShiftOpened && k <= SignedIn || k == SignedOut || k == CentreIntent || k == CentreEnd
}

// LedgerOnly reports whether only the ledger itself writes k.
func (k Kind) LedgerOnly() bool { return k.facts().ledger }

// Outcome is how an intent ended. The numbers are written to disk and sent
// upstream: add to them, never renumber.
//
// There is no outcome for "nobody knows". An intent whose outcome is unknown
// stays open until there is evidence.
type Outcome uint8

// The outcomes of an order and, from 11 on, of a card that was written to.
const (
	Paid       Outcome = 1  // the order was paid; of a return: it was given back
	Closed     Outcome = 2  // the order was closed unpaid and can no longer be paid
	Refused    Outcome = 3  // the order never existed upstream; of a return: it never will be made
	Written    Outcome = 11 // the card has done it
	NotWritten Outcome = 12 // the card has not
	// Elsewhere and ElsewhereNot are Written and NotWritten, as settled by what
	// another terminal or a later counter has proved upstream.
	Elsewhere    Outcome = 13
	ElsewhereNot Outcome = 14
	// Done and NotDone are of the card centre and of a holder's request: upstream has
	// done it, or never will. A request's NotDone is what upstream said then: a bill
	// that was released may still be booked late, and upstream tells the holder.
	Done    Outcome = 21
	NotDone Outcome = 22
)

// of is what an outcome is of.
type of int

const (
	ofOrder of = iota + 1
	ofCard
	ofUpstream
)

var outcomes = map[Outcome]struct {
	name string
	of   of
}{
	Paid: {"paid", ofOrder}, Closed: {"closed", ofOrder}, Refused: {"refused", ofOrder},
	Written: {"written", ofCard}, NotWritten: {"not written", ofCard},
	Elsewhere: {"elsewhere", ofCard}, ElsewhereNot: {"elsewhere not", ofCard},
	Done: {"done", ofUpstream}, NotDone: {"not done", ofUpstream},
}

// String returns the outcome in words, for logs and for people who verify.
func (o Outcome) String() string {
	if known, ok := outcomes[o]; ok {
		return known.name
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// Happened reports whether the card has been written to.
func (o Outcome) Happened() bool { return o == Written || o == Elsewhere }

// of reports whether o is an outcome of k. A load that was settled elsewhere
// may not say in which way: entries of the first form did not.
func (o Outcome) of(k Kind) bool {
	switch k {
	case TopUpEnd, PaymentEnd, ReturnEnd:
		return outcomes[o].of == ofOrder
	case LoadEnd, SaleEnd, Evidence:
		return outcomes[o].of == ofCard
	case CentreEnd, RequestEnd:
		return outcomes[o].of == ofUpstream
	}
	return o == 0
}
