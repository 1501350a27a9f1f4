package till

import (
	"image"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/pin"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/money"
)

// View is what the screen may know: values, masked where they are personal. A
// field that does not belong to the step is zero. Times are Beijing's.
type View struct {
	Step Step
	Ends time.Time // when the step ends by itself; zero: never

	Operator Operator // who is signed in
	Place    string   // of the till, as receipts call it
	Products []Product
	Meal     Meal          // that is served now at a fixed price; its Price is 0 for none
	Amount   money.Fen     // the price; 0: none is set
	Items    []tender.Item // that it is of, where a key has said so

	Health kiosk.Health
	Dark   rules.Budget // what may still be sold without the upstream
	Ways   []Source     // ways of paying, in the order in which they are asked for

	Holder  kiosk.Holder
	Balance money.Fen // of purse or account; meaningful when Known
	Known   bool
	Photo   image.Image // Sold: of who has paid; nil: there is none, or it is still looked for
	Sale    Result      // Sold, Unknown, PaidBefore, Ask: the sale that it is about
	Last    Result      // that was made before; zero: none since the sign-in
	PIN     PINHint     // StaffPIN, EnterPIN
	Pad     pin.Pad     // where a holder's PIN is asked for
	Notice  Notice
	Kept    money.Fen  // Declined: of the account, only the card may spend it, and with it there were enough
	Short   bool       // Declined: the purse is too low, and the upstream is there to load it
	Taps    int        // cards laid down and codes scanned where they change nothing; a page answers them
	Fault   kiosk.Code // Declined, Locked, Unknown, OutOfOrder; 0: none
	News    []News     // that nobody has read yet, the oldest first
	Printer Printer

	HasOffice  bool        // there is one
	OfficeOnly bool        // who is signed in may not sell
	Office     office.View // Office
}

// AsksHolder reports whether the page asks for the PIN of a holder, and not for that
// of the staff.
func (v View) AsksHolder() bool {
	asked := v.Office.View
	return v.Step == EnterPIN ||
		v.Step == Office && asked.Page == dialog.Asking && asked.Question.Kind == dialog.AskPIN
}

// Printer is how the printer of receipts stands. A till sells whatever it is; what was
// not printed is kept.
type Printer struct {
	Lacks   dialog.Word // what a person has to look after; "": nothing, or there is no printer
	Waiting int         // receipts that are not on paper yet; meaningful with Lacks
}

// Operator is who sells.
type Operator struct {
	No   string // staff number, which the journal keeps
	Name string
}

// Result is a sale that came to an end, or that nobody knows the end of.
type Result struct {
	Ref    string
	Amount money.Fen
	At     time.Time
	Number int64 // of the journal entry; 0: none
	Online bool  // the upstream has agreed
	With   Kind  // how it was paid
	Holder string
}

// Kind is a way of paying. Lower ones are asked for first.
type Kind int

// The kinds.
const (
	ByCard   Kind = 1
	ByCode   Kind = 2 // virtual card
	ByAlipay Kind = 3
)

// Source is a way of paying as it stands now.
type Source struct {
	Kind Kind
	// Why says why it cannot be used now; 0: it can.
	Why Reason
}

// Reason is why a way of paying is not there.
type Reason int

// The reasons.
const (
	NoReason   Reason = 0
	NoReader   Reason = 1
	NoUpstream Reason = 2 // it needs the upstream, which is away
	NotBuilt   Reason = 3 // this till is not set up for it
	NoDark     Reason = 4 // nothing more may be sold without the upstream
	OldList    Reason = 5 // the list of what was lost is too old to sell without the upstream
	NoSAM      Reason = 6 // the slot of the SAM is empty
	PastGone   Reason = 7 // nobody can tell what was sold earlier today, and the upstream is away
	Closed     Reason = 8 // the upstream has not sent what it needs
	TooDear    Reason = 9 // the price is more than may be sold at once without the upstream
)

// PINHint is what the PIN page says beside the pad.
type PINHint struct {
	Wrong     bool
	TriesLeft int // meaningful when Wrong
	// Level says that the PIN is asked for a load, because the purse is too low.
	Level bool
}

// Notice is one line that a page shows above its content.
type Notice int

// The notices.
const (
	NoNotice       Notice = 0
	CardLeft       Notice = 1 // it was lifted too early; nothing was charged
	OtherCardThere Notice = 2 // that is another card
	CardUnreadable Notice = 3
	PriceFirst     Notice = 4  // a code was scanned, and there is no price
	EarlierSettled Notice = 5  // an earlier sale of this card has been settled: it was not paid
	LoadedFirst    Notice = 6  // the purse was loaded, and then it paid
	NoProduct      Notice = 7  // a product's code was scanned that this till does not have; nothing was priced
	TooMuch        Notice = 8  // the product would make the price more than a sale may be
	NotThisSheet   Notice = 9  // a key's code was scanned that is not of this till's newest sheet
	NoSuchKey      Notice = 10 // a key's code was scanned, and the page does not have that key
	HalfRead       Notice = 11 // a code was read in part; nothing was done
)

// Input is what a person did at the till.
type Input struct {
	Event  Event
	Amount money.Fen // Priced
	Items  []tender.Item
	PIN    *kiosk.PIN // Typed; the flow wipes it
	Code   string     // Scanned

	// Office is what was done on a page of the office; Event is 0 then.
	Office dialog.Input
}

// Wipe forgets the PINs of an input that nobody takes.
func (in Input) Wipe() {
	in.PIN.Wipe()
	in.Office.Answer.PIN.Wipe()
}

// at returns the view of the next step. What a step alone may show ends with
// it, and what belongs to a sale ends with the sale.
func (v View) at(step Step, e Event) View {
	before := v.Step
	v.Step = step
	v.Notice, v.Fault, v.Short, v.Kept, v.Taps, v.Photo = NoNotice, 0, false, 0, 0, nil
	v.Office = office.View{}
	v.PIN = PINHint{Level: v.PIN.Level && !over(step) || e == LoadFirst}
	switch step {
	case Locked, OutOfOrder:
		v = View{Step: step, Place: v.Place, Products: v.Products, Meal: v.Meal, Health: v.Health, Dark: v.Dark,
			Ways: v.Ways, Last: v.Last, HasOffice: v.HasOffice, News: v.News, Printer: v.Printer}
		v.Last.Holder = "" // nobody is there who may know
		if step == OutOfOrder {
			v.Fault = v.Health.Fault
		}
	case Ready, Office:
		v.Amount, v.Items = 0, nil
		v = v.without()
	case Looking:
		v.Amount, v.Items = 0, nil // the price was that of another sale
		v = v.without()
	case Present:
		if before != Ask && before != PaidBefore {
			v = v.without()
		}
	case Selling, Paying:
		v = v.without() // the customer before, in a queue
	case Sold:
		if e == WasThis {
			v.Amount, v.Last = v.Sale.Amount, v.Sale
		}
	case Unknown:
		v.Fault = kiosk.CodeSaleDoubt
	}
	if e == Read && len(v.News) > 0 {
		v.News = v.News[1:]
	}
	if before == Looking && e == Timeout {
		v.Fault = kiosk.CodeCardSilent
	}
	return v
}

// over reports whether a step is no part of the sale before it.
func over(s Step) bool {
	return s == Ready || s == Present || s == Sold || s == Declined || s == Locked || s == Office
}

// without forgets who was there.
func (v View) without() View {
	v.Holder, v.Balance, v.Known, v.Sale = kiosk.Holder{}, 0, false, Result{}
	return v
}
