package kiosk

import (
	"slices"
	"time"

	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/money"
)

// View is what the screen may know: values, masked where they are personal,
// and nothing that outlives a session. A field that does not belong to the
// step is zero. Times are Beijing's, as on every card.
type View struct {
	Step    Step
	Service Service // what the person came for; zero at Home

	// Ends is when the step ends by itself; zero: never. Warning means that
	// the person has to be asked whether more time is wanted.
	Ends    time.Time
	Warning bool

	// Unhurried says that the steps of this visit wait longer.
	Unhurried bool

	// CardAway says that the card of the session is no longer on the reader.
	CardAway bool

	Health  Health
	Holder  Holder   // from Reading on
	Balance Balance  // from Account on
	Amounts []Choice // Amount
	Range   Range    // OtherSum
	PIN     PINHint  // EnterPIN, ReenterPIN
	TopUp   TopUp    // Ordering to OnAccount
	Load    Load     // Loading to OnAccount
	Open    []Open   // Account, Checking, OnAccount
	Notice  Notice   // one line above the content
	Log     Log      // CardLog, CardOnly
	Receipt Receipt  // Done, OnAccount

	Services []Offer     // what else there is to have done here
	Chosen   dialog.Word // the service that the person came for
	Dialog   dialog.View // Serving, AtWork, Served; at Done and OnAccount only the receipt, as it is printed
	Fault    Code        // Fault, OnAccount, OutOfOrder; zero: none

	then  pursuit // what the person came for, while something else comes first
	doubt bool    // nobody knows whether the card was written in this visit
}

// pursuit is a service that comes after another. The zero one is none.
type pursuit struct {
	service Service
	chosen  dialog.Word
}

// at returns the view of the next step. What a step alone may show ends with
// it, and everything personal ends at Home.
func (v View) at(step Step, e Event) View {
	if step == Home || step == OutOfOrder {
		return View{Step: step, Health: v.Health, Services: v.Services, Fault: v.Health.Fault}
	}
	before := v.Step
	v.Step, v.Warning, v.doubt = step, false, v.doubt || step == Doubt
	v.Notice, v.Fault, v.Log, v.PIN = NoNotice, v.leftWith(before, e), Log{}, PINHint{}
	switch {
	case step == AtWork: // until it says what it does
		v.Dialog = dialog.View{Page: dialog.Asking, Task: v.Chosen, Question: dialog.Question{
			Kind: dialog.Working, Name: dialog.OneMoment}}
	case !step.serves():
		v.Dialog = dialog.View{}
	}
	switch {
	case e == ChoseTopUp || e == WentOnTopUp:
		v.Service = TopUpService
	case e == ChoseService || e == WentOnService || e == ChoseOpenService:
		v.Service = OtherService
	case e == ChoseAccount || v.Service == 0:
		v.Service = AccountService
	}
	switch step {
	case Account, Amount, OtherSum:
		v.TopUp, v.Load, v.Receipt, v.doubt = TopUp{}, Load{}, Receipt{}, false
	case Loading:
		v.Load = Load{Stage: LoadAsking}
	}
	return v
}

// leftWith is the code of a step that is reached by no act that could say why.
func (v View) leftWith(before Step, e Event) Code {
	switch {
	case v.doubt && v.Step == OnAccount:
		return CodeLoadDoubt
	case before == Reading && v.Step == Fault && e == Timeout:
		return CodeCardSilent
	case v.Step == Fault && e == Timeout:
		return CodeOffline
	}
	return 0
}

// Service is a tile of the home screen.
type Service int

// The services.
const (
	TopUpService   Service = 1
	AccountService Service = 2
	OtherService   Service = 3 // see View.Chosen
)

// Offer is a service of package service on the home and account pages.
type Offer struct {
	Name   dialog.Word
	SignIn bool // with card and PIN
	Online bool // with the upstream
	Inside bool // on the account page only
}

// Offered are the services that there are on the page of a step, Home or Account. One
// that others give is there as soon as the upstream has said that they do.
func (v View) Offered() (all []Offer) {
	for _, o := range v.Services {
		_, given := v.Health.Other(string(o.Name))
		switch {
		case v.Step == Home && o.Inside, v.Step == Account && !o.SignIn:
		case slices.Contains(others, string(o.Name)) && !given && v.Health.Upstream:
		default:
			all = append(all, o)
		}
	}
	return all
}

// SignedIn reports whether there is a holder to go back to.
func (v View) SignedIn() bool { return v.Holder != Holder{} }

// Holder is whose card lies there, masked.
type Holder struct {
	Name   string // 张*三
	Number string // student or staff number, middle hidden
	Card   string // the end of the card number
}

// Balance is the money of the holder.
type Balance struct {
	Account   money.Fen // the truth
	Available money.Fen // less what is held
	Kept      money.Fen // of Available: only the card may spend it
	Purse     money.Fen // on the card, as it was read or written last
	ToLoad    money.Fen // by which the purse is behind
}

// Choice is a button of the amount screen.
type Choice struct {
	Amount  money.Fen
	Allowed bool // false: it would lift the balance over its cap
}

// Range bounds an amount that is typed.
type Range struct{ Min, Max money.Fen }

// PINHint is what the PIN screen says beside the pad.
type PINHint struct {
	Wrong     bool
	TriesLeft int // meaningful when Wrong
}

// TopUp is the order that the person is paying.
type TopUp struct {
	OrderNo string
	Amount  money.Fen
	QR      string    // what the phone scans; Pay only
	Expires time.Time // of the QR code
}

// Load is what is being written to the card.
type Load struct {
	Amount money.Fen // 0 while it is not yet known
	Stage  LoadStage
}

// Loaded is what was certainly written to the card.
func (v View) Loaded() money.Fen {
	if v.Load.Stage != LoadFinished {
		return 0
	}
	return v.Load.Amount
}

// InDoubt reports whether nobody knows what the card has, because it left while it was
// being written.
func (v View) InDoubt() bool { return v.Step == OnAccount && (v.doubt || v.Fault == CodeLoadDoubt) }

// LoadStage counts the determinate steps of writing a card. There is no
// percentage: each stage is one thing that really happened.
type LoadStage int

// The stages of a load.
const (
	LoadAsking   LoadStage = 1 // upstream is asked for the amount
	LoadProving  LoadStage = 2 // card and upstream prove themselves
	LoadWriting  LoadStage = 3 // the card is being written
	LoadFinished LoadStage = 4
)

// OpenKind is a sort of money that is on its way.
type OpenKind int

// The kinds of open money.
const (
	TopUpChecking OpenKind = 1 // nobody knows yet whether it was paid
	TopUpLate     OpenKind = 2 // paid after the machine gave up; credited
	LoadDoubt     OpenKind = 3 // the card left while it was being written
	NotLevel      OpenKind = 4 // on the account, not yet on the card
	PurchaseDoubt OpenKind = 5 // the card left while it was paying; set aside
)

// Open is money of the holder that is on its way.
type Open struct {
	Kind    OpenKind
	Amount  money.Fen
	Since   time.Time
	OrderNo string
	Place   string // of a purchase
	PlaceEN string `json:",omitempty"` // in English; "": as Place
}

// Notice is one line that a screen shows above its content.
type Notice int

// The notices.
const (
	NoNotice       Notice = 0
	OtherCardThere Notice = 1 // that is another card
	CardUnreadable Notice = 2 // lay it flat, or another one
	DoubtSettled   Notice = 3 // the load of the last visit is on the card
	DoubtUndone    Notice = 4 // the load of the last visit had not happened; it is being made up
	CardLeftPay    Notice = 5 // the card may stay away while paying, it is needed at the end
	Returned       Notice = 6 // Unpaid: paid in the last moment, and given back by the service
)

// MovementKind is a sort of line of a card's log.
type MovementKind int

// The kinds of lines.
const (
	MovedLoad     MovementKind = 2
	MovedPurchase MovementKind = 4
	MovedOther    MovementKind = 6
)

// Movement is a line of the card's own log.
type Movement struct {
	At     time.Time
	Kind   MovementKind
	Amount money.Fen // signed
	Place  string    // the number of the terminal
}

// Log is what a card has written down itself, newest first.
type Log struct {
	Movements []Movement
	Read      bool // false: it is being read, or the card keeps it to itself
}

// Receipt is what the person may take along, together with the amounts of the
// view: in words, and as a QR code. The zero Receipt is none.
type Receipt struct {
	OrderNo string // "" for a load without a top-up
	At      time.Time
	Number  int64  // of the journal entry; 0 for money that is not on a card yet
	Proof   string // the signed code of [journal.Receipt]; "" if this terminal cannot sign
}

// Health is what the machine can do now.
type Health struct {
	Terminal string // its ID, to be read out on the telephone
	SchoolZH string
	SchoolEN string
	Reader   bool
	Upstream bool
	Since    time.Time // since when the upstream is away
	Fault    Code      // why nobody's money may be taken; 0: it may

	// Others are the services that others than the campus give. One that is not
	// here is not offered.
	Others []Standing

	Queue      Queue
	HotlistAge time.Duration // in whole hours; [feed.Unknown] without a list
}

// Names of services that others than the campus give.
const (
	NetworkService     = "network"
	ElectricityService = "electricity"
	BathService        = "bath"
)

// others are their names.
var others = []string{NetworkService, ElectricityService, BathService}

// Standing is how such a service stands.
type Standing struct {
	Service string
	Since   time.Time // since when it does not answer; zero: it does
	Worked  time.Time // when it last did before that; zero if nobody knows
	Closed  bool      // whoever gives it has closed it
}

// Works reports whether the service can be had.
func (s Standing) Works() bool { return s.Since.IsZero() && !s.Closed }

// Other returns how a service stands, and whether it is offered.
func (h Health) Other(service string) (Standing, bool) {
	for _, s := range h.Others {
		if s.Service == service {
			return s, true
		}
	}
	return Standing{}, false
}

// Queue is what the upstream has not been told yet.
type Queue struct {
	Count   int64     // journal entries
	Amount  money.Fen // that they move
	Since   time.Time // the oldest; zero if there is none
	Hour    money.Fen // of Amount, in the last hour
	Failing bool      // it does not get through
}

// Input is what a person did at the screen.
type Input struct {
	Event  Event
	Amount money.Fen // TypedAmount
	PIN    *PIN      // Typed; the flow wipes it

	Service   dialog.Word  // ChoseService, ChoseOpenService
	Dialog    dialog.Input // what was done at Serving and Served; Event is 0 then
	Unhurried bool         // Pace

	nobody bool // stood there before it
}

// What moves no step: MoreTime is the answer to a warning, and Pace says on Home
// whether the person wants longer times (Input.Unhurried).
const (
	MoreTime Event = 40
	Pace     Event = 43
)

// PIN is a PIN while it is being typed; see [pin.PIN].
type PIN = pin.PIN

// PINLength is how many digits a PIN has.
const PINLength = pin.Length
